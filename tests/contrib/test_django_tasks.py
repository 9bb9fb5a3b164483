"""The interface of Django's Tasks framework: `django.tasks` from Django 6 on, the package django-tasks before."""

import asyncio
import dataclasses
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner, Secret
from backburner.errors import InvalidOption
from backburner.errors import InvalidTask as TakesSecret
from backburner.testing import JobsTesting
from tests.contrib import django_tasks_of as own
from tests.contrib.django_project import use_databases

# Behind the settings, which that module makes.
from django.db import connections, transaction  # isort: skip
from django.test.utils import override_settings  # isort: skip

from backburner.contrib.django import tasks as backend  # isort: skip
from backburner.contrib.django.project import project_jobs  # isort: skip

home = importlib.import_module(backend._HOME)
Status = home.TaskResultStatus
exceptions = importlib.import_module(f"{backend._HOME}.exceptions")
signals = importlib.import_module(f"{backend._HOME}.signals")
InvalidTask = getattr(exceptions, "InvalidTask", None) or exceptions.InvalidTaskError


@pytest.fixture
def jobs(database_url: str) -> Iterator[Backburner]:
    yield from opened(database_url)


@pytest.fixture
def small(sqlite_url: str) -> Iterator[Backburner]:
    yield from opened(sqlite_url)


def opened(url: str) -> Iterator[Backburner]:
    use_databases(default=url)
    project_jobs.cache_clear()
    for task in own.ALL:
        # As their module does where it is imported by a worker.
        task.get_backend().validate_task(task)
    yield project_jobs()
    project_jobs().close()
    connections.close_all()


@pytest.fixture
def testing(small: Backburner, tmp_path: Path) -> Iterator[JobsTesting]:
    with JobsTesting(small, tmp_path, url=small.settings.url) as made:
        yield made


def test_a_result_goes_from_ready_to_successful(jobs: Backburner, tmp_path: Path) -> None:
    with JobsTesting(jobs, tmp_path, url=jobs.settings.url) as testing:
        result = own.add.enqueue(3, b=4)
        assert (result.status, result.is_finished, result.attempts) == (Status.READY, False, 0)
        assert (result.args, result.kwargs, result.backend, result.errors) == ([3], {"b": 4}, "default", [])
        assert (result.started_at, result.finished_at, result.last_attempted_at) == (None, None, None)
        with pytest.raises(ValueError, match="not finished"):
            _ = result.return_value
        testing.clock.move(5)
        testing.drain()
        assert result.status == Status.READY, "it is what it was when it was read"
        result.refresh()
    assert (result.status, result.return_value, result.is_finished, result.attempts) == (Status.SUCCESSFUL, 7, True, 1)
    assert result.enqueued_at < result.started_at <= result.last_attempted_at <= result.finished_at
    again = own.add.get_result(result.id)
    assert (again.id, again.return_value, again.args, again.kwargs) == (result.id, 7, [3], {"b": 4})
    assert again.task == own.add


def test_async_twins(small: Backburner, tmp_path: Path) -> None:
    async def ask() -> Any:
        return await own.multiply.aenqueue(6, b=7), await own.add.aenqueue(1)

    async def see(result: Any) -> Any:
        await result.arefresh()
        return await own.multiply.aget_result(result.id)

    product, total = asyncio.run(ask())
    with JobsTesting(small, tmp_path, url=small.settings.url) as testing:
        testing.drain(raises=True)
    assert asyncio.run(see(product)).return_value == product.return_value == 42
    assert own.add.get_result(total.id).return_value == 2


@pytest.mark.parametrize(
    ("value", "stored"),
    [((1, "a"), [1, "a"]), ({"a": [None, 1.5, True]}, {"a": [None, 1.5, True]}), (b"text", "text"), (None, None)],
)
def test_values_come_back_as_json(testing: JobsTesting, value: Any, stored: Any) -> None:
    result = own.returns.enqueue(value)
    testing.drain(raises=True)
    result.refresh()
    assert (result.args, result.return_value) == ([stored], stored)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("value", [object(), datetime.now(UTC), {1, 2}])
def test_what_is_no_json_is_not_enqueued(value: Any) -> None:
    with pytest.raises(TypeError):
        own.returns.enqueue(value)
    assert project_jobs().find() == []


