"""An app with something of everything that is stored, and one text in all of it: a canary, or something hostile."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from sqlalchemy import select

from backburner import Backburner, Job, current_job
from backburner.ids import Ids
from backburner.web.dashboard.routes import DASHBOARD
from backburner.web.route import Route
from backburner.where import quoted
from backburner.worker import Worker, WorkerOptions


@dataclass(frozen=True)
class Estate:
    """What there is to get at. Texts are cut to what each place takes."""

    jobs: Backburner
    mark: str
    owner: str
    done: Job
    failed: Job
    waiting: Job
    places: Mapping[str, str] = field(default_factory=dict)

    def address(self, route: Route, job: Job | None = None) -> str:
        """The address of a route, of something that is there; what changes a job gets this one, or one that waits."""
        named = dict(self.places)
        if "schedules" in route.path:
            named |= {"name": self.places["schedule"], "verb": "pause"}
        elif "settings" in route.path:
            named |= {"name": "keep_failed", "verb": "say"}
        elif "failures" in route.path:
            named["verb"] = "mute"
        named["job_id"] = self.done.id if route.method == "GET" else (job or self.waiting).id
        quoted_names = {name: quote(value, safe="") for name, value in named.items()}
        path = route.path.replace(":path}", "}").format(**quoted_names)
        asked = {"/jobs/feed": f"?ids={self.done.id}", "/dashboard/jobs/complete": "?text=queue:"}
        return path + (asked.get(path, "") if route.method == "GET" else "")

    def another(self) -> Job:
        """One more job of the owner's that waits."""
        return self.jobs.registry.require("estate.work").options(owner=self.owner, delay=86_400).enqueue("x", "well")

    def rows(self) -> dict[str, Sequence[Any]]:
        """All that is stored, by table."""
        tables = self.jobs.store.schema.metadata.sorted_tables

        def work(connection: Any) -> dict[str, Sequence[Any]]:
            return {table.name: sorted(map(repr, connection.execute(select(table)))) for table in tables}

        return self.jobs.store.read(work)


def form_of(estate: Estate, route: Route) -> dict[str, str]:
    """Fields with which the form of a page changes something."""
    fields = {
        "/dashboard/jobs/many": {"verb": "cancel", "id": estate.waiting.id},
        "/dashboard/jobs/{job_id}/edit": {"arg.text": "other", "arg.end": "well"},
        "/dashboard/notes": {"text": "slow"},
        "/dashboard/views": {"name": "mine", "q": "state:failed"},
        "/dashboard/queues/{queue:path}/limit": {"most": "3"},
        "/dashboard/tasks/{name:path}/run": {"arg.text": "x", "arg.end": "well"},
        "/dashboard/settings/{name}/{verb}": {"value": "12"},
    }
    return fields.get(route.path, {"q": ""}) if route in DASHBOARD else {}


def furnish(jobs: Backburner, mark: str, owner: str) -> Estate:
    """Fill an app: jobs in several states, a file, a schedule, pauses, a view, actions, all of them with `mark`."""
    tag, queue = mark.replace('"', "'").replace("\\", "/")[:200], mark.replace(",", ";")[:100].strip()

    @jobs.task(name="estate.work", max_attempts=1)
    def work(text: str, end: str) -> dict[str, str]:
        job = current_job()
        assert job is not None
        job.stage(mark[:200], 10, mark[:40])
        job.advance(5, mark)
        job.log(mark)
        print(mark)
        job.message(mark, "warning")
        job.link(mark[:200], "/x?" + quote(mark))
        job.link(mark[:200], route="gone", params={"x": mark[:200]})
        job.item_failed(mark[:200], mark)
        if end == "fail":
            raise ValueError(mark)
        job.attach(io.BytesIO(mark.encode()), name=mark[:100], media_type="text/html")
        return {mark: mark}

    def tagged(**more: Any) -> Any:
        said: Any = {"title": mark[:500], "tags": [tag], "identifier": mark[:200], "meta": {mark: mark}}
        return work.options(owner=owner, queue=queue, **said, **more)

    done, failed = tagged().enqueue(mark, "well"), tagged().enqueue(mark, "fail")
    with Worker(jobs, WorkerOptions(poll=0.05, label=mark[:100])):
        assert all(job.wait(30) for job in (done, failed))
    waiting = tagged(delay=86_400, group=mark[:200]).enqueue(mark, "well")
    # A schedule and a filter take what can be printed.
    plain = "".join(character for character in tag if character.isprintable()).strip()
    insight, schedule = jobs.insight, plain[:180]
    jobs.schedules.add(work, name=schedule, cron="0 2 * * *", args=(mark, "well"))
    jobs.schedules.pause(schedule, by=mark[:200], reason=mark[:500])
    jobs.queues.pause(queue, reason=mark[:500], by=mark[:200])
    view = insight.views.save(owner, mark[:100], quoted(plain[:150]), shared=True)
    insight.audit.write(mark[:200], "code", mark[:30], "job", mark[:400], reason=mark[:500], before={"x": mark})
    insight.operator(mark[:200]).note(mark[:120])
    [failing] = insight.failures.list(24)
    fingerprint = failing.group.fingerprint
    insight.failures.mute(fingerprint, mark[:200], reason=mark[:500])
    [file] = jobs.control.files_of([done.id])[done.id]
    places = {
        "queue": queue, "name": "estate.work", "schedule": schedule, "worker_id": "all", "word": "quiet",
        "fingerprint": fingerprint, "view_id": view.id, "file_id": file.id, "verb": "cancel",
    }  # fmt: skip
    return Estate(jobs, mark, owner, done.refresh(), failed.refresh(), waiting.refresh(), places)


def unknown_id() -> str:
    """An id that belongs to nothing."""
    return Ids().new()
