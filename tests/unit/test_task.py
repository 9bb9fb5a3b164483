"""Declaring tasks: names, titles, the context parameter, and calling them in place."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner, JobContext, RetryPolicy, current_job, track
from backburner.errors import DecodeError, DuplicateTask, InvalidOption, InvalidTask, UnknownTask
from backburner.title import TitleTemplate

AT = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def jobs() -> Backburner:
    return Backburner("sqlite:///never-opened.db")


def test_the_name_is_module_and_function(jobs: Backburner) -> None:
    @jobs.task
    def work() -> None: ...

    assert work.name == f"{__name__}.test_the_name_is_module_and_function.work"
    assert jobs.registry.get(work.name) is work


def test_a_task_answers_to_its_aliases(jobs: Backburner) -> None:
    @jobs.task(name="shop.export", aliases=["export", "old.export"])
    def work() -> None: ...

    assert jobs.registry.require("old.export") is work
    assert jobs.registry.names() == ("export", "old.export", "shop.export")
    assert list(jobs.registry) == [work]
    with pytest.raises(UnknownTask, match=r"shop\.export"):
        jobs.registry.require("exprt")


def test_a_name_belongs_to_one_function(jobs: Backburner) -> None:
    @jobs.task(name="a", aliases=["b"])
    def first() -> None: ...

    for options in ({"name": "a"}, {"name": "b"}, {"name": "c", "aliases": ["a"]}):
        with pytest.raises(DuplicateTask, match="first"):
            jobs.task(**options)(lambda: None)
    assert jobs.registry.names() == ("a", "b")


def test_a_script_is_named_as_a_worker_would_import_it(tmp_path: Path) -> None:
    script = tmp_path / "tasks.py"
    script.write_text(
        "from backburner import Backburner\n"
        "jobs = Backburner('sqlite:///never-opened.db')\n"
        "@jobs.task\ndef work(): ...\n"
        "print(work.name)\n"
    )
    for command in ([str(script)], ["-m", "tasks"]):
        run = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
        assert run.stdout.strip() == "tasks.work"


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> Any:
    yield 1


def named() -> None: ...


def two_contexts(a: JobContext, b: JobContext | None = None) -> None: ...


@pytest.mark.parametrize("wrong", [generator, async_generator, two_contexts, lambda: None, str.upper, 7])
def test_what_cannot_be_a_task_is_refused(jobs: Backburner, wrong: Any) -> None:
    with pytest.raises(InvalidTask):
        jobs.task(wrong)
    assert len(jobs.registry) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "n" * 201},
        {"aliases": "old"},
        {"retry": 3},
        {"api": "yes"},
        {"capture_print": 1},
    ],
)
def test_a_wrong_option_of_the_decorator_is_named(jobs: Backburner, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match=next(iter(options))):
        jobs.task(**options)(named)
    assert len(jobs.registry) == 0


def test_what_the_decorator_says(jobs: Backburner) -> None:
    policy = RetryPolicy.fixed(5)

    @jobs.task(api=True, retry=policy, capture_print=True, stall_timeout=3)
    async def work(n: int) -> str:
        return str(n)

    assert (work.api, work.is_async, work.returns) == (True, True, str)
    assert (work.defaults.retry, work.defaults.capture_print, work.defaults.stall_timeout) == (
        policy,
        True,
        3,
    )
    assert work.__doc__ is None
    assert vars(work)["__name__"] == "work"


def test_a_context_parameter_is_not_stored(jobs: Backburner) -> None:
    @jobs.task
    def work(n: int, job: JobContext | None = None) -> bool:
        return job is not None and current_job() is job

    assert work.context_parameter == "job"
    assert work.parameters.names == ("n",)
    assert work(1)
    row = work.new_job("id", AT, (1,), {})
    assert row.args == '{"n":1}'


def test_a_task_is_called_in_place(jobs: Backburner) -> None:
    @jobs.task
    def work(n: int) -> list[int]:
        job = current_job()
        assert job is not None
        job.message("working")
        return [item * 2 for item in track(range(n))]

    @jobs.task
    async def later(n: int) -> list[int]:
        await asyncio.sleep(0)
        assert current_job() is not None
        return work(n)

    assert work(3) == [0, 2, 4]
    assert asyncio.run(later(2)) == [0, 2]


def test_a_title_shows_arguments(jobs: Backburner) -> None:
    @jobs.task(title="Export {month} ({copies}x) {{now}}")
    def work(month: str, copies: int = 1) -> None: ...

    assert work.new_job("id", AT, ("May",), {}).title == "Export May (1x) {now}"
    assert work.new_job("id", AT, ("m" * 600,), {}).title == "Export " + "m" * 492 + "…"
    assert work.new_job("id", AT, ("a\0b",), {"copies": 2}).title == "Export a\ufffdb (2x) {now}"


def test_a_title_shows_arguments_of_any_signature(jobs: Backburner) -> None:
    @jobs.task(title="{a} {rest} {b}")
    def wide(a: int, /, *rest: int, b: int = 3, job: JobContext | None = None, **more: int) -> None: ...

    @jobs.task(title="{a} {b}")
    def narrow(job: JobContext, a: int, *, b: int = 3) -> None: ...

    assert wide.new_job("id", AT, (1, 2, 2), {"c": 4}).title == "1 (2, 2) 3"
    assert narrow.new_job("id", AT, (1,), {}).title == "1 3"
    assert narrow.new_job("id", AT, (), {"b": 2, "a": 1}).title == "1 2"


@pytest.mark.parametrize(
    "title",
    [
        "{year}",
        "{month.upper}",
        "{month[0]}",
        "{month!r}",
        "{month:>9}",
        "{}",
        "{0}",
        "{month",
        "",
        " ",
        "t" * 501,
    ],
)
def test_a_title_runs_no_code_and_misses_nothing(title: str) -> None:
    with pytest.raises(InvalidOption, match="title"):
        TitleTemplate(title, ["month"])


def test_stored_options_change_how_a_job_runs(jobs: Backburner) -> None:
    @jobs.task(timeout=10, isolate=True)
    def work() -> None: ...

    assert work.run_options(None) is work.defaults
    changed = work.run_options('{"timeout": null, "items": ["a", "b"], "items_of": "x", "later": 1}')
    assert (changed.timeout, changed.isolate, changed.items) == (None, True, frozenset({"a", "b"}))
    assert work.run_options('{"timeout": 5}') is work.run_options('{"timeout": 5}')


@pytest.mark.parametrize("damaged", ["{", "[]", "7", '{"keep": 5}', '{"keep": {"x": 1}}', '{"items": 7}'])
def test_damaged_stored_options_are_a_typed_error(jobs: Backburner, damaged: str) -> None:
    @jobs.task
    def work() -> None: ...

    with pytest.raises(DecodeError, match="options"):
        work.run_options(damaged)


def test_a_route_says_the_queue_and_an_option_wins(sqlite_url: str) -> None:
    app = Backburner(sqlite_url, routes={"reports.daily": "first", "reports.*": "reports"}, default_queue="rest")
    queues = {
        name: app.task(name=name, **options)(lambda: None).enqueue_options.queue  # type: ignore[call-overload]
        for name, options in (
            ("reports.daily", {}), ("reports.weekly", {}), ("my.reports.weekly", {}), ("Reports.weekly", {}),
            ("reports.own", {"queue": "own"}),
        )
    }  # fmt: skip
    assert queues == {
        "reports.daily": "first", "reports.weekly": "reports", "my.reports.weekly": "rest", "Reports.weekly": "rest",
        "reports.own": "own",
    }  # fmt: skip
    assert app.registry.require("reports.weekly").options(queue="now").enqueue_options.queue == "now"
