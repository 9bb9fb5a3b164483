"""SQLite: noticing that somebody has committed."""

from __future__ import annotations

from backburner.store.dialects.base import DriverConnection
from backburner.store.lane import Lane


class CommitWatch:
    """Notices commits of other connections: a look takes no lock and reads no table."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def version(self) -> int:
        """A number that changes when another connection has committed. Raises `StoreUnavailable`."""
        return self._lane.run(_version, read_only=True)

    def close(self) -> None:
        """Close the connection; the next look opens another."""
        self._lane.close()


def _version(connection: DriverConnection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
