"""What callers that await need of asyncio, which is imported for the first of them.

It is a quarter of what `import backburner` would cost everybody else.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call it in a thread, and wait for its answer."""
    import asyncio

    return await asyncio.to_thread(function, *args, **kwargs)


async def sleep(seconds: float) -> None:
    """Let others run for so long."""
    import asyncio

    await asyncio.sleep(seconds)


def finish(answer: object) -> None:
    """What a plain or an async function gave back: done when this returns. For threads without an event loop."""
    if inspect.isawaitable(answer):
        import asyncio

        asyncio.run(_awaited(answer))


def running_loop() -> AbstractEventLoop | None:
    """The event loop that runs in this thread."""
    # Where asyncio was never imported none can run.
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _awaited(answer: Awaitable[object]) -> None:
    await answer
