"""`Operator`: acts as somebody. What is done through it is in the audit: who, what, on what, before, after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backburner.checked import MAX_WHO, checked_text
from backburner.control import Control
from backburner.errors import InvalidOption
from backburner.insight.audit import VIAS
from backburner.insight.marks import KIND, MAX_MARK, NOTE, RELEASE, TARGET
from backburner.job import Job, JobFilter
from backburner.queues import Queues
from backburner.schedules import Schedules
from backburner.steering import CANCELLED, Acted
from backburner.where import Where
from backburner.workers import Workers, WorkerState

if TYPE_CHECKING:
    from backburner.insight.insight import Insight
    from backburner.insight.runtime import RuntimeSetting
    from backburner.schedule import Schedule
    from backburner.view import View


@dataclass(frozen=True, slots=True)
class Tools:
    """What an operator acts with."""

    control: Control
    queues: Queues
    workers: Workers
    schedules: Schedules
    insight: Insight


class Operator:
    """Each method does what its like elsewhere does, raises what that raises, and writes the audit afterwards."""

    def __init__(self, by: str, via: str, tools: Tools) -> None:
        self.by: str = checked_text("by", by, MAX_WHO)
        if via not in VIAS:
            raise InvalidOption("via", via, "is no way to act", f"Use {', '.join(VIAS)}")
        self.via: str = via
        self._tools = tools

    # Jobs

    def cancel(self, job_id: str, reason: str = CANCELLED) -> Job:
        """Cancel a job."""
        before = self._tools.control.get(job_id)
        after = self._tools.control.cancel(job_id, reason)
        self._audit("cancel", "job", job_id, before=_job(before), after=_job(after))
        return after

    def retry(self, job_id: str) -> Job:
        """Run a finished or held job again."""
        before = self._tools.control.get(job_id)
        after = self._tools.control.retry(job_id)
        self._audit("retry", "job", job_id, before=_job(before), after=_job(after))
        return after

    def edit(self, job_id: str, args: str, *, retry: bool = False) -> Job:
        """Give a job other arguments, and run it again when that is asked for. The audit has no arguments."""
        before = self._tools.control.get(job_id)
        after = self._tools.control.edit(job_id, args)
        if retry:
            after = self._tools.control.retry(job_id)
        action = "edit and retry" if retry else "edit"
        self._audit(action, "job", job_id, before=_job(before), after=_job(after))
        return after

    def delete(self, job_id: str) -> None:
        """Remove a job."""
        before = self._tools.control.get(job_id)
        self._tools.control.delete(job_id)
        self._audit("delete", "job", job_id, before=_job(before))

    def started(self, job: Job) -> None:
        """Note that somebody has started this job by a form."""
        self._audit("run", "job", job.id, after={"task": job.task, "queue": job.queue})

    def act(self, verb: str, ids: Sequence[str]) -> Acted:
        """Retry, cancel or delete some jobs by their ids, here and now."""
        done = self._tools.control.steering.act(verb, ids)
        for job_id in ids if len(ids) <= 200 else ():
            self._audit(verb, "job", job_id)
        if len(ids) > 200:
            self._audit(verb, "jobs", f"{len(ids):,} jobs by id", count=done.done)
        return done

    def act_on_all(self, verb: str, which: JobFilter, told: str) -> int:
        """Retry, cancel or delete all that match, here and now; `told` is the filter in words."""
        done = self._tools.control.steering.all(verb, which)
        self._audit(verb, "jobs", told or "all", count=done)
        return done

    def operate(self, verb: str, where: Where, *, interrupted: bool = False) -> Job:
        """Have it done to all that match, by a job of its own."""
        job = self._tools.insight.operations.start(verb, where, self.by, interrupted=interrupted)
        after = {"operation": job.id, "interrupted": interrupted}
        self._audit(f"{verb} all", "jobs", str(where) or "all", after=after)
        return job

    def export(self, where: Where, *, form: str = "csv", columns: Sequence[str] | None = None) -> Job:
        """Have all that match written to a file, by a job of its own."""
        job = self._tools.insight.operations.export(where, self.by, form=form, columns=columns)
        self._audit("export", "jobs", str(where) or "all", after={"operation": job.id, "columns": columns})
        return job

    # Failures

    def retry_some(self, fingerprint: str, count: int = 5) -> Acted:
        """Retry the latest few jobs of a group of failures, as a test."""
        done = self._tools.insight.failures.retry_some(fingerprint, count)
        self._audit("retry some", "failure", fingerprint, count=done.done)
        return done

    def mute(self, fingerprint: str, *, reason: str | None = None, until: datetime | None = None) -> None:
        """Let a group of failures count in no warning."""
        self._tools.insight.failures.mute(fingerprint, self.by, reason=reason, until=until)
        self._audit("mute", "failure", fingerprint, reason=reason, after={"until": until})

    def unmute(self, fingerprint: str) -> None:
        """Let a group of failures count again."""
        self._tools.insight.failures.unmute(fingerprint)
        self._audit("unmute", "failure", fingerprint)

    # Queues

    def pause(self, queue: str | None = None, *, reason: str | None = None, until: datetime | None = None) -> None:
        """Pause a queue, or all."""
        before = self._queue(queue)
        self._tools.queues.pause(queue, reason=reason, until=until, by=self.by)
        self._audit("pause", "queue", queue or "*", reason=reason, before=before, after=self._queue(queue))

    def resume(self, queue: str | None = None) -> bool:
        """End a pause."""
        before = self._queue(queue)
        was = self._tools.queues.resume(queue)
        self._audit("resume", "queue", queue or "*", before=before, after=self._queue(queue))
        return was

    def limit(self, queue: str, most: int | None) -> None:
        """Let at most so many jobs of a queue run at the same time."""
        before = self._queue(queue)
        self._tools.queues.limit(queue, most)
        self._audit("limit", "queue", queue, before=before, after=self._queue(queue))

    # Schedules

    def pause_schedule(self, name: str, *, reason: str | None = None) -> Schedule:
        """Let a schedule fire no more."""
        found = self._tools.schedules.pause(name, by=self.by, reason=reason)
        self._audit("pause", "schedule", name, reason=reason)
        return found

    def resume_schedule(self, name: str) -> Schedule:
        """Let a schedule go on."""
        found = self._tools.schedules.resume(name)
        self._audit("resume", "schedule", name)
        return found

    def run_schedule(self, name: str) -> Job:
        """Enqueue a job of a schedule now."""
        job = self._tools.schedules.run(name)
        self._audit("run now", "schedule", name, after={"job": job.id})
        return job

    def remove_schedule(self, name: str) -> None:
        """Remove a schedule that was added at run time."""
        self._tools.schedules.remove(name)
        self._audit("remove", "schedule", name)

    # Workers

    def tell_workers(self, word: str, ids: Sequence[str] | None = None, **chosen: str | None) -> list[str]:
        """Have workers rest (quiet), be replaced (reload) or end (stop); `label` and `queue` choose as well."""
        told = {
            "quiet": self._tools.workers.quiet,
            "reload": self._tools.workers.reload,
            "stop": self._tools.workers.stop,
        }
        if word not in told:
            raise InvalidOption("word", word, "is nothing that is said to workers", f"Use {', '.join(told)}")
        known = {one.id: one for one in self._tools.workers.list()}
        done = told[word](ids, **chosen)
        for worker in done:
            self._audit(word, "worker", worker, before=_worker(known.get(worker)))
        return done

    # Settings and views

    def say(self, name: str, value: Any) -> RuntimeSetting:
        """Say a setting at run time."""
        before = self._setting(name)
        after = self._tools.insight.runtime.say(name, value, self.by)
        self._audit("set", "setting", name, before=before, after={"value": after.value, "source": after.source})
        return after

    def restore(self, name: str) -> RuntimeSetting:
        """Take a setting back."""
        before = self._setting(name)
        after = self._tools.insight.runtime.restore(name)
        self._audit("restore", "setting", name, before=before, after={"value": after.value, "source": after.source})
        return after

    def save_view(self, name: str, query: str, **more: Any) -> View:
        """Save a filter as a view of one's own."""
        view = self._tools.insight.views.save(self.by, name, query, **more)
        self._audit("save", "view", view.id, after={"name": view.name, "query": view.query, "shared": view.shared})
        return view

    def remove_view(self, view_id: str) -> None:
        """Forget a view of one's own."""
        view = self._tools.insight.views.remove(self.by, view_id)
        self._audit("remove", "view", view_id, before={"name": view.name, "query": view.query})

    # Charts

    def note(self, text: str) -> None:
        """Say what happened just now, such as "Parcelfox is slow": a mark in the chart of the overview.

        At most 120 characters. Raises `InvalidOption`.
        """
        self._audit(NOTE, KIND, TARGET, reason=_mark(text))

    def release(self, name: str) -> None:
        """Say that a release of the app goes out now: a mark in the chart of the overview. As `note` otherwise."""
        self._audit(RELEASE, KIND, TARGET, reason=_mark(name))

    def _audit(self, action: str, kind: str, target: str, **more: Any) -> None:
        self._tools.insight.audit.write(self.by, self.via, action, kind, target, **more)

    def _queue(self, queue: str | None) -> dict[str, Any]:
        found = next((one for one in self._tools.queues.standing() if one.name == (queue or "*")), None)
        if found is None:
            return {"paused": False}
        return {"paused": found.paused, "until": found.paused_until, "by": found.paused_by, "most": found.most}

    def _setting(self, name: str) -> dict[str, Any] | None:
        found = next((one for one in self._tools.insight.runtime.list() if one.name == name), None)
        return None if found is None else {"value": found.value, "source": found.source}


def _job(job: Job) -> dict[str, Any]:
    told = {"state": str(job.state), "attempt": job.attempt, "task": job.task, "queue": job.queue}
    return told | {"title": job.title, "owner": job.owner, "cancel_requested": job.cancel_requested}


def _worker(worker: WorkerState | None) -> dict[str, Any] | None:
    return None if worker is None else {"host": worker.host, "pid": worker.pid, "label": worker.label}


def _mark(text: str) -> str:
    return checked_text("note", text.strip() if isinstance(text, str) else text, MAX_MARK)
