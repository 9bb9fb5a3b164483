"""Waiting for locks that others hold, but not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from backburner.store.channel import Channel
from backburner.store.dialects.base import Dialect


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
