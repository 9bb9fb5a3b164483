"""Who is to blame when a worker dies, and what becomes of the jobs it leaves."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backburner.blame import Death, Limits, Orphan, judge
from backburner.states import JobState

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ALONE = frozenset({"job"})
AMONG = frozenset({"job", "mate"})


def orphan(**changes: Any) -> Orphan:
    plain = Orphan("job", 1, 3, "task", 0, 0, True, None, NOW, False)
    return plain._replace(**changes)


@pytest.mark.parametrize(
    ("death", "crashes", "losses", "outcome"),
    [
        (Death("signal", ALONE, crashed=True), 1, 0, "crashed"),
        (Death("signal", AMONG, crashed=True), 0, 1, "lost"),
        (Death("no sign of life"), 0, 1, "lost"),
        (Death("no sign of life", crashed=True), 0, 1, "lost"),
        (Death("killed by its supervisor", ALONE), 0, 1, "lost"),
        (Death("stopped", ALONE, stopped=True), 0, 0, "interrupted"),
    ],
)
def test_a_begun_job_runs_again(death: Death, crashes: int, losses: int, outcome: str) -> None:
    end = judge(orphan(), death, Limits(), NOW)
    assert (end.state, end.crashes, end.losses, end.tries) == (JobState.QUEUED, crashes, losses, 0)
    assert end.attempt == 3
    assert end.record is not None
    assert end.record.outcome == outcome


@pytest.mark.parametrize("repeatable", [True, False])
def test_what_had_not_begun_goes_back_without_a_word(repeatable: bool) -> None:
    end = judge(orphan(repeatable=repeatable), Death("signal", frozenset({"mate"}), crashed=True), Limits(), NOW)
    assert (end.state, end.crashes, end.losses, end.record) == (JobState.QUEUED, 0, 0, None)


def test_the_mark_in_the_row_decides_for_what_must_not_run_twice() -> None:
    """The page says begun a moment before the mark is written; nobody saw the page of a lost host."""
    begun = judge(orphan(repeatable=False, began_at=NOW), Death("gone"), Limits(), NOW)
    assert (begun.state, begun.losses) == (JobState.INTERRUPTED, 1)
    not_begun = judge(orphan(repeatable=False), Death("gone", ALONE, crashed=True), Limits(), NOW)
    assert (not_begun.state, not_begun.record) == (JobState.QUEUED, None)


@pytest.mark.parametrize("before", [{"losses": 9}, {"crashes": 2}])
def test_what_was_lost_before_is_not_blamed_while_its_process_starts(before: dict[str, int]) -> None:
    """Nobody saw the page of a lost host: with many strikes in a row it would be blamed to death."""
    end = judge(orphan(**before), Death("no sign of life"), Limits(), NOW)
    assert (end.state, end.losses, end.record) == (JobState.QUEUED, 0, None)


@pytest.mark.parametrize(
    ("before", "death", "state"),
    [
        ({"crashes": 1}, Death("x", ALONE, crashed=True), JobState.QUEUED),
        ({"crashes": 2}, Death("x", ALONE, crashed=True), JobState.FAILED),
        ({"losses": 8, "began_at": NOW}, Death("x"), JobState.QUEUED),
        ({"losses": 9, "began_at": NOW}, Death("x"), JobState.FAILED),
        ({"crashes": 2, "losses": 8, "began_at": NOW}, Death("x"), JobState.QUEUED),
    ],
)
def test_there_is_an_end_to_it(before: dict[str, Any], death: Death, state: JobState) -> None:
    assert judge(orphan(**before), death, Limits(3, 10), NOW).state is state


def test_cancelled_meanwhile() -> None:
    end = judge(orphan(cancel_requested=True, crashes=2), Death("x", ALONE, crashed=True), Limits(), NOW)
    assert end.state is JobState.CANCELLED
