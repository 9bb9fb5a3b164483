"""`Channel`: statements of SQLAlchemy Core over a connection of either kind, SQLAlchemy's own or a driver's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import ClauseElement, Connection, Executable, Select

from backburner.store.dialects.base import DriverConnection

if TYPE_CHECKING:
    from backburner.store.store import Store

_SAVEPOINT = "backburner"
_NO_TRANSACTION = "25P01"
_NO_SAVEPOINT = 1305


class Channel(Protocol):
    """A connection inside a transaction."""

    @property
    def driver(self) -> DriverConnection:
        """The connection of its driver."""
        ...

    def rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        """What a query finds, by the names of its columns."""
        ...

    def change(self, statement: Executable) -> int:
        """Execute; how many rows it touched."""
        ...

    def many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute once per row of values."""
        ...

    def say(self, text: str) -> list[tuple[Any, ...]]:
        """Execute a text without values; the rows of its answer, if it gives one."""
        ...


class CoreChannel:
    """A SQLAlchemy connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def driver(self) -> DriverConnection:
        return self._connection.connection.driver_connection

    def rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        return [dict(row._mapping) for row in self._connection.execute(query)]

    def change(self, statement: Executable) -> int:
        # Of an INSERT SQLAlchemy keeps the number of rows only when it is told to.
        return self._connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount

    def many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        self._connection.execute(statement, list(rows))

    def say(self, text: str) -> list[tuple[Any, ...]]:
        result = self._connection.exec_driver_sql(text)
        return [tuple(row) for row in result] if result.returns_rows else []


class DriverChannel:
    """A plain DB-API connection, whose module writes parameters in `style`."""

    def __init__(self, store: Store, connection: DriverConnection, style: str) -> None:
        self.driver = connection
        # Of the same kind as our own, whichever driver the caller's is: only the style of parameters differs.
        self._dialect = type(store.engine.dialect)(paramstyle=style)  # type: ignore[call-arg]
        self._when = store.dialect.stored_time
        # MySQL's ids are bytes: what a value is to be is said by the type of what it is compared with.
        self._typed = store.dialect.name == "mysql"

    def rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        text, bind = self._compiled(query, {})
        with closing(self.driver.cursor()) as cursor:
            cursor.execute(text, bind({}))
            kinds = [column[1] for column in cursor.description]
            found = [tuple(row.values()) if isinstance(row, Mapping) else tuple(row) for row in cursor.fetchall()]
        columns = [
            (name, column.type.dialect_impl(self._dialect).result_processor(self._dialect, kind))
            for (name, column), kind in zip(query.selected_columns.items(), kinds, strict=True)
        ]
        return [
            {
                name: value if read is None or value is None else read(value)
                for (name, read), value in zip(columns, row, strict=True)
            }
            for row in found
        ]

    def change(self, statement: Executable) -> int:
        text, bind = self._compiled(statement, {})
        with closing(self.driver.cursor()) as cursor:
            cursor.execute(text, bind({}))
            return int(cursor.rowcount)

    def many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        text, bind = self._compiled(statement, rows[0])
        with closing(self.driver.cursor()) as cursor:
            cursor.executemany(text, [bind(row) for row in rows])

    def say(self, text: str) -> list[tuple[Any, ...]]:
        with closing(self.driver.cursor()) as cursor:
            cursor.execute(text)
            if cursor.description is None:
                return []
            return [tuple(row.values()) if isinstance(row, Mapping) else tuple(row) for row in cursor.fetchall()]

    def _compiled(
        self, statement: Executable, row: Mapping[str, Any]
    ) -> tuple[str, Callable[[Mapping[str, Any]], Any]]:
        """The text of a statement, and how to make its parameters of a row of values like this one."""
        assert isinstance(statement, ClauseElement)
        compiled: Any = statement.compile(
            dialect=self._dialect, column_keys=list(row) or None, compile_kwargs={"render_postcompile": True}
        )
        fixed = compiled.params
        typed: dict[str, Callable[[Any], Any]] = {}
        if self._typed:
            expanded = compiled._post_compile_expanded_state
            typed = {**compiled._bind_processors, **(expanded.processors if expanded else {})}
        names = compiled.positiontup if compiled.positional else list(fixed)

        def bind(values: Mapping[str, Any]) -> Any:
            said = [(name, values.get(name, fixed[name])) for name in names]
            found = [typed[name](value) if name in typed else self._stored(value) for name, value in said]
            return found if compiled.positional else dict(zip(names, found, strict=True))

        return str(compiled), bind

    def _stored(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return self._when(value)
        # A word of an enumeration: some drivers look at the class.
        return str(value) if isinstance(value, str) else value


@contextmanager
def savepoint(channel: Channel, *, single_writer: bool, probed: bool) -> Iterator[None]:
    """All that is done inside is there in the caller's transaction, or nothing; its transaction goes on."""
    if single_writer:
        _begun(channel)
    release = f"RELEASE SAVEPOINT {_SAVEPOINT}"
    end, undo = release, [f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}", release]
    try:
        channel.say(f"SAVEPOINT {_SAVEPOINT}")
        if probed:
            # MySQL forgets a savepoint outside of a transaction without a word: letting go of it tells.
            channel.say(release)
            channel.say(f"SAVEPOINT {_SAVEPOINT}")
    except Exception as error:
        orig = getattr(error, "orig", None) or error
        codes = (getattr(orig, "sqlstate", None), getattr(orig, "pgcode", None), *getattr(orig, "args", ())[:1])
        if _NO_TRANSACTION not in codes and _NO_SAVEPOINT not in codes:
            raise
        # The connection commits each statement by itself: then these belong together all the same.
        channel.say("BEGIN")
        end, undo = "COMMIT", ["ROLLBACK"]
    try:
        yield
    except BaseException:
        # What broke the transaction, or the connection, has taken the savepoint with it.
        with suppress(Exception):
            for text in undo:
                channel.say(text)
        raise
    channel.say(end)


def _begun(channel: Channel) -> None:
    """Begin the caller's transaction on SQLite where his driver would at his next write.

    It does not for SAVEPOINT: that would be a transaction of its own, and its release a commit.
    """
    channel.say("SELECT 1")
    driver = channel.driver
    by_itself = getattr(driver, "isolation_level", None) is None or getattr(driver, "autocommit", None) is True
    if not by_itself and getattr(driver, "in_transaction", True) is False:
        channel.say("BEGIN IMMEDIATE")
