"""`Surroundings`: what is around a call that enqueues: who is signed in, and which transaction is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from backburner.errors import InvalidOption

T = TypeVar("T")

Owner = Callable[[], str | None]
Connection = Callable[[], object | None]
Load = Callable[[], Awaitable[object]]


class Surroundings:
    """Adapters of frameworks add what they know: `jobs.surroundings.add(owner=..., connection=...)`.

    Both are functions that are asked at each enqueue, in the thread or coroutine that enqueues, and answer None
    where they do not know. What the call itself says comes first, and so does `jobs.transaction` around it.
    """

    def __init__(self) -> None:
        self._owners: tuple[Owner, ...] = ()
        self._connections: tuple[Connection, ...] = ()
        self._loads: tuple[Load, ...] = ()

    def add(
        self, *, owner: Owner | None = None, connection: Connection | None = None, load: Load | None = None
    ) -> None:
        """Ask these too. `owner` gives the id of who is signed in, `connection` what `jobs.transaction` takes.

        A coroutine that enqueues lets a thread do it, and in that thread `owner` is asked; before, it awaits `load`,
        for an owner that is not to be looked up in any thread. Raises `InvalidOption`.
        """
        for name, given in {"owner": owner, "connection": connection, "load": load}.items():
            if given is not None and not callable(given):
                raise InvalidOption(name, given, "cannot be called", "Pass a function without parameters")
        self._owners += () if owner is None else (owner,)
        self._connections += () if connection is None else (connection,)
        self._loads += () if load is None else (load,)

    async def loaded(self) -> None:
        """Await this in a coroutine, before a thread asks who is signed in."""
        for load in self._loads:
            await load()

    def owner(self) -> str | None:
        """Who is signed in, as the first says that knows."""
        return _first(self._owners)

    def connection(self) -> object | None:
        """The transaction that is open, as the first says that knows."""
        return _first(self._connections)


def _first(asked: Iterable[Callable[[], T | None]]) -> T | None:
    return next((found for one in asked if (found := one()) is not None), None)
