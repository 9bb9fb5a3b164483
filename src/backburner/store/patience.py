"""Waiting for locks that others hold, but not for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection

from backburner.errors import JobBusy, StoreUnavailable
from backburner.store.channel import Channel, CoreChannel
from backburner.store.dialects.base import Dialect, Trouble

if TYPE_CHECKING:
    from backburner.store.store import Store

T = TypeVar("T")

WAIT = 5.0
"""Seconds that what is done to a job waits for a transaction of the caller's that holds it."""


class WaitedInVain(Exception):
    """Somebody else kept a lock for longer. What was done inside is to be rolled back."""


@contextmanager
def patiently(dialect: Dialect, channel: Channel, seconds: float, *, ours: bool) -> Iterator[None]:
    """Inside, wait at most so many seconds for a lock; `ours`: nobody uses the transaction after that.

    Raises `WaitedInVain`. Databases whose transactions do not wait for each other's rows wait as they do.
    """
    answers = [channel.say(text) for text in dialect.limit_lock_wait(seconds)]
    restored = dialect.restore_lock_wait(answers[0][0][0]) if answers else None
    try:
        yield
    except Exception as error:
        if restored is not None and dialect.lock_wait_stays:
            with suppress(Exception):
                channel.say(restored)
        if dialect.waited_in_vain(error):
            raise WaitedInVain(f"a lock was not to be had within {seconds:g} s") from error
        raise
    if restored is not None and (dialect.lock_wait_stays or not ours):
        channel.say(restored)


def within(dialect: Dialect, seconds: float | None, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """`work` for a transaction of our own that waits at most so many seconds for each lock; None waits as it does.

    It raises `WaitedInVain`.
    """

    def in_time(connection: Connection) -> T:
        if seconds is None:
            return work(connection)
        with patiently(dialect, CoreChannel(connection), seconds, ours=True):
            return work(connection)

    return in_time


def run_patiently(store: Store, job_id: str, work: Callable[[Connection], T]) -> T:
    """`store.run(work)` for what changes a job, which a transaction of the caller's may hold: waits `WAIT` seconds.

    On SQLite any transaction that has begun to write is in the way. Raises `JobBusy`.
    """
    dialect, seconds = store.dialect, WAIT
    try:
        return store.run(within(dialect, seconds, work), patience=seconds)
    except WaitedInVain as error:
        raise JobBusy(job_id, seconds) from error
    except StoreUnavailable as error:
        cause = error.__cause__
        if not dialect.single_writer or cause is None or dialect.trouble(cause) is not Trouble.BUSY:
            raise
        raise JobBusy(job_id, seconds) from error
