"""The checker sees each thing that may go wrong, and nothing where all went well: histories made by hand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backburner.states import JobState
from tests.chaos.checker import RULES, check, counts
from tests.chaos.history import Event, Kind, Recorder
from tests.chaos.story import WAKING, Fired, Row, Story

NOON = datetime(2030, 5, 17, 12, tzinfo=UTC)


def event(kind: Kind, at: float, job: str = "", attempt: int = 0, **said: Any) -> Event:
    return Event(kind, at, **({"pid": 1} | said), job=job, attempt=attempt)


def row(job: str = "a", kind: str = "plain", **changes: Any) -> Row:
    made = Row(job, f"{kind} {job}", JobState.SUCCEEDED, attempt=1, settled_attempt=1, result="1")
    return replace(made, **changes)


def ran(job: str, attempt: int, began: float, ended: float, pid: int = 1, state: str = "succeeded") -> list[Event]:
    """One attempt from its begin to its end on record."""
    return [
        event("begin", began, job, attempt, pid=pid),
        event("end", ended, job, attempt, pid=pid),
        event("settled", ended + 0.1, job, attempt, pid=pid, what=state, since=ended + 0.05),
    ]


def story(events: Sequence[Event], rows: Sequence[Row], **more: Any) -> Story:
    return Story(sorted(events, key=lambda one: one.at), rows, **more)


def grouped(*names: str) -> list[Row]:
    return [row(name, group="g", position=place) for place, name in enumerate(names)]


GOOD = {
    "a job that was cut off and ran again": story(
        [
            event("accepted", 1, "a", token="plain a"), event("begin", 2, "a", 1, pid=7), event("kill", 3, pid=7),
            *ran("a", 2, 4, 5),
        ],
        [row(attempt=2, settled_attempt=2, result="2")],
    ),
    "an end that was repeated because its answer was lost": story(
        [
            *ran("a", 1, 1, 2, state="retrying"), *ran("a", 2, 3, 4),
            event("settled", 5, "a", 1, what="retrying", since=2),
        ],
        [row(attempt=2, settled_attempt=2, result="2")],
    ),
    "a group, one after the other": story([*ran("a", 1, 1, 2), *ran("b", 1, 3, 4)], grouped("a", "b")),
    "a stopped process that goes on for a moment when it wakes": story(
        [
            event("begin", 1, "a", 1, pid=7), event("step", 2, "a", 1, pid=7),
            *ran("b", 1, 10, 14), event("thaw", 12, pid=7), event("step", 12 + WAKING / 2, "a", 1, pid=7),
        ],
        grouped("a", "b"),
    ),
    "a job that comes after another": story([*ran("a", 1, 1, 2), *ran("b", 1, 3, 4)], [row("a"), row("b", after="a")]),
    "a lone job that was killed from outside three times": story(
        [one for n in (1, 2, 3) for one in (event("begin", n, "a", n, pid=n), event("kill", n + 0.5, pid=n))],
        [row(state=JobState.FAILED, attempt=3, crashes=3, settled_attempt=3)],
    ),
    "fire times in a row": story(
        [], [row("a"), row("b")],
        fires=[Fired("s", NOON, "a", 2.0), Fired("s", NOON + timedelta(seconds=2), "b", 2.0)],
        scheduled=[("s", "a"), ("s", "b")],
    ),
    "fire times that a moved clock has jumped over": story(
        [], [row("a"), row("b")], clock_moved=True,
        fires=[Fired("s", NOON, "a", 2.0), Fired("s", NOON + timedelta(seconds=60), "b", 2.0)],
    ),
    "writes that went with their checkpoints": story(
        ran("a", 1, 1, 2), [row(kind="checkpointed")], effects=[("a", 0), ("a", 1), ("a", -1)]
    ),
    "a job that was given up when its tries were spent": story(
        [], [row(kind="failing", state=JobState.FAILED, tries=3, max_attempts=3)]
    ),
}  # fmt: skip

BAD: dict[str, tuple[str, Story]] = {
    "a job that was accepted has no row": ("lost", story([event("accepted", 1, "a", token="plain a")], [])),
    "a row of a transaction that was rolled back": (
        "there after a rollback", story([event("rolled back", 1, token="plain a")], [row()]),
    ),
    "one enqueue, two rows": ("there after a rollback", story([], [row("a"), row("b", token="plain a")])),
    "a job that never ends": ("stuck", story([], [row(state=JobState.BLOCKED)])),
    "two attempts with a final end": (
        "done twice",
        story([*ran("a", 1, 1, 2), *ran("a", 2, 3, 4)], [row(attempt=2, settled_attempt=2, result="2")]),
    ),
    "a body after the end": (
        "done twice", story([*ran("a", 1, 1, 2), event("begin", 5, "a", 2)], [row()]),
    ),
    "two bodies of what must not run twice": (
        "unrepeatable begun twice",
        story([event("begin", 1, "a", 1), event("begin", 2, "a", 2)], [row(repeatable=False)]),
    ),
    "an end that was first asked for when the next attempt ran already": (
        "stale accepted",
        story([event("begin", 1, "a", 1), event("begin", 2, "a", 2),
               event("settled", 4, "a", 1, what="retrying", since=3)], [row(attempt=2, settled_attempt=2, result="2")]),
    ),
    "an end on record that is not of the last attempt": ("stale accepted", story([], [row(attempt=2, result="2")])),
    "a result that is not of the last attempt": ("stale accepted", story([], [row(result="2")])),
    "two bodies of a group side by side": (
        "group overlap", story([*ran("a", 1, 1, 3), *ran("b", 1, 2, 4, pid=2)], grouped("a", "b")),
    ),
    "a body that goes on long after its process woke up": (
        "group overlap",
        story([event("begin", 1, "a", 1, pid=7), *ran("b", 1, 10, 14), event("thaw", 12, pid=7),
               event("step", 12 + 1.5 * WAKING, "a", 1, pid=7)], grouped("a", "b")),
    ),
    "two attempts of one job of a group side by side": (
        "group overlap",
        story([event("begin", 1, "a", 1), event("begin", 2, "a", 2, pid=2), event("step", 3, "a", 1)], grouped("a")),
    ),
    "a long body over two short ones": (
        "group overlap",
        story([*ran("a", 1, 1, 9), *ran("b", 1, 2, 3, pid=2), *ran("c", 1, 5, 6, pid=3)], grouped("a", "b", "c")),
    ),
    "the second of a group first": (
        "order broken", story([*ran("b", 1, 1, 2), *ran("a", 1, 3, 4)], grouped("a", "b")),
    ),
    "two live jobs of one key": (
        "two of one key",
        story([*ran("a", 1, 1, 3), *ran("b", 1, 2, 4, pid=2)], [row("a", key="k"), row("b", key="k")]),
    ),
    "a job before what it comes after": (
        "begun too early", story([*ran("a", 1, 1, 3), *ran("b", 1, 2, 4)], [row("a"), row("b", after="a")]),
    ),
    "more tries than were given": ("budget exceeded", story([], [row(kind="transient", tries=4, max_attempts=3)])),
    "given up with tries left": (
        "budget exceeded", story([], [row(kind="failing", state=JobState.FAILED, tries=2, max_attempts=3)]),
    ),
    "more crashes than are allowed": (
        "budget exceeded", story([], [row(kind="poison", crashes=4, state=JobState.FAILED)]),
    ),
    "a job that failed for what others did": (
        "innocent dead", story([event("begin", 1, "a", 1)], [row(state=JobState.FAILED, crashes=3)]),
    ),
    "a job that kills its process and is not found out": (
        "innocent dead", story([], [row(kind="poison", state=JobState.SUCCEEDED)]),
    ),
    "a fire time without a job": ("fires missing or doubled", story([], [], fires=[Fired("s", NOON, None, 2.0)])),
    "a fire time twice": (
        "fires missing or doubled", story([], [row()], fires=[Fired("s", NOON, "a", 2.0), Fired("s", NOON, "a", 2.0)]),
    ),
    "a job of a schedule for no time": ("fires missing or doubled", story([], [row()], scheduled=[("s", "a")])),
    "a fire time that was left out": (
        "fires missing or doubled",
        story([], [row()], fires=[Fired("s", NOON, "a", 2.0), Fired("s", NOON + timedelta(seconds=4), "a", 2.0)]),
    ),
    "a group that a finished job holds": ("leaked", story([], [row(slot="g")])),
    "a finished job that belongs to a worker": ("leaked", story([], [row(worker="w")])),
    "a worker that is gone and counts as alive": ("leaked", story([], [], alive=["w"])),
    "a write that is there twice": (
        "effects not once", story([], [row(kind="checkpointed")], effects=[("a", 0), ("a", 0), ("a", -1)]),
    ),
    "a write that is missing": (
        "effects not once", story([], [row(kind="checkpointed")], effects=[("a", 0), ("a", 2), ("a", -1)]),
    ),
    "a last write that is missing": ("effects not once", story([], [row(kind="checkpointed")], effects=[("a", 0)])),
    "no write at all": ("effects not once", story([], [row(kind="checkpointed")])),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_where_all_went_well_nothing_is_said(name: str) -> None:
    assert check(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_what_went_wrong_is_seen_by_its_rule_alone(name: str) -> None:
    rule, told = BAD[name]
    assert [found for found, count in counts(check(told)).items() if count] == [rule]


def test_every_rule_has_a_history_that_breaks_it() -> None:
    assert {rule for rule, _ in BAD.values()} == set(RULES)


def test_what_several_wrote_is_read_in_the_order_of_its_times(tmp_path: Path) -> None:
    one, other = Recorder(tmp_path / "history"), Recorder(tmp_path / "history")
    one.note("begin", job="a", attempt=1)
    other.note("end", job="a", attempt=1, at=0.5)
    assert [(found.kind, found.job) for found in one.events()] == [("end", "a"), ("begin", "a")]
