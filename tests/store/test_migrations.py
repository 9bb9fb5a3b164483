"""Migrations: the tables they build are the ones the code describes, whoever runs them, and however often."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from backburner.errors import InvalidUrl, SchemaMissing, SchemaTooNew
from backburner.job import JobFilter
from backburner.store import versions
from backburner.store.store import Store
from tests.databases import plain
from tests.servers import PostgresServer
from tests.store.conftest import OpenStore
from tests.store.scene import Crew, HandClock, Scene

FILTER = JobFilter()

POSTGRESQL_CATALOG = """
SELECT CAST(c.relkind AS text) || ' ' || c.relname,
       coalesce(pg_get_indexdef(c.oid), string_agg(
           concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                     pg_get_expr(d.adbin, d.adrelid)), E'\\n' ORDER BY a.attnum))
FROM pg_class c
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND c.relkind = 'r'
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = CAST('public' AS regnamespace) AND c.relname NOT LIKE '%version%'
GROUP BY c.oid, c.relkind, c.relname
"""
SQLITE_CATALOG = "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE '%version%'"

MARIADB_CATALOG = """
SELECT concat(table_name, ' ', ordinal_position), concat_ws(
    ' ', column_name, column_type, is_nullable, column_default, extra, generation_expression)
FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name NOT LIKE '%version%'
UNION ALL
SELECT concat(table_name, ' ', index_name), concat_ws(
    ' ', min(non_unique), group_concat(column_name ORDER BY seq_in_index))
FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name NOT LIKE '%version%'
GROUP BY table_name, index_name
"""
CATALOGS = {"postgresql": POSTGRESQL_CATALOG, "sqlite": SQLITE_CATALOG, "mysql": MARIADB_CATALOG}
CONDITION = {"postgresql": "WHERE", "sqlite": "WHERE", "mysql": "case when"}
"""How the condition of an index shows in its database's words; on MariaDB it is a column."""


def catalog(connection: Connection) -> dict[str, str]:
    """Everything the database knows of tables and indexes, conditions included, as its own words."""
    query = CATALOGS[connection.dialect.name]
    return {name: re.sub(r"\s+", " ", words) for name, words in connection.execute(text(query)).all()}


def differences(store: Store) -> list[object]:
    with store.engine.connect() as connection:
        mine = {"version_table": store.schema.version_table, "compare_server_default": True}
        found = compare_metadata(MigrationContext.configure(connection, opts=mine), store.schema.metadata)
    return [one for one in found if not (store.dialect.name == "mysql" and is_a_truth_value(one))]


def is_a_truth_value(difference: Any) -> bool:
    """On MariaDB a truth value is a number: `true` comes back as 1. The catalog compares these."""
    (kind, *_, default) = difference[0] if isinstance(difference, list) else difference
    return kind == "modify_default" and str(getattr(default, "arg", "")) in {"true", "false"}


def test_migrated_tables_are_the_described_ones(store: Store) -> None:
    assert differences(store) == []


def test_alembic_would_see_a_difference(empty_database_url: str, opened: OpenStore) -> None:
    store = opened(empty_database_url, auto_migrate=True)
    store.ready()
    with store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE backburner_jobs ADD COLUMN surprise INTEGER")
        where = " ON backburner_jobs" if store.dialect.name == "mysql" else ""
        connection.exec_driver_sql(f"DROP INDEX backburner_jobs_due{where}")
    assert len(differences(store)) == 2


def test_to_the_last_condition_of_an_index(
    store: Store, empty_sqlite_url: str, opened: OpenStore, request: pytest.FixtureRequest
) -> None:
    """Alembic compares neither the conditions of indexes nor the columns' order: the database's words do."""
    others = {"postgresql": "empty_postgresql_url", "mysql": "empty_mariadb_url"}
    fresh = others.get(store.dialect.name)
    described_url = request.getfixturevalue(fresh) if fresh else empty_sqlite_url + "2"
    described = opened(described_url)
    with described.engine.begin() as connection:
        described.schema.metadata.create_all(connection)
        wanted = catalog(connection)
    with store.engine.connect() as connection:
        found = catalog(connection)
    assert found == wanted
    assert sum(CONDITION[store.dialect.name] in words for words in found.values()) >= 5


def test_known_versions_are_alembics(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(versions.__file__).with_name("migrations")))
    script = ScriptDirectory.from_config(config)
    revisions = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(revisions)) == versions.KNOWN
    assert script.get_heads() == [versions.NEEDED] == [store.version()]


