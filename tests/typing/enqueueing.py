"""What type checkers must accept and must refuse: each comment names an error that has to be there.

Both checkers are told to complain about a comment that hides nothing, so a line that became fine fails too.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=error

from datetime import UTC, datetime
from typing import assert_type

from backburner import Backburner, Job

jobs = Backburner("sqlite:///never-opened.db")


@jobs.task
def export(month: str, copies: int = 1) -> int:
    """A plain function without parentheses."""
    return copies


@jobs.task(title="Export {month}", queue="reports", timeout=60)
async def export_later(month: str) -> bytes:
    """An async function with options."""
    return month.encode()


assert_type(export("May"), int)
assert_type(export.enqueue("May"), Job)
assert_type(export.enqueue(month="May", copies=2), Job)
assert_type(export.options(queue="slow", tags=["a"]).enqueue("May", 2), Job)


async def handler() -> Job:
    """In a coroutine."""
    assert_type(await export_later("May"), bytes)
    return await export_later.aenqueue("May")


export.enqueue(7)  # type: ignore[arg-type]
export.enqueue()  # type: ignore[call-arg]
export.enqueue("May", coppies=2)  # type: ignore[call-arg]
export.enqueue("May", 1, 2)  # type: ignore[call-arg]
export.options(queue="slow").enqueue(7)  # type: ignore[arg-type]
export_later.enqueue(b"May")  # type: ignore[arg-type]
export.options(queu="slow")  # type: ignore[call-arg]
export.options(run_at="now")  # type: ignore[arg-type]
jobs.find(state="queued", created_after=datetime.now(UTC))
jobs.find(stat="queued")  # type: ignore[call-arg]
assert_type(jobs.cancel("id"), Job)
assert_type(jobs.cancel(state="queued"), int)
