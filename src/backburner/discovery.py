"""Tasks that installed packages bring along, found by their entry points."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from backburner.backburner import Backburner
from backburner.errors import InvalidTask

GROUP = "backburner.tasks"


def discover(jobs: Backburner, group: str = GROUP) -> tuple[str, ...]:
    """Have every installed package that names an entry point in `group` register its tasks; the names that came.

    An entry point leads to a function that is called with `jobs`, and declares tasks with `@jobs.task` as an app
    does. Only what is installed is loaded, once and here: never anything because a stored job, or a request, names
    it. Raises `InvalidTask` for an entry point that cannot be loaded or leads to no function, before any is called;
    `DuplicateTask` when two of them, or the app, use one name.

        jobs = Backburner("sqlite:///jobs.db")
        discover(jobs)
    """
    known = set(jobs.registry.names())
    found = sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value))
    for register in [_loaded(entry) for entry in found]:
        register(jobs)
    return tuple(name for name in jobs.registry.names() if name not in known)


def _loaded(entry: EntryPoint) -> Callable[[Backburner], Any]:
    package = entry.dist.name if entry.dist is not None else "that names it"
    try:
        register: Any = entry.load()
    except Exception as error:
        raise _wrong(entry, f"cannot be loaded: {error!r}", f"Repair or remove the package {package}") from error
    if not callable(register):
        raise _wrong(entry, "is no function", f"In the package {package} name one that takes the Backburner")
    return register  # type: ignore[no-any-return]


def _wrong(entry: EntryPoint, problem: str, remedy: str) -> InvalidTask:
    return InvalidTask(entry.name, f"its entry point {entry.value} in {entry.group} {problem}", remedy)
