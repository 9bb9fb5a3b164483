"""50,000 rows in tables of each kind of database, for those who look at plans."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from backburner.store.lane import OTHER
from backburner.store.store import Store
from backburner.store.types import to_microseconds
from tests.store.scene import START, HandClock, Scene

SERIES = {
    "postgresql": "SELECT n FROM generate_series(1, 50000) AS s(n)",
    "mysql": "SELECT seq AS n FROM seq_1_to_50000",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT 50000) SELECT n FROM s",
}
_SERVERS = {"postgresql": "postgres", "mariadb": "mariadb"}


def values(dialect: str) -> dict[str, str]:
    """The database's own words for what statements leave open beside `series`."""
    worker, day = "'01900000-0000-7000-8000-00000000000' || (n % 8)", START + timedelta(days=1)
    words = {"task": "'task' || (n % 7)", "thing": "'thing:' || n", "user": "'user:' || (n % 1000)"}
    if dialect == "mysql":
        return {
            "id": "UNHEX(CONCAT('01900000000070009000', LPAD(n, 12, '0')))",
            "worker": "UNHEX(CONCAT('0190000000007000800000000000000', n % 8))",
            "now": f"TIMESTAMP'{START.replace(tzinfo=None)}'",
            "later": f"TIMESTAMP'{day.replace(tzinfo=None)}'",
            "task": "CONCAT('task', n % 7)",
            "thing": "CONCAT('thing:', n)",
            "user": "CONCAT('user:', n % 1000)",
        }
    if dialect == "postgresql":
        return words | {
            "id": "CAST('01900000-0000-7000-9000-' || lpad(n::text, 12, '0') AS uuid)",
            "worker": f"CAST({worker} AS uuid)",
            "now": f"TIMESTAMPTZ '{START.isoformat()}'",
            "later": f"TIMESTAMPTZ '{day.isoformat()}'",
        }
    return words | {
        "id": "printf('01900000-0000-7000-9000-%012d', n)",
        "worker": worker,
        "now": str(to_microseconds(START)),
        "later": str(to_microseconds(day)),
    }


def run(store: Store, connection: Any, statement: str) -> None:
    if store.dialect.name == "mysql":
        store.dialect.rows(connection, statement)
    else:
        connection.execute(statement)


def fill(store: Store, statements: Sequence[str], tables: Sequence[str]) -> None:
    """Run the statements, with the database's own words in them, and have it look at these tables."""
    lane, name = store.lane(OTHER), store.dialect.name
    for statement in statements:
        text = statement.format(series=SERIES[name], **values(name))
        lane.run(lambda connection, text=text: run(store, connection, text))  # type: ignore[misc]
    for table in tables:
        look = {"mysql": f"ANALYZE TABLE backburner_{table}", "postgresql": f"VACUUM ANALYZE backburner_{table}"}
        if name in look:
            lane.run(lambda connection, text=look[name]: run(store, connection, text), atomic=False)  # type: ignore[misc]


def filled(
    request: pytest.FixtureRequest, folders: pytest.TempPathFactory, statements: Sequence[str], tables: Sequence[str]
) -> Iterator[Scene]:
    """A filled database of the kind that is the fixture's parameter, dropped behind the last test."""
    server = request.getfixturevalue(_SERVERS[request.param]) if request.param in _SERVERS else None
    url = server.create_database() if server else f"sqlite:///{folders.mktemp('plans') / 'jobs.db'}"
    store, clock = Store(url, auto_migrate=True), HandClock()
    store.clock = clock
    store.ready()
    fill(store, statements, tables)
    yield Scene(store, clock)
    store.close()
    if server:
        server.drop_database(url)
