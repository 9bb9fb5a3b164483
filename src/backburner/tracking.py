"""The loop behind `track`: tens of nanoseconds an item, nothing is stored here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar

if TYPE_CHECKING:
    from backburner.context import JobContext

T = TypeVar("T")


class TrackOptions(TypedDict, Generic[T], total=False):
    """The options of `track`, but for `on_error`, which says what it gives."""

    total: float | None
    """How many items there are; None, the default, asks `len()`, where there is one."""
    unit: str | None
    """What is counted, in the plural."""
    resume: bool
    """Go on behind the items that the last attempt had done."""
    key: Callable[[T], object] | None
    """What names an item, for people and for a retry of just the failed ones."""


class Guard(Generic[T]):
    """`with guard as item:` turns an exception into a failed item; the loop goes on.

    What ends the whole job (`Cancelled`, `KeyboardInterrupt` and other non-`Exception`s) passes through.
    """

    __slots__ = ("_context", "_key", "item")

    def __init__(self, context: JobContext, item: T, key: Callable[[T], object] | None) -> None:
        self._context, self.item, self._key = context, item, key

    def __enter__(self) -> T:
        return self.item

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or error is self._context._stop:
            return False
        self._context.item_failed(self._key(self.item) if self._key is not None else self.item, error)
        return True


def tracked(
    context: JobContext,
    items: Iterable[T],
    name: str | None,
    key: Callable[[T], object] | None,
    collect: bool,
) -> Iterator[Any]:
    """The items of one `track`; `name` is set when it goes on where the last attempt stopped."""
    done, source, saved = 0, iter(items), None
    if name is not None:
        saved = context._saved()
        done = int(saved.values.get(name, 0))
        # What the last attempt had done is not looked at again.
        for _ in islice(source, done):
            pass
        context._done, context._resumable = done, True
    only, console = context.only_items, context._console
    for item in source:
        if context._stop is not None:
            raise context._stop
        if only is None or key is None or str(key(item)) in only:
            yield Guard(context, item, key) if collect else item
        done += 1
        context._done = done
        context._alive = True
        if saved is not None:
            saved.values[name] = done  # type: ignore[index]
            saved.changed = True
        if console is not None:
            console.show(context._reported)
    if console is not None:
        console.end(context._reported)