def test_a_server_is_migrated_only_when_told(empty_postgresql_url: str, opened: OpenStore) -> None:
    store = opened(empty_postgresql_url)
    doors: list[Callable[[], object]] = [store.ready, lambda: store.jobs.get("x" * 36), lambda: store.lane(0)]
    scene = Scene(store, HandClock())
    doors += [scene.insert, lambda: store.upkeep.promote(), store.ready]
    for door in doors:
        with pytest.raises((SchemaMissing, LookupError)) as caught:
            door()
        if isinstance(caught.value, LookupError):
            continue
        assert str(caught.value) == (
            f"the database {empty_postgresql_url} has no Backburner tables, version 1003 is needed. "
            "Run: backburner migrate (or pass auto_migrate=True; "
            "`backburner migrate --sql` prints the statements)"
        )
    with store.engine.connect() as connection:
        assert catalog(connection) == {}, "nothing was made"
    store.migrate()
    assert store.version() == "1003"
    assert scene.state(scene.one()) == "queued"


def test_an_older_version_is_named(empty_postgresql_url: str, opened: OpenStore) -> None:
    opened(empty_postgresql_url, auto_migrate=True).ready()
    with psycopg.connect(plain(empty_postgresql_url)) as connection:
        connection.execute("TRUNCATE backburner_version")
    with pytest.raises(SchemaMissing, match="no Backburner tables"):
        opened(empty_postgresql_url).ready()


def test_sqlite_migrates_itself(empty_sqlite_url: str, opened: OpenStore) -> None:
    scene = Scene(opened(empty_sqlite_url), HandClock())
    assert scene.state(scene.one()) == "queued"
    assert scene.store.version() == versions.NEEDED


def test_sqlite_migrates_itself_unless_told_not_to(empty_sqlite_url: str, opened: OpenStore) -> None:
    with pytest.raises(SchemaMissing, match="Run: backburner migrate"):
        opened(empty_sqlite_url, auto_migrate=False).ready()


def test_migrating_twice_changes_nothing(empty_database_url: str, opened: OpenStore) -> None:
    store = opened(empty_database_url, auto_migrate=True)
    scene = Scene(store, HandClock())
    job = scene.one()
    store.migrate()
    assert (scene.state(job), store.migration_sql()) == ("queued", "")


@pytest.mark.parametrize("version", ["1004", "1999"])
def test_a_later_version_of_the_generation_is_worked_with(store: Store, opened: OpenStore, version: str) -> None:
    with version_of(store, version):
        scene = Scene(opened(str(url_of(store))), HandClock())
        assert scene.state(scene.one()) == "queued"
        assert scene.store.version() == version


def test_a_later_generation_is_refused(store: Store, opened: OpenStore) -> None:
    with version_of(store, "2001"):
        for migrate in (True, False):
            late = opened(str(url_of(store)), auto_migrate=migrate)
            with pytest.raises(SchemaTooNew, match="version 2001, this Backburner knows 1003. Install the newer"):
                late.jobs.ids(FILTER, 1)


def url_of(store: Store) -> str:
    return store.url.render_as_string(hide_password=False)


class version_of:
    """The tables say that they are of another version for a while."""

    def __init__(self, store: Store, version: str) -> None:
        self._store, self._version = store, version

    def _say(self, version: str) -> None:
        with self._store.engine.begin() as connection:
            connection.execute(text("UPDATE backburner_version SET version_num = :v"), {"v": version})

    def __enter__(self) -> None:
        self._say(self._version)

    def __exit__(self, *error: object) -> None:
        self._say(versions.NEEDED)


PROGRAM = """
import sys
from backburner.store.store import Store
store = Store(sys.argv[1], auto_migrate=True)
print("go", flush=True)
input()
store.ready()
print(store.version())
"""


def test_processes_that_migrate_at_once(empty_database_url: str) -> None:
    crew = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, empty_database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in crew:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
    for process in crew:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=60) for process in crew]
    assert [out for out, _ in ends] == [f"{versions.NEEDED}\n"] * 2, ends


def test_threads_and_stores_that_migrate_at_once(empty_database_url: str, opened: OpenStore) -> None:
    stores = [opened(empty_database_url, auto_migrate=True) for _ in range(3)]
    crew = Crew()
    for store in stores:
        crew.add(store.ready)
        crew.add(store.ready)
    crew.start().join()
    assert differences(stores[0]) == []


