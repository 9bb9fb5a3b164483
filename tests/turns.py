"""Databases take turns in the gate: a test that asks for several runs on one of them, and with `--long` on all.

Which one is chosen by the test's name: always the same one, and of many tests about as many on each. The store's own
tests, of everything that a database decides, run on every one.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable

import pytest

KINDS = ("sqlite", "postgresql", "mariadb")
FOLDERS = frozenset({"api", "chaos", "cli", "parity", "testing", "worker"})


def take_turns(items: Iterable[pytest.Item]) -> None:
    """Mark as `long` what is not this test's turn."""
    found: dict[str, dict[str, pytest.Item]] = defaultdict(dict)
    for item in items:
        kind = _kind(item)
        if kind is not None and item.path.parent.name in FOLDERS and item.get_closest_marker("long") is None:
            found[item.nodeid.replace(kind, "")][kind] = item
    for name, by_kind in found.items():
        kinds = sorted(by_kind)
        turn = kinds[zlib.crc32(name.encode()) % len(kinds)]
        for kind, item in by_kind.items():
            if kind != turn:
                item.add_marker(pytest.mark.long)


def _kind(item: pytest.Item) -> str | None:
    chosen = getattr(item, "callspec", None)
    values = [] if chosen is None else [value for value in chosen.params.values() if value in KINDS]
    return values[0] if len(values) == 1 else None
