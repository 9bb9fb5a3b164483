"""`Workers`: see which workers live, and ask single ones to rest, to be replaced or to stop."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from backburner.clock import boot_seconds
from backburner.database import Database
from backburner.errors import InvalidOption

if TYPE_CHECKING:
    from backburner.store.workers import WorkerRow

Word = Literal["quiet", "reload", "stop"]
Ids: TypeAlias = list[str]

_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class WorkerState:
    """How a worker stands: one process that runs jobs. Times are UTC.

    `queues` None means all. `running` is how many jobs it has taken. `told` is what was asked of it. An
    `embedded` one runs in a process of the app's own. Not `alive`: it has missed its beats, and its jobs are
    about to be taken over.
    """

    id: str
    host: str
    pid: int
    label: str | None
    queues: tuple[str, ...] | None
    priorities: str | None
    concurrency: int
    version: str
    started_at: datetime
    beat_at: datetime
    running: int
    told: str | None
    embedded: bool
    alive: bool


class Workers:
    """What may be said of workers and to them while everything runs: `jobs.workers`.

    A worker hears what it is told with its next beat, within 5 s by default. Those that are chosen: all; or by
    ids; by label; by a queue whose jobs they take.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(
        self, ids: Sequence[str] | None = None, *, label: str | None = None, queue: str | None = None
    ) -> list[WorkerState]:
        """Living workers, the oldest first. Raises `InvalidOption`."""
        if ids is not None:
            _refuse_text(ids)
        store = self._database.store
        store.ready()
        now, running = store.clock.now(), store.workers.running()
        found = [_state(row, running.get(row.id, 0), now) for row in store.workers.live()]
        return [
            one
            for one in found
            if (ids is None or one.id in ids)
            and (label is None or one.label == label)
            and (queue is None or one.queues is None or queue in one.queues)
        ]

    def quiet(self, ids: Sequence[str] | None = None, *, label: str | None = None, queue: str | None = None) -> Ids:
        """Let workers take no more jobs, and stay. The ids of those that were told now."""
        return self._tell("quiet", self.list(ids, label=label, queue=queue))

    def reload(self, ids: Sequence[str] | None = None, *, label: str | None = None, queue: str | None = None) -> Ids:
        """Replace worker processes, each once, when its jobs have ended: by the app's code as it then is.

        Embedded workers are left out: their code is that of the app's process. The ids of those told now.
        """
        chosen = self.list(ids, label=label, queue=queue)
        return self._tell("reload", [one for one in chosen if not one.embedded])

    def stop(self, ids: Sequence[str] | None = None, *, label: str | None = None, queue: str | None = None) -> Ids:
        """End workers for good; running jobs have the worker's grace. The ids of those told now.

        When all processes of a `backburner worker` were told, it ends with the exit code 79.
        """
        return self._tell("stop", self.list(ids, label=label, queue=queue))

    def wait(self, ids: Sequence[str], seconds: float | None = None) -> bool:
        """True as soon as all these workers have ended, False after `seconds`; None waits for ever."""
        _refuse_text(ids)
        until = float("inf") if seconds is None else boot_seconds() + seconds
        left = set(ids)
        while left:
            left -= self._database.store.workers.dead(sorted(left))
            rest = until - boot_seconds()
            if not left or rest <= 0:
                break
            time.sleep(min(rest, _LOOK_SECONDS * random.uniform(0.75, 1.25)))
        return not left

    def _tell(self, word: Word, chosen: Sequence[WorkerState]) -> Ids:
        return self._database.store.workers.tell([one.id for one in chosen], word) if chosen else []


def _refuse_text(ids: Sequence[str]) -> None:
    if isinstance(ids, str):
        raise InvalidOption("ids", ids, "is one text", "Pass a list of ids")


def _state(row: WorkerRow, running: int, now: datetime) -> WorkerState:
    return WorkerState(
        row.id, row.host, row.pid, row.label, None if row.queues is None else tuple(json.loads(row.queues)),
        row.priorities, row.concurrency, row.version, row.started_at, row.beat_at, running, row.told,
        embedded=row.supervisor == row.id, alive=row.lease_until >= now,
    )  # fmt: skip
