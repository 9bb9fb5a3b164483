"""`Conflicts`: what becomes of new jobs whose keys others have. Pure: it is handed what the database says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from backburner.errors import DuplicateJob, IdempotencyMismatch
from backburner.job import Key, NewJob
from backburner.relations import PARENTS
from backburner.states import JobState


class KeyRow(NamedTuple):
    """A stored key. `over`: its time has passed. `seen`: when it was looked at it was another's, and is not locked."""

    job: str
    scope: str
    over: bool
    digest: str | None
    seen: bool = False


class Known(NamedTuple):
    """A stored job that has a key. `behind` are the jobs with the same key that it waits for."""

    state: JobState
    queue: str
    group: str | None
    blocked_on: str | None
    behind: tuple[str, ...] = ()


@dataclass
class Conflicts:
    """Takes new jobs one after the other, those of one transaction; what is to be done is in its fields.

    `mine` are the ids of all of them, `locked` those of stored jobs that wait and cannot be taken meanwhile.
    """

    rows: Mapping[str, KeyRow]
    known: Mapping[str, Known]
    locked: frozenset[str]
    mine: frozenset[str]
    stored: dict[str, NewJob] = field(default_factory=dict)
    """New jobs to be inserted, in order."""
    owners: dict[str, tuple[str, Key]] = field(default_factory=dict)
    """Keys by name, and who has them in the end."""
    instead: dict[str, str] = field(default_factory=dict)
    """New jobs that are not stored, and the ones that stand for them."""
    skipped: dict[str, str] = field(default_factory=dict)
    """New jobs that are stored as skipped, with the reason."""
    cancelled: dict[str, str] = field(default_factory=dict)
    """Jobs, new ones or not, that are replaced, with the reason."""
    moved: dict[str, NewJob] = field(default_factory=dict)
    """Stored jobs that get the time of a new one."""
    behind: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """New jobs, and the running ones that they come after."""

    def add(self, job: NewJob) -> None:
        """Decide about one more. Raises `DuplicateJob` and `IdempotencyMismatch`."""
        job = self._with_known_parents(job)
        for key in job.keys:
            holder = self._holder(key) if key.digest is not None else None
            if holder is not None:
                if holder[1] != key.digest:
                    raise IdempotencyMismatch(key.name, holder[0])
                self.instead[job.id] = holder[0]
                return
        for key in job.keys:
            holder = self._holder(key) if key.digest is None else None
            if holder is not None and not self._wins(job, key, holder[0]):
                return
        self.stored.setdefault(job.id, job)
        self.owners.update((key.name, (job.id, key)) for key in job.keys)

    def _with_known_parents(self, job: NewJob) -> NewJob:
        """The job after those that stand for the ones it was to come after."""
        if not any(parent.job in self.instead for parent in job.parents):
            return job
        found = (replace(parent, job=self.instead.get(parent.job, parent.job)) for parent in job.parents)
        parents = tuple({(parent.job, parent.milestone): parent for parent in found}.values())
        return job._replace(parents=parents, parents_left=len(parents))

    def _wins(self, job: NewJob, key: Key, winner: str) -> bool:
        """Whether the new job is stored for its own sake though another has the key."""
        match key.on_conflict:
            case "reject":
                raise DuplicateJob(key.name, winner)
            case "skip":
                self.skipped[job.id] = f"Job {winner} does the same."
                self.stored[job.id] = job._replace(blocked_on=None, parents=(), parents_left=0)
                self._remember(job, job.id)
                return False
            case "replace" | "debounce" if not self._waits(winner):
                self._come_after(job, (winner,) if self._lives(winner) else ())
                return True
            case "replace":
                self._come_after(job, self._behind(winner))
                self._replace(winner, job.id)
                return True
            case "debounce":
                self._move(winner, job)
        self.instead[job.id] = winner
        self._remember(job, winner)
        return False

    def _remember(self, job: NewJob, answer: str) -> None:
        """The same request will be answered with that job, also when this one was none of its own."""
        self.owners.update((key.name, (answer, key)) for key in job.keys if key.digest is not None)

    def _come_after(self, job: NewJob, winners: tuple[str, ...]) -> None:
        more = tuple(winner for winner in winners if all(parent.job != winner for parent in job.parents))
        if winners:
            self.behind[job.id] = winners
            left = job.parents_left + len(more)
            self.stored[job.id] = job._replace(blocked_on=PARENTS, parents_left=left)

    def _replace(self, winner: str, by: str) -> None:
        self.cancelled[winner] = f"Replaced by job {by}."
        if winner in self.stored:
            self.stored[winner] = self.stored[winner]._replace(blocked_on=None, parents=(), parents_left=0)
            self.behind.pop(winner, None)

    def _move(self, winner: str, job: NewJob) -> None:
        if winner in self.stored:
            self.stored[winner] = self.stored[winner]._replace(run_at=job.run_at, expires_at=job.expires_at)
        else:
            self.moved[winner] = job

    def _holder(self, key: Key) -> tuple[str, str | None] | None:
        """Which job has a key, and for what request; None when it is free."""
        if key.name in self.owners:
            job, owned = self.owners[key.name]
            return job, owned.digest
        row = self.rows.get(key.name)
        if row is None or row.job in self.mine or not self._held(row):
            return None
        return row.job, row.digest

    def _held(self, row: KeyRow) -> bool:
        return row.seen or held(row, self.known[row.job].state if row.job in self.known else None)

    def _waits(self, winner: str) -> bool:
        return winner in self.stored or winner in self.locked

    def _lives(self, winner: str) -> bool:
        return winner in self.known and not self.known[winner].state.final

    def _behind(self, winner: str) -> tuple[str, ...]:
        if winner in self.known:
            return self.known[winner].behind
        return self.behind.get(winner, ())


def held(row: KeyRow, state: JobState | None) -> bool:
    """Whether nobody else may have the key of this row; `state` is that of its job, None when it is not stored."""
    if row.scope == "until":
        return not row.over
    return state is not None and (row.scope == "kept" or not state.final)