def test_two_prefixes_in_one_database(empty_database_url: str, opened: OpenStore) -> None:
    scenes = [
        Scene(opened(empty_database_url, auto_migrate=True, prefix=prefix), HandClock()) for prefix in ("a_", "Bb", "")
    ]
    jobs = [scene.one(task=f"task{number}") for number, scene in enumerate(scenes)]
    assert [scene.store.jobs.count(FILTER, 10) for scene in scenes] == [1, 1, 1]
    for scene, job in zip(scenes, jobs, strict=True):
        worker = scene.worker()
        claimed = scene.claim(worker)
        assert [found.id for found in claimed] == [job]
        assert scene.finish(worker, claimed) == {job}
        scene.store.jobs.retry(job)
        assert scene.store.claims.ready_queues(scene.lane) == ["default"]


def test_a_schema_of_its_own(empty_postgresql_url: str, opened: OpenStore) -> None:
    store = opened(empty_postgresql_url, auto_migrate=True, schema="Back yard", prefix="b_")
    scene = Scene(store, HandClock())
    worker, job = scene.worker(), scene.one()
    claimed = scene.claim(worker)
    assert scene.finish(worker, claimed) == {job}
    scene.store.jobs.retry(job)
    scene.insert(30)
    with psycopg.connect(plain(empty_postgresql_url)) as connection:
        rows = connection.execute(
            "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'b!_%' ESCAPE '!'"
        ).fetchall()
    assert rows == [("Back yard",)]
    store.migrate()


@pytest.mark.parametrize("schema", [None, "yard"])
def test_printed_statements_work_by_hand_on_postgresql(
    empty_postgresql_url: str, opened: OpenStore, schema: str | None
) -> None:
    store = opened(empty_postgresql_url, schema=schema)
    with psycopg.connect(plain(empty_postgresql_url), autocommit=True) as connection:
        connection.execute(store.migration_sql())
    store.ready()
    scene = Scene(store, HandClock())
    assert scene.state(scene.one()) == "queued"
    assert store.migration_sql() == ""


def test_printed_statements_work_by_hand_on_sqlite(empty_sqlite_url: str, opened: OpenStore) -> None:
    store = opened(empty_sqlite_url, auto_migrate=False)
    statements = store.migration_sql()
    with sqlite3.connect(empty_sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.executescript(statements)
    connection.close()
    assert differences(store) == []
    scene = Scene(store, HandClock())
    assert scene.state(scene.one()) == "queued"


def test_hot_tables_are_vacuumed_by_number_of_rows(on_postgresql: Scene) -> None:
    with on_postgresql.store.engine.connect() as connection:
        options = connection.exec_driver_sql(
            "SELECT reloptions FROM pg_class WHERE relname = 'backburner_jobs'"
        ).scalar_one()
    assert {"autovacuum_vacuum_scale_factor=0", "autovacuum_vacuum_cost_delay=0"} <= set(options)


def test_a_migration_waits_a_little_for_a_busy_table(empty_postgresql_url: str, opened: OpenStore) -> None:
    """Its lock has a time-out, so that it never holds up everybody behind it."""
    store, seen = opened(empty_postgresql_url, auto_migrate=True), list[str]()

    def look(connection: Connection) -> None:
        versions.upgrade(connection, store.schema)
        seen.append(connection.exec_driver_sql("SHOW lock_timeout").scalar_one())

    with store.engine.begin() as connection:
        look(connection)
    assert seen == ["5s"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "is no database URL"),
        ("sqlite://", "in memory is gone"),
        ("sqlite:///:memory:", "in memory is gone"),
        ("sqlite:////no/such/folder/jobs.db", "the folder /no/such/folder does not exist"),
        ("oracle://scott:tiger@host/x", "'oracle' is not supported. Use one of: mariadb, mysql, postgresql, sqlite"),
    ],
)
def test_a_wrong_url_says_what_to_write(url: str, words: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        Store(url)
    assert words in str(caught.value)
    assert "tiger" not in str(caught.value)


def test_a_password_is_not_shown(postgres: PostgresServer) -> None:
    store = Store(f"postgresql://someone:s3cret@127.0.0.1:{postgres.port}/nowhere")
    with pytest.raises(Exception, match="someone") as caught:
        store.ready()
    assert "s3cret" not in str(caught.value) + store.shown_url
