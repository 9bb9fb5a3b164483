"""What becomes of connections when the process forks, whoever forks it."""

from __future__ import annotations

import os
import weakref
from contextlib import AbstractContextManager
from typing import Protocol

FORK_SECONDS = 2.0
"""How long a fork waits for database calls of other threads to end, where it must not happen among them."""


class Forkable(Protocol):
    """What has connections."""

    def apart(self, seconds: float) -> AbstractContextManager[bool]:
        """Fork inside; False when it is no moment to fork."""
        ...

    def forget(self) -> None:
        """In the child: leave the parent's connections alone."""
        ...


def forget_after_fork(one: Forkable) -> None:
    """Have every fork happen inside `apart`, and the child `forget`, for as long as `one` lives."""
    # A weak reference: the hook itself can never be taken back.
    reference = weakref.ref(one)
    closed: list[AbstractContextManager[bool]] = []

    def before() -> None:
        found = reference()
        if found is not None:
            closed.append(found.apart(FORK_SECONDS))
            closed[-1].__enter__()

    def after() -> None:
        while closed:
            closed.pop().__exit__(None, None, None)

    def in_child() -> None:
        after()
        found = reference()
        if found is not None:
            found.forget()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=in_child)
