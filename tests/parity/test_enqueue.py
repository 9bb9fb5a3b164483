"""Naming, titling, timing and ordering jobs."""

from datetime import timedelta

import pytest

from backburner import Backburner, JobState
from backburner.errors import InvalidArgument, InvalidOption
from tests.parity.conftest import StartWorker
from tests.parity.running import done, ran_out, states


def test_enq_01_a_named_task_is_stored_and_run_later(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task(name="shop.add")
    def add(first: int, second: int = 10) -> int:
        return first + second

    job = add.enqueue(1, second=2)
    assert (job.task, job.state) == ("shop.add", JobState.QUEUED)
    with_default = add.enqueue(1)
    # Stored: another app on the same database, as another process has one, finds it.
    other = Backburner(jobs.settings.url)
    assert other.get(job.id).state is JobState.QUEUED
    other.close()
    start_worker()
    assert done(job).result() == 3
    assert done(with_default).result() == 11


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), (("one",), {}), ((1,), {"third": 3})], ids=str)
def test_enq_01_a_wrong_call_is_refused_when_it_is_enqueued(
    jobs: Backburner, args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    @jobs.task
    def add(first: int, second: int = 10) -> int:
        return first + second

    with pytest.raises(InvalidArgument, match="add"):
        add.enqueue(*args, **kwargs)  # type: ignore[arg-type]
    assert jobs.find() == []


def test_enq_02_a_title_for_people_beside_the_name(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task(name="export", title="Export orders of {month}")
    def export(month: str) -> None: ...

    usual = export.enqueue("2026-10")
    named = export.options(title="Orders for the accountant").enqueue("2026-10")
    assert (usual.task, usual.title, usual.name) == ("export", "Export orders of 2026-10", "Export orders of 2026-10")
    assert (named.task, named.title) == ("export", "Orders for the accountant")
    start_worker()
    assert [done(job).title for job in (usual, named)] == ["Export orders of 2026-10", "Orders for the accountant"]


def test_enq_02_without_a_title_people_read_the_name(jobs: Backburner) -> None:
    @jobs.task(name="export")
    def export() -> None: ...

    assert (export.enqueue().title, export.enqueue().name) == (None, "export")


def test_enq_06_a_delayed_job_does_not_start_early(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task
    def remind() -> None: ...

    hour = timedelta(hours=1)
    at_once = remind.enqueue()
    now = at_once.created_at
    later = [
        remind.options(delay=hour).enqueue(),
        remind.options(delay=3600).enqueue(),
        remind.options(run_at=now + hour).enqueue(),
    ]
    soon = remind.options(delay=0.2).enqueue()
    past = remind.options(run_at=now - hour).enqueue()
    assert all(abs((job.run_at - now) - hour) < timedelta(minutes=1) for job in later)
    start_worker()
    ended = done(soon)
    assert ended.started_at is not None
    assert ended.started_at >= soon.run_at
    assert [done(job).state for job in (at_once, past)] == [JobState.SUCCEEDED] * 2
    assert states(later) == [JobState.SCHEDULED] * 3


def test_enq_06_a_time_without_its_zone_is_refused(jobs: Backburner) -> None:
    @jobs.task
    def remind() -> None: ...

    naive = remind.enqueue().created_at.replace(tzinfo=None)
    with pytest.raises(InvalidOption, match="run_at"):
        remind.options(run_at=naive)


def test_enq_07_better_priority_overtakes(jobs: Backburner, start_worker: StartWorker) -> None:
    order: list[str] = []

    @jobs.task
    def usual(name: str) -> None:
        order.append(name)

    @jobs.task(priority=10)
    def pressing(name: str) -> None:
        order.append(name)

    usual.options(priority=60).enqueue("last")
    usual.enqueue("first of the usual")
    usual.enqueue("second of the usual")
    pressing.enqueue("pressing")
    usual.options(priority=1).enqueue("most pressing")
    ran_out(start_worker(concurrency=1, burst=True))
    assert order == ["most pressing", "pressing", "first of the usual", "second of the usual", "last"]


def test_enq_07_only_listed_priorities_are_allowed(sqlite_url: str) -> None:
    jobs = Backburner(sqlite_url, priorities=[10, 20, 30], default_priority=20)

    @jobs.task
    def usual() -> None: ...

    assert usual.enqueue().priority == 20
    assert usual.options(priority=30).enqueue().priority == 30
    with pytest.raises(InvalidOption, match="priority"):
        usual.options(priority=25)
    with pytest.raises(InvalidOption, match="priority"):

        @jobs.task(priority=5)
        def pressing() -> None: ...

    jobs.close()
