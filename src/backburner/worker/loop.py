"""One asyncio loop, in a thread of its own, for all async tasks of a worker process."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any


class Loop:
    """Started with the first async job. `threads` is how many calls may run beside it at a time.

    These are no threads of the loop's own: an app's `asyncio.to_thread` takes those, and may need one to end a call.
    """

    def __init__(self, threads: int) -> None:
        self._beside = ThreadPoolExecutor(threads, "backburner-beside")
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
            # A loop that has ended has dropped it.
            with suppress(RuntimeError):
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
        """Run a function in a thread; context variables that it sets are set here as well.

        Whoever is cancelled meanwhile hears of it when the function has ended: a thread cannot be stopped.
        """
        context, stopped = contextvars.copy_context(), None
        doing = asyncio.get_running_loop().run_in_executor(self._beside, context.run, function)
        while not doing.done():
            try:
                await asyncio.wait([doing])
            except asyncio.CancelledError as error:
                stopped = error
        adopt(context)
        if stopped is not None:
            # What it raised is of no interest any more, and need not be told as forgotten.
            doing.exception()
            raise stopped
        return doing.result()

    def close(self) -> None:
        """Stop the loop; what still runs there is dropped."""
        self._beside.shutdown(wait=False, cancel_futures=True)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="backburner-loop", daemon=True).start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def adopt(context: contextvars.Context) -> None:
    """Set here what was set in `context`."""
    for variable, value in context.items():
        if variable.get(None) is not value:
            variable.set(value)
