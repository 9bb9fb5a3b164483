"""`Surroundings`: what is around a call that enqueues: who is signed in, which transaction is open, who watches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from backburner.errors import InvalidOption

T = TypeVar("T")

Owner = Callable[[], str | None]
Connection = Callable[[], object | None]
Load = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Enqueueing:
    """A call that enqueues, as those see it who watch; the same object before and after.

    `many` says that it stores a batch. `task` and `queue` are None where those of its jobs differ, or are not known
    yet. `ids`, those of the jobs or of equal ones that stand for them, are there when it has gone well.
    """

    task: str | None
    queue: str | None
    many: bool = False
    ids: Sequence[str] = ()


Watch = Callable[[Enqueueing], AbstractContextManager[object]]


class Surroundings:
    """Adapters of frameworks add what they know: `jobs.surroundings.add(owner=..., connection=...)`.

    Both are functions that are asked at each enqueue, in the thread or coroutine that enqueues, and answer None
    where they do not know. What the call itself says comes first, and so does `jobs.transaction` around it.
    """

    def __init__(self) -> None:
        self._owners: tuple[Owner, ...] = ()
        self._connections: tuple[Connection, ...] = ()
        self._loads: tuple[Load, ...] = ()
        self._watches: tuple[Watch, ...] = ()
        self.watched = False
        """Whether anybody watches."""

    def add(
        self, *, owner: Owner | None = None, connection: Connection | None = None, load: Load | None = None,
        watch: Watch | None = None,
    ) -> None:  # fmt: skip
        """Ask these too. `owner` gives the id of who is signed in, `connection` what `jobs.transaction` takes.

        A coroutine that enqueues lets a thread do it, and in that thread `owner` is asked; before, it awaits `load`,
        for an owner that is not to be looked up in any thread. `watch` gets an `Enqueueing` and returns a context
        manager, which is entered before the values of the moment are captured, and left when the jobs are stored;
        a `bulk` block is one call. What it raises is raised by the call. Raises `InvalidOption`.
        """
        for name, given in {"owner": owner, "connection": connection, "load": load, "watch": watch}.items():
            if given is not None and not callable(given):
                takes = "of an Enqueueing" if name == "watch" else "without parameters"
                raise InvalidOption(name, given, "cannot be called", f"Pass a function {takes}")
        self._owners += () if owner is None else (owner,)
        self._connections += () if connection is None else (connection,)
        self._loads += () if load is None else (load,)
        self._watches += () if watch is None else (watch,)
        self.watched = bool(self._watches)

    async def loaded(self) -> None:
        """Await this in a coroutine, before a thread asks who is signed in."""
        for load in self._loads:
            await load()

    @contextmanager
    def watching(self, call: Enqueueing) -> Iterator[Enqueueing]:
        """Have a call watched by all who want to."""
        with ExitStack() as watches:
            for watch in self._watches:
                watches.enter_context(watch(call))
            yield call

    def owner(self) -> str | None:
        """Who is signed in, as the first says that knows."""
        return _first(self._owners)

    def connection(self) -> object | None:
        """The transaction that is open, as the first says that knows."""
        return _first(self._connections)


def _first(asked: Iterable[Callable[[], T | None]]) -> T | None:
    return next((found for one in asked if (found := one()) is not None), None)
