"""`backburner process`: once at a time, within a budget."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, update

from backburner.cli.process import _stop
from backburner.errors import AlreadyRunning
from backburner.ids import Ids
from backburner.lock import Lock
from backburner.store.store import Store
from tests.cli.programs import Shop, make_shop
from tests.cli.test_worker import enqueue, states
from tests.waiting import wait_until


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    made = Store(sqlite_url, auto_migrate=True)
    made.ready()
    yield made
    made.close()


def test_it_runs_what_is_ready_and_gives_the_lock_back(shop: Shop) -> None:
    for run in (shop.run_afresh, shop.run):
        made = enqueue(shop, ("add", 1, 2), ("perm",))
        ran = run("process")
        assert ran.returncode == 0, ran.stderr
        found = states(shop)
        assert [found[one] for one in made] == ["succeeded", "failed"]


def test_a_second_one_says_who_runs_and_leaves(shop: Shop) -> None:
    enqueue(shop, ("hold", "a"))
    with shop.started("process") as first:
        wait_until((shop.folder / "a.started").exists, "the first is at work")
        second = shop.run("process")
        assert second.returncode == 75
        assert second.stderr.startswith("Error: 'backburner process' is running already: host ")
        assert f", process {first.pid}, since 2" in second.stderr
        assert shop.run("process", "--limit", "2").returncode == 0
        assert shop.run("process", "--label", "mails").returncode == 0
        (shop.folder / "a.go").touch()
        assert first.wait(30) == 0
    assert shop.run("process").returncode == 0


@pytest.mark.long
def test_after_its_budget_it_begins_nothing_and_lets_the_running_job_end(sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    running, waiting = enqueue(shop, ("hold", "a"), ("add", 1, 2))
    with shop.started("process", "-c", "1", "--budget", "5", "--grace", "0") as process:
        wait_until((shop.folder / "a.started").exists, "the job began")
        wait_until(lambda: " s is spent" in shop.said(), "the budget is over")
        (shop.folder / "a.go").touch()
        assert process.wait(30) == 0
    assert states(shop) == {running: "succeeded", waiting: "queued"}


@pytest.mark.long
def test_a_job_that_kills_its_process_does_not_prolong_the_budget(sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    (made,) = enqueue(shop, ("hold", "a"))
    with shop.started("process", "--budget", "5") as process:
        wait_until((shop.folder / "a.started").exists, "the job began")
        wait_until(lambda: " s is spent" in shop.said(), "the budget is over")
        child = int(shop.said().split("(process ")[1].split(")")[0])
        os.kill(child, signal.SIGKILL)
        assert process.wait(30) == 0
    assert shop.said().count(" is ready ") == 1
    assert states(shop) == {made: "queued"}


def held(store: Store, places: int, lease: float = 30.0) -> Lock:
    return Lock(
        lambda: store, "process", title="backburner process", places=places, lease=lease, lost=_stop, apart=True
    )


def taken_until(store: Store) -> object:
    t = store.schema.locks
    return store.read(lambda c: c.execute(select(t.c.until)).scalar())


@contextmanager
def hearing_sigterm() -> Iterator[list[int]]:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        yield heard
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_lock_is_prolonged_while_it_is_held(store: Store) -> None:
    with held(store, 1, lease=2.0):
        first = taken_until(store)
        wait_until(lambda: taken_until(store) != first, "the lock was prolonged")
        with pytest.raises(AlreadyRunning, match="'backburner process' is running already: host "):
            held(store, 1).__enter__()
    assert taken_until(store) is None


def test_places_are_numbered_and_all_of_them_are_named(store: Store) -> None:
    with held(store, 2), held(store, 2):
        with pytest.raises(AlreadyRunning) as caught:
            held(store, 2).__enter__()
        assert caught.value.holder.count("; ") == 1
        with held(store, 3):
            t = store.schema.locks
            names = store.read(lambda c: c.execute(select(t.c.name).order_by(t.c.name)).scalars().all())
            assert list(names) == ["process-1", "process-2", "process-3"]


def test_who_loses_the_lock_stops(store: Store) -> None:
    t = store.schema.locks
    somebody = Ids().new()
    with hearing_sigterm() as heard, held(store, 1, lease=0.6):
        until = store.clock.now().replace(year=2999)
        store.run(lambda c: c.execute(update(t).values(holder=somebody, note="host b", until=until)))
        wait_until(lambda: heard == [signal.SIGTERM], "it was told to stop")
    # What is somebody else's by now is left alone.
    assert taken_until(store) == until
