"""What type checkers must accept and must refuse of `track`, as in `enqueueing.py`."""

# pyright: reportUnnecessaryTypeIgnoreComment=error

from collections.abc import Iterator
from typing import assert_type

from backburner import JobContext, track
from backburner.tracking import Guard


def body(job: JobContext) -> None:
    """In a task."""
    assert_type(track([1, 2], unit="orders"), Iterator[int])
    assert_type(track([1, 2], key=str, on_error="collect"), Iterator[Guard[int]])
    assert_type(job.track(["a"], total=3, resume=True, key=lambda name: name.upper()), Iterator[str])
    assert_type(job.track(["a"], key=len, on_error="collect"), Iterator[Guard[str]])
    track([1], unti="orders")  # type: ignore[call-overload]
    track([1], total="1")  # type: ignore[call-overload]
    job.track([1], unit=3)  # type: ignore[call-overload]
    job.track([1], key=lambda n: n.upper())  # type: ignore[attr-defined]
    job.track([1], on_error="skip")  # type: ignore[call-overload]
