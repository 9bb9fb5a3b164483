"""What differs between databases, in one place: the hot statements, time, errors and transactions.

Hot statements are text, built once per store, and run on the driver's own connection: that is 1.5 times as
fast as through SQLAlchemy on SQLite. All else is SQLAlchemy Core and the same for every database.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import Enum, auto
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import URL, ColumnElement, Connection, Engine, Row, Table, select, update

from backburner.job import ClaimedJob, NewJob
from backburner.outcome import Settlement
from backburner.relations import PARENTS
from backburner.states import JobState
from backburner.store.schema import Schema

DriverConnection: TypeAlias = Any
"""A connection of the database's own driver (psycopg, sqlite3): their protocols share no useful type."""


Change: TypeAlias = Callable[[Any], Any]
"""From the columns of a row that was to be inserted to what becomes of the row that is there."""


class Trouble(Enum):
    """What an error from the driver means for the one who asked."""

    LOST = auto()
    """The database is away or the connection broken: what was asked may or may not have happened."""
    BUSY = auto()
    """Somebody else was in the way; nothing happened, ask again."""
    VALUE = auto()
    """A value cannot be stored; asking again will not help."""
    OTHER = auto()
    """Anything else: a mistake in the program."""


ALL_PRIORITIES = (-(2**15), 2**15 - 1)


class ClaimOrder(NamedTuple):
    """What a worker asks for: up to `free` jobs of any kind, then up to `ahead` of the tasks in `short`.

    Only priorities from `priorities[0]` to `priorities[1]`, and no job of the tasks in `refused`. `bound` is a
    (priority, position) before which nothing is to be found. `yielding`: nothing that has a worse priority than
    a queued job of a group. `lone`: how many may be jobs that were lost or crashed before, each of which runs in a
    process of its own; those that are no more of the first so many are left.
    """

    worker: str
    queue: str
    free: int
    ahead: int
    short: Sequence[str]
    now: datetime
    bound: tuple[int, int] | None = None
    priorities: tuple[int, int] = ALL_PRIORITIES
    refused: Sequence[str] = ()
    yielding: bool = False
    lone: int = 2**15 - 1

    def left(self, taken: Iterable[ClaimedJob]) -> ClaimOrder:
        """The same for what may still be taken beside these."""
        jobs = list(taken)
        lone = self.lone - sum(job.crashes > 0 or job.losses > 0 for job in jobs)
        free, over = max(0, self.free - len(jobs)), max(0, len(jobs) - self.free)
        return self._replace(free=free, ahead=max(0, self.ahead - over), lone=max(0, lone))


class HandOver(NamedTuple):
    """Which next jobs of groups the worker that ended one may take in the same transaction.

    Heads of `groups` in one of `queues` (None: of any), of a priority in `priorities`, of one of `tasks`. None that
    was lost or crashed before: there may be only so many of those.
    """

    worker: str
    groups: Sequence[str]
    queues: Sequence[str] | None
    priorities: tuple[int, int]
    tasks: Sequence[str]
    now: datetime


class Life(NamedTuple):
    """A sign of life: `end` takes it away, `forget` only lets go of it, in a process that is not meant."""

    end: Callable[[], None]
    forget: Callable[[], None]


class Driver(NamedTuple):
    """`scheme` is SQLAlchemy's name of it, `module` what is imported, `distribution` what is installed.

    `extra` of ours brings it; None where Python has it.
    """

    scheme: str
    module: str
    distribution: str
    extra: str | None = None


