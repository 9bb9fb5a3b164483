"""`project_jobs`: the one `Backburner` of a Django project."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from django.db import connections

from backburner import store as stores
from backburner.backburner import Backburner
from backburner.contrib.django.address import address_of, in_memory
from backburner.contrib.django.atomic import Atomic
from backburner.contrib.django.configuration import configuration
from backburner.contrib.django.idle import IdleConnections
from backburner.contrib.django.middleware import load_signed_in, signed_in
from backburner.errors import SettingsError
from backburner.settings import Settings
from backburner.store.store import Store

PROGRAM = "backburner.contrib.django.program:jobs"
"""Where other processes find it."""


@cache
def project_jobs() -> Backburner:
    """Made as the settings say, once per process. Raises `SettingsError`."""
    said = configuration()
    alias = said.alias
    if alias is None:
        jobs = Backburner(**said.settings)
    else:
        jobs = Backburner(address_of(connections[alias]), **said.settings)
        # Not here: a test runner puts another database behind the alias before the first connection is made.
        jobs._database.open_store = lambda settings: stores.open(settings_of(alias, settings))
        jobs.surroundings.add(connection=Atomic(jobs, alias).connection)
    jobs.surroundings.add(owner=signed_in, load=load_signed_in)
    jobs.app = PROGRAM
    jobs.hooks.add(IdleConnections())
    return jobs


def settings_of(alias: str, settings: Settings) -> Settings:
    """The same settings with the database that is behind the alias now. Raises `SettingsError`."""
    connection = connections[alias]
    if in_memory(connection):
        raise SettingsError(
            f"DATABASES[{alias!r}]['NAME']", connection.settings_dict["NAME"],
            "is a database in memory, which no worker can see",
            "Name a file. In tests, use the fixture jobs_testing, or give a file in its 'TEST': {'NAME': ...}",
        )  # fmt: skip
    return replace(settings, url=address_of(connection))


def store_behind(connection: object) -> Store:
    """A store of the database that a connection of Django's leads to, for work on its tables. Close it."""
    settings = project_jobs().settings
    return stores.open(replace(settings, url=address_of(connection)))
