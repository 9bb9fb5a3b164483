"""What the shop does in the background: `jobs`, and its three tasks."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from backburner import Backburner, JobContext, PermanentError, current_job
from backburner.tracking import Guard
from examples.shop.csv_file import CsvFile, Layout, Place, Row
from examples.shop.csv_text import look_at
from examples.shop.folder import Folder
from examples.shop.products import Choice, Product, Products

BATCH = int(os.environ.get("SHOP_BATCH", "1000"))
"""Rows of one transaction. The demo that runs by itself makes it small, to have time to kill the worker."""
STATUS_COLUMN = "shop_status"
MOST_WRONG_ROWS = 1_000
_CHANGES = 100
_BATCH_BYTES = 4_194_304
_LOG_ROWS = 1_000

folder = Folder.of(os.environ)
jobs = Backburner(folder.url, files=folder.downloads, auto_migrate=True)
products = Products(folder.url)


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import ended: rows stored, rows that were wrong."""

    rows: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far an import is. It is stored in the transaction of the rows it counts."""

    place: Place
    rows: int
    wrong: int

    @classmethod
    def of(cls, stored: list[int] | None, start: Place) -> Cursor:
        """From a checkpoint; from the first row when there is none."""
        if stored is None:
            return cls(start, 0, 0)
        offset, line, rows, wrong = stored
        return cls(Place(offset, line), rows, wrong)

    def stored(self) -> list[int]:
        """As a checkpoint."""
        return [self.place.offset, self.place.line, self.rows, self.wrong]


@jobs.task(title="Import {name}")
def import_products(upload: str, name: str) -> Imported:
    """Read an uploaded CSV file. Killed at any place, it goes on behind the last row that was stored."""
    job, path = running_job(), folder.upload(upload)
    if not path.exists():
        raise PermanentError("The uploaded file is not kept any more. Send it again.")
    text = look_at(path)
    with CsvFile(text) as file:
        cursor = Cursor.of(job.last_checkpoint, file.layout.rows_at)
        job.expect(max(text.lines - 1, 1), "rows")
        job.advance(cursor.rows + cursor.wrong)
        job.log(f"{len(file.layout.columns)} columns, key is {file.layout.columns[file.layout.key]!r}")
        if job.attempt > 1 and cursor.rows:
            job.log(f"going on from line {cursor.place.line:,}")
        cursor = _read_rows(job, file, cursor)
    # Lines were counted, some were empty or belong to a longer row.
    job.expect(cursor.rows + cursor.wrong)
    ended = Imported(cursor.rows, cursor.wrong)
    with job.transaction():
        job.finish(ended)
    # Only now: a worker killed before this line would need the file once more.
    for used in {path, text.path}:
        used.unlink(missing_ok=True)
    return ended


def _read_rows(job: JobContext, file: CsvFile, cursor: Cursor) -> Cursor:
    rows = file.rows(cursor.place)
    reported = cursor.rows // _LOG_ROWS
    for batch in _batches(rows, cursor.place.offset):
        with job.transaction() as connection:
            cursor = _store(job, connection, batch, file.layout, cursor)
        if cursor.rows // _LOG_ROWS > reported:
            reported = cursor.rows // _LOG_ROWS
            job.log(f"{cursor.rows:,} rows stored")
        if cursor.wrong > MOST_WRONG_ROWS:
            raise PermanentError(
                f"More than {MOST_WRONG_ROWS:,} rows are wrong; the {cursor.rows:,} good ones before line "
                f"{cursor.place.line:,} are stored. Correct the file and send it again."
            )
    return cursor


def _batches(rows: Iterator[Row], offset: int) -> Iterator[list[Row]]:
    """Rows for one transaction each: not too many, and not too long together."""
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) >= BATCH or row.next.offset - offset > _BATCH_BYTES:
            yield batch
            batch, offset = [], row.next.offset
    if batch:
        yield batch


def _store(job: JobContext, connection: Connection, batch: list[Row], layout: Layout, cursor: Cursor) -> Cursor:
    good = [row for row in batch if row.problem is None]
    wrong = [(row.line, row.problem) for row in batch if row.problem is not None]
    layout_id = products.layout_id(connection, layout)
    for row, first in products.write(connection, good, layout, layout_id, job.id or ""):
        key = row.fields[layout.key]
        wrong.append((row.line, f"{layout.columns[layout.key]} {key!r} was on line {first:,} already."))
    for line, problem in sorted(wrong):
        job.item_failed(f"line {line:,}", problem)
        job.log(f"line {line:,}: {problem}")
    after = Cursor(batch[-1].next, cursor.rows + len(batch) - len(wrong), cursor.wrong + len(wrong))
    job.advance(len(batch))
    job.checkpoint(after.stored())
    return after


@jobs.task(title="Set status of products")
def set_status(choice: Choice, status: str) -> int:
    """Change products; those that cannot be changed are told one by one. How many were changed."""
    job = running_job()
    if job.only_items is not None:
        # "Retry those 3": nobody looks at the others again.
        choice = products.with_keys(job.only_items)
    # No checkpoint is needed: a status that is set again is the same.
    guards = job.track(
        products.each(choice), total=products.count(choice), unit="products", key=_key_of, on_error="collect"
    )
    changed, more = 0, True
    while more:
        with job.transaction() as connection:
            count, more = _change_some(job, connection, guards, status)
        changed += count
    job.log(f"{changed:,} products are {status} now")
    return changed


def _key_of(product: Product) -> str:
    return product.key


def _change_some(
    job: JobContext, connection: Connection, guards: Iterator[Guard[Product]], status: str
) -> tuple[int, bool]:
    """Change the next hundred; how many were, and whether there may be more."""
    changed, looked_at = 0, 0
    # Between two products it is asked whether to stop, so that what is done already is kept and counted.
    while looked_at < _CHANGES and not job.cancel_requested:
        guard = next(guards, None)
        if guard is None:
            return changed, False
        looked_at += 1
        with guard as product:
            products.change(connection, product, status)
            changed += 1
    return changed, True


@jobs.task(title="Export products")
def export_products(choice: Choice) -> int:
    """Write a CSV file with the columns the products came with, and their status. How many there are."""
    job = running_job()
    header, places = products.columns()
    header += [STATUS_COLUMN] * (STATUS_COLUMN not in header)
    status_place = header.index(STATUS_COLUMN)
    found = job.track(products.each(choice), total=products.count(choice), unit="products")
    count = 0
    with tempfile.TemporaryFile(dir=folder.path) as file:
        # Spreadsheets know UTF-8 by its mark.
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        writer = csv.writer(text)
        writer.writerow(header)
        for count, product in enumerate(found, 1):
            row = [""] * len(header)
            for place, value in zip(places[product.layout], product.fields, strict=True):
                row[place] = value
            row[status_place] = product.status
            writer.writerow(row)
            if count % _LOG_ROWS == 0:
                job.log(f"{count:,} rows written")
        text.flush()
        file.seek(0)
        job.attach(file, "products.csv", "text/csv")
        text.detach()
    return count


def running_job() -> JobContext:
    """The job this runs in."""
    job = current_job()
    if job is None:
        raise RuntimeError("this is a part of a task: enqueue the task")
    return job
