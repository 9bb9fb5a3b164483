"""`Health`: questions about the database itself, for `backburner doctor`. Reads only."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from backburner.clock import boot_seconds

if TYPE_CHECKING:
    from datetime import datetime

    from backburner.store.store import Store


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """An SQLite file: sizes in bytes, `wal` of the write-ahead log beside it."""

    path: Path
    exists: bool
    size: int = 0
    wal: int = 0
    writable: bool = True
    folder_writable: bool = True
    open_to_others: bool = False


@dataclass(frozen=True, slots=True)
class OldSnapshot:
    """A PostgreSQL session that keeps dead rows from being cleaned away. `age` is seconds."""

    pid: int
    application: str
    state: str
    age: float


_VERSION = {
    "sqlite": ("SELECT sqlite_version()", "SQLite"),
    "postgresql": ("SHOW server_version", "PostgreSQL"),
    "mysql": ("SELECT version()", "MySQL"),
}


class Health:
    """Asks what a store is in; every method but `file` may raise `StoreUnavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def file(self) -> DatabaseFile | None:
        """The file behind the store; None when a server keeps the rows. Connects to nothing."""
        if not self._store.dialect.single_writer:
            return None
        path = Path(self._store.url.database or "").absolute()
        folder_writable = os.access(path.parent, os.W_OK)
        try:
            found = path.stat()
        except FileNotFoundError:
            return DatabaseFile(path, exists=False, folder_writable=folder_writable)
        wal = path.with_name(path.name + "-wal")
        return DatabaseFile(
            path,
            exists=True,
            size=found.st_size,
            wal=wal.stat().st_size if wal.exists() else 0,
            writable=os.access(path, os.W_OK),
            folder_writable=folder_writable,
            open_to_others=bool(found.st_mode & (stat.S_IRWXO)),
        )

    def server(self) -> tuple[str, float]:
        """Name and version of the database, and how long the question took, in seconds."""
        query, name = _VERSION[self._store.dialect.name]
        self._ask(query)
        asked = boot_seconds()
        version = self._ask(query)[0][0]
        if "MariaDB" in str(version):
            name, version = "MariaDB", str(version).partition("-")[0]
        return f"{name} {str(version).split()[0]}", boot_seconds() - asked

    def time(self) -> datetime:
        """What the database takes for the present."""
        lane = self._store.lane(0)
        try:
            return lane.run(self._store.dialect.read_time, read_only=True)
        finally:
            lane.close()

    def old_snapshots(self, seconds: float) -> list[OldSnapshot]:
        """Sessions of this PostgreSQL server that have held a snapshot for longer; the oldest first.

        A server shows the sessions of other users only to roles that may see them.
        """
        if self._store.dialect.name != "postgresql":
            return []
        query = (
            "SELECT pid, coalesce(application_name, ''), coalesce(state, ''), "
            "extract(epoch FROM clock_timestamp() - xact_start) AS age FROM pg_stat_activity "
            "WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend' "
            "AND xact_start < clock_timestamp() - make_interval(secs => :seconds) ORDER BY age DESC"
        )
        return [OldSnapshot(row[0], row[1], row[2], float(row[3])) for row in self._ask(query, seconds=seconds)]

    def _ask(self, query: str, **values: Any) -> list[Any]:
        def work(connection: Connection) -> list[Any]:
            return list(connection.execute(text(query), values))

        return self._store.read(work)
