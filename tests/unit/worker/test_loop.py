"""The loop of async tasks, and what runs beside it."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from backburner.worker.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(1)
    yield made
    made.close()


def test_a_cancelled_task_goes_on_when_what_runs_beside_it_has_ended(loop: Loop) -> None:
    """Its place would be somebody else's before, and what runs there still writes to it."""
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
    ended: list[str] = []

    def beside() -> None:
        begun.set()
        assert go_on.wait(30)
        ended.append("beside")

    async def body() -> None:
        try:
            await loop.beside(beside)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        finally:
            done.set()

    cancel = loop.start(body, 0)
    assert begun.wait(30)
    for _ in range(2):
        cancel()
        # Said later: when it is back, the loop has dealt with the cancel.
        loop.finish(asyncio.sleep(0))
    assert ended == []
    go_on.set()
    assert done.wait(30)
    assert ended == ["beside", "cancelled"]


def test_what_is_raised_beside_the_loop_comes_out(loop: Loop) -> None:
    def fail() -> None:
        raise LookupError("beside")

    async def body() -> None:
        await loop.beside(fail)

    with pytest.raises(LookupError, match="beside"):
        loop.finish(body())
