"""Writes down which ends of attempts the database has accepted: around the doors of the store that write them."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from backburner.clock import boot_seconds
from backburner.outcome import Settlement
from backburner.store.claims import Claims
from backburner.store.workers import Workers
from tests.chaos.history import Recorder


class Ends:
    """Notes ends with the time at which they were first asked for: an answer that was lost is asked for again."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._asked: dict[tuple[str, int], float] = {}

    def ask(self, settlements: Iterable[Settlement]) -> None:
        now = boot_seconds()
        for one in settlements:
            self._asked.setdefault((one.id, one.attempt), now)

    def answer(self, settlements: Iterable[Settlement], accepted: set[str] | None = None) -> None:
        for one in settlements:
            since = self._asked.pop((one.id, one.attempt), boot_seconds())
            if accepted is None or one.id in accepted:
                self._recorder.note("settled", job=one.id, attempt=one.attempt, what=str(one.state), since=since)


def record_ends(history: Path) -> None:
    """From now on this process, and what it forks, writes down what it settles."""
    if Claims.settle.__module__ == __name__:
        return
    ends = Ends(Recorder(history))
    settle, settle_and_take, rescue = Claims.settle, Claims.settle_and_take, Workers.rescue

    def noted_settle(door: Claims, lane: Any, settlements: Sequence[Settlement], by: str) -> set[str]:
        ends.ask(settlements)
        accepted = settle(door, lane, settlements, by)
        ends.answer(settlements, accepted)
        return accepted

    def noted_settle_and_take(door: Claims, lane: Any, settlements: Sequence[Settlement], *more: Any) -> Any:
        ends.ask(settlements)
        accepted, taken = settle_and_take(door, lane, settlements, *more)
        ends.answer(settlements, accepted)
        return accepted, taken

    def noted_rescue(door: Workers, worker: str, judge: Callable[..., Settlement], *more: Any, **named: Any) -> Any:
        asked = boot_seconds()
        settled = rescue(door, worker, judge, *more, **named)
        for one in settled or ():
            ends._recorder.note("settled", job=one.id, attempt=one.attempt, what=str(one.state), since=asked)
        return settled

    Claims.settle = noted_settle  # type: ignore[method-assign, assignment]
    Claims.settle_and_take = noted_settle_and_take  # type: ignore[method-assign, assignment]
    Workers.rescue = noted_rescue  # type: ignore[method-assign, assignment]
