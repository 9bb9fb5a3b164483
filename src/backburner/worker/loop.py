"""One asyncio loop, in a thread of its own, for all async tasks of a worker process."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


class Loop:
    """Started with the first async job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, make: Callable[[], Coroutine[Any, Any, None]], slot: int) -> Callable[[], None]:
        """Run a coroutine; the answer, called from any thread, cancels it."""
        loop = self._running_loop()
        holder: list[asyncio.Task[None]] = []
        cancelled = threading.Event()

        def begin() -> None:
            task = loop.create_task(make(), name=f"backburner-job-{slot}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            holder.append(task)
            if cancelled.is_set():
                task.cancel()

        def cancel() -> None:
            cancelled.set()
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in holder])

        loop.call_soon_threadsafe(begin)
        return cancel

    def finish(self, answer: Awaitable[Any] | Any) -> Any:
        """What a call answered; when that is awaitable, what comes of it on the loop.

        Not to be called on the loop itself. It runs in the caller's context, and what it sets there stays.
        """
        if not inspect.isawaitable(answer):
            return answer
        context = contextvars.copy_context()

        async def awaited() -> tuple[Any, BaseException | None]:
            try:
                return await answer, None
            except BaseException as error:  # noqa: BLE001 (SystemExit would end the loop)
                return None, error

        async def inside() -> tuple[Any, BaseException | None]:
            return await asyncio.create_task(awaited(), context=context)

        value, error = asyncio.run_coroutine_threadsafe(inside(), self._running_loop()).result()
        adopt(context)
        if error is not None:
            raise error
        return value

    async def beside(self, function: Callable[[], Any]) -> Any:
        """Run a function in a thread; context variables that it sets are set here as well."""
        context = contextvars.copy_context()
        try:
            return await asyncio.get_running_loop().run_in_executor(None, context.run, function)
        finally:
            adopt(context)

    def close(self) -> None:
        """Stop the loop; what still runs there is dropped."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="backburner-loop", daemon=True).start()
            return self._loop


def adopt(context: contextvars.Context) -> None:
    """Set here what was set in `context`."""
    for variable, value in context.items():
        if variable.get(None) is not value:
            variable.set(value)
