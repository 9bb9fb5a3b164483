"""Settings that are said at run time: they stand in the database, and go before what the app says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

if TYPE_CHECKING:
    from backburner.store.store import Store


@dataclass(frozen=True, slots=True)
class RuntimeRow:
    """One setting, who said it and when (UTC)."""

    name: str
    value: Any
    at: datetime
    by: str | None


class RuntimeRows:
    """The door to them."""

    def __init__(self, store: Store) -> None:
        self._store, self._t = store, store.schema.settings

    def all(self) -> dict[str, RuntimeRow]:
        """Every setting that was said, by name."""
        rows = self._store.read(lambda c: c.execute(select(self._t)).mappings().all())
        return {row["name"]: RuntimeRow(**{**row, "value": json.loads(row["value"])}) for row in rows}

    def say(self, name: str, value: Any, by: str | None) -> None:
        """Say one, in the place of what was said before."""
        row = {"name": name, "value": json.dumps(value), "at": self._store.clock.now(), "by": by}
        told = self._store.dialect.upsert(
            self._t, ["name"], lambda new: {"value": new["value"], "at": new["at"], "by": new["by"]}
        )
        self._store.run(lambda c: c.execute(told, [row]))

    def unsay(self, name: str) -> bool:
        """Take it back; False when it was not said."""
        return self._store.run(lambda c: c.execute(delete(self._t).where(self._t.c.name == name)).rowcount == 1)
