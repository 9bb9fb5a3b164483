"""Whoever watches calls that enqueue: when it is told, and of what."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backburner import Backburner
from backburner.errors import InvalidArgument, InvalidOption
from backburner.surroundings import Enqueueing


class Watch:
    """Keeps what it sees of each call, with how many jobs there are then."""

    def __init__(self, jobs: Backburner, name: str = "", seen: list[str] | None = None) -> None:
        self.jobs, self.name = jobs, name
        self.seen: list[str] = [] if seen is None else seen
        self.calls: list[Enqueueing] = []
        jobs.surroundings.add(watch=self.around)

    @contextmanager
    def around(self, call: Enqueueing) -> Iterator[None]:
        self.calls.append(call)
        self.seen.append(f"{self.name}before {call.task} {call.queue} {call.many} {list(call.ids)}")
        try:
            yield
        except BaseException as error:
            self.seen.append(f"{self.name}{type(error).__name__} {list(call.ids)}")
            raise
        self.seen.append(f"{self.name}behind {len(call.ids)} stored {len(self.jobs.find())}")


@pytest.fixture
def jobs(sqlite_url: str) -> Iterator[Backburner]:
    made = Backburner(sqlite_url)
    yield made
    made.close()


def pack(number: int) -> None: ...


def test_nobody_watches_unless_asked(jobs: Backburner) -> None:
    assert not jobs.surroundings.watched
    Watch(jobs)
    assert jobs.surroundings.watched


def test_a_call_is_seen_before_and_behind_it(jobs: Backburner) -> None:
    task, watch = jobs.task(name="pack", queue="parcels")(pack), Watch(jobs)
    job = task.enqueue(1)
    assert watch.seen == ["before pack parcels False []", "behind 1 stored 1"]
    assert list(watch.calls[0].ids) == [job.id]


def test_those_who_watch_are_inside_each_other_and_see_what_is_captured_there(jobs: Backburner) -> None:
    seen: list[str] = []
    Watch(jobs, "first ", seen)
    Watch(jobs, "second ", seen)
    jobs.capture("calls", lambda: len(seen))
    job = jobs.task(name="pack")(pack).enqueue(1)
    assert [line.split()[:2] for line in seen] == [
        ["first", "before"], ["second", "before"], ["second", "behind"], ["first", "behind"]
    ]  # fmt: skip
    assert job.captured == {"calls": 2}


def test_many_are_one_call_and_none_are_no_call(jobs: Backburner) -> None:
    task, watch = jobs.task(name="pack")(pack), Watch(jobs)
    ids = jobs.enqueue_many(task, [(1,), (2,)])
    assert jobs.enqueue_many(task, []) == []
    assert watch.seen == ["before pack default True []", "behind 2 stored 2"]
    assert list(watch.calls[0].ids) == ids


def test_a_bulk_block_is_one_call_and_what_is_inside_none(jobs: Backburner) -> None:
    task, watch = jobs.task(name="pack")(pack), Watch(jobs)
    with jobs.bulk() as outer:
        task.enqueue(1)
        with jobs.bulk():
            jobs.enqueue_many(task, [(2,), (3,)])
    assert watch.seen == ["before None None True []", "behind 3 stored 3"]
    assert list(watch.calls[0].ids) == outer.ids
    assert watch.calls[0].queue == "default"


def test_what_an_equal_job_stands_for_is_seen_as_that(jobs: Backburner) -> None:
    task, watch = jobs.task(name="pack")(pack).options(unique="live"), Watch(jobs)
    first = task.enqueue(1)
    task.enqueue(1)
    assert [list(call.ids) for call in watch.calls] == [[first.id], [first.id]]


def test_a_call_that_is_refused_is_seen_to_fail(jobs: Backburner) -> None:
    task, watch = jobs.task(name="pack")(pack), Watch(jobs)
    with pytest.raises(InvalidArgument):
        task.enqueue("x")  # type: ignore[arg-type]
    assert watch.seen[-1] == "InvalidArgument []"


def test_who_watches_may_refuse(jobs: Backburner) -> None:
    @contextmanager
    def closed(call: Enqueueing) -> Iterator[None]:
        raise PermissionError(f"{call.task} is closed")
        yield

    jobs.surroundings.add(watch=closed)
    with pytest.raises(PermissionError, match="pack is closed"):
        jobs.task(name="pack")(pack).enqueue(1)
    assert jobs.find() == []


def test_what_cannot_be_called_is_refused(jobs: Backburner) -> None:
    with pytest.raises(InvalidOption, match="cannot be called"):
        jobs.surroundings.add(watch=7)  # type: ignore[arg-type]
