"""The demo without a person: imports two real files, kills the worker in the middle, changes, exports, compares."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import re
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from backburner import Backburner
from examples.shop.folder import Folder
from examples.shop.processes import Processes
from examples.shop.visitor import Visitor, job_in

_BATCH = 4
"""Rows of one transaction: so few that an import of 3,376 rows takes long enough to be interrupted."""
_OWN_FILE = (
    '\ufeffsku;name;price\r\nA-1;"Tent ""Pine""; 2 persons";1.299,00\r\nA-2;only two fields\r\n'
    "A-3;Stove;39,90\r\n;no key;1,00\r\nA-1;the first once more;2,00\r\n"
)
_WRONG_LINES = ["line 3", "line 5", "line 6"]


class Failed(Exception):
    """Something was not as it should be; the text says what."""


class Play:
    """One run, step by step; each says what it saw."""

    def __init__(self, folder: Folder, running: Processes) -> None:
        self._folder, self._running = folder, running
        self._visitor = Visitor(running.port)
        self._jobs = Backburner(folder.url, files=folder.downloads)
        self._airports, self._weather = data_file("airports.csv"), data_file("seattle-weather.csv")

    def steps(self) -> list[Callable[[], str]]:
        """What is done, in order."""
        return [
            self.import_and_kill,
            self.nothing_doubled,
            self.import_weather,
            self.import_own_file,
            self.change_few,
            self.change_many,
            self.retry_those,
            self.export,
        ]

    def import_and_kill(self) -> str:
        """airports.csv, and kill -9 for the process that imports it."""
        total = _rows(self._airports)
        job = self._visitor.upload("airports.csv", self._airports.read_bytes())
        self._visitor.until(job, rows=total // 3)
        child = psutil.Process(self._running.supervisor).children()[0].pid
        # Held first, so that what we see is what there is when it dies.
        os.kill(child, signal.SIGSTOP)
        seen = self._visitor.job(job)
        os.kill(child, signal.SIGKILL)
        done = seen["progress"]["done"]
        expect(seen["state"] == "running" and 0 < done < total, f"killed in the middle, not at {done} of {total}")
        ended = self._visitor.until(job)
        stored = self._jobs.get(job)
        expect(ended["state"] == "succeeded", f"the import succeeds, not: {ended['state']}, {ended['reason']}")
        expect(stored.attempt == 2, f"two attempts, not {stored.attempt}")
        expect(stored.crashes + stored.losses == 1, "one death of its worker is counted")
        rows = self._jobs.get(job).result()["rows"]
        expect(rows == total, f"{total} rows, not {rows}")
        return (
            f"airports.csv: worker process {child} killed with kill -9 at {done:,} of {total:,} rows; "
            f"the job went on as attempt 2 and stored all {rows:,}"
        )

    def nothing_doubled(self) -> str:
        """Every row of airports.csv is there, written once."""
        with sqlite3.connect(f"file:{self._folder.path / 'shop.db'}?mode=ro", uri=True) as database:
            count, most = database.execute("SELECT count(*), max(revision) FROM products").fetchone()
        expect(count == _rows(self._airports), f"as many products as rows, not {count}")
        expect(most == 1, f"no row was written twice, but one was written {most} times")
        return f"no row doubled: {count:,} products, each written exactly once"

    def import_weather(self) -> str:
        """A second file, with other columns."""
        job = self._visitor.upload("seattle-weather.csv", self._weather.read_bytes())
        ended = self._visitor.until(job)
        expect(ended["state"] == "succeeded" and ended["attempt"] == 1, f"the import succeeds, not {ended}")
        rows = self._jobs.get(job).result()["rows"]
        expect(rows == _rows(self._weather), f"all rows are stored, not {rows}")
        return f"seattle-weather.csv: {rows:,} rows stored, in one attempt"

    def import_own_file(self) -> str:
        """Byte-order mark, semicolons, quotes, and rows that are wrong."""
        job = self._visitor.upload("own.csv", _OWN_FILE.encode())
        ended = self._visitor.until(job)
        expect(ended["state"] == "succeeded", f"the import succeeds, not {ended['state']}: {ended['reason']}")
        wrong = self._jobs.control.show(job).failed_items
        expect([item.key for item in wrong] == _WRONG_LINES, f"wrong rows by line, not {wrong}")
        page = self._visitor.get(f"/?job={job}").decode()
        expect(all(f"<code>{line}</code>" in page for line in _WRONG_LINES), "the page names the wrong lines")
        return f"a file with mark, semicolons and quotes: 2 rows stored, {', '.join(_WRONG_LINES)} reported"

    def change_few(self) -> str:
        """Up to 20 products are changed while one waits."""
        ids = self._ids("A-1", "A-3")
        address = self._visitor.send("/products/change", ids=ids, to="archived")
        expect("changed=2" in address and "job=" not in address, f"changed at once, not {address}")
        return "2 products archived at once, without a job"

    def change_many(self) -> str:
        """All that match a search, in the background."""
        job = job_in(self._visitor.send("/products/change", all=1, q="Municipal", to="archived"))
        ended = self._visitor.until(job)
        expect(ended["state"] == "succeeded", f"the change succeeds, not {ended['state']}")
        changed = self._jobs.get(job).result()
        archived = self._count("SELECT count(*) FROM products WHERE status = 'archived'")
        expect(archived == changed + 2, f"{changed} products are archived, not {archived}")
        return f"{changed:,} products archived in the background"

    def retry_those(self) -> str:
        """Products with open orders are told one by one; shipped, they are retried alone."""
        ordered = self._ids("SEA", "SFO", "JFK")
        for product in ordered:
            self._visitor.send(f"/products/{product}/orders")
        ids = [*ordered, *self._some_active(47)]
        job = job_in(self._visitor.send("/products/change", ids=ids, to="archived"))
        ended = self._visitor.until(job)
        failed = self._jobs.control.show(job).failed_items
        expect({item.key for item in failed} == {"SEA", "SFO", "JFK"}, f"the three are told, not {failed}")
        expect(ended["progress"]["failed"] == 3, "3 failed are counted")
        page = self._visitor.get(f"/?job={job}").decode()
        expect("Retry those 3" in page, "the page offers to retry those 3")
        for product in ordered:
            self._visitor.send(f"/products/{product}/ship")
        again = job_in(self._visitor.send(f"/jobs/{job}/retry-items"))
        ended = self._visitor.until(again)
        expect(ended["state"] == "succeeded" and ended["progress"]["done"] == 3, f"three are done again, not {ended}")
        active = self._count("SELECT count(*) FROM products WHERE key IN ('SEA', 'SFO', 'JFK') AND status = 'active'")
        expect(active == 0, f"all three are archived now, {active} are not")
        return "50 chosen: 47 archived, 3 with open orders reported; shipped, those 3 alone retried and archived"

    def export(self) -> str:
        """What comes out is what went in, row by row."""
        job = job_in(self._visitor.send("/export"))
        ended = self._visitor.until(job)
        expect(ended["state"] == "succeeded", f"the export succeeds, not {ended['state']}")
        expect(len(ended["files"]) == 1, f"one file to download, not {ended['files']}")
        content = self._visitor.get(ended["files"][0]["href"])
        header, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        at, compared = 0, 0
        for path in (self._airports, self._weather):
            names, *expected = _table(path)
            places = [header.index(name) for name in names]
            for number, row in enumerate(expected, 2):
                found = [rows[at][place] for place in places]
                others = [value for place, value in enumerate(rows[at][:-1]) if place not in places]
                expect(found == row and not any(others), f"{path.name} line {number}: {row} came out as {found}")
                at, compared = at + 1, compared + 1
        archived = sum(row[-1] == "archived" for row in rows)
        stored = self._count("SELECT count(*) FROM products WHERE status = 'archived'")
        expect(len(rows) == compared + 2, f"{compared + 2} rows in all, not {len(rows)}")
        expect(archived == stored > 50, f"{stored} archived, not {archived}")
        return f"export: {len(content) / 1e3:,.0f} kB, {compared:,} rows compared with the two files, all the same"

    def _count(self, query: str, *values: str) -> int:
        with sqlite3.connect(f"file:{self._folder.path / 'shop.db'}?mode=ro", uri=True) as database:
            return int(database.execute(query, values).fetchone()[0])

    def _ids(self, *keys: str) -> list[int]:
        return [self._count("SELECT id FROM products WHERE key = ?", key) for key in keys]

    def _some_active(self, count: int) -> list[int]:
        """Ids as they stand on the page."""
        page = self._visitor.get("/?status=active").decode()
        found = [int(text) for text in re.findall(r'name="ids" value="(\d+)"', page)]
        return found[:count]


def play() -> int:
    """Start a shop in a temporary folder, play, stop it; 0 when everything was as it should be."""
    began, verdict = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="shop-") as place:
        folder = Folder(Path(place))
        try:
            with Processes(folder, batch=_BATCH) as running:
                print(f"The shop plays by itself at {running.address}", flush=True)
                for step in Play(folder, running).steps():
                    print(f"  ok      {step()}", flush=True)
            left = psutil.Process().children(recursive=True)
            expect(not left, f"nothing is left running, not {left}")
            print("  ok      everything stopped, nothing left running", flush=True)
        except Exception as error:  # noqa: BLE001 (whatever it was, the answer is 1)
            print(f"  FAILED  {type(error).__name__}: {error}", flush=True)
            verdict = 1
    print(f"{'PASSED' if verdict == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s")
    return verdict


def expect(good: bool, what: str) -> None:
    """Go on when it is so. Raises `Failed`."""
    if not good:
        raise Failed(f"expected: {what}")


def data_file(name: str) -> Path:
    """A real file, from the package vega_datasets; found without importing that (it would load pandas)."""
    spec = importlib.util.find_spec("vega_datasets")
    if spec is None or spec.origin is None:
        raise Failed("the package vega_datasets is installed: pip install vega_datasets")
    return Path(spec.origin).parent / "_data" / name


def _table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file) if row]


def _rows(path: Path) -> int:
    return len(_table(path)) - 1
