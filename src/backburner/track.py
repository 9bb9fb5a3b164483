"""`track`: progress for any loop, in a job or outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeVar, Unpack, overload

from backburner.context import JobContext, current_job
from backburner.tracking import Guard, TrackOptions

T = TypeVar("T")


@overload
def track(
    items: Iterable[T],
    *,
    on_error: Literal["raise"] = "raise",
    **options: Unpack[TrackOptions[T]],
) -> Iterator[T]: ...


@overload
def track(
    items: Iterable[T],
    *,
    on_error: Literal["collect"],
    **options: Unpack[TrackOptions[T]],
) -> Iterator[Guard[T]]: ...


def track(items: Iterable[T], **options: Any) -> Iterator[Any]:
    """Go through `items` with progress, in a job or outside; see `JobContext.track`."""
    return (current_job() or JobContext()).track(items, **options)