class Dialect(ABC):
    """One database's way of doing things."""

    name: str
    driver: Driver
    single_writer = False
    # The limit of a lock wait belongs to the session: the end of a transaction does not take it back.
    lock_wait_stays = False
    # A caller's transaction sees, by default, what was there when it began to look.
    snapshots = False
    # Inside one statement it finds what follows in an index on what another row says by one probe.
    probes = True
    # It brings whole rows in the order of an index on their ids, however many columns are asked for.
    orders_rows = True
    # For rows that a condition leads to it prefers to walk along all ids, or over the table, unless each is looked up.
    looks_up = False
    # As statements of text say them; Core has them in `conditions`.
    queued_alone = "state = 'queued' AND group_name IS NULL"
    queued_in_group = "state = 'queued' AND group_name IS NOT NULL"

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    @classmethod
    def driver_of(cls, url: URL) -> Driver:
        """The driver that a URL asks for."""
        return cls.driver

    @abstractmethod
    def engine(self, url: URL, *, pooled: bool = False) -> Engine:
        """An engine with everything set on its connections that the rest relies on.

        `pooled`: a pooler hands them around between transactions, so nothing may be left in a session.
        """

    def stored_time(self, moment: datetime) -> Any:
        """A time as the driver is given it by hand."""
        return moment

    def stored_id(self, job_id: str) -> Any:
        """An id as the driver is given it by hand."""
        return job_id

    def read_id(self, stored: Any) -> str:
        """The id that the driver brought."""
        return str(stored)

    def held(self, connection: DriverConnection) -> None:
        """Prepare a connection that one role keeps: each statement commits by itself."""
        return

    def rows(self, connection: DriverConnection, statement: str, values: Sequence[Any] = ()) -> Sequence[Any]:
        """The rows that a statement of text brings, over the driver's own connection."""
        found: Sequence[Any] = connection.execute(statement, values).fetchall()
        return found

    @abstractmethod
    def read_time(self, connection: DriverConnection) -> datetime:
        """The database's present time."""

    @abstractmethod
    def transaction(self, connection: DriverConnection) -> AbstractContextManager[None]:
        """A write transaction on a driver connection; commits at the end, rolls back on an error."""

    @abstractmethod
    def turn(self, urgency: int) -> AbstractContextManager[None]:
        """The right to write, given in order of urgency within this process where writers exclude another."""

    @abstractmethod
    def insert(self, connection: DriverConnection, jobs: Sequence[NewJob], now: datetime) -> None:
        """Insert jobs: queued when due at `now`, else scheduled."""

    @abstractmethod
    def claim(self, connection: DriverConnection, order: ClaimOrder) -> list[ClaimedJob]:
        """Take jobs of one queue, best first. Takes nothing for a worker that was marked dead, nor where a queue is
        paused, or where only so many of its jobs may run at once.
        """

    @abstractmethod
    def settle(
        self, connection: DriverConnection, settlements: Sequence[Settlement], by: str, now: datetime
    ) -> set[str]:
        """End attempts, fenced by (id, attempt) and still running; the ids that were accepted."""

    def hand_over(self, connection: DriverConnection, wanted: HandOver) -> list[ClaimedJob]:
        """In the transaction that ended the holders of these groups: take the next ones, where that is simple.

        Not when the next one's queue is paused or capped, when something of better priority is queued there, or
        when it makes others needless. The groups that are left are advanced in a step of their own.
        """
        return []

    @abstractmethod
    def next_position(self, connection: Connection) -> ColumnElement[int] | int:
        """A new position behind all others, for an UPDATE on this connection in its transaction."""

    @abstractmethod
    def upsert(self, table: Table, keys: Sequence[str], changes: Change, where: Change | None = None) -> Any:
        """An INSERT that changes the row of the same `keys` instead, if there is one.

        `changes(new)` and `where(new)` get the columns of the row that was to be inserted. `changes` names last
        what `where`, or other changes, ask for: some databases assign one after the other.
        """

    @abstractmethod
    def insert_new(self, table: Table) -> Any:
        """An INSERT that leaves rows that are there already as they are."""

    def update_returning(
        self,
        connection: Connection,
        table: Table,
        where: ColumnElement[bool],
        values: Mapping[str, Any],
        columns: Sequence[Any],
        *,
        skip_locked: bool,
    ) -> Sequence[Row[Any]]:
        """Change rows; what these columns, which are not changed, have in them. The first is the table's key.

        With `skip_locked` those that somebody has locked are left out, where there are locks of rows.
        """
        free = select(columns[0]).where(where).with_for_update(key_share=True, skip_locked=skip_locked)
        chosen = columns[0].in_(free) if skip_locked else where
        return connection.execute(update(table).where(chosen).values(**values).returning(*columns)).all()

    @abstractmethod
    def trouble(self, error: BaseException) -> Trouble:
        """What an error of the driver, or of SQLAlchemy around it, means."""

    def limit_lock_wait(self, seconds: float) -> Sequence[str]:
        """Statements after which a transaction waits no longer than that for a lock; the first answers what was
        before.

        What is shorter already stays. None where transactions do not wait for each other's rows.
        """
        return ()

    def restore_lock_wait(self, before: object) -> str:
        """The statement that takes the limit back."""
        raise NotImplementedError

    def waited_in_vain(self, error: BaseException) -> bool:
        """Whether an error means that a lock was not to be had within the limit."""
        return False

    def abandon(self, connection: DriverConnection) -> None:  # noqa: B027 (local databases do not hang)
        """Make a call that hangs on this connection in another thread fail."""

    def proof_of_death(self, worker: str) -> bool | None:
        """True or False when this machine knows whether a worker lives; None when only its lease can tell."""
        return None

    def bury(self, worker: str) -> None:
        """Remove what a dead worker left behind as its sign of life."""
        return

    def forked(self) -> None:
        """Forget in a forked child what belongs to threads of the parent."""
        return

    def hold_life(self, worker: str) -> Life:
        """Show for as long as this process lives that `worker` does."""
        return Life(lambda: None, lambda: None)


