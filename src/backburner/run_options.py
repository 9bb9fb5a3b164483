"""`RunOptions`: what a worker has to know to run a job of a task, and how long its end is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias

from backburner.errors import DecodeError, InvalidOption
from backburner.outcome import seconds_of
from backburner.retry import RetryPolicy
from backburner.states import FINAL, JobState

KeepArgument: TypeAlias = float | timedelta | Mapping[str, float | timedelta]
"""What `keep=` takes: seconds (or a timedelta) for every end, or a mapping from final state to seconds."""

OVERRIDES = ("timeout", "stall_timeout", "isolate", "keep", "notify_after")
"""The run options a single job may change; they are stored in its `options`."""

NOTIFIED = "notified"
"""In the stored `options` of a job that somebody was told of: it is done once, also after a retry by hand."""


class Cap(NamedTuple):
    """At most `most` jobs of one task run at the same time; `names` are its name, first, and its aliases."""

    names: tuple[str, ...]
    most: int


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How jobs of a task run. Durations are seconds, None means no limit.

    `max_attempts` None leaves the limit to `retry`; a job's own limit is in its row, and goes first. `keep`
    maps final states to seconds after which a job is deleted, 0 when it ends; a state that is not in it
    follows the settings. At most `max_running` jobs of the task run at the same time, on all workers
    together. `items` are the keys this job is to do alone, None means all. `notified`
    says that somebody was told that it keeps failing.
    """

    timeout: float | None = None
    stall_timeout: float | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_attempts: int | None = None
    isolate: bool = False
    repeatable: bool = True
    max_running: int | None = None
    notify_after: int | None = None
    keep: Mapping[JobState, float] | None = None
    capture_print: bool = False
    items: frozenset[str] | None = None
    notified: bool = False

    def with_stored(self, stored: str) -> RunOptions:
        """These options with what the `options` text of a job changes. Raises `DecodeError`."""
        try:
            found = json.loads(stored)
            if not isinstance(found, dict):
                raise TypeError("no object of options by name")
            changes: dict[str, Any] = {name: found[name] for name in OVERRIDES if name in found}
            if changes.get("keep") is not None:
                changes["keep"] = {JobState(state): float(kept) for state, kept in changes["keep"].items()}
            if "items" in found:
                changes["items"] = frozenset(map(str, found["items"]))
            if NOTIFIED in found:
                changes[NOTIFIED] = True
            return replace(self, **changes)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise DecodeError("options", f"{type(error).__name__}: {error}") from error

    def kept(self, state: JobState) -> float | None:
        """Seconds a job that ended in `state` is kept, 0 = not at all; None leaves it to the settings."""
        return None if self.keep is None else self.keep.get(state)


def keep_of(value: KeepArgument) -> dict[JobState, float]:
    """The checked form of `keep=`. Raises `InvalidOption`."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(sorted(FINAL), seconds_of("keep", value))
    kept: dict[JobState, float] = {}
    for name, seconds in value.items():
        if name not in FINAL:
            raise InvalidOption("keep", value, f"{name!r} is no final state", f"Use {', '.join(sorted(FINAL))}")
        kept[JobState(name)] = seconds_of("keep", seconds)
    return kept


def limit_of(option: str, value: float | timedelta | None) -> float | None:
    """A time limit in seconds, None for no limit. Raises `InvalidOption` unless it is more than 0."""
    if value is None:
        return None
    seconds = seconds_of(option, value)
    if seconds == 0:
        raise InvalidOption(option, value, "leaves no time at all", "Give more than 0 seconds, or None")
    return seconds


def attempts_of(value: int | None) -> int | None:
    """A checked `max_attempts`. Raises `InvalidOption`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise InvalidOption(
            "max_attempts", value, "is no number of attempts", "Give 1 or more, or None to leave it to retry="
        )
    return value


def count_of(option: str, value: int | None) -> int | None:
    """A checked number from 1 on, None for none. Raises `InvalidOption`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise InvalidOption(option, value, "is no number of jobs or tries", "Give 1 or more, or None")
    return value


def flag_of(option: str, value: bool) -> bool:
    """A checked yes or no. Raises `InvalidOption`."""
    if not isinstance(value, bool):
        raise InvalidOption(option, value, "is neither True nor False", "Pass one of them")
    return value
