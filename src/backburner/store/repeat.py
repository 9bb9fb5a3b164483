"""Asking the database again when another transaction was in the way; saying so when it is away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from backburner.errors import StoreUnavailable
from backburner.store.dialects.base import Dialect, Trouble

T = TypeVar("T")

BUSY_TRIES = 8


def repeated(
    ask: Callable[[], T], dialect: Dialect, lost: Callable[[], None], database: str, tries: int = BUSY_TRIES
) -> T:
    """`ask()`, again when another transaction was in the way (`tries` times, with jitter).

    Raises `StoreUnavailable` when it always was, and, after `lost()`, when the database is away: then what was
    asked may or may not have happened. `database` is how the error names it.
    """
    for attempt in range(tries):
        try:
            return ask()
        except Exception as error:
            trouble = dialect.trouble(error)
            if trouble is Trouble.LOST:
                lost()
                raise StoreUnavailable(f"{database} does not answer: {error}") from error
            if trouble is not Trouble.BUSY:
                raise
            if attempt == tries - 1:
                raise StoreUnavailable(f"the database was busy {tries} times: {error}") from error
            time.sleep(random.uniform(0, 0.005 * 2**attempt))
    raise AssertionError("unreachable")
