"""System checks: what is wrong with the project's settings or tables, said by `manage.py check`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

from django.conf import settings as project
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Doubt
from django.db import connections

from backburner.contrib.django.address import in_memory
from backburner.contrib.django.configuration import configuration
from backburner.contrib.django.project import project_jobs, store_behind
from backburner.errors import BackburnerError, SchemaMissing, SchemaTooNew, SettingsError
from backburner.store import versions

_USERS = "django.contrib.auth.middleware.AuthenticationMiddleware"
_ROUTES = "backburner.contrib.django.BackburnerMiddleware"


def check_project(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:
    """The settings: E001 wrong, E002 driver, E003 middleware; W001 in memory, W002 no secret, W003 SQLite."""
    try:
        said, jobs = configuration(), project_jobs()
    except BackburnerError as error:
        yield Error(_sentence(error), id="backburner.E001")
        return
    if said.alias is not None:
        connection = connections[said.alias]
        if connection.vendor == "postgresql" and find_spec("psycopg") is None:
            hint = "pip install 'backburner[postgresql]'"
            yield Error(
                "Jobs are kept on PostgreSQL by way of psycopg 3, which is missing.", hint, id="backburner.E002"
            )
        if in_memory(connection):
            yield Doubt(
                f"DATABASES[{said.alias!r}] is in memory, where no worker finds the jobs.",
                "Name a file, or another database: BACKBURNER = {'DATABASE': ...}", id="backburner.W001",
            )  # fmt: skip
        elif connection.vendor == "sqlite" and _mode(connection) not in ("IMMEDIATE", "EXCLUSIVE"):
            hint = f"Say DATABASES[{said.alias!r}]['OPTIONS'] = {{'transaction_mode': 'IMMEDIATE'}}."
            yield Doubt(
                "Jobs and views write one SQLite file: a transaction that reads before it writes may find it locked.",
                hint, id="backburner.W003",
            )  # fmt: skip
    if not jobs.settings.secrets:
        yield Doubt(
            "Backburner has no secret: no signed links, and no route jobs.",
            "Leave SECRET out of BACKBURNER, then it is derived from SECRET_KEY.", id="backburner.W002",
        )  # fmt: skip
    order = list(project.MIDDLEWARE)
    if _ROUTES in order and _USERS in order and order.index(_ROUTES) < order.index(_USERS):
        hint = f"Put {_ROUTES} behind {_USERS}."
        yield Error("Route jobs would lose their user: another middleware sets it anew.", hint, id="backburner.E003")


def check_database(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **_: Any
) -> Iterable[Any]:
    """The tables, when `check --database` or `migrate` asks for it: E004 too new, W004 missing or older."""
    try:
        alias = configuration().alias
        if alias is None or alias not in (databases or ()) or in_memory(connections[alias]):
            return
        store = store_behind(connections[alias])
        try:
            version = store.version()
        finally:
            store.close()
    except SettingsError:
        # `check_project` has said so.
        return
    except BackburnerError as error:
        yield Error(_sentence(error), id="backburner.E005")
        return
    if versions.is_newer(version):
        yield Error(_sentence(SchemaTooNew(store.shown_url, version or "", versions.NEEDED)), id="backburner.E004")
    elif version is not None and version != versions.NEEDED:
        missing = SchemaMissing(store.shown_url, version, versions.NEEDED)
        yield Doubt(_sentence(missing), "Run: manage.py migrate", id="backburner.W004")


def _mode(connection: Any) -> str:
    return str((connection.settings_dict.get("OPTIONS") or {}).get("transaction_mode") or "").upper()


def _sentence(error: BackburnerError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
