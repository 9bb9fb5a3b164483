"""What is wrong with the value of a setting by itself, or beside another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from backburner import routes
from backburner.cron import checked_cron, zone_of
from backburner.errors import InvalidOption

_LOWEST_PRIORITY, _HIGHEST_PRIORITY = -32_768, 32_767
_QUEUE_CHARACTERS = 100
ALL_QUEUES = "*"
"""What stands for all queues, where one is said to be paused: no queue's name."""
_SECRET_CHARACTERS = 16
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_TABLE_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,30}\Z")


def contradictions(v: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Setting, problem and remedy of each value that is wrong by itself or beside another."""
    if not v["url"]:
        yield "url", "is empty", "For example sqlite:///jobs.db"
    if not _TABLE_PREFIX.match(v["table_prefix"]):
        yield "table_prefix", "is no table prefix", "Use a-z, 0-9 and _, at most 31, no digit first"
    if v["schema"] is not None and not _IDENTIFIER.match(v["schema"]):
        yield "schema", "is no schema name", "Use letters, digits and _, at most 63, no digit first"
    if v["schema"] is not None and v["url"].startswith("sqlite"):
        yield "schema", "SQLite has no schemas", "Leave it out, or use table_prefix"
    if v["beat"] * 3 > v["lease"]:
        yield (
            "beat",
            f"is more than a third of lease ({v['lease']:g})",
            "A worker must be able to miss two beats",
        )
    if v["secret"] is not None and len(v["secret"]) < _SECRET_CHARACTERS:
        yield (
            "secret",
            "is too short",
            f"Use {_SECRET_CHARACTERS} characters or more, from secrets.token_urlsafe()",
        )
    if v["former_secrets"] and v["secret"] is None:
        yield "former_secrets", "there is no secret that took their place", "Set secret (BACKBURNER_SECRET) too"
    if any(len(former) < _SECRET_CHARACTERS for former in v["former_secrets"] or ()):
        yield "former_secrets", "one of them is too short", f"Each had {_SECRET_CHARACTERS} characters or more"
    if not v["files"]:
        yield "files", "is empty", "Give a folder or an fsspec URL"
    if v["broker"] is not None and "://" not in v["broker"]:
        yield "broker", "is no URL", "For example amqp://guest:guest@localhost// or redis://localhost:6379/0"
    if v["operators"] and v["secret"] is None:
        yield "operators", "need a secret, which signs their sessions", "Set secret (BACKBURNER_SECRET) too"
    if v["signed"] and v["secret"] is None:
        yield "signed", "needs a secret", "Set secret (BACKBURNER_SECRET) too, the same for all processes of the app"
    for name, check in (("clean_cron", checked_cron), ("run_cron", checked_cron), ("cron_zone", zone_of)):
        try:
            if v[name] is not None:
                check(v[name])
        except InvalidOption as error:
            yield name, error.problem, error.remedy
    yield from _queue_contradictions(v)
    yield from _priority_contradictions(v)


def _queue_contradictions(v: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    listed = v["queues"]
    if listed is not None and not listed:
        yield "queues", "names no queue", "Name one, or leave it out to allow any"
    for setting, names in (
        ("queues", listed or ()),
        ("default_queue", (v["default_queue"],)),
        ("routes", [queue for _, queue in v["routes"] or ()]),
    ):
        for name in names:
            if not name or len(name) > _QUEUE_CHARACTERS or name != name.strip() or "," in name:
                problem = f"{name!r} is no queue name"
                yield setting, problem, f"Use 1 to {_QUEUE_CHARACTERS} characters, no comma, no space around"
            elif name == ALL_QUEUES:
                yield setting, f"{name!r} stands for all queues", "Name each of them"
    if listed is not None and v["default_queue"] not in listed:
        yield "default_queue", f"is not among queues {listed}", "Add it there, or choose one of them"
    for problem, remedy in routes.problems(v["routes"], listed):
        yield "routes", problem, remedy


def _priority_contradictions(v: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    listed = v["priorities"]
    if listed is not None and not listed:
        yield "priorities", "names no priority", "Name one, or leave it out to allow any"
    for setting, numbers in (("priorities", listed or ()), ("default_priority", (v["default_priority"],))):
        for number in numbers:
            if not _LOWEST_PRIORITY <= number <= _HIGHEST_PRIORITY:
                yield setting, f"{number} is no priority", f"Use {_LOWEST_PRIORITY} to {_HIGHEST_PRIORITY}"
    if listed is not None and v["default_priority"] not in listed:
        yield "default_priority", f"is not among priorities {listed}", "Add it there, or choose one of them"
