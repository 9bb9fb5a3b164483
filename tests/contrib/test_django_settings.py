"""What a project says in its settings, and what is wrong with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.contrib.django_project import use_databases

# Behind the settings, which that module makes.
from django.conf import settings  # isort: skip
from django.db import connections  # isort: skip
from django.test.utils import override_settings  # isort: skip

from backburner import Backburner  # isort: skip
from backburner.contrib.django.address import address_of  # isort: skip
from backburner.contrib.django.checks import check_project  # isort: skip
from backburner.contrib.django.configuration import configuration  # isort: skip
from backburner.contrib.django.project import project_jobs  # isort: skip
from backburner.errors import SettingsError  # isort: skip
from backburner.testing import JobsTesting  # isort: skip


@pytest.fixture(autouse=True)
def own(sqlite_url: str) -> Iterator[None]:
    use_databases(default=sqlite_url)
    project_jobs.cache_clear()
    yield
    project_jobs.cache_clear()
    connections.close_all()


class Connection:
    """What `address_of` asks of a connection."""

    alias = "default"

    def __init__(self, vendor: str, driver: str = "", **said: Any) -> None:
        self.vendor, self.settings_dict = vendor, {"ENGINE": "e", "NAME": "shop", **said}
        self.Database = type(driver or "driver", (), {})


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        (Connection("sqlite", NAME=Path("/srv/shop.db")), "sqlite:////srv/shop.db"),
        (Connection("sqlite", NAME=":memory:"), "sqlite://"),
        (Connection("postgresql"), "postgresql:///shop"),
        (
            Connection("postgresql", USER="a@b", PASSWORD="p/w:%", HOST="db", PORT=5433),
            "postgresql://a%40b:p%2Fw%3A%25@db:5433/shop",
        ),
        (
            Connection("postgresql", HOST="/run/pg", PORT="5433", OPTIONS={"sslmode": "require", "pool": True}),
            "postgresql:///shop?sslmode=require&host=%2Frun%2Fpg&port=5433",
        ),
        (Connection("postgresql", NAME="", OPTIONS={"service": "shop"}), "postgresql:///?service=shop"),
        (Connection("mysql", "pymysql", USER="u", HOST="db"), "mariadb://u@db/shop"),
        (Connection("mysql", "pymysql", USER="u"), "mariadb://u@localhost/shop"),
        (
            Connection("mysql", "MySQLdb", HOST="/run/my.sock", OPTIONS={"charset": "utf8mb4", "ssl": {"ca": "/ca"}}),
            "mysql+mysqldb:///shop?ssl_ca=%2Fca&unix_socket=%2Frun%2Fmy.sock",
        ),
    ],
)
def test_the_address_of_a_database(connection: Connection, url: str) -> None:
    assert address_of(connection) == url
    assert make_url(url).password in (None, connection.settings_dict.get("PASSWORD"))


def test_a_database_that_is_not_supported() -> None:
    with pytest.raises(SettingsError, match=r"DATABASES\['default'\].*Use SQLite, PostgreSQL, MariaDB"):
        address_of(Connection("oracle"))


def told(**said: Any) -> list[str]:
    project_jobs.cache_clear()
    with override_settings(**said):
        return [f"{found.id} {found.msg}" for found in check_project(None)]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (["x"], "is no dict"),
        ({"DATABSE": "default"}, "Did you mean 'DATABASE'?"),
        ({"lease": 60}, "Did you mean 'LEASE'?"),
        ({"DATABASE": "other"}, "Use one of: default"),
        ({"URL": "sqlite:///a.db", "DATABASE": "default"}, "Give one of the two"),
        ({"LEASE": "long"}, "'lease' = 'long'"),
        ({"SECRET": "short"}, "secret"),
    ],
)
def test_wrong_settings_are_said_by_the_system_check(said: Any, complaint: str) -> None:
    (found,) = told(BACKBURNER=said)
    assert found.startswith("backburner.E001")
    assert complaint in found


def test_other_things_that_checks_say() -> None:
    assert told() == []
    assert told(BACKBURNER={"SECRET": None})[0].startswith("backburner.W002")
    assert told(MIDDLEWARE=list(reversed(settings.MIDDLEWARE)))[0].startswith("backburner.E003")
    connections["default"].settings_dict["OPTIONS"] = {}
    assert told()[0].startswith("backburner.W003")
    use_databases(default="sqlite:///:memory:")
    assert told()[0].startswith("backburner.W001")


def test_the_secret_comes_from_the_projects_own() -> None:
    before = configuration().settings["secret"]
    assert len(before) == 64
    with override_settings(SECRET_KEY="another one", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        after = configuration().settings
    assert (after["secret"] != before, after["former_secrets"]) == (True, [before])
    with override_settings(BACKBURNER={"SECRET": "a secret of its own"}):
        assert project_jobs().settings.secrets == ("a secret of its own",)


def test_jobs_may_be_in_a_database_that_django_does_not_know(tmp_path: Path) -> None:
    with override_settings(BACKBURNER={"URL": f"sqlite:///{tmp_path / 'jobs.db'}", "AUTO_MIGRATE": True}):
        jobs = project_jobs()
        assert jobs.task(name="work")(lambda: None).enqueue().state == "queued"
        jobs.close()


def test_a_database_in_memory_is_refused_when_it_is_needed() -> None:
    use_databases(default="sqlite:///:memory:")
    with pytest.raises(SettingsError, match="in memory, which no worker can see.*jobs_testing"):
        project_jobs().find()


def test_a_test_runner_may_put_another_database_behind_the_alias(tmp_path: Path, sqlite_url: str) -> None:
    jobs: Backburner = project_jobs()
    connections["default"].settings_dict["NAME"] = str(tmp_path / "test_shop.db")
    jobs.store.migrate()
    assert jobs.store.url.database == str(tmp_path / "test_shop.db")
    jobs.close()


def test_in_tests_jobs_stay_out_of_the_transaction(tmp_path: Path) -> None:
    """Django's TestCase is one transaction, which the jobs' database of a test knows nothing of."""
    from django.db import transaction

    jobs = project_jobs()
    ran = []
    work = jobs.task(name="work")(lambda: ran.append(1))
    with transaction.atomic(), JobsTesting(jobs, tmp_path) as testing:
        work.enqueue()
        testing.drain(raises=True)
    assert ran == [1]
