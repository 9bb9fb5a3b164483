"""Routes: which queue the jobs of a task go to, by patterns of task names in the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

Routes: TypeAlias = tuple[tuple[str, str], ...]
"""(pattern of names, queue), in the order in which they are tried; `*` stands for any text, `?` for one character."""


def queue_for(task: str, routes: Routes | None) -> str | None:
    """The queue of the first pattern that fits the whole name of a task; None when none does."""
    return next((queue for pattern, queue in routes or () if fnmatchcase(task, pattern)), None)


def parsed(text: str) -> Routes:
    """`reports.*=reports, mail.*=mail`, as an environment variable says it. Raises `ValueError`."""
    found = []
    for part in text.split(","):
        pattern, equals, queue = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ValueError(f"{part.strip()!r} is no pattern=queue")
        found.append((pattern, queue))
    return tuple(found)


def fitting(value: Any) -> Routes | None:
    """A mapping, or pairs, of texts as routes; None when it is something else."""
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, Sequence) or isinstance(pairs, str):
        return None
    if not all(isinstance(pair, list | tuple) and [type(one) for one in pair] == [str, str] for pair in pairs):
        return None
    return tuple((pattern, queue) for pattern, queue in pairs)


def problems(routes: Routes | None, queues: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    """Problem and remedy of each route that cannot be."""
    for pattern, queue in routes or ():
        if not pattern:
            yield "has an empty pattern", "Write names of tasks, such as reports.*"
        if queues is not None and queue not in queues:
            yield f"{queue!r} is not among queues {list(queues)}", "Add it there, or choose one of them"
