"""The disk is full: an enqueue says so, what has ended is kept until there is room, and nobody has to do a thing."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from backburner import Backburner
from backburner.errors import StoreUnavailable
from backburner.worker import Worker, WorkerOptions
from tests.waiting import wait_until

LARGE = "x" * 200_000


class Disk:
    """Each connection of one store to an SQLite file may let it grow to so many pages, and no further."""

    def __init__(self, jobs: Backburner) -> None:
        self._store, self._pages = jobs.store, 2**30
        event.listen(self._store.engine, "connect", self._connect)

    def is_full(self) -> None:
        self._limit(1)

    def has_room(self) -> None:
        self._limit(2**30)

    def _limit(self, pages: int) -> None:
        self._pages = pages
        # The next use of each opens a connection, with the limit of that time.
        self._store.close()

    def _connect(self, connection: Any, record: Any) -> None:
        # Less than the file has already means: no more than it has.
        connection.execute(f"PRAGMA max_page_count = {self._pages}")


@pytest.fixture
def jobs(sqlite_url: str) -> Iterator[Backburner]:
    made = Backburner(sqlite_url)
    made.task(name="large")(lambda: LARGE)
    yield made
    made.close()


def test_an_enqueue_fails_loudly_and_what_has_ended_is_kept(jobs: Backburner, caplog: pytest.LogCaptureFixture) -> None:
    disk, elsewhere = Disk(jobs), Backburner(str(jobs.store.url))
    task = elsewhere.task(name="large")(lambda: LARGE)
    elsewhere.store.ready()
    job = task.enqueue()
    with caplog.at_level("WARNING"):
        disk.is_full()
        with Worker(jobs, WorkerOptions(concurrency=1, poll=0.05)):
            wait_until(lambda: "outcomes of 1 jobs wait" in caplog.text, "there is no room for the result")
            with pytest.raises(StoreUnavailable, match="full"):
                jobs.registry.require("large").options(meta={"more": "y" * 60_000}).enqueue()
            assert not elsewhere.get(job.id).done
            disk.has_room()
            assert elsewhere.wait(job, 30)
    done = elsewhere.get(job.id)
    assert (done.attempt, done.result()) == (1, LARGE)
    elsewhere.close()
