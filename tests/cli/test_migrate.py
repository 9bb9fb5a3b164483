"""`backburner migrate`: applies, prints, checks, on both databases."""

import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from backburner.store.store import Store
from tests.cli.programs import Shop


def apply(url: str, statements: str) -> None:
    """As a DBA would, with the database's own driver."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(str(make_url(url).database))
        connection.executescript(statements)
        connection.close()
        return
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as server:
        server.execute(statements.encode())


def test_it_makes_the_tables_once(bare_shop: Shop) -> None:
    needed = bare_shop.run("migrate", "--check")
    assert (needed.returncode, needed.stdout) == (1, "")
    assert "has no tables, version " in needed.stderr
    made = bare_shop.run_afresh("migrate")
    assert made.returncode == 0, made.stderr
    assert made.stderr.startswith(Store(bare_shop.url).shown_url + " had no tables, and has version ")
    assert made.stderr.count("\n") == 1
    for arguments in (("migrate",), ("migrate", "--check"), ("migrate", "--sql")):
        again = bare_shop.run(*arguments)
        assert (again.returncode, again.stdout) == (0, "")
        assert again.stderr.endswith(": nothing to do.\n")


def test_a_look_makes_no_file(tmp_path: Path, empty_sqlite_url: str) -> None:
    (tmp_path / "shop.py").write_text(f"from backburner import Backburner\njobs = Backburner({empty_sqlite_url!r})\n")
    assert Shop(tmp_path, empty_sqlite_url).run("migrate", "--check").returncode == 1
    assert not (tmp_path / "jobs.db").exists()


@pytest.mark.long
def test_the_printed_statements_do_the_same(bare_shop: Shop) -> None:
    printed = bare_shop.run("migrate", "--sql")
    assert printed.returncode == 0, printed.stderr
    assert "CREATE TABLE" in printed.stdout
    assert printed.stderr == ""
    assert bare_shop.run("migrate", "--check").returncode == 1
    apply(bare_shop.url, printed.stdout)
    assert bare_shop.run("migrate", "--check").returncode == 0
    assert bare_shop.run("jobs", "list").returncode == 0


def test_tables_of_a_newer_version_are_left_alone(shop: Shop) -> None:
    store = Store(shop.url)
    name = store.schema.qualified("version")
    store.run(lambda c: c.execute(text(f"UPDATE {name} SET version_num = '2001'")))
    store.close()
    for command in (("migrate",), ("migrate", "--check"), ("jobs", "list")):
        ran = shop.run(*command)
        assert ran.returncode == 78
        assert "has tables of version 2001" in ran.stderr
        assert "Install the newer Backburner here too" in ran.stderr


def test_sql_and_check_contradict(bare_shop: Shop) -> None:
    assert bare_shop.run("migrate", "--sql", "--check").returncode == 2