CANCELLED_MEANWHILE = "Cancelled on request."
"""Why a job is cancelled that was asked to stop while it ran, and then would have run again."""


KEEPS_SLOT = "('retrying', 'scheduled', 'failed', 'interrupted')"
"""The states in which a job keeps holding its group, where the group's policy is block or stop."""


def slot_state(settlement: Settlement) -> JobState:
    """The state by which a group knows whether its holder lets go: one that waits for others is like one that waits."""
    return JobState.SCHEDULED if settlement.blocked_on == PARENTS else settlement.state


def first_state(job: NewJob, now: datetime) -> str:
    """The state a new job starts in."""
    if job.blocked_on is not None:
        return JobState.BLOCKED
    # A correction of the clock since the job was made must not send what runs at once to the waiting room.
    return JobState.QUEUED if job.run_at <= max(now, job.created_at) else JobState.SCHEDULED


INSERTED = (
    "id", "state", "queue", "priority", "run_at", "expires_at", "max_attempts", "repeatable", "task", "args",
    "codec", "title", "identifier", "owner", "visibility", "tags", "meta", "context", "options", "created_at",
    "group_name", "group_policy", "threshold", "unique_key", "blocked_on", "parents_left", "mac",
)  # fmt: skip
"""The columns an enqueue writes, in the order of `inserted_row`."""


def inserted_row(
    job: NewJob, now: datetime, when: Callable[[datetime], Any], key: Callable[[str], Any]
) -> tuple[Any, ...]:
    """The values of `INSERTED` for one job; `when` turns a time, `key` an id into what the driver stores."""
    return (
        key(job.id), first_state(job, now), job.queue, job.priority, when(job.run_at),
        None if job.expires_at is None else when(job.expires_at), job.max_attempts, job.repeatable, job.task,
        job.args, job.codec, job.title, job.identifier, job.owner, job.visibility, job.tags, job.meta,
        job.context, job.options, when(job.created_at), job.group_name, job.group_policy, job.threshold,
        job.unique_key, job.blocked_on, job.parents_left, job.mac,
    )  # fmt: skip


CLAIMED = (
    "position", "attempt", "task", "args", "codec", "queue", "priority", "tries", "crashes", "losses",
    "max_attempts", "repeatable", "options", "context", "title", "expires_at", "group_name", "group_policy",
    "threshold", "owner", "mac",
)  # fmt: skip
"""What a claim returns after the id, in the order of `ClaimedJob`."""

WAITED = {
    "postgresql": ", greatest(0, extract(epoch FROM j.started_at - j.run_at) * 1000)::bigint",
    "sqlite": ", max(0, (started_at - run_at) / 1000)",
}
"""What it returns last, of the row as it is by then: the milliseconds from when the job could run."""
