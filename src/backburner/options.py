"""`EnqueueOptions`: what may be said about a job when it is enqueued, checked where it is said."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypedDict

from backburner.errors import InvalidOption, TooLarge
from backburner.outcome import seconds_of
from backburner.retry import RetryPolicy
from backburner.run_options import OVERRIDES, KeepArgument, attempts_of, flag_of, keep_of, limit_of
from backburner.settings import Settings
from backburner.title import MAX_TITLE

MAX_QUEUE, MAX_NAME, MAX_META_BYTES, MAX_TAGS = 100, 200, 65_536, 50

Visibility = Literal["owner", "users", "public"]
"""Who may see a job beside operators: its owner, anyone who is signed in, anyone at all."""
_VISIBILITIES = ("owner", "users", "public")


class _Common(TypedDict, total=False):
    """Options that mean the same for a task and for a single job; durations are seconds or timedeltas."""

    queue: str
    priority: int
    delay: float | timedelta | None
    title: str | None
    tags: Iterable[str]
    visibility: Visibility
    timeout: float | timedelta | None
    stall_timeout: float | timedelta | None
    max_attempts: int | None
    repeatable: bool
    isolate: bool
    keep: KeepArgument | None
    meta: Mapping[str, Any] | None


class SharedOptions(_Common, total=False):
    """Options that `@jobs.task` takes as defaults and `task.options` for single jobs."""

    # A task is declared once: a moment in time would soon be over for all its jobs.
    expires: float | timedelta | None


class TaskOptions(SharedOptions, total=False):
    """What `@jobs.task(...)` takes."""

    name: str
    aliases: Iterable[str]
    api: bool
    retry: RetryPolicy
    capture_print: bool


class CallOptions(_Common, total=False):
    """What `task.options(...)` takes. Times are aware datetimes."""

    run_at: datetime | None
    expires: float | timedelta | datetime | None
    identifier: str | None
    owner: str | None
    connection: Any


@dataclass(frozen=True, slots=True)
class EnqueueOptions:
    """Checked options in the form in which a job is stored.

    `title` is literal here; a task's own template is the task's affair. `run` are the run options that differ
    from the task's; `stored` is their JSON text. `connection` is the caller's transaction to enqueue in.
    """

    queue: str
    priority: int
    delay: float = 0.0
    run_at: datetime | None = None
    expires: float | datetime | None = None
    identifier: str | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    tags_text: str | None = None
    owner: str | None = None
    visibility: str = "owner"
    meta: str | None = None
    max_attempts: int | None = None
    repeatable: bool = True
    run: Mapping[str, Any] = field(default_factory=dict)
    stored: str | None = None
    connection: Any = None

    def changed(self, given: Mapping[str, Any], settings: Settings) -> EnqueueOptions:
        """These options with others in their place. Raises `InvalidOption`."""
        refuse_unknown(given, CallOptions.__annotations__, "task.options")
        if given.get("delay") is not None and given.get("run_at") is not None:
            raise InvalidOption("run_at", given["run_at"], "delay is given too", "Give one of the two")
        changes: dict[str, Any] = {}
        for name, value in given.items():
            changes.update(_CHECKS[name](value, settings))
        # The newer of the two ways to say when takes the place of the other.
        if "delay" in given and "run_at" not in given:
            changes["run_at"] = None
        elif given.get("run_at") is not None:
            changes["delay"] = 0.0
        if not given.keys().isdisjoint(OVERRIDES):
            run = dict(self.run) | {name: changes.pop(name) for name in OVERRIDES if name in changes}
            changes |= {"run": run, "stored": json.dumps(run)}
        made = replace(self, **changes)
        if isinstance(made.expires, datetime) and made.run_at is not None and made.expires <= made.run_at:
            raise _never_runs(made.expires, made.run_at)
        return made

    def times(self, now: datetime) -> tuple[datetime, datetime | None]:
        """When a job enqueued at `now` may run, and when it is too late; UTC.

        Raises `InvalidOption` when it would be too late before it may run.
        """
        run_at = self.run_at
        if run_at is None:
            run_at = now + timedelta(seconds=self.delay) if self.delay else now
        expires = self.expires
        if expires is None:
            return run_at, None
        if not isinstance(expires, datetime):
            expires = now + timedelta(seconds=expires)
        if expires <= run_at:
            raise _never_runs(expires, run_at)
        return run_at, expires


def refuse_unknown(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise `InvalidOption` for the first option that `where` does not take."""
    names = tuple(known)
    for name, value in given.items():
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            if name in TaskOptions.__annotations__:
                remedy = f"{name} is said of the task: @jobs.task({name}=...)"
            elif close:
                remedy = f"Did you mean {close[0]!r}?"
            else:
                remedy = f"Options are: {', '.join(sorted(names))}"
            raise InvalidOption(name, value, f"{where} takes no such option", remedy)


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


