"""What every body runs in, on a thread or on the loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from backburner.capture import prints_to_log
from backburner.captured import Captured, read
from backburner.context import Entered, JobContext
from backburner.run_options import RunOptions


def surroundings(
    context: JobContext, stored: str | None, options: RunOptions, captured: Captured
) -> AbstractContextManager[object]:
    """The job as the current one; its prints to its log, and the `stored` values of who enqueued it, if that is so.

    Raises `DecodeError` when the stored values are damaged.
    """
    if stored is None and not options.capture_print:
        return Entered(context)
    return _dressed(context, stored, options, captured)


@contextmanager
def _dressed(context: JobContext, stored: str | None, options: RunOptions, captured: Captured) -> Iterator[None]:
    # Restored values last: no code of the app runs before the job can be told of.
    with (
        Entered(context),
        prints_to_log(context) if options.capture_print else nullcontext(),
        captured.restored(read(stored)) if stored is not None else nullcontext(),
    ):
        yield
