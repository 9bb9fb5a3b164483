"""`Tables`: the operation of Django's migrations by which Backburner's own migrations run."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.db import router
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.operations.base import Operation

from backburner.contrib.django.address import in_memory
from backburner.contrib.django.configuration import configuration
from backburner.contrib.django.project import store_behind
from backburner.store import versions


class TablesStay(IrreversibleError, CommandError):
    """Migrations of Backburner's tables only go forward."""


class Tables(Operation):
    """Brings Backburner's tables to `version`, on the database that BACKBURNER names and on no other.

    It has a transaction of its own, so a migration with it says `atomic = False`. Where the tables are at that
    version or a later one, it does nothing.
    """

    reduces_to_sql = True
    # It is asked, and says why not; without this, Django would only say that it cannot.
    reversible = True

    def __init__(self, version: str) -> None:
        self.version = version

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Models are not concerned."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Make or change the tables; for `sqlmigrate`, only say how. Raises `StoreError`."""
        connection = schema_editor.connection
        here = connection.alias == configuration().alias and router.allow_migrate(connection.alias, app_label)
        if not here or in_memory(connection):
            return
        store = store_behind(connection)
        try:
            if getattr(schema_editor, "collect_sql", False):
                schema_editor.collected_sql += store.step_sql(self.version).splitlines()
            elif not versions.has(store.version(), self.version):
                store.migrate(self.version)
        finally:
            store.close()

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Refuse: jobs that wait would be lost without a word. Raises `TablesStay`."""
        raise TablesStay(
            "Backburner's tables only go forward: to go back would delete the jobs in them. An older release works "
            "with newer tables of its generation, so there is nothing to undo. To be rid of them, drop the tables "
            "whose names begin with TABLE_PREFIX (backburner_), and run: manage.py migrate --fake backburner zero"
        )

    def describe(self) -> str:
        """What `migrate --plan` shows."""
        return f"Bring the tables of background jobs to version {self.version}"

    @property
    def migration_name_fragment(self) -> str:
        """The name of a migration with it."""
        return f"tables_{self.version}"