@pytest.mark.parametrize(
    ("task", "args", "kind"),
    [
        (own.fails, ["value"], ValueError),
        (own.fails, ["own"], own.Unheard),
        (own.fails, ["exit"], SystemExit),
        (own.fails, ["missing"], KeyError),
        (own.opaque, [], TypeError),
        (own.add, ["a"], TypeError),
    ],
)
def test_a_failure_says_what_was_raised(testing: JobsTesting, task: Any, args: list[Any], kind: type) -> None:
    result = task.enqueue(*args)
    testing.drain()
    result.refresh()
    assert (result.status, result.is_finished) == (Status.FAILED, True)
    (error,) = result.errors
    assert error.exception_class is kind
    assert error.traceback.startswith("Traceback")
    assert result.finished_at is not None
    with pytest.raises(ValueError, match="failed"):
        _ = result.return_value


def test_the_context_of_a_task(testing: JobsTesting) -> None:
    result = own.attempts.enqueue(1)
    testing.drain(raises=True)
    result.refresh()
    assert result.return_value == [1, result.id, "RUNNING"]


def test_tries_are_ready_in_between(testing: JobsTesting) -> None:
    result = own.patient.enqueue(3)
    testing.drain()
    result.refresh()
    assert (result.status, result.attempts, len(result.errors)) == (Status.READY, 1, 1)
    testing.drain(with_retries=True)
    result.refresh()
    assert (result.status, result.return_value, result.attempts, len(result.errors)) == (Status.SUCCESSFUL, 3, 3, 2)
    assert (result.backend, result.started_at < result.last_attempted_at) == ("patient", True)


def test_what_did_not_run_has_failed_without_an_error(testing: JobsTesting) -> None:
    result = own.add.enqueue(1)
    project_jobs().cancel(result.id)
    result.refresh()
    assert (result.status, result.errors, result.started_at) == (Status.FAILED, [], None)


def test_a_later_time_a_queue_and_a_priority(small: Backburner, testing: JobsTesting) -> None:
    later = testing.clock.now() + timedelta(hours=1)
    result = own.add.using(run_after=later, queue_name="mail", priority=-20).enqueue(1)
    first, last = own.urgent.enqueue(), own.add.using(priority=-100).enqueue(1)
    stored = [small.get(one.id) for one in (result, first, last)]
    assert [(job.queue, job.priority) for job in stored] == [("mail", 70), ("mail", 0), ("default", 150)]
    assert (stored[0].state, stored[0].run_at) == ("scheduled", later)
    again = own.add.get_result(result.id).task
    assert (again.run_after, again.queue_name, again.priority) == (later, "mail", -20)
    testing.drain()
    result.refresh()
    assert result.status == Status.READY
    testing.drain(with_scheduled=True)
    result.refresh()
    assert result.return_value == 2
    with override_settings(USE_TZ=False):
        naive = own.add.using(run_after=datetime(2100, 1, 1)).enqueue(1)  # noqa: DTZ001
        assert own.add.get_result(naive.id).task.run_after == datetime(2100, 1, 1)  # noqa: DTZ001


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "changes",
    [
        {"priority": 101},
        {"priority": -101},
        {"priority": 1.5},
        {"queue_name": "unknown"},
        {"run_after": datetime(2100, 1, 1)},  # noqa: DTZ001
    ],
)
def test_a_task_that_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTask):
        own.add.using(**changes)


@pytest.mark.usefixtures("small")
def test_a_function_that_no_worker_can_find() -> None:
    with pytest.raises(InvalidTask):
        home.task()(lambda: None)

    def inner() -> None: ...

    with pytest.raises(InvalidTask):
        home.task()(inner)
    with pytest.raises(InvalidTask):
        dataclasses.replace(own.add, takes_context=True)


@pytest.mark.usefixtures("small")
def test_a_secret_that_would_be_stored_in_the_clear() -> None:
    with pytest.raises(TakesSecret, match="'tests.contrib.test_django_tasks.signs_in': it has a Secret"):
        home.task()(signs_in)


def signs_in(user: str, password: Secret[str] | None = None) -> None: ...


def test_results_that_are_not_there(small: Backburner) -> None:
    mine = small.task(name="of.backburner")(lambda: None).enqueue()
    other = own.patient.enqueue(1)
    for job_id in ("none", "01890000-0000-7000-8000-000000000000", mine.id, other.id):
        with pytest.raises(exceptions.TaskResultDoesNotExist):
            own.add.get_backend().get_result(job_id)
    result = own.add.enqueue(1)
    with pytest.raises(exceptions.TaskResultMismatch):
        own.returns.get_result(result.id)
    small.cancel(result.id)
    small.delete(result.id)
    with pytest.raises(exceptions.TaskResultDoesNotExist):
        result.refresh()


