"""`Store`: one database, its tables made ready, and the doors to everything that is stored."""

from __future__ import annotations

import importlib.util
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy
from sqlalchemy import URL, Connection, RootTransaction

from backburner.clock import DatabaseClock, boot_seconds
from backburner.errors import InvalidUrl, MissingExtra, SchemaMissing, SchemaTooNew
from backburner.job import NewJob
from backburner.seal import sealing
from backburner.store import dialects, versions
from backburner.store.attachments import Attachments
from backburner.store.audit import AuditRows
from backburner.store.callers import Callers
from backburner.store.claims import Claims
from backburner.store.commit_watch import CommitWatch
from backburner.store.connections import Connections
from backburner.store.dependencies import Dependencies
from backburner.store.dialects.base import Driver, DriverConnection
from backburner.store.edits import Edits
from backburner.store.failures import Failures
from backburner.store.fork import forget_after_fork
from backburner.store.grants import Grants
from backburner.store.groups import Groups
from backburner.store.inserts import Inserts
from backburner.store.jobs import Jobs
from backburner.store.keys import Keys
from backburner.store.lane import OTHER, Lane
from backburner.store.limits import Limits
from backburner.store.locks import Locks
from backburner.store.progress import ProgressRows
from backburner.store.queues import Queues
from backburner.store.reports import Reports
from backburner.store.rollups import Rollups
from backburner.store.runtime import RuntimeRows
from backburner.store.schedules import Schedules
from backburner.store.schema import described
from backburner.store.search import Search
from backburner.store.single import Single
from backburner.store.standing import Standing
from backburner.store.upkeep import Upkeep
from backburner.store.views import Views
from backburner.store.waits import Waits
from backburner.store.workers import Workers
from backburner.vault import Vault

if TYPE_CHECKING:
    from backburner.settings import Settings

T = TypeVar("T")


