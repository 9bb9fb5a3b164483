"""`Registry`: which function a task name stands for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backburner.errors import DuplicateTask, UnknownTask
from backburner.run_options import Cap
from backburner.task import Task


class Registry:
    """Tasks by their exact name and by the older names they still answer to."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}
        self._unlisted: set[str] = set()

    def add(self, task: Task[..., Any], *, listed: bool = True) -> None:
        """Register a task under its name and aliases. Raises `DuplicateTask`; then nothing is registered.

        What is not listed can be run, and is no task of the app's: lists and counts leave it out.
        """
        for name in (task.name, *task.aliases):
            found = self._tasks.get(name)
            # At a prompt the same function is typed again and again; a module defines it once.
            if found is not None and not name.startswith("__main__."):
                raise DuplicateTask(name, found.place, task.place)
        for name in (task.name, *task.aliases):
            self._tasks[name] = task
        if not listed:
            self._unlisted.add(task.name)

    def get(self, name: str) -> Task[..., Any] | None:
        """The task of that name or alias; None when there is none."""
        return self._tasks.get(name)

    def require(self, name: str) -> Task[..., Any]:
        """The task of that name or alias. Raises `UnknownTask`."""
        found = self._tasks.get(name)
        if found is None:
            raise UnknownTask(name, tuple(task.name for task in self))
        return found

    def cap_of(self, name: str) -> Cap | None:
        """How many jobs may run at once of the task of that name or alias; None when it has no such limit."""
        task = self._tasks.get(name)
        if task is None or task.defaults.max_running is None:
            return None
        return Cap((task.name, *task.aliases), task.defaults.max_running)

    def secrets_of(self, name: str) -> frozenset[str]:
        """The parameters of the task of that name or alias that have a `Secret` in them; none when it is unknown."""
        task = self._tasks.get(name)
        return frozenset() if task is None else task.parameters.secrets

    def capped(self) -> list[str]:
        """Every name and alias of tasks of which only so many jobs may run at once."""
        return [name for name, task in self._tasks.items() if task.defaults.max_running is not None]

    def names(self) -> tuple[str, ...]:
        """Every name that the app's tasks answer to, aliases included, in alphabetical order."""
        return tuple(sorted(self._tasks.keys() - self._unlisted))

    def runnable(self) -> tuple[str, ...]:
        """Every name that can be run here, in alphabetical order: with what is not listed."""
        return tuple(sorted(self._tasks))

    def __iter__(self) -> Iterator[Task[..., Any]]:
        """Each task once, by name."""
        found = sorted(self._tasks.items())
        return iter([task for name, task in found if name == task.name and name not in self._unlisted])

    def __contains__(self, name: object) -> bool:
        """Whether that name can be run here."""
        return name in self._tasks

    def __len__(self) -> int:
        """How many tasks there are, aliases not counted."""
        return sum(1 for _ in self)
