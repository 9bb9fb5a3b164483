"""`track`: progress for any loop, in a job or outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeVar, overload

from backburner.context import JobContext, current_job
from backburner.tracking import Guard

T = TypeVar("T")


@overload
def track(
    items: Iterable[T],
    *,
    total: float | None = None,
    unit: str | None = None,
    resume: bool = False,
    key: Callable[[T], object] | None = None,
    on_error: Literal["raise"] = "raise",
) -> Iterator[T]: ...


@overload
def track(
    items: Iterable[T],
    *,
    total: float | None = None,
    unit: str | None = None,
    resume: bool = False,
    key: Callable[[T], object] | None = None,
    on_error: Literal["collect"],
) -> Iterator[Guard[T]]: ...


def track(items: Iterable[T], **options: Any) -> Iterator[Any]:
    """Go through `items` with progress, in a job or outside; see `JobContext.track`."""
    return (current_job() or JobContext()).track(items, **options)
