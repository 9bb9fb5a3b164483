"""How the database goes about a statement of the store, without running it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from sqlalchemy import event

from backburner.store.store import Store

Parameters = Mapping[str, Any] | Sequence[Any]
AROUND = ("BEGIN", "PRAGMA", "SELECT current_setting", "SELECT @@", "SET SESSION")
"""How statements begin that look at no table: the transaction's beginning, and how long it waits for others."""
EXPLAIN = {"postgresql": "EXPLAIN", "sqlite": "EXPLAIN QUERY PLAN", "mysql": "EXPLAIN"}


class Seen(Exception):
    """Thrown instead of running a statement, as soon as it is known."""


class Nothing:
    """The answer of a statement that was not run."""

    rowcount = 0

    def fetchall(self) -> list[Any]:
        return []

    def fetchone(self) -> None:
        return None

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class Explainer:
    """Stands in for a driver connection, and for the lane that holds one: explains what it is given."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.statements: list[tuple[str, Parameters]] = []

    def run(self, work: Callable[[Any], Any], **options: object) -> Any:
        return work(self)

    def execute(self, statement: str, parameters: Parameters = ()) -> Nothing:
        self.statements.append((statement, parameters))
        return Nothing()

    def executemany(self, statement: str, rows: Sequence[Parameters]) -> Nothing:
        return self.execute(statement, rows[0])

    # What drivers have that go by cursors.

    def begin(self) -> None: ...

    def commit(self) -> None: ...

    def cursor(self) -> "ExplainedCursor":
        return ExplainedCursor(self)

    def plans(self) -> list[str]:
        return [plan(self._store, *each) for each in self.statements]


class ExplainedCursor:
    """The cursor of an `Explainer`. A question without a table in its answer is answered with one row: yes."""

    rowcount = 0

    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer
        self._asked = ""

    def execute(self, statement: str, parameters: Parameters = ()) -> None:
        self._asked = statement
        self._explainer.execute(statement, parameters)

    def executemany(self, statement: str, rows: Sequence[Parameters]) -> None:
        self.execute(statement, rows[0])

    def fetchall(self) -> Sequence[Any]:
        return [(1,)] if self._asked.startswith("SELECT 1 ") else []

    def close(self) -> None: ...


def plan(store: Store, statement: str, parameters: Parameters) -> str:
    """The database's plan for a statement and these values."""
    with store.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        query: Any = f"{EXPLAIN[store.dialect.name]} {statement}"
        rows = store.dialect.rows(driver, query, parameters)  # type: ignore[arg-type]
    return "\n".join(table_row(row) if store.dialect.name == "mysql" else str(row[-1]) for row in rows)


def table_row(row: Sequence[Any]) -> str:
    """A row of MariaDB's plan: how a table is gone through, by which index, and what is done besides."""
    _, kind, table, way, _, key, _, _, rows, extra = row
    return f"{kind}: {table} {way} by {key}, about {rows} rows; {extra}"


def generic_plan(store: Store, statement: str, parameters: Parameters) -> str:
    """PostgreSQL's plan for any values: what it may switch to once a statement is prepared."""
    names = list(parameters) if isinstance(parameters, Mapping) else list(range(len(parameters)))
    numbers = {name: f"${place}" for place, name in enumerate(names, 1)}
    counted = iter(numbers.values())
    prepared = re.sub(r"%(?:\((\w+)\))?s", lambda found: numbers[found[1]] if found[1] else next(counted), statement)
    values = [parameters[name] for name in names]  # type: ignore[index]
    with store.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        cursor = psycopg.ClientCursor(driver)
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE guarded AS {prepared}")
        marks = ", ".join(["%s"] * len(values))
        rows = cursor.execute(f"EXPLAIN EXECUTE guarded ({marks})", values).fetchall()
        cursor.execute("DEALLOCATE guarded")
    return "\n".join(str(row[0]) for row in rows)


def plan_of(store: Store, door: Callable[[], object], after: int = 0, *, any_values: bool = False) -> str:
    """The plan of the statement that a door sends through the pool, after this many that may run.

    `any_values`: the plan that PostgreSQL may keep for all of them, instead of the one for these.
    """
    sent: list[tuple[str, Parameters]] = []

    def see(connection: object, cursor: object, statement: str, parameters: Parameters, *rest: object) -> None:
        if statement.startswith(AROUND):
            return
        sent.append((statement, parameters))
        if len(sent) > after:
            raise Seen

    event.listen(store.engine, "before_cursor_execute", see)
    try:
        door()
    except Seen:
        pass
    finally:
        event.remove(store.engine, "before_cursor_execute", see)
    assert len(sent) > after, "the door sent nothing"
    explained = generic_plan if any_values and store.dialect.name == "postgresql" else plan
    return explained(store, *sent[after])


def plans_of(store: Store, door: Callable[[], object], table: str) -> list[str]:
    """The plans of all statements about a table that a door sends through the pool; they run."""
    sent: list[tuple[str, Parameters]] = []

    def see(connection: object, cursor: object, statement: str, parameters: Parameters, *rest: object) -> None:
        if table in statement:
            sent.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", see)
    try:
        door()
    finally:
        event.remove(store.engine, "before_cursor_execute", see)
    assert sent, "the door sent nothing"
    return [plan(store, *each) for each in sent]
