"""`EnqueueOptions`: what may be said about a job when it is enqueued, checked where it is said."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict

from backburner.checked import MAX_NAME, checked_moment, checked_priority, checked_queue, checked_tags, checked_text
from backburner.errors import InvalidOption, TooLarge
from backburner.hooks import Hook
from backburner.job import Key
from backburner.outcome import seconds_of
from backburner.relations import (
    After,
    AfterFailed,
    GroupPolicy,
    OnConflict,
    Unique,
    idempotency,
    one_of,
    parents_of,
    threshold_of,
    unique_key,
    unique_of,
)
from backburner.retry import RetryPolicy
from backburner.run_options import OVERRIDES, KeepArgument, attempts_of, count_of, flag_of, keep_of, limit_of
from backburner.secrets import Secrets, checked_secrets
from backburner.settings import Settings
from backburner.title import MAX_TITLE

MAX_META_BYTES = 65_536

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
    group: str | None
    group_policy: GroupPolicy
    coalesce: int | None
    unique: Unique | None
    on_conflict: OnConflict
    after_failed: AfterFailed
    notify_after: int | None


class SharedOptions(_Common, total=False):
    """Options that `@jobs.task` takes as defaults and `task.options` for single jobs."""

    # A task is declared once: a moment in time would soon be over for all its jobs.
    expires: float | timedelta | None


class TaskOptions(SharedOptions, total=False):
    """What `@jobs.task(...)` takes."""

    name: str
    aliases: Iterable[str]
    former: Iterable[str]
    codec: Literal["json", "pickle"]
    pickle_types: Iterable[type]
    api: bool
    retry: RetryPolicy
    capture_print: bool
    max_running: int | None
    hooks: Iterable[Hook]


class CallOptions(_Common, total=False):
    """What `task.options(...)` takes. Times are aware datetimes."""

    run_at: datetime | None
    expires: float | timedelta | datetime | None
    identifier: str | None
    owner: str | None
    idempotency_key: str | None
    after: After | None
    connection: Any
    secrets: Mapping[str, str] | None


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
    group: str | None = None
    group_policy: str = "skip"
    coalesce: int | None = None
    unique: str | float | None = None
    on_conflict: str = "existing"
    idempotency_key: str | None = None
    after: tuple[str, ...] = ()
    after_failed: str = "cancel"
    secrets: Secrets | None = None

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
        if made.group is None and (made.coalesce is not None or made.group_policy != "skip"):
            name = "coalesce" if made.coalesce is not None else "group_policy"
            if name in given:
                raise InvalidOption(name, given[name], "means nothing without a group", "Give group= too")
        if made.unique is None and "on_conflict" in given and given["on_conflict"] != "existing":
            raise InvalidOption(
                "on_conflict", given["on_conflict"], "means nothing where nothing is unique", "Give unique= too"
            )
        return made

    @property
    def related(self) -> bool:
        """Whether anything relates such a job to others."""
        return bool(self.group or self.unique or self.idempotency_key or self.after)

    @property
    def keyed(self) -> bool:
        """Whether such a job has a name that no other may have beside it."""
        return self.unique is not None or self.idempotency_key is not None

    def keys(self, task: str, args: str, now: datetime) -> tuple[Key, ...]:
        """The names that no other job may have beside one with these options."""
        found = []
        if self.unique is not None:
            found.append(unique_key(task, self.identifier, args, self.unique, self.on_conflict, now))
        if self.idempotency_key is not None:
            found.append(idempotency(task, self.owner, self.idempotency_key, args))
        return tuple(found)

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
    "secrets": lambda value, _: {"secrets": checked_secrets(value)},
    "group": _named("group", MAX_NAME),
    "group_policy": lambda value, _: {"group_policy": one_of("group_policy", value, GroupPolicy)},
    "coalesce": lambda value, _: {"coalesce": threshold_of(value)},
    "unique": lambda value, _: {"unique": unique_of(value)},
    "on_conflict": lambda value, _: {"on_conflict": one_of("on_conflict", value, OnConflict)},
    "idempotency_key": _named("idempotency_key", MAX_NAME),
    "after": lambda value, _: {"after": parents_of(value)},
    "after_failed": lambda value, _: {"after_failed": one_of("after_failed", value, AfterFailed)},
    "notify_after": lambda value, _: {"notify_after": count_of("notify_after", value)},
}
"""What each option becomes; the key is the option's name."""


def _never_runs(expires: datetime, run_at: datetime) -> InvalidOption:
    return InvalidOption(
        "expires", expires.isoformat(), f"is not after the earliest start, {run_at.isoformat()}",
        "Give a later time, or a longer one",
    )  # fmt: skip
