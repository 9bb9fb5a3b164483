"""`CallLoop`: one event loop per process for requests of route jobs, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import os
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

from backburner.route_jobs.outgoing import Answer, Headers

T = TypeVar("T")

LOOK_SECONDS = 0.1
"""How often a job whose request takes long looks whether it was told to stop."""
END_SECONDS = 5.0
"""How long requests may take to clean up when the loop ends."""

Head: TypeAlias = tuple[int, Headers]
Send: TypeAlias = Callable[["Head | bytes"], Awaitable[None]]
Produce: TypeAlias = Callable[[Send], Awaitable[None]]
"""Makes a request: sends status and headers first, then pieces of the body, and returns at the end."""


class CallLoop:
    """Started with the first request. A piece of an answer is taken before the next one is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of this process, running."""
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._loop, self._process = asyncio.new_event_loop(), os.getpid()
                threading.Thread(target=_serve, args=(self._loop,), name="backburner-routes", daemon=True).start()
            return self._loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns that runs on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def close(self) -> None:
        """Stop the loop; the next request starts another."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and self._process == os.getpid():
            loop.call_soon_threadsafe(loop.stop)

    @contextmanager
    def answer(self, produce: Produce, stopped: Callable[[], None]) -> Iterator[Answer]:
        """The answer as it comes. `stopped` raises when the job is to stop; then the request is cancelled."""
        running = _Running(self.loop, produce, stopped)
        try:
            yield running.answer()
        finally:
            running.end()


class _Running:
    """One request under way: its coroutine on the loop, its answer here."""

    def __init__(self, loop: asyncio.AbstractEventLoop, produce: Produce, stopped: Callable[[], None]) -> None:
        self._loop, self._produce, self._stopped = loop, produce, stopped
        self._inbox: queue.SimpleQueue[tuple[Head | bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._task: asyncio.Task[None] | None = None
        self._left = False
        self._error: BaseException | None = None
        self._ended = threading.Event()
        # The job's own context: `current_job()` answers on the loop too.
        context = contextvars.copy_context()
        loop.call_soon_threadsafe(self._begin, context)

    def _begin(self, context: contextvars.Context) -> None:
        self._task = self._loop.create_task(self._work(), context=context)

    async def _work(self) -> None:
        try:
            await self._produce(self._send)
        except asyncio.CancelledError:
            # Nobody listens any more; else half an answer would pass for a whole one.
            if not self._left:
                self._error = RuntimeError("the app was cancelled from within")
        except BaseException as error:  # noqa: BLE001 (it is the job's; SystemExit would end the loop)
            self._error = error
        finally:
            self._inbox.put(None)
            self._ended.set()

    async def _send(self, part: Head | bytes) -> None:
        taken = self._loop.create_future()
        self._inbox.put((part, taken))
        await taken

    def answer(self) -> Answer:
        """Status and headers, and then the pieces."""
        head = self._next()
        if not isinstance(head, tuple):
            raise RuntimeError("the app has ended without an answer")
        return Answer(*head, self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        while isinstance(piece := self._next(), bytes):
            yield piece

    def _next(self) -> Head | bytes | None:
        while True:
            self._stopped()
            try:
                found = self._inbox.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if found is None:
                if self._error is not None:
                    raise self._error
                return None
            part, taken = found
            self._loop.call_soon_threadsafe(_settle, taken)
            return part

    def end(self) -> None:
        """Cancel what still goes on, and wait for its end: the job is not over before, for another may follow it."""
        if not self._ended.is_set():
            self._loop.call_soon_threadsafe(self._cancel)
            self._ended.wait()

    def _cancel(self) -> None:
        self._left = True
        if self._task is not None:
            self._task.cancel()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    # Whoever waits for one of these would wait for ever.
    if left := asyncio.all_tasks(loop):
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left, timeout=END_SECONDS))


def _settle(taken: asyncio.Future[None]) -> None:
    if not taken.done():
        taken.set_result(None)
