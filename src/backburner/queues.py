"""`Queues`: pause, resume and limit queues at run time, and see how they stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from backburner.checked import checked_moment, checked_pause, checked_queue
from backburner.contradictions import ALL_QUEUES
from backburner.database import Database
from backburner.errors import InvalidOption
from backburner.run_options import count_of

_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class QueueState:
    """How a queue stands. Times are UTC; `waiting` counts no further than 10,000, `running` than 5,000.

    Where it is `capped` more jobs wait than were counted. The name `*` speaks for all queues: then nothing is counted.
    `most` is how many of its jobs may run at once.
    """

    name: str
    waiting: int = 0
    running: int = 0
    paused: bool = False
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    paused_by: str | None = None
    reason: str | None = None
    most: int | None = None
    capped: bool = False


class _Count(NamedTuple):
    waiting: int
    running: int
    capped: bool


_NOTHING = _Count(0, 0, capped=False)


class Queues:
    """What may be said of queues while everything runs: `jobs.queues`.

    A pause holds from the moment it is said: no worker takes a job of a paused queue any more; what runs goes on.
    Cleaning and other chores go on too. A queue that nobody has used yet may be paused as well.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def pause(
        self, queue: str | None = None, *, reason: str | None = None, until: datetime | None = None,
        by: str | None = None,
    ) -> None:  # fmt: skip
        """Take nothing of a queue, or of all queues, until `resume`, or until an aware time.

        Raises `InvalidOption`.
        """
        if until is not None:
            until = checked_moment("until", until)
            if until <= self._database.store.clock.now():
                raise InvalidOption("until", until.isoformat(), "is over already", "Give a time to come")
        checked_pause(reason, by)
        name = self._name(queue)
        self._database.store.queues.pause(name, by, reason, until)

    def resume(self, queue: str | None = None) -> bool:
        """End the pause of a queue, or the pause of all; False when there was none.

        A queue with a pause of its own stays paused when the pause of all ends.
        """
        was = self._database.store.queues.resume(self._name(queue))
        self._database.bell.ring(() if queue is None else (queue,))
        return was

    def limit(self, queue: str, most: int | None) -> None:
        """Let at most so many jobs of a queue run at the same time, on all workers together; None: no limit.

        What runs already goes on. Raises `InvalidOption`.
        """
        self._database.store.queues.limit(checked_queue(queue, self._database.settings), count_of("most", most))
        self._database.bell.ring((queue,))

    def _all(self, also: Iterable[str] = (), *, counted: bool) -> list[QueueState]:
        store, settings = self._database.store, self._database.settings
        store.ready()
        now = store.clock.now()
        said = {row.name: row for row in store.queues.all()}
        names = set(said) | set(also) | set(store.queues.used()) | set(settings.queues or (settings.default_queue,))
        counts = self._counts(names - {ALL_QUEUES}) if counted else {}
        found = []
        for name in sorted(names):
            row, count = said.get(name), counts.get(name, _NOTHING)
            paused = row is not None and row.paused(now)
            found.append(
                QueueState(
                    name,
                    waiting=count.waiting,
                    running=count.running,
                    paused=paused,
                    paused_at=row.paused_at if row is not None and paused else None,
                    paused_until=row.paused_until if row is not None and paused else None,
                    paused_by=row.paused_by if row is not None and paused else None,
                    reason=row.reason if row is not None and paused else None,
                    most=row.most if row is not None else None,
                    capped=count.capped,
                )
            )
        return [one for one in found if one.name != ALL_QUEUES or one.paused]

    def standing(self) -> list[QueueState]:
        """`list` with nothing counted."""
        return self._all(counted=False)

    def list(self, also: Iterable[str] = ()) -> list[QueueState]:
        """Every queue with jobs, with something said about it, named in the settings, or in `also`; by name."""
        return self._all(also, counted=True)

    def _counts(self, names: Iterable[str]) -> dict[str, _Count]:
        """Each look has a bound, and an index of unfinished jobs: however many there are, and finished ones."""
        store = self._database.store
        # The queued ones first: what is taken between two looks is counted twice, not never.
        queued, running = store.reports.queued(names, _COUNTED), store.standing.running_by_queue()
        blocked, all_of_them = store.standing.blocked_by_queue()
        found = {}
        for name, count in queued.items():
            waiting = min(count + blocked.get(name, 0), _COUNTED)
            found[name] = _Count(waiting, running.get(name, 0), waiting >= _COUNTED or not all_of_them)
        return found

    def _name(self, queue: str | None) -> str:
        return ALL_QUEUES if queue is None else checked_queue(queue, self._database.settings)
