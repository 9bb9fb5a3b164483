"""`Configuring`: the part of `Backburner` that takes settings which come late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backburner.database import Database
from backburner.enqueue import JobEnqueuer
from backburner.errors import SettingsError
from backburner.files import FileStore
from backburner.registry import Registry
from backburner.requesting import Requesting
from backburner.settings import Settings, masked

_DECLARED_BY = ("queues", "default_queue", "routes", "priorities", "default_priority", "max_args_bytes")
"""What a task has taken over when it is declared."""


class Configuring(Requesting):
    """Knows with what it was made."""

    _given: Mapping[str, Any]
    settings: Settings
    registry: Registry
    _database: Database
    _enqueuer: JobEnqueuer
    _files: FileStore | None

    def configure(self, **settings: Any) -> None:
        """Change settings after tasks were declared: for adapters, which are made before their app is configured.

        Nothing may run meanwhile; connections that are open are closed. Raises `SettingsError`, also for what
        declared tasks have taken over: names of queues, priorities, the size of arguments.
        """
        given = {**self._given, **settings}
        changed = Settings.resolve(given)
        for name in self._taken_over():
            value = getattr(changed, name)
            if value != getattr(self.settings, name):
                raise SettingsError(
                    name, masked(name, value), "comes too late: tasks were declared by another value",
                    "Give it to Backburner(...), in the environment or in backburner.toml",
                )  # fmt: skip
        self._database.close()
        self._given, self.settings, self._files = given, changed, None
        self._database.settings = changed
        self._enqueuer.configured()

    def _taken_over(self) -> tuple[str, ...]:
        names = _DECLARED_BY if len(self.registry) or self._routes is not None else ()
        signs = self._routes is not None or any(task.pickles for task in self.registry)
        return (*names, "secret", "former_secrets") if signs else names
