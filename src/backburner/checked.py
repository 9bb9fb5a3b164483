"""Checks of values that come from outside: names, times, priorities."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from backburner.contradictions import ALL_QUEUES
from backburner.errors import InvalidOption
from backburner.settings import Settings

MAX_QUEUE, MAX_NAME, MAX_TAGS = 100, 200, 50
MAX_REASON, MAX_WHO = 500, 200


def checked_text(option: str, value: object, limit: int) -> str:
    """Text of 1 to `limit` characters that every database can store. Raises `InvalidOption`."""
    if not isinstance(value, str) or not value:
        raise InvalidOption(option, value, "is no text", f"Use text of 1 to {limit} characters")
    if len(value) > limit:
        raise InvalidOption(option, value, f"has {len(value)} characters", f"Use at most {limit}")
    return storable_text(option, value)


def storable_text(option: str, value: str) -> str:
    """The same text, if every database can store it. Raises `InvalidOption`."""
    if "\0" in value or (not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value)):
        raise InvalidOption(option, value, "holds a character no database stores", "Remove NUL and lone surrogates")
    return value


def checked_moment(option: str, value: object) -> datetime:
    """An aware datetime, in UTC. Raises `InvalidOption`."""
    if not isinstance(value, datetime):
        raise InvalidOption(option, value, "is no datetime", "Pass an aware datetime")
    if value.utcoffset() is None:
        raise InvalidOption(option, value, "has no time zone", "Pass an aware datetime, for example datetime.now(UTC)")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidOption(option, value, "is outside the calendar", "Pass a time between years 1 and 9999") from error


def checked_queue(value: object, settings: Settings) -> str:
    """A queue name that may be used. Raises `InvalidOption`."""
    name = checked_text("queue", value, MAX_QUEUE)
    if "," in name or name != name.strip():
        raise InvalidOption("queue", value, "is no queue name", "Use no comma and no space around it")
    if name == ALL_QUEUES:
        raise InvalidOption("queue", value, "stands for all queues", "Name one; for all of them leave the name out")
    if settings.queues is not None and name not in settings.queues:
        known = ", ".join(settings.queues)
        raise InvalidOption("queue", value, "is not among the setting queues", f"Use one of: {known}")
    return name


def checked_priority(value: object, settings: Settings) -> int:
    """A priority that may be used. Raises `InvalidOption`."""
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**15) <= value < 2**15:
        raise InvalidOption(
            "priority", value, "is no priority", "Use a whole number, -32768 to 32767; lower runs first"
        )
    if settings.priorities is not None and value not in settings.priorities:
        known = ", ".join(map(str, settings.priorities))
        raise InvalidOption("priority", value, "is not among the setting priorities", f"Use one of: {known}")
    return value


def checked_pause(reason: object, by: object) -> None:
    """Why something is paused, and by whom, where that is said. Raises `InvalidOption`."""
    if reason is not None:
        checked_text("reason", reason, MAX_REASON)
    if by is not None:
        checked_text("by", by, MAX_WHO)


def checked_tags(value: object) -> tuple[str, ...]:
    """Tags, each once, in the order given. Raises `InvalidOption`."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InvalidOption("tags", value, "is no list of texts", "For example tags=['shop', 'import']")
    tags = tuple(dict.fromkeys(checked_text("tags", tag, MAX_NAME) for tag in value))
    if len(tags) > MAX_TAGS:
        raise InvalidOption("tags", value, f"has {len(tags)} tags", f"Use at most {MAX_TAGS}")
    for tag in tags:
        if '"' in tag or "\\" in tag:
            # They are looked for in the stored list, between quotes.
            raise InvalidOption("tags", tag, "has a quote or a backslash", "Use letters, digits, dashes, colons")
    return tags