def delay_of(value: float | timedelta | None) -> float:
    """A delay in seconds, at most 100 years. Raises `InvalidOption`."""
    return 0.0 if value is None else _bounded("delay", value)


def _bounded(option: str, value: float | timedelta) -> float:
    seconds = seconds_of(option, value)
    if seconds > 3_155_760_000:
        raise InvalidOption(option, value, "is more than a hundred years", "Give seconds, not milliseconds")
    return seconds


def _expires(value: object) -> float | datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return checked_moment("expires", value)
    seconds = _bounded("expires", value)  # type: ignore[arg-type]
    if seconds == 0:
        raise InvalidOption("expires", value, "leaves no time at all", "Give more than 0 seconds")
    return seconds


def _meta(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidOption("meta", value, "is no mapping with text keys", "For example meta={'order': 7}")
    try:
        text = json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidOption("meta", value, f"is no JSON: {error}", "Use text, numbers, lists and dicts") from error
    if len(text) > MAX_META_BYTES:
        raise TooLarge("meta", len(text), MAX_META_BYTES, "Store the data and put its id there")
    return text


def _visibility(value: object) -> str:
    if value not in _VISIBILITIES:
        raise InvalidOption("visibility", value, "is unknown", f"Use one of: {', '.join(_VISIBILITIES)}")
    return str(value)


def _tags(value: object, _: Settings) -> dict[str, Any]:
    tags = checked_tags(value)
    return {"tags": tags, "tags_text": json.dumps(tags) if tags else None}


def _named(option: str, limit: int) -> Callable[[Any, Settings], dict[str, Any]]:
    return lambda value, _: {option: None if value is None else checked_text(option, value, limit)}


_CHECKS: dict[str, Callable[[Any, Settings], dict[str, Any]]] = {
    "queue": lambda value, settings: {"queue": checked_queue(value, settings)},
    "priority": lambda value, settings: {"priority": checked_priority(value, settings)},
    "delay": lambda value, _: {"delay": delay_of(value)},
    "run_at": lambda value, _: {"run_at": None if value is None else checked_moment("run_at", value)},
    "expires": lambda value, _: {"expires": _expires(value)},
    "identifier": _named("identifier", MAX_NAME),
    "title": _named("title", MAX_TITLE),
    "tags": _tags,
    "owner": _named("owner", MAX_NAME),
    "visibility": lambda value, _: {"visibility": _visibility(value)},
    "timeout": lambda value, _: {"timeout": limit_of("timeout", value)},
    "stall_timeout": lambda value, _: {"stall_timeout": limit_of("stall_timeout", value)},
    "max_attempts": lambda value, _: {"max_attempts": attempts_of(value)},
    "repeatable": lambda value, _: {"repeatable": flag_of("repeatable", value)},
    "isolate": lambda value, _: {"isolate": flag_of("isolate", value)},
    "keep": lambda value, _: {"keep": None if value is None else keep_of(value)},
    "meta": lambda value, _: {"meta": _meta(value)},
    "connection": lambda value, _: {"connection": value},
}
"""What each option becomes; the key is the option's name."""


def _never_runs(expires: datetime, run_at: datetime) -> InvalidOption:
    return InvalidOption(
        "expires", expires.isoformat(), f"is not after the earliest start, {run_at.isoformat()}",
        "Give a later time, or a longer one",
    )  # fmt: skip
