"""One asyncio loop, in a thread of its own, for all async tasks of a worker process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
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
