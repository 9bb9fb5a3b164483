"""`Fault`: why an attempt failed, in a form by which failures of the same cause are found together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

MAX_TYPE, MAX_PLACE, MAX_MESSAGE = 200, 300, 500


class Fault(NamedTuple):
    """One failure. Failures of the same `fingerprint` are one group: the same exception at the same line of the app.

    `place` is where in the app, for people: "shop/feeds.py:27 in open_feed".
    """

    fingerprint: str
    error_type: str
    place: str
    message: str
    task: str
    queue: str
    host: str = ""


def fault_at(error_type: str, place: str, message: str, task: str, queue: str, host: str, *, line: str) -> Fault:
    """A fault whose group is told by exception type and `line`: where it was, without what an edit elsewhere moves."""
    digest = hashlib.sha256(f"{error_type}\0{line}".encode("utf-8", "backslashreplace")).hexdigest()
    return Fault(digest[:8], error_type[:MAX_TYPE], place[:MAX_PLACE], message[:MAX_MESSAGE], task, queue, host)


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one cause. Times are UTC. `job` failed so last, `attempts` counts all failed attempts there were.

    `place` is the line of the app; muted groups count in no warning.
    """

    fingerprint: str
    error_type: str
    place: str
    message: str
    task: str
    first_at: datetime
    last_at: datetime
    job: str
    attempts: int
    muted_at: datetime | None = None
    muted_until: datetime | None = None
    muted_by: str | None = None
    mute_reason: str | None = None

    def muted(self, now: datetime) -> bool:
        """Whether it is muted at `now`."""
        return self.muted_at is not None and (self.muted_until is None or self.muted_until > now)