def test_a_task_belongs_to_the_transaction(jobs: Backburner) -> None:
    with transaction.atomic():
        result = own.add.enqueue(1)
        result.refresh()
        assert result.status == Status.READY
        assert jobs.find() == []
        transaction.set_rollback(True)
    assert jobs.find() == []
    with pytest.raises(exceptions.TaskResultDoesNotExist):
        result.refresh()


@contextmanager
def hearing(**receivers: Any) -> Iterator[None]:
    """Receivers by the names of signals."""
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver)
    try:
        yield
    finally:
        for name, receiver in receivers.items():
            getattr(signals, name).disconnect(receiver)


def test_signals_around_a_run(testing: JobsTesting) -> None:
    heard: list[tuple[str, Any, Any]] = []

    def hear(name: str) -> Any:
        return lambda sender, task_result, **_: heard.append((name, sender, task_result.status))

    with hearing(**{name: hear(name) for name in ("task_enqueued", "task_started", "task_finished")}):
        own.add.enqueue(1)
        own.fails.enqueue("value")
        own.patient.enqueue(2)
        testing.drain(with_retries=True)
    assert {sender for _, sender, _ in heard} == {backend.BackburnerBackend}
    told = [(name, status) for name, _, status in heard]
    assert told.count(("task_enqueued", Status.READY)) == 3
    assert told.count(("task_started", Status.RUNNING)) == 4
    assert told.count(("task_finished", Status.SUCCESSFUL)) == 2
    assert told.count(("task_finished", Status.FAILED)) == 1
    assert len(told) == 10


def test_who_hears_of_the_end_can_see_all_of_it(testing: JobsTesting) -> None:
    ended: dict[str, Any] = {}
    raised: dict[str, Any] = {}

    def hear(task_result: Any, **_: Any) -> None:
        ended[task_result.id], raised[task_result.id] = task_result, sys.exception()

    good, other, bad, late = [
        own.add.enqueue(1), own.multiply.enqueue(6, 7), own.fails.enqueue("own"), own.patient.enqueue(3)
    ]  # fmt: skip
    with hearing(task_finished=hear):
        testing.drain(with_retries=True)
    for result in (good, other, bad, late):
        result.refresh()
        for known in ("status", "errors", "_return_value", "attempts", "started_at", "last_attempted_at"):
            assert getattr(ended[result.id], known) == getattr(result, known)
        assert ended[result.id].finished_at >= result.started_at
    assert [ended[one.id].return_value for one in (good, other, late)] == [2, 42, 3]
    assert [len(ended[one.id].errors) for one in (good, bad, late)] == [0, 1, 2]
    assert type(raised[bad.id]) is own.Unheard, "a receiver that logs what is handled logs it"
    assert (raised[good.id], raised[late.id]) == (None, None)


@pytest.mark.parametrize(("task", "said"), [("fails", "ValueError: This failed"), ("opaque", "TypeError: Unsupported")])
def test_what_a_run_says_in_the_log(
    testing: JobsTesting, caplog: pytest.LogCaptureFixture, task: str, said: str
) -> None:
    with caplog.at_level("DEBUG", backend._HOME):
        result = getattr(own, task).enqueue(*["value"] * (task == "fails"))
        testing.drain()
    lines = [record for record in caplog.records if record.name == backend._HOME]
    path = f"Task id={result.id} path={own.__name__}.{task}"
    assert [(record.levelname, record.getMessage()) for record in lines] == [
        ("DEBUG", f"{path} enqueued backend=default"),
        ("INFO", f"{path} state=RUNNING"),
        ("ERROR", f"{path} state=FAILED"),
    ]
    assert said in (lines[-1].exc_text or "")


@pytest.mark.usefixtures("small")
def test_calling_a_task_runs_it_here() -> None:
    assert own.add.call(1) == 2
    assert own.multiply.call(2, 3) == 6
    assert asyncio.run(own.add.acall(1)) == 2


@pytest.mark.usefixtures("small")
def test_what_the_backend_says_of_itself() -> None:
    made = own.add.get_backend()
    assert isinstance(made, backend.BackburnerBackend)
    assert (made.supports_defer, made.supports_async_task, made.supports_get_result, made.supports_priority) == (
        True, True, True, True,
    )  # fmt: skip
    assert list(made.check()) == []
    wrong = backend.BackburnerBackend("wrong", {"OPTIONS": {"timout": 3}})
    with pytest.raises(InvalidOption, match="timout"):
        wrong.validate_task(own.add)
