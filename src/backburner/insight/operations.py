"""`Operations`: one verb on all jobs that match a filter, or their export, as a job of its own.

It has progress, can be cancelled, goes on where it stopped after a crash, and counts what came of it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from backburner.condition import Condition, Exact, Field
from backburner.context import current_job
from backburner.control import COUNT_LIMIT, Control
from backburner.errors import InvalidOption
from backburner.insight.table import COLUMNS, PRIVATE, Format, writer_of
from backburner.job import Job, JobFilter
from backburner.registry import Registry
from backburner.settings import Settings
from backburner.steering import VERBS, Acted
from backburner.task import Task, declare
from backburner.where import Where

if TYPE_CHECKING:
    from backburner.database import Database
    from backburner.enqueue import JobEnqueuer

Verb = Literal["retry", "cancel", "delete"]
OPERATION, EXPORT = "backburner.operation", "backburner.export"
_PAGE = 200
_BEST_PRIORITY = -32_768


class Operations:
    """`jobs.insight.operations`. Any worker of the app runs them: their tasks are there as soon as the app is."""

    def __init__(self, database: Database, registry: Registry, control: Control, enqueuer: JobEnqueuer) -> None:
        self._database, self._registry, self._control = database, registry, control

        def operate(verb: Verb, where: str, at: datetime, interrupted: bool) -> dict[str, int]:
            return self._operate(verb, Where.of(where, bounded=False).filter(at), interrupted=interrupted)

        def export(where: str, at: datetime, form: Format, columns: list[str]) -> int:
            return self._export(Where.of(where, bounded=False).filter(at), form, columns)

        self._operation: Task[..., dict[str, int]] = declare(operate, enqueuer, {"name": OPERATION})
        self._exporting: Task[..., int] = declare(export, enqueuer, {"name": EXPORT})
        registry.add(self._operation, listed=False)
        registry.add(self._exporting, listed=False)

    def start(self, verb: str, where: Where, by: str, *, interrupted: bool = False) -> Job:
        """Have all jobs that match retried, cancelled or deleted; the job that does it.

        Interrupted jobs may have taken effect already: they are retried only with `interrupted`. Succeeded and
        skipped ones only when the filter names their state. Raises `InvalidOption`.
        """
        if verb not in VERBS:
            raise InvalidOption("verb", verb, "is nothing that is done to many jobs", f"Use {', '.join(VERBS)}")
        told = f"{verb.capitalize()} all that match {str(where) or 'anything'}"
        task = self._operation.options(title=told[:500], owner=by, priority=best_priority(self._database.settings))
        return task.enqueue(verb, str(where), self._now(), interrupted)

    def export(self, where: Where, by: str, *, form: str = "csv", columns: Sequence[str] | None = None) -> Job:
        """Have all jobs that match written to a file, which is attached to the job that does it.

        `args` and `result` are in it only when they are named. Raises `InvalidOption`.
        """
        if form not in ("csv", "json"):
            raise InvalidOption("form", form, "is no form of an export", "Use csv or json")
        chosen = [name for name in COLUMNS if name not in PRIVATE] if columns is None else list(columns)
        if unknown := [name for name in chosen if name not in COLUMNS]:
            raise InvalidOption("columns", unknown[0], "is no column of a job", f"Use {', '.join(COLUMNS)}")
        told = f"Export all that match {str(where) or 'anything'}"
        task = self._exporting.options(title=told[:500], owner=by, priority=best_priority(self._database.settings))
        return task.enqueue(str(where), self._now(), form, chosen)

    def count(self, verb: str, which: JobFilter, *, interrupted: bool = False) -> tuple[int, bool]:
        """How many jobs an operation would take now, 10,000 at most by state; False when there may be more."""
        states = self._control.steering.states(verb, which, interrupted=interrupted)
        found = self._control.tally(replace(which, states=states), thorough=True)
        return sum(found.states.values()), found.complete and COUNT_LIMIT not in found.states.values()

    def _operate(self, verb: Verb, which: JobFilter, *, interrupted: bool) -> dict[str, int]:
        job, steering = current_job(), self._control.steering
        assert job is not None
        assert job.id is not None
        states = steering.states(verb, which, interrupted=interrupted)
        expected, exact = self.count(verb, which, interrupted=interrupted)
        expected -= self._matches(job.id, replace(which, states=states))
        done = Acted()
        saved: Mapping[str, Any] | None = job.last_checkpoint
        if saved is not None:
            done = Acted(*saved["done"])
        total = sum(done) + expected if exact else None
        job.expect(total, "jobs")
        job.advance(sum(done))
        before = saved["before"] if saved is not None else None
        for ids, following in steering.pages(replace(which, states=states, before=before)):
            # Not itself: it matches many a filter.
            others = [one for one in ids if one != job.id]
            acted = steering.act(verb, others)
            done = done.plus(acted)
            job.advance(len(others))
            job.checkpoint({"before": following, "done": list(done)})
        return done._asdict()

    def _matches(self, job_id: str, which: JobFilter) -> bool:
        itself = Condition(Field.ID, (Exact(job_id),))
        found = self._control.tally(replace(which, conditions=(*which.conditions, itself)))
        return sum(found.states.values()) > 0

    def _export(self, which: JobFilter, form: Format, columns: list[str]) -> int:
        job = current_job()
        assert job is not None
        found = self._control.tally(which, thorough=True)
        exact = found.complete and COUNT_LIMIT not in found.states.values()
        job.expect(sum(found.states.values()) if exact else None, "jobs")
        count = 0
        number, path = tempfile.mkstemp(prefix="backburner-export-", suffix=f".{form}")
        try:
            with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
                writer = writer_of(form, file, columns, self._registry.secrets_of)
                for page in self._pages(which):
                    writer.write(page)
                    count += len(page)
                    job.advance(len(page))
                writer.end()
            job.attach(path, f"jobs.{form}", "text/csv" if form == "csv" else "application/json")
        finally:
            os.unlink(path)
        return count

    def _pages(self, which: JobFilter) -> Iterator[list[Job]]:
        for ids, _ in self._control.steering.pages(which):
            found = self._control.get_many(ids)
            yield [found[one] for one in ids if one in found]

    def _now(self) -> datetime:
        store = self._database.store
        store.ready()
        return store.clock.now()


def best_priority(settings: Settings) -> int:
    """An operator waits for it: before all that waits in its queue."""
    return min(settings.priorities) if settings.priorities else _BEST_PRIORITY
