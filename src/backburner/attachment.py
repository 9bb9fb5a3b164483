"""`Attachment`: a file that belongs to a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file a job made or was given. `place` is where the file store finds its bytes; size in bytes."""

    id: str
    job: str
    name: str
    media_type: str
    size: int
    place: str
    created_at: datetime
    expires_at: datetime | None
