"""Declaring schedules: what is checked, and what makes two definitions the same."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backburner import Backburner, Task
from backburner.errors import InvalidArgument, InvalidOption
from backburner.ids import Ids
from backburner.schedule import Schedule
from backburner.schedules import declared

NOW = datetime(2026, 1, 1, 12, 0, 0, 654321, tzinfo=UTC)


@pytest.fixture
def jobs(sqlite_url: str) -> Iterator[Backburner]:
    made = Backburner(sqlite_url)
    yield made
    made.close()


@pytest.fixture
def report(jobs: Backburner) -> Task[..., Any]:
    @jobs.task(name="report", title="Report for {country}", queue="slow")
    def report(country: str = "cz") -> None: ...

    return report


def define(task: Task[..., Any], now: datetime = NOW, **changes: Any) -> Schedule:
    given: dict[str, Any] = {
        "name": None, "cron": "@daily", "every": None, "args": (), "zone": "UTC", "missed": "skip", "bound": None,
    }  # fmt: skip
    return declared(task, **(given | changes)).at(now)


def test_a_schedule_makes_jobs_as_an_enqueue_does(report: Task[..., Any]) -> None:
    made = define(report.options(priority=3, tags=["a"], timeout=60, group="reports", unique="live"), args=("sk",))
    job_id, later = Ids().new(), NOW + timedelta(days=3)
    job = made.job(job_id, later, later - timedelta(seconds=5))
    assert (job.id, job.task, job.args, job.queue, job.priority) == (job_id, "report", '{"country":"sk"}', "slow", 3)
    assert (job.title, job.tags, job.owner) == ("Report for sk", '["a", "schedule:report"]', None)
    assert (job.created_at, job.run_at) == (later, later - timedelta(seconds=5))
    assert (job.options, job.group_name) == ('{"timeout": 60.0}', "reports")
    assert [(key.scope, key.on_conflict, key.until) for key in job.keys] == [("live", "existing", None)]
    assert job.unique_key == job.keys[0].name


def test_a_period_of_uniqueness_counts_from_each_run(report: Task[..., Any]) -> None:
    later = NOW + timedelta(days=3)
    job = define(report.options(unique=3600)).job(Ids().new(), later, later)
    assert [key.until for key in job.keys] == [later + timedelta(hours=1)]


def test_two_processes_declare_the_same(report: Task[..., Any]) -> None:
    options = report.options(delay=5, expires=60, unique=3600, meta={"b": 1, "a": 2})
    first, second = define(options), define(options, NOW + timedelta(days=7, microseconds=17))
    assert first.digest == second.digest
    assert first.anchor == NOW.replace(microsecond=0)


def test_nothing_is_captured_for_a_schedule(jobs: Backburner, report: Task[..., Any]) -> None:
    """Nobody asks for its jobs: what is there at its declaration, or in a worker, is no concern of theirs."""

    def address() -> str:
        raise LookupError("outside of a request")

    jobs.capture("address", address)
    made = define(report)
    assert made.job(Ids().new(), NOW, NOW).context is None


@pytest.mark.parametrize(
    "change",
    [
        {"cron": "@hourly"}, {"zone": "Europe/Prague"}, {"missed": "once"}, {"missed": "all", "bound": 5},
        {"args": ("sk",)}, {"name": "other"}, {"cron": None, "every": 60},
    ],
)  # fmt: skip
def test_each_change_makes_another_definition(report: Task[..., Any], change: dict[str, Any]) -> None:
    assert define(report, **change).digest != define(report).digest
    assert define(report.options(priority=1)).digest != define(report).digest


def test_arguments_by_name_and_by_place_are_the_same(report: Task[..., Any]) -> None:
    assert define(report, args=("sk",)).digest == define(report, args={"country": "sk"}).digest


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"cron": None}, "cron"),
        ({"every": 60}, "cron"),
        ({"cron": None, "every": 0}, "every"),
        ({"zone": "Mars/Base"}, "zone"),
        ({"missed": "never"}, "missed"),
        ({"bound": 5}, "bound"),
        ({"missed": "all", "bound": 0}, "bound"),
        ({"missed": "all", "bound": 1001}, "bound"),
        ({"missed": "all", "bound": True}, "bound"),
        ({"name": ""}, "name"),
        ({"name": " x"}, "name"),
        ({"name": "x" * 181}, "name"),
        ({"name": 'x"'}, "name"),
        ({"name": "x\n"}, "name"),
        ({"name": "\ud800"}, "name"),
    ],
)
def test_what_makes_no_schedule_is_refused(report: Task[..., Any], change: dict[str, Any], option: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        define(report, **change)
    assert caught.value.option == option


@pytest.mark.parametrize(
    "options",
    [
        {"run_at": NOW}, {"expires": NOW}, {"owner": "ann"}, {"idempotency_key": "x"}, {"connection": object()},
        {"after": Ids().new()},
    ],
)  # fmt: skip
def test_what_would_be_the_same_for_every_run_is_refused(report: Task[..., Any], options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption) as caught:
        define(report.options(**options))
    assert caught.value.option in options


def test_arguments_are_checked_when_it_is_declared(report: Task[..., Any]) -> None:
    for args in ((1, 2), {"town": "Brno"}, "cz"):
        with pytest.raises(InvalidArgument):
            define(report, args=args)


def test_a_name_is_declared_once(jobs: Backburner, report: Task[..., Any]) -> None:
    jobs.schedule(report, cron="@daily")
    with pytest.raises(InvalidOption, match="taken"):
        jobs.schedule(report, cron="@hourly")
    jobs.schedule(report, cron="@hourly", name="report hourly")
    with pytest.raises(InvalidOption, match="of the code"):
        jobs.schedules.add(report, name="report hourly", cron="@daily")


def test_what_is_no_task_is_refused(jobs: Backburner) -> None:
    with pytest.raises(InvalidOption, match="no task"):
        jobs.schedule(print, cron="@daily")  # type: ignore[arg-type]


def test_one_of_the_code_cannot_be_removed(jobs: Backburner, report: Task[..., Any]) -> None:
    jobs.store.migrate()
    jobs.store.schedules.add(define(report))
    with pytest.raises(InvalidOption, match="declared by the code"):
        jobs.schedules.remove("report")
    assert [one.name for one in jobs.schedules.list()] == ["report"]


@pytest.mark.parametrize("limit", [0, 1001, True, "5"])
def test_a_wrong_number_of_fires_is_refused(jobs: Backburner, limit: Any) -> None:
    with pytest.raises(InvalidOption, match="limit"):
        jobs.schedules.fires("report", limit)
