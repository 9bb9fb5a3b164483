"""Options are checked where they are said: option, value and remedy in the error, nothing else changed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backburner import Backburner, Task
from backburner.errors import InvalidOption, TooLarge
from backburner.options import MAX_META_BYTES, EnqueueOptions
from backburner.run_options import keep_of
from backburner.settings import Settings
from backburner.states import FINAL, JobState

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
NAIVE = datetime(2026, 5, 1, 12)  # noqa: DTZ001 (that is the point)


@pytest.fixture
def work() -> Task[[], None]:
    jobs = Backburner("sqlite:///never-opened.db", queues=("default", "slow"), priorities=(10, 50))

    @jobs.task
    def work() -> None: ...

    return work


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"queue": "fast"}, "default, slow"),
        ({"queue": ""}, "queue"),
        ({"queue": "q" * 101}, "101"),
        ({"queue": " q"}, "space"),
        ({"queue": "a,b"}, "comma"),
        ({"queue": None}, "queue"),
        ({"priority": 7}, "10, 50"),
        ({"priority": 2**15}, "32767"),
        ({"priority": True}, "priority"),
        ({"priority": "10"}, "priority"),
        ({"delay": -1}, "delay"),
        ({"delay": float("nan")}, "delay"),
        ({"delay": 10**12}, "hundred years"),
        ({"run_at": NAIVE}, "time zone"),
        ({"run_at": "tomorrow"}, "no datetime"),
        ({"run_at": AT, "delay": 5}, "one of the two"),
        ({"expires": NAIVE}, "time zone"),
        ({"expires": 0}, "no time at all"),
        ({"expires": AT, "run_at": AT}, "not after"),
        ({"expires": "soon"}, "expires"),
        ({"identifier": "i" * 201}, "201"),
        ({"identifier": ""}, "identifier"),
        ({"identifier": "a\0b"}, "NUL"),
        ({"identifier": "\ud800"}, "surrogate"),
        ({"owner": "o" * 201}, "201"),
        ({"owner": 7}, "owner"),
        ({"title": "t" * 501}, "501"),
        ({"tags": "shop"}, "tags"),
        ({"tags": [1]}, "tags"),
        ({"tags": [str(n) for n in range(51)]}, "51"),
        ({"visibility": "everyone"}, "owner, users, public"),
        ({"timeout": 0}, "no time at all"),
        ({"timeout": "5"}, "timeout"),
        ({"stall_timeout": -1}, "stall_timeout"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": 1.5}, "max_attempts"),
        ({"repeatable": 1}, "repeatable"),
        ({"isolate": "yes"}, "isolate"),
        ({"keep": {"finished": 1}}, "finished"),
        ({"keep": {"queued": 1}}, "queued"),
        ({"keep": -1}, "keep"),
        ({"meta": [1]}, "meta"),
        ({"meta": {"a": object()}}, "JSON"),
        ({"meta": {"a": float("nan")}}, "JSON"),
        ({"meta": {1: 2}}, "text keys"),
        ({"ownr": "x"}, "'owner'"),
        ({"grup": "g"}, "grup"),
        ({"group": ""}, "group"),
        ({"group": "g" * 201}, "group"),
        ({"group_policy": "block"}, "group_policy"),
        ({"group": "g", "group_policy": "wait"}, "group_policy"),
        ({"coalesce": 3}, "coalesce"),
        ({"group": "g", "coalesce": -1}, "coalesce"),
        ({"unique": "always"}, "unique"),
        ({"unique": 0}, "unique"),
        ({"on_conflict": "reject"}, "on_conflict"),
        ({"unique": "live", "on_conflict": "ignore"}, "on_conflict"),
        ({"after": "no id"}, "after"),
        ({"after": 7}, "after"),
        ({"after_failed": "wait"}, "after_failed"),
        ({"notify_after": 0}, "notify_after"),
        ({"retry": None}, "@jobs.task"),
    ],
)
def test_a_wrong_option_is_named_with_its_remedy(work: Task[[], None], options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidOption, match=says) as caught:
        work.options(**options)
    assert caught.value.option in options


def test_meta_has_a_limit(work: Task[[], None]) -> None:
    with pytest.raises(TooLarge, match="meta"):
        work.options(meta={"a": "x" * MAX_META_BYTES})


def named() -> None: ...


@pytest.mark.parametrize(
    "options",
    [
        {"queue": "fast"},
        {"run_at": AT},
        {"identifier": "x"},
        {"owner": "x"},
        {"connection": 1},
        {"naem": "x"},
    ],
)
def test_a_decorator_takes_what_makes_sense_for_all_jobs(options: dict[str, Any]) -> None:
    jobs = Backburner("sqlite:///never-opened.db", queues=("default",))
    with pytest.raises(InvalidOption, match=next(iter(options))):
        jobs.task(**options)(named)


def test_what_is_not_said_stays(work: Task[[], None]) -> None:
    first = work.options(queue="slow", tags=["a"], timeout=5)
    second = first.options(isolate=True, priority=10)
    options = second.enqueue_options
    assert (options.queue, options.priority, options.tags) == ("slow", 10, ("a",))
    run = second.run_options(options.stored)
    assert (run.timeout, run.isolate) == (5, True)
    assert work.enqueue_options == EnqueueOptions(queue="default", priority=50)


def test_the_newer_way_to_say_when_wins() -> None:
    settings, base = Settings(), EnqueueOptions("q", 1)
    at = base.changed({"delay": 60}, settings).changed({"run_at": AT}, settings)
    assert at.times(AT - timedelta(days=1)) == (AT, None)
    delayed = at.changed({"delay": 60}, settings)
    assert delayed.times(AT) == (AT + timedelta(seconds=60), None)


def test_an_expiry_is_a_moment_or_a_time_from_the_enqueue() -> None:
    base = EnqueueOptions("q", 1)
    assert base.changed({"expires": timedelta(hours=1)}, Settings()).times(AT)[1] == AT + timedelta(hours=1)
    moment = base.changed({"expires": AT}, Settings())
    assert moment.times(AT - timedelta(seconds=1))[1] == AT
    with pytest.raises(InvalidOption, match="not after"):
        moment.times(AT)


def test_keep_for_every_end_or_for_some() -> None:
    assert keep_of(0) == dict.fromkeys(FINAL, 0.0)
    assert keep_of({"failed": timedelta(minutes=1)}) == {JobState.FAILED: 60.0}


def test_what_the_task_says_is_not_written_into_each_row() -> None:
    jobs = Backburner("sqlite:///never-opened.db")

    @jobs.task(timeout=60, max_attempts=3, isolate=True, keep=0, repeatable=False, queue="slow", meta={"a": 1})
    def work() -> None: ...

    row = work.new_job("id", AT, (), {})
    assert (row.options, row.max_attempts, row.repeatable, row.queue, row.meta) == (
        None, None, False, "slow", '{"a": 1}',
    )  # fmt: skip
    run = work.run_options(None)
    assert (run.timeout, run.max_attempts, run.isolate, run.repeatable) == (60, 3, True, False)
    assert run.kept(JobState.SUCCEEDED) == 0
    unlimited = work.options(timeout=None).enqueue_options
    assert work.run_options(unlimited.stored).timeout is None
