"""Values of the moment of the enqueue, back around the run: in threads, on the loop, in a process of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from backburner import Backburner, JobState
from backburner.errors import InvalidOption, NotSerializable, TooLarge
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.worker import apart
from tests.worker.apart import tenant
from tests.worker.conftest import EMBEDDED
from tests.worker.world import World

entered: list[str] = []


def who() -> str | None:
    return tenant.get()


async def who_async() -> str | None:
    return tenant.get()


@contextmanager
def acting_as(user: str) -> Iterator[None]:
    entered.append(f"enter {user}")
    try:
        yield
    finally:
        entered.append(f"leave {user}")


@contextmanager
def being(name: str | None) -> Iterator[None]:
    token = tenant.set(name)
    try:
        yield
    finally:
        tenant.reset(token)


@pytest.mark.parametrize("function", [who, who_async])
def test_a_context_variable_comes_back_and_does_not_stay(world: World, function: Any) -> None:
    world.jobs.capture("tenant", tenant)
    task = world.jobs.task(name="who")(function)
    with being("acme"):
        first = task.enqueue()
    second = task.enqueue()
    assert (first.captured, second.captured) == ({"tenant": "acme"}, {})
    with Worker(world.jobs, type(EMBEDDED)(concurrency=1, poll=0.05)):
        assert world.ends(first).result() == "acme"
        assert world.ends(second).result() is None
    assert world.job(first).captured == {"tenant": "acme"}


def test_a_function_restores_and_what_it_enters_is_left(world: World) -> None:
    entered.clear()
    world.jobs.capture("user", lambda: 7, lambda user: acting_as(f"user {user}"))
    world.jobs.capture("locale", lambda: "cs", lambda locale: entered.append(locale))

    @world.jobs.task(name="fails", max_attempts=1)
    def fails() -> None:
        entered.append("body")
        raise ValueError("no")

    job = fails.enqueue()
    with Worker(world.jobs, EMBEDDED):
        world.ends(job, JobState.FAILED)
    assert entered == ["enter user 7", "cs", "body", "leave user 7"]


def test_what_restores_may_fail_the_attempt(world: World) -> None:
    def gone(user: int) -> None:
        raise LookupError(f"user {user} is gone")

    world.jobs.capture("user", lambda: 7, gone)
    job = world.jobs.task(name="who", max_attempts=1)(who).enqueue()
    with Worker(world.jobs, EMBEDDED):
        assert world.ends(job, JobState.FAILED).error == "LookupError: user 7 is gone"


def test_in_a_process_of_its_own(on_sqlite: World) -> None:
    app = apart.build(on_sqlite.url)
    with being("acme"):
        job = app.registry.require("tenant_here").enqueue()
    with Worker(app, EMBEDDED):
        assert on_sqlite.ends(job).result_text == '"acme"'
    app.close()


def test_nothing_is_captured_that_is_not_listed(world: World) -> None:
    with being("acme"):
        assert world.enqueue("work", 1).context is None


def test_bulk_and_the_same_again_carry_it(world: World) -> None:
    world.jobs.capture("tenant", tenant)
    task = world.jobs.task(name="who")(who)
    with being("acme"):
        ids = world.jobs.enqueue_many(task, [(), ()])
    assert [world.job(one).captured for one in ids] == [{"tenant": "acme"}] * 2


def test_a_damaged_context_is_held(world: World) -> None:
    world.jobs.capture("tenant", lambda: "acme")
    job = world.jobs.task(name="who")(who).enqueue()
    t = world.jobs.store.schema.jobs
    world.jobs.store.run(lambda c: c.execute(t.update().where(t.c.id == job.id).values(context="[")))
    with Worker(world.jobs, EMBEDDED):
        wait_until(lambda: world.job(job).blocked_on == "damaged row", "it is held")


def test_limits(sqlite_url: str) -> None:
    jobs = Backburner(sqlite_url)
    task = jobs.task(name="who")(who)
    value: list[Any] = [object()]
    jobs.capture("value", lambda: value[0])
    with pytest.raises(NotSerializable, match="captured context"):
        task.enqueue()
    value[0] = "x" * 20_000
    with pytest.raises(TooLarge, match="captured context"):
        task.enqueue()
    with pytest.raises(InvalidOption, match="captured already"):
        jobs.capture("value", lambda: 1)
    with pytest.raises(InvalidOption, match="no way to get a value"):
        jobs.capture("other", 7)  # type: ignore[arg-type]
    jobs.close()
