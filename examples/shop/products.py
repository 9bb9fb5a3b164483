"""`Products`: the shop's tables, in the same database as its jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from examples.shop.csv_file import Layout, Row

_PAGE = 1_000
_TABLES = """
CREATE TABLE IF NOT EXISTS layouts (
    id INTEGER PRIMARY KEY, columns TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS products (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, price TEXT, status TEXT NOT NULL,
    layout INTEGER NOT NULL, fields TEXT NOT NULL,
    job TEXT NOT NULL, line INTEGER NOT NULL, revision INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, product INTEGER NOT NULL, placed_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS orders_of_product ON orders (product);
"""
# revision counts how often a file has written the product: a batch that was run twice would show.
_WRITE = """
INSERT INTO products (key, name, price, status, layout, fields, job, line, revision)
VALUES (?, ?, ?, 'active', ?, ?, ?, ?, 1)
ON CONFLICT (key) DO UPDATE SET name = excluded.name, price = excluded.price, layout = excluded.layout,
    fields = excluded.fields, job = excluded.job, line = excluded.line, revision = revision + 1
"""
_CHANGE = "UPDATE products SET status = ? WHERE id = ?"
_OPEN = "SELECT count(*) FROM orders WHERE product = ?"
_NOT_A_PRICE = re.compile(r"[^0-9.,-]")

STATUSES = ("active", "archived")


@dataclass(frozen=True, slots=True)
class Product:
    """One product. `fields` are the texts of its columns as they stood in the file, by position."""

    id: int
    key: str
    name: str
    price: Decimal | None
    status: str
    layout: int
    fields: tuple[str, ...]
    open_orders: int
    revision: int

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.name or self.key


@dataclass(frozen=True, slots=True)
class Choice:
    """Which products are meant: these ids, or all that match a search and a status; "" means any.

    `up_to` is the newest product there was when the choice was made: later ones are not meant.
    """

    ids: tuple[int, ...] = ()
    search: str = ""
    status: str = ""
    up_to: int | None = None


class CannotChange(Exception):
    """A rule of the shop is against it; the text says which."""


class Products:
    """Reads on connections of its own; what writes takes the connection of the caller's transaction."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(url, connect_args={"timeout": 20})
        event.listen(self.engine, "connect", _set_up)

    def make_tables(self) -> None:
        """Make the tables unless they are there."""
        with self.engine.begin() as connection:
            for statement in _TABLES.split(";"):
                if statement.strip():
                    connection.exec_driver_sql(statement)

    def page(self, choice: Choice, limit: int, *, after: int = 0, before: int | None = None) -> list[Product]:
        """Products in the order in which they came; with `before` the last ones ahead of that id."""
        where, values = _condition(choice)
        side, order = ("p.id > ?", "ASC") if before is None else ("p.id < ?", "DESC")
        query = f"{_SELECT} WHERE {where} AND {side} ORDER BY p.id {order} LIMIT ?"
        found = self._read(query, (*values, after if before is None else before, limit))
        products = [_product(row) for row in found]
        return products if before is None else products[::-1]

    def each(self, choice: Choice) -> Iterator[Product]:
        """All that are meant, read in pages: no transaction stays open between them."""
        after = 0
        while page := self.page(choice, _PAGE, after=after):
            yield from page
            after = page[-1].id

    def count(self, choice: Choice, limit: int | None = None) -> int:
        """How many are meant; counting stops at `limit`."""
        where, values = _condition(choice)
        most = -1 if limit is None else limit
        query = f"SELECT count(*) FROM (SELECT 1 FROM products p WHERE {where} LIMIT ?)"  # noqa: S608 (our words)
        return int(self._read(query, (*values, most))[0][0])

    def with_keys(self, keys: Iterable[str]) -> Choice:
        """The products of these keys."""
        query = "SELECT id FROM products WHERE key IN (SELECT value FROM json_each(?))"
        return Choice(tuple(row[0] for row in self._read(query, (json.dumps(list(keys)),))) or (0,))

    def newest(self) -> int:
        """The highest id; 0 when there is no product."""
        return int(self._read("SELECT coalesce(max(id), 0) FROM products", ())[0][0])

    def columns(self) -> tuple[list[str], dict[int, list[int]]]:
        """Every column of every file in the order of their coming, and where each layout's fields go."""
        header: list[str] = []
        places: dict[int, list[int]] = {}
        for layout, text in self._read("SELECT id, columns FROM layouts ORDER BY id", ()):
            names = json.loads(text)
            header += [name for name in names if name not in header]
            places[layout] = [header.index(name) for name in names]
        return header, places

    def names_of(self, layouts: Sequence[int]) -> dict[int, list[str]]:
        """The columns of these layouts."""
        query = "SELECT id, columns FROM layouts WHERE id IN (SELECT value FROM json_each(?))"
        return {layout: json.loads(text) for layout, text in self._read(query, (json.dumps(list(layouts)),))}

    def obstacle(self, product: Product, status: str) -> str | None:
        """Why a product cannot be given a status now; None when it can."""
        with self.engine.connect() as connection:
            return _obstacle(connection, product.id, status)

    def change(self, connection: Connection, product: Product, status: str) -> None:
        """Give a product a status. Raises `CannotChange`."""
        reason = _obstacle(connection, product.id, status)
        if reason is not None:
            raise CannotChange(reason)
        connection.exec_driver_sql(_CHANGE, (status, product.id))

    def layout_id(self, connection: Connection, layout: Layout) -> int:
        """The id of these columns, stored at their first coming."""
        text = json.dumps(layout.columns)
        connection.exec_driver_sql("INSERT INTO layouts (columns) VALUES (?) ON CONFLICT DO NOTHING", (text,))
        query = "SELECT id FROM layouts WHERE columns = ?"
        return int(connection.exec_driver_sql(query, (text,)).scalar_one())

    def write(
        self, connection: Connection, rows: Sequence[Row], layout: Layout, layout_id: int, job: str
    ) -> list[tuple[Row, int]]:
        """Store good rows, new or in the place of older ones.

        Rows whose key was on an earlier line of the same file are not stored: they come back with that line.
        """
        seen = self._lines_of(connection, [_key(row, layout) for row in rows], job)
        doubled: list[tuple[Row, int]] = []
        values = []
        for row in rows:
            key = _key(row, layout)
            first = seen.setdefault(key, row.line)
            if first != row.line:
                doubled.append((row, first))
                continue
            name = row.fields[layout.name].strip() if layout.name is not None else ""
            price = _price(row.fields[layout.price]) if layout.price is not None else None
            values.append((key, name, price, layout_id, json.dumps(row.fields), job, row.line))
        if values:
            connection.exec_driver_sql(_WRITE, values)
        return doubled

    def place_order(self, product: int) -> None:
        """A customer orders one."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO orders (product) VALUES (?)", (product,))

    def ship(self, product: int) -> None:
        """Every open order of a product is done."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM orders WHERE product = ?", (product,))

    def _lines_of(self, connection: Connection, keys: list[str], job: str) -> dict[str, int]:
        """Which of these keys the same file has written already, and from which line."""
        query = (
            "SELECT p.key, p.line FROM json_each(?) AS wanted JOIN products p ON p.key = wanted.value WHERE p.job = ?"
        )
        return {row.key: row.line for row in connection.exec_driver_sql(query, (json.dumps(keys), job))}

    def _read(self, query: str, values: tuple[Any, ...]) -> Sequence[Any]:
        with self.engine.connect() as connection:
            return connection.exec_driver_sql(query, values).all()


_SELECT = """
SELECT p.id, p.key, p.name, p.price, p.status, p.layout, p.fields,
       (SELECT count(*) FROM orders o WHERE o.product = p.id) AS open_orders, p.revision
FROM products p"""


def _product(row: Any) -> Product:
    price = Decimal(row.price) if row.price is not None else None
    fields = tuple(json.loads(row.fields))
    return Product(row.id, row.key, row.name, price, row.status, row.layout, fields, row.open_orders, row.revision)


def _condition(choice: Choice) -> tuple[str, tuple[Any, ...]]:
    parts: list[str] = ["1"]
    values: list[Any] = []
    if choice.ids:
        parts.append("p.id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(choice.ids))
    if choice.search:
        pattern = "%" + re.sub(r"([%_\\])", r"\\\1", choice.search) + "%"
        parts.append(r"(p.key LIKE ? ESCAPE '\' OR p.name LIKE ? ESCAPE '\')")
        values += [pattern, pattern]
    if choice.status:
        parts.append("p.status = ?")
        values.append(choice.status)
    if choice.up_to is not None:
        parts.append("p.id <= ?")
        values.append(choice.up_to)
    return " AND ".join(parts), tuple(values)


def _obstacle(connection: Connection, product: int, status: str) -> str | None:
    if status != "archived":
        return None
    orders = connection.exec_driver_sql(_OPEN, (product,)).scalar_one()
    if not orders:
        return None
    return f"It has {orders} open order{'s' if orders > 1 else ''}. Ship first."


def _key(row: Row, layout: Layout) -> str:
    return row.fields[layout.key].strip()


def _price(text: str) -> str | None:
    """A price as people write it: 1,299.00 or 1.299,00 or € 12; None when it is none."""
    digits = _NOT_A_PRICE.sub("", text)
    if "," in digits and digits.rfind(",") > digits.rfind(".") and len(digits) - digits.rfind(",") != 4:
        digits = digits.replace(".", "").replace(",", ".")
    try:
        return str(Decimal(digits.replace(",", "")).quantize(Decimal("0.01")))
    except InvalidOperation:
        return None


def _set_up(connection: Any, record: Any) -> None:
    # As the engine of the jobs does: readers do not wait for the writer, and a commit is on the disk.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
