"""Backburner's tables by `manage.py migrate`."""

import io
from collections.abc import Iterator

import pytest

from backburner.store import versions
from tests.contrib.django_project import use_databases

# Behind the settings, which that module makes.
from django.core.management import call_command  # isort: skip
from django.db import connections  # isort: skip
from django.db.migrations.exceptions import IrreversibleError  # isort: skip
from django.db.migrations.loader import MigrationLoader  # isort: skip

from backburner.contrib.django.migration import Tables  # isort: skip
from backburner.contrib.django.project import project_jobs  # isort: skip


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[None]:
    yield from opened(empty_database_url)


@pytest.fixture
def small(empty_sqlite_url: str) -> Iterator[None]:
    yield from opened(empty_sqlite_url)


def opened(url: str) -> Iterator[None]:
    use_databases(default=url)
    project_jobs.cache_clear()
    yield
    project_jobs().close()
    connections.close_all()


def told(*words: str, **options: object) -> str:
    output = io.StringIO()
    call_command(*words, stdout=output, stderr=output, **options)
    return output.getvalue()


@pytest.mark.usefixtures("empty")
def test_migrate_makes_them_and_makes_them_once() -> None:
    told("migrate", "backburner", "0001")
    assert project_jobs().store.version() == versions.KNOWN[0]
    assert "backburner.W004" in told("check", databases=["default"])
    told("migrate", "backburner")
    assert project_jobs().store.version() == versions.NEEDED
    project_jobs().store.ready()
    assert "No migrations to apply" in told("migrate", "backburner")
    assert "no issues" in told("check", databases=["default"])


@pytest.mark.usefixtures("small")
def test_they_may_be_there_already() -> None:
    project_jobs().store.migrate()
    told("migrate", "backburner")
    assert project_jobs().store.version() == versions.NEEDED


@pytest.mark.usefixtures("small")
def test_sqlmigrate_prints_what_would_run() -> None:
    assert "CREATE TABLE backburner_jobs" in told("sqlmigrate", "backburner", "0001")
    assert project_jobs().store.version() is None


@pytest.mark.usefixtures("small")
def test_there_is_no_way_back() -> None:
    told("migrate", "backburner")
    with pytest.raises(IrreversibleError, match="would delete the jobs in them"):
        told("migrate", "backburner", "zero")
    assert project_jobs().store.version() == versions.NEEDED


@pytest.mark.usefixtures("small")
def test_the_models_have_their_migrations() -> None:
    assert "No changes" in told("makemigrations", "--check", "--dry-run")


def test_each_version_of_the_tables_has_its_migration() -> None:
    """Whoever adds a version to the store adds a migration here: `operations = [Tables("1003")]`."""
    migrations = MigrationLoader(None).disk_migrations
    ours = sorted((name, each.operations) for (app, name), each in migrations.items() if app == "backburner")
    found = [one.version for _, operations in ours for one in operations if isinstance(one, Tables)]
    assert tuple(found) == versions.KNOWN
