"""`jobs.insight`: what operators see of jobs that real workers ran, and what is written down of what they do."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from backburner import Backburner, Job, PermanentError, Retry
from backburner.errors import FilterError, InvalidOption, SettingsError, WrongState
from backburner.insight.operator import Operator
from backburner.states import JobState
from backburner.steering import BATCH, Acted
from backburner.where import Where
from backburner.worker import Worker, WorkerOptions
from backburner.worker.pruner import Pruner

Shop = Callable[..., Job]


def work(jobs: Backburner) -> None:
    """Run what is ready."""
    worker = Worker(jobs, WorkerOptions(burst=True)).start()
    assert worker.wait(30)
    assert worker.stop()


@pytest.fixture
def lena(jobs: Backburner) -> Operator:
    return jobs.insight.operator("lena", "dashboard")


def audited(jobs: Backburner, **which: str) -> list[tuple[str, str, str, int | None]]:
    rows = jobs.insight.audit.page(**which).rows  # type: ignore[arg-type]
    return [(row.by, row.action, row.kind, row.count) for row in rows]


def test_failures_charts_operations_and_the_audit_of_a_day(jobs: Backburner, lena: Operator) -> None:
    broken = [True]

    @jobs.task(name="offers.push", repeatable=False)
    def push(number: int) -> int:
        if broken and number % 2:
            raise ValueError(f"offer {number} has no price")
        return number

    @jobs.task(name="seo.map")
    def sitemap() -> None:
        raise PermanentError("no address")

    pushed = [push.options(owner="dan", tags=["x"]).enqueue(number) for number in range(6)]
    sitemap.enqueue()
    work(jobs)
    insight = jobs.insight

    # Failures by cause.
    first, second = insight.failures.list()
    assert [(one.group.error_type, one.failed, one.new, sum(one.hours)) for one in (first, second)] == [
        ("ValueError", 3, True, 3),
        ("PermanentError", 1, True, 1),
    ]
    assert first.group.place.startswith("tests/api/test_insight.py:")
    assert first.group.place.endswith(" in push")
    details = insight.failures.get(first.group.fingerprint)
    assert (details.tasks, list(details.hosts.values())) == ({"offers.push": 3}, [3])
    assert details.job is not None
    assert details.attempt is not None
    assert "has no price" in (details.attempt.traceback or "")
    # A cancel that is refused takes nothing out of its group.
    with pytest.raises(WrongState):
        lena.cancel(pushed[1].id)
    assert insight.failures.list(text="ADDRESS") == [second]
    assert len(jobs.find(where=f"fingerprint:{first.group.fingerprint} state:failed error:price")) == 3

    # Charts and the overview.
    chart = insight.charts.series("1h")
    assert (chart.whole.succeeded, chart.whole.failed, len(chart.points)) == (3, 4, 60)
    assert chart.whole.run_p95 is not None
    assert insight.charts.by_task("24h")["offers.push"].failed == 3
    assert {one.name: one.done and one.done.finished for one in insight.tasks.list()} == {
        "offers.push": 6,
        "seo.map": 1,
    }
    assert insight.tasks.schema("offers.push")["required"] == ["number"]  # type: ignore[index]
    figures = insight.overview.figures()
    assert (figures.queued, figures.running, figures.workers, figures.hour.finished) == (0, 0, 0, 7)
    assert [one.kind for one in insight.overview.attention()] == []

    # A few as a test, then all that match, and what they are written to.
    assert lena.retry_some(first.group.fingerprint, 1).done == 1
    broken.clear()
    work(jobs)
    assert insight.failures.get(first.group.fingerprint).failing.failed == 2
    operation = lena.operate("retry", Where.of("task:offers.* state:failed"))
    work(jobs)
    file = lena.export(Where.of("tag:x"), columns=["id", "state", "owner"])
    work(jobs)
    assert (jobs.get(operation.id).owner, jobs.get(operation.id).result()) == (
        "lena",
        {"done": 2, "duplicate": 0, "moved": 0},
    )
    assert {jobs.get(one.id).state for one in pushed} == {JobState.SUCCEEDED}
    (attached,) = jobs.control.files_of([file.id])[file.id]
    with jobs.files.open(attached.place) as stored:
        rows = list(csv.reader(stored.read().decode().splitlines()))
    assert rows[0] == ["id", "state", "owner"]
    assert {row[0] for row in rows[1:]} == {one.id for one in pushed}
    assert insight.failures.list()[0].group.error_type == "PermanentError"
    assert audited(jobs) == [
        ("lena", "export", "jobs", None),
        ("lena", "retry all", "jobs", None),
        ("lena", "retry some", "failure", 1),
    ]


def test_interrupted_jobs_are_left_out_until_asked_for(jobs: Backburner, lena: Operator) -> None:
    @jobs.task(name="pay")
    def pay() -> None: ...

    job = pay.enqueue()
    t = jobs.store.schema.jobs
    done = {"state": "interrupted", "finished_at": datetime.now(UTC)}
    jobs.store.run(lambda c: c.execute(t.update().where(t.c.id == job.id).values(**done)))
    where = Where.of("task:pay")
    counted = jobs.insight.operations.count
    assert counted("retry", where.filter(jobs.control.now())) == (0, True)
    assert counted("retry", where.filter(jobs.control.now()), interrupted=True) == (1, True)
    first = lena.operate("retry", where)
    work(jobs)
    assert (jobs.get(first.id).result()["done"], jobs.get(job.id).state) == (0, JobState.INTERRUPTED)
    again = lena.operate("retry", where, interrupted=True)
    work(jobs)
    assert (jobs.get(again.id).result()["done"], jobs.get(job.id).state) == (1, JobState.SUCCEEDED)


def test_an_operation_on_everything_spares_itself(jobs: Backburner, lena: Operator) -> None:
    @jobs.task
    def later() -> None: ...

    waiting = [later.options(delay=3600).enqueue() for _ in range(3)]
    operation = lena.operate("cancel", Where.of(""))
    work(jobs)
    assert jobs.get(operation.id).result()["done"] == 3
    assert {jobs.get(one.id).state for one in waiting} == {JobState.CANCELLED}
    removal = lena.operate("delete", Where.of("state:cancelled"))
    work(jobs)
    assert jobs.get(removal.id).result()["done"] == 3
    with pytest.raises(InvalidOption, match="retry, cancel, delete"):
        lena.operate("drop", Where.of(""))


def test_an_operation_that_goes_on_counts_itself_no_more_than_before(
    jobs: Backburner, lena: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    @jobs.task
    def later() -> None: ...

    jobs.enqueue_many(later.options(delay=3600), [()] * (BATCH + 1))
    act, calls = jobs.control.steering.act, count(1)

    def act_once(*given: Any) -> Acted:
        if next(calls) == 2:
            raise Retry("its process is killed", after=0)
        return act(*given)

    monkeypatch.setattr(jobs.control.steering, "act", act_once)
    operation = lena.operate("cancel", Where.of(""))
    work(jobs)
    ended = jobs.get(operation.id)
    assert (ended.attempt, ended.result()["done"]) == (2, BATCH + 1)
    assert ended.progress is not None
    assert (ended.progress.done, ended.progress.total) == (BATCH + 1, BATCH + 1)


def test_an_export_as_json_makes_no_formulas_of_csv(jobs: Backburner, lena: Operator) -> None:
    @jobs.task(title="=1+{x}")
    def add(x: int) -> None: ...

    add.enqueue(2)
    exports = [
        lena.export(Where.of("-task:backburner.*"), form=form, columns=["title", "args"]) for form in ("csv", "json")
    ]
    work(jobs)
    read = []
    for one in exports:
        (attached,) = jobs.control.files_of([one.id])[one.id]
        with jobs.files.open(attached.place) as stored:
            read.append(stored.read().decode())
    assert read[0].splitlines()[1].startswith("'=1+2,")
    assert json.loads(read[1])[0]["title"] == "=1+2"
    with pytest.raises(InvalidOption, match="is no column"):
        lena.export(Where.of(""), columns=["password"])
    with pytest.raises(InvalidOption, match="csv or json"):
        lena.export(Where.of(""), form="xls")


def test_what_operators_do_to_jobs_and_queues_is_written_down(jobs: Backburner, lena: Operator) -> None:
    @jobs.task(name="t")
    def task(x: int) -> None: ...

    job = task.enqueue(1)
    lena.edit(job.id, '{"x": 2}')
    lena.cancel(job.id)
    lena.retry(job.id)
    (retry, cancel, edit) = jobs.insight.audit.page(kind="job", target=job.id).rows
    assert [one.action for one in (retry, cancel, edit)] == ["retry", "cancel", "edit"]
    assert json.loads(cancel.before or "")["state"] == "queued"
    assert json.loads(cancel.after or "")["state"] == "cancelled"
    assert (cancel.by, cancel.via) == ("lena", "dashboard")
    assert "2" not in (edit.after or "").replace(edit.target, "")
    lena.pause("default", reason="stock-taking")
    lines = jobs.insight.overview.queues()
    assert [(one.name, one.queued, one.paused, one.paused_by) for one in lines] == [("default", 1, True, "lena")]
    assert [(one.kind, one.text) for one in jobs.insight.overview.attention()] == [("paused", "lena, stock-taking")]
    assert lena.resume("default")
    lena.limit("default", 3)
    assert [(one.kind, one.subject) for one in jobs.insight.overview.attention()] == [("unserved", "default")]
    assert audited(jobs, kind="queue") == [("lena", name, "queue", None) for name in ("limit", "resume", "pause")]
    lena.delete(job.id)
    lena.act_on_all("cancel", Where.of("task:t").filter(jobs.control.now()), "task:t")
    assert audited(jobs)[0] == ("lena", "cancel", "jobs", 0)
    assert lena.act("retry", [job.id]).moved == 1
    with pytest.raises(InvalidOption, match="no way to act"):
        jobs.insight.operator("lena", "pigeon")


def test_settings_are_said_at_run_time(jobs: Backburner, lena: Operator) -> None:
    runtime = jobs.insight.runtime
    assert {one.name: one.source for one in runtime.list()}["keep_failed"] == "default"
    said = lena.say("keep_failed", 3600)
    assert (said.value, said.source, said.by, said.app_value) == (3600.0, "database", "lena", 60 * 86_400.0)
    assert runtime.settings().keep_failed == 3600
    for name, value, message in (
        ("keep_failed", -1, "out of range"),
        ("keep_failed", "long", "number of seconds"),
        ("clean_cron", "now and then", "five fields"),
        ("cron_zone", "Mars", "time zone"),
    ):
        with pytest.raises(SettingsError, match=message) as raised:
            lena.say(name, value)
        assert raised.value.source == "database"
    with pytest.raises(InvalidOption, match="none that is said at run time"):
        lena.say("url", "sqlite://")
    assert lena.restore("keep_failed").source == "default"
    assert audited(jobs, kind="setting") == [("lena", "restore", "setting", None), ("lena", "set", "setting", None)]
    assert runtime.preview("succeeded", 0) == runtime.preview("succeeded", 60) == 0
    with pytest.raises(InvalidOption, match="no final state"):
        runtime.preview("queued", 60)


def test_a_retention_is_previewed_and_kept_by_workers(jobs: Backburner, lena: Operator) -> None:
    @jobs.task
    def task() -> None: ...

    task.enqueue()
    work(jobs)
    now = [datetime.now(UTC) + timedelta(days=2)]
    jobs.store.clock.now = lambda: now[0]  # type: ignore[method-assign]
    assert jobs.insight.runtime.preview("succeeded", 86_400) == 1
    assert jobs.insight.runtime.preview("succeeded", 3 * 86_400) == 0
    pruner = Pruner(jobs.store, jobs.files, jobs.settings)
    pruner.once()
    lena.say("keep_succeeded", 86_400)
    lena.say("clean_cron", f"{now[0].minute} {(now[0].hour + 1) % 24} * * *")
    pruner.once()
    assert len(jobs.find()) == 1
    now[0] += timedelta(hours=1)
    pruner.once()
    assert jobs.find() == []


def test_views(jobs: Backburner, lena: Operator) -> None:
    view = lena.save_view("Failed", 'state:"failed"   owner:lena', columns=["id", "task"], shared=True)
    assert (view.query, view.columns) == ("state:failed owner:lena", ("id", "task"))
    dan = jobs.insight.operator("dan", "http")
    assert jobs.insight.views.list("dan") == [view]
    with pytest.raises(InvalidOption, match="no view of yours"):
        dan.remove_view(view.id)
    with pytest.raises(FilterError):
        lena.save_view("Bad", "stat:x")
    assert lena.save_view("Failed", "state:queued", view_id=view.id).query == "state:queued"
    lena.remove_view(view.id)
    assert jobs.insight.views.list("lena") == []


def test_completion(jobs: Backburner) -> None:
    @jobs.task(name="orders.export", queue="mail", tags=["black friday", "blue"])
    def export() -> None: ...

    export.options(owner="lena").enqueue()
    export.options(owner="dan").enqueue()

    def texts(text: str) -> list[tuple[str, int | None]]:
        found = jobs.insight.complete(text, len(text))
        assert text[found.start : found.end] + "|" in text + "|"
        return [(one.text, one.count) for one in found.values]

    assert texts("st") == [("state:", None)]
    assert texts("owner:lena qu") == [("queue:", None)]
    assert texts("state:qu") == [("queued", 2)]
    assert texts("state:failed,qu") == [("queued", 2)]
    assert texts("-tag:bl") == [('"black friday"', 2), ("blue", 2)]
    assert texts('tag:"black f') == [('"black friday"', 2)]
    assert texts("owner:") == [("dan", 1), ("lena", 1)]
    assert texts("task:ord") == [("orders.export", 2)]
    assert texts("nothing:x") == texts("id:0") == texts("error:x") == []
    patterns = jobs.insight.complete("task:ord", 8).patterns
    assert [one.text for one in patterns] == ["ord*"]
    assert [one.text for one in jobs.insight.complete("created:", 8).patterns] == [">2h", "<24h", "<7d"]
    # In the middle of a text, and at places that are none.
    assert jobs.insight.complete("st owner:lena", 2).values[0].text == "state:"
    assert jobs.insight.complete("st", 99).end == 2


def test_muted_failures_warn_nobody(jobs: Backburner, lena: Operator) -> None:
    @jobs.task(name="bad")
    def bad() -> None:
        raise PermanentError("no")

    for _ in range(6):
        bad.enqueue()
    work(jobs)
    (failing,) = jobs.insight.overview.attention()
    assert (failing.kind, failing.subject, failing.title) == ("failing", "bad", "100% of bad fails")
    assert failing.text == "PermanentError in the last hour, 6 jobs failed"
    (group,) = jobs.insight.failures.list()
    lena.mute(group.group.fingerprint, reason="known")
    assert jobs.insight.overview.attention() == []
    assert jobs.insight.failures.list()[0].muted
    lena.unmute(group.group.fingerprint)
    assert len(jobs.insight.overview.attention()) == 1
    with pytest.raises(InvalidOption, match="none of a failure"):
        lena.mute("00000000")
