"""`Tasks`: the app's tasks as people see them: how they do, and what a form needs to start one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backburner.errors import InvalidTask
from backburner.insight.charts import Charts, Point
from backburner.registry import Registry
from backburner.task import Task


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One task, and what it did in the range that was asked for; `done` None: nothing."""

    name: str
    queue: str
    api: bool
    done: Point | None


class Tasks:
    """`jobs.insight.tasks`: of this process's code; a dashboard without the app's code sees none."""

    def __init__(self, registry: Registry, charts: Charts) -> None:
        self._registry, self._charts = registry, charts

    def list(self, range: str = "24h") -> Sequence[TaskLine]:  # noqa: A002
        """The tasks, by name. Raises `InvalidOption`."""
        done = self._charts.by_task(range)
        known = [_line(task, done.get(task.name)) for task in self._registry]
        names = {one.name for one in known}
        # Of other releases and other apps on the same database.
        others = [TaskLine(name, "", api=False, done=point) for name, point in done.items() if name not in names]
        return sorted((*known, *others), key=lambda one: one.name)

    def schema(self, name: str) -> dict[str, Any] | None:
        """The JSON schema of a task's arguments, for a form; None when its types have none. Raises `UnknownTask`."""
        task = self._registry.require(name)
        try:
            return task.parameters.schema()
        except (InvalidTask, TypeError):
            return None


def _line(task: Task[..., Any], done: Point | None) -> TaskLine:
    return TaskLine(task.name, task.enqueue_options.queue, task.api, done)
