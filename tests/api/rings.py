"""Hearing what the bell is told."""

from collections.abc import Iterable
from typing import Any

from backburner import Backburner


class Rings:
    """Stands in for the bell of a Backburner and keeps the queues it is rung for."""

    def __init__(self, jobs: Backburner) -> None:
        self.heard: list[set[str]] = []
        self._open = [job for job in (jobs.bell,) if job]
        database: Any = jobs._database
        database._bells["bell"] = self

    def ring(self, queues: Iterable[str]) -> None:
        self.heard.append(set(queues))

    def close(self) -> None:
        for bell in self._open:
            bell.close()
