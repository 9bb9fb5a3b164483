"""Faults of the connections to the database: at the two places where the store takes one, at a given rate.

`Faults` draws them, `install` has them happen in this process from now on, `faults_in` for as long as a test lasts;
`under_fire` besides has everybody ask again.
"""

import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal
from unittest.mock import patch

import psycopg
import pymysql

from backburner.errors import StoreUnavailable
from backburner.store.claims import Claims
from backburner.store.connections import Connections
from backburner.store.dialects.base import Dialect
from backburner.store.lane import Lane
from backburner.store.workers import Workers

Fault = Literal["before", "after", "slow", "deadlock", "disconnect"]
"""An error before anything was done; an error after the commit; a delay; a deadlock, so that the transaction is rolled
back and asked again; a connection that breaks just before the commit."""
ALL: tuple[Fault, ...] = ("before", "after", "slow", "deadlock", "disconnect")
HARMLESS: tuple[Fault, ...] = ("before", "slow", "deadlock", "disconnect")
"""Those after which nothing is done: whoever asks again gets what he would have got."""
SLOW_SECONDS = 0.02


class Faults:
    """Chance with a seed: `rate` is the part of all calls that something happens to."""

    def __init__(self, rate: float, seed: int, kinds: tuple[Fault, ...] = ALL) -> None:
        self._rate, self._kinds, self._random = rate, kinds, random.Random(seed)
        self._lock = threading.Lock()
        self.happened: Counter[str] = Counter()

    def draw(self) -> Fault | None:
        """What happens to this call."""
        with self._lock:
            fault = self._random.choice(self._kinds) if self._random.random() < self._rate else None
            if fault is not None:
                self.happened[fault] += 1
            return fault

    def seconds(self) -> float:
        """How long a slow one takes."""
        with self._lock:
            return self._random.uniform(0, SLOW_SECONDS)


class Once(Faults):
    """The first call meets the fault, no other one does."""

    def __init__(self, kind: Fault) -> None:
        super().__init__(1.0, 1, (kind,))

    def draw(self) -> Fault | None:
        return None if self.happened else super().draw()


def install(faults: Faults) -> Callable[[], None]:
    """Have them happen in this process, until what is returned is called."""
    lane_once, pool_once = Lane._once, Connections._once

    def on_lane(lane: Lane, work: Callable[[Any], Any], begin: bool, *more: Any) -> Any:
        ask = partial(lane_once, lane)
        return _befall(faults, lane._dialect, work, begin, lambda done: ask(done, begin, *more))

    def on_pool(door: Connections, work: Callable[[Any], Any], read_only: bool, *more: Any) -> Any:
        ask = partial(pool_once, door)
        return _befall(faults, door._dialect, work, not read_only, lambda done: ask(done, read_only, *more))

    Lane._once, Connections._once = on_lane, on_pool  # type: ignore[method-assign, assignment]

    def remove() -> None:
        Lane._once, Connections._once = lane_once, pool_once  # type: ignore[method-assign]

    return remove


@contextmanager
def faults_in(faults: Faults) -> Iterator[Faults]:
    """Have them happen inside."""
    remove = install(faults)
    try:
        yield faults
    finally:
        remove()


@contextmanager
def under_fire(faults: Faults) -> Iterator[Faults]:
    """Inside, connections fail, and whoever hears of it asks again, as all loops of a worker do.

    What may be asked again though it was done, ends of attempts and beats, also loses answers. `faults` are to be
    harmless.
    """
    struck = threading.local()
    draw = faults.draw

    def noted() -> Fault | None:
        fault = draw()
        struck.now = getattr(struck, "now", False) or fault in ("before", "disconnect", "deadlock")
        return fault

    def again(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **named: Any) -> Any:
            while True:
                struck.now = False
                try:
                    return ask(*arguments, **named)
                except StoreUnavailable:
                    if not struck.now:
                        raise

        return asked

    def answer_lost(door: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **named: Any) -> Any:
            if draw() is not None:
                door(*arguments, **named)
            return door(*arguments, **named)

        return asked

    with ExitStack() as stack:
        stack.enter_context(patch.object(faults, "draw", noted))
        stack.enter_context(faults_in(faults))
        for owner in (Lane, Connections):
            stack.enter_context(patch.object(owner, "run", again(owner.run)))
        for door, name in ((Claims, "settle"), (Workers, "beat")):
            stack.enter_context(patch.object(door, name, answer_lost(getattr(door, name))))
        yield faults


def _befall(
    faults: Faults,
    dialect: Dialect,
    work: Callable[[Any], Any],
    atomic: bool,
    ask: Callable[[Callable[[Any], Any]], Any],
) -> Any:
    fault = faults.draw()
    match fault:
        case "before":
            raise lost(dialect)
        case "after":
            ask(work)
            raise lost(dialect)
        case "slow":
            time.sleep(faults.seconds())
            return ask(work)
        case "deadlock" if not atomic:
            # A statement that is a transaction of its own: the database has undone it already.
            raise busy(dialect)
        case "deadlock":
            return ask(partial(_then_fail, work, lambda connection: _raise(busy(dialect))))
        case "disconnect" if not atomic:
            return ask(partial(_first_break, work, dialect))
        case "disconnect":
            return ask(partial(_then_fail, work, partial(_break, dialect)))
        case None:
            return ask(work)


def lost(dialect: Dialect) -> Exception:
    """What a driver raises when the connection is broken."""
    said = "a fault that was asked for"
    match dialect.name:
        case "sqlite":
            return _of_sqlite(said, sqlite3.SQLITE_IOERR)
        case "postgresql":
            return psycopg.OperationalError(said)
        case _:
            return pymysql.err.OperationalError(2013, said)


def busy(dialect: Dialect) -> Exception:
    """What a driver raises when another transaction was in the way, and this one has been rolled back."""
    said = "a deadlock that was asked for"
    match dialect.name:
        case "sqlite":
            return _of_sqlite(said, sqlite3.SQLITE_BUSY)
        case "postgresql":
            return psycopg.errors.DeadlockDetected(said)
        case _:
            return pymysql.err.OperationalError(1213, said)


def _of_sqlite(said: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(said)
    error.sqlite_errorcode = code
    return error


def _then_fail(work: Callable[[Any], Any], fail: Callable[[Any], None], connection: Any) -> Any:
    answer = work(connection)
    fail(connection)
    return answer


def _first_break(work: Callable[[Any], Any], dialect: Dialect, connection: Any) -> Any:
    _break(dialect, connection)
    return work(connection)


def _break(dialect: Dialect, connection: Any) -> None:
    """Break the connection under the driver, whose next word to the server fails; a file has no connection."""
    driver = getattr(getattr(connection, "connection", None), "driver_connection", connection)
    if dialect.name == "sqlite":
        raise lost(dialect)
    dialect.abandon(driver)


def _raise(error: Exception) -> None:
    raise error
