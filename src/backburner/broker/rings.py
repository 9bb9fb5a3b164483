"""What goes over the broker: rings, and the names of the queues they lie in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from backburner.store.store import Store

_LONGEST = 120
_MOST_JOBS = 1_000_000


class Place(NamedTuple):
    """A queue of the broker stands for one queue and one priority."""

    queue: str
    priority: int


class Ring(NamedTuple):
    """So many jobs may be ready there. Without priority: somewhere in that queue; without queue: anywhere."""

    queue: str | None
    priority: int | None
    jobs: int

    @property
    def place(self) -> Place | None:
        """Where, when both are known."""
        return None if self.queue is None or self.priority is None else Place(self.queue, self.priority)


def encode(ring: Ring) -> dict[str, object]:
    """A ring as the body of a message."""
    return {"queue": ring.queue, "priority": ring.priority, "jobs": ring.jobs}


def decode(body: str | bytes) -> Ring | None:
    """The ring in a body that anybody may have written; None when there is none."""
    try:
        found = json.loads(body)
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    queue, priority, jobs = found.get("queue"), found.get("priority"), found.get("jobs")
    if queue is not None and not (isinstance(queue, str) and len(queue) <= 100):
        return None
    if priority is not None and (type(priority) is not int or abs(priority) > 32_768):
        return None
    return Ring(queue, priority, min(jobs, _MOST_JOBS)) if type(jobs) is int and jobs > 0 else None


class Names:
    """Names in the broker. All processes of one app must come to the same, by whatever way they reach its database."""

    def __init__(self, key: str) -> None:
        self.key, self.prefix = key, f"backburner.{key}"

    @classmethod
    def of(cls, store: Store) -> Names:
        """The names for the jobs of this store: those of its database, schema and tables."""
        database = store.url.database or ""
        if store.dialect.single_writer:
            database = str(Path(database).absolute())
        text = "\n".join((database, store.schema.name or "", store.schema.prefix))
        return cls(hashlib.sha256(text.encode()).hexdigest()[:12])

    @property
    def notices(self) -> str:
        """The exchange that every listener hears."""
        return f"{self.prefix}.notices"

    def queue(self, place: Place) -> str:
        """The queue for rings of one place."""
        name = quote(place.queue, safe="")
        if len(name) > _LONGEST:
            name = f"{name[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return f"{self.prefix}.{name}.{place.priority}"