class Store:
    """One database with Backburner's tables.

    `clock` is the database's time; it is read when the first own connection is made and at each beat.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str | None = None,
        prefix: str = "backburner_",
        auto_migrate: bool | None = None,
        pooled: bool = False,
    ) -> None:
        self.url = _parse(url)
        kind = dialects.of(self.url)
        self.driver = kind.driver_of(self.url)
        _require(self.driver, self.url)
        self.schema = described(kind.name, schema, prefix)
        self.dialect = kind(self.schema)
        self.pooled = pooled
        self.engine = self.dialect.engine(self.url.set(drivername=self.driver.scheme), pooled=pooled)
        self.clock = DatabaseClock()
        self._connections = Connections(self.engine, self.dialect, self.shown_url)
        self._auto_migrate = self.dialect.single_writer if auto_migrate is None else auto_migrate
        self._ready = False
        self._ready_lock = threading.Lock()
        self.sealed: Callable[[NewJob], NewJob] = lambda job: job
        """Signs the jobs that are made here: those of schedules."""
        self.vault = Vault(())
        """Encrypts what is secret in their arguments."""
        self.jobs = Jobs(self)
        self.claims = Claims(self)
        self.progress = ProgressRows(self)
        self.workers = Workers(self)
        self.upkeep = Upkeep(self)
        self.locks = Locks(self)
        self.queues = Queues(self)
        self.limits = Limits(self)
        self.single = Single(self)
        self.groups = Groups(self)
        self.dependencies = Dependencies(self)
        self.schedules = Schedules(self)
        self.waits = Waits(self)
        self.attachments = Attachments(self)
        self.grants = Grants(self)
        self.keys = Keys(self)
        self.inserts = Inserts(self)
        self.edits = Edits(self)
        self.callers = Callers(self)
        self.reports = Reports(self)
        self._open_reports()
        forget_after_fork(self)

    def _open_reports(self) -> None:
        """The doors of those who watch and operate."""
        self.failures = Failures(self)
        self.search = Search(self)
        self.standing = Standing(self)
        self.rollups = Rollups(self)
        self.audit = AuditRows(self)
        self.runtime = RuntimeRows(self)
        self.views = Views(self)

    @classmethod
    def of(cls, settings: Settings) -> Store:
        """The store that the settings name."""
        made = cls(
            settings.url,
            schema=settings.schema,
            prefix=settings.table_prefix,
            auto_migrate=settings.auto_migrate,
            pooled=settings.pooled,
        )
        made.sealed, made.vault = sealing(settings), Vault(settings.secrets)
        return made

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    def ready(self) -> None:
        """Make sure that the tables are there, once per process.

        Migrates where that is allowed, in a transaction of its own. Raises `SchemaMissing`, `SchemaTooNew`
        and `StoreUnavailable`.
        """
        if not self._ready:
            with self._ready_lock:
                self._make_ready()

    def version(self) -> str | None:
        """The version of the tables that are there; None when there are none."""
        return self._connections.run(lambda connection: versions.found(connection, self.schema), read_only=True)

    def migrate(self, to: str = versions.NEEDED) -> None:
        """Bring the tables up to a version, this release's unless said, in one transaction, one process at a time."""
        self._connections.run(lambda connection: versions.upgrade(connection, self.schema, to))

    def migration_sql(self) -> str:
        """The statements that `migrate` would run, for someone else to run them."""
        return versions.as_sql(self.engine, self.schema, self.version())

    def step_sql(self, version: str) -> str:
        """The statements that make the tables of a version out of those of the one before it."""
        return versions.as_sql(self.engine, self.schema, versions.before(version), version)

    def run(self, work: Callable[[Connection], T], urgency: int = OTHER, patience: float | None = None) -> T:
        """Run `work` in a write transaction of our own; repeated when another one was in the way.

        With `patience` it waits so many seconds for another writer, once, where there is one at a time.
        """
        self.ready()
        return self._connections.run(work, urgency=urgency, patience=patience)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that only reads."""
        self.ready()
        return self._connections.run(work, read_only=True)

    def lane(self, urgency: int) -> Lane:
        """A connection of its own for a role that keeps it. Close it in the end."""
        self.ready()
        return self._connections.lane(urgency)

    def watch_commits(self) -> CommitWatch:
        """For SQLite: a way to notice what other processes commit."""
        self.ready()
        return self._connections.watch_commits()

    def used(self) -> AbstractContextManager[None]:
        """To be entered by whoever uses a connection: a fork waits for its end, on databases that need it."""
        return self._connections.used()

    def apart(self, seconds: float) -> AbstractContextManager[bool]:
        """Fork inside: no connection is open, nor opened, meanwhile, where that would harm the child.

        False when calls under way did not end within `seconds`: then it is no moment to fork.
        """
        return self._connections.apart(seconds)

    def borrowed_lane(self) -> AbstractContextManager[Lane]:
        """A lane for one short piece of work of an application thread."""
        self.ready()
        return self._connections.borrowed_lane()

    def begin(self) -> RootTransaction:
        """A write transaction that lasts as long as the caller likes, who closes its connection and is `used`
        meanwhile; only its beginning is repeated. Raises `StoreUnavailable`.
        """
        return self._connections.begin()

    def abandon_overdue(self, seconds: float) -> None:
        """Make calls fail that have been waiting for the database for longer than that."""
        self._connections.abandon_overdue(seconds)

    def read_clock(self, lane: Lane) -> None:
        """Read the database's time over a lane."""
        asked, moment, answered = lane.run(self._timed, read_only=True)
        self.clock.read(moment, asked, answered)

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def forget(self) -> None:
        """In a forked child: leave the parent's connections alone and start with none."""
        self._ready_lock = threading.Lock()
        self._connections.forget()

    def _make_ready(self) -> None:
        if self._ready:
            return
        self._read_first_clock()
        found = self.version()
        if found != versions.NEEDED and self._auto_migrate and not versions.is_newer(found):
            self.migrate()
            found = self.version()
        if found is not None and versions.is_newer(found):
            if not versions.can_work_with(found):
                raise SchemaTooNew(self.shown_url, found, versions.NEEDED)
        elif found != versions.NEEDED:
            raise SchemaMissing(self.shown_url, found, versions.NEEDED)
        self._ready = True

    def _timed(self, connection: DriverConnection) -> tuple[float, datetime, float]:
        asked = boot_seconds()
        moment = self.dialect.read_time(connection)
        return asked, moment, boot_seconds()

    def _read_first_clock(self) -> None:
        lane = self._connections.lane(OTHER)
        try:
            self.read_clock(lane)
        finally:
            lane.close()


def _parse(url: str) -> URL:
    try:
        return sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        # What cannot be parsed may hold a password anywhere before an @.
        shown = re.sub(r":[^:@/]*@", ":***@", url)
        raise InvalidUrl(
            shown, "is no database URL", "Write it like sqlite:///jobs.db or postgresql://user@host/database"
        ) from error


def _require(driver: Driver, url: URL) -> None:
    if driver.extra is not None and importlib.util.find_spec(driver.module) is None:
        raise MissingExtra(driver.distribution, driver.extra, f"a {url.get_backend_name()} database")
