"""How long one worker goes on with a group, and what is remembered of that."""

import pytest

from backburner import Backburner
from backburner.job import ClaimedJob
from backburner.worker import WorkerOptions, lines
from backburner.worker.lines import ROW_MOST, ROW_SECONDS, Lines


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(lines, "boot_seconds", made)
    return made


def next_of(group: str) -> list[ClaimedJob]:
    job = ClaimedJob("id", 5, 4, "task", "{}", "json", "default", 50, 1, 0, 0, None, True, None, None, None, None)
    return [job._replace(group_name=group)]


def made() -> Lines:
    jobs = Backburner("sqlite:///never-opened.db")
    return Lines(jobs.store, jobs.bell, jobs.registry, WorkerOptions(), jobs.seams)


def test_it_goes_on_so_often_or_so_long_and_then_stands_in_line(clock: Clock) -> None:
    row = made()
    for _ in range(ROW_MOST):
        assert row.hand_over("worker", ["often"], full=True).groups == ["often"]
        row.took(next_of("often"))
    row.took(next_of("long"))
    assert row.hand_over("worker", ["often", "long"], full=True).groups == ["long"]
    clock.seconds += ROW_SECONDS * 1.01
    assert row.hand_over("worker", ["often", "long"], full=True).groups == ["often"]


def test_where_there_is_room_for_others_nobody_waits_for_its_place(clock: Clock) -> None:
    row = made()
    for _ in range(3 * ROW_MOST):
        assert row.hand_over("worker", ["often"], full=False).groups == ["often"]
        row.took(next_of("often"))
    assert row.hand_over("worker", ["often"], full=True).groups == []


def test_groups_that_never_come_back_take_no_memory(clock: Clock) -> None:
    row = made()
    for number in range(20_000):
        clock.seconds += ROW_SECONDS / 500
        row.took(next_of(f"invoice {number}"))
    assert len(row._rows) <= 2_000


def test_what_is_forgotten_takes_no_row_with_it_that_goes_on(clock: Clock) -> None:
    row = made()
    for number in range(10_000):
        row.took(next_of(f"invoice {number}"))
    for _ in range(ROW_MOST):
        row.took(next_of("invoice 7"))
    assert row.hand_over("worker", ["invoice 7"], full=True).groups == []
