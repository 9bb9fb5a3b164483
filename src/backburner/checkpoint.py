"""Where an attempt stands, for the next one to go on from."""

from __future__ import annotations

import json
from typing import Any

from backburner.errors import InvalidArgument, TooLarge

MAX_BYTES = 65_536


class Checkpoint:
    """`values` has what the body said under "cursor", and under its name the count of each loop that resumes.

    `stored` is what an earlier flush or attempt left; `failed` how many items had failed before it.
    """

    __slots__ = ("changed", "failed", "values")

    def __init__(self, stored: str | None) -> None:
        self.values: dict[str, Any] = dict(json.loads(stored)) if stored else {}
        self.failed = int(self.values.pop("failed", 0))
        self.changed = False

    def taken(self, failed: int) -> str | None:
        """What is to be stored, with the count of items that failed; None when nothing changed since the last time."""
        if not self.changed:
            return None
        # First: what the body says from here on is for the next time.
        self.changed = False
        return json.dumps(self.values | ({"failed": failed} if failed else {}))

    def kept(self) -> tuple[dict[str, Any], bool]:
        """A copy to go back to, when a transaction fails."""
        return dict(self.values), self.changed

    def restore(self, kept: tuple[dict[str, Any], bool]) -> None:
        """Go back to a copy: what was said since is forgotten. In place: a `track` under way holds it too."""
        self.values.clear()
        self.values.update(kept[0])
        self.changed = kept[1]


def check_cursor(task: str, cursor: object) -> None:
    """Raise `InvalidArgument` for what is no JSON value, `TooLarge` for more than 64 KiB of it."""
    try:
        size = len(json.dumps(cursor))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(task, "cursor", cursor, f"is no JSON value: {error}") from error
    if size > MAX_BYTES:
        raise TooLarge("checkpoint", size, MAX_BYTES, "Keep a position, not the data")
