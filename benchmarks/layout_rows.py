"""What the layout measurement puts in a row, and how it counts a drain."""

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

ARGS = (
    '{"path":"/srv/uploads/2026/11/21/products-autumn.csv","shop":4711,"dry_run":false,'
    '"notify":"someone@example.org","n":12}'
)
RESULT = '{"rows":4997,"wrong":3,"ok":12}'
QUEUE = "default"


def new_id() -> UUID:
    """Return a UUIDv7: milliseconds of the Unix clock first, so that new keys stay close together."""
    milliseconds = time.time_ns() // 1_000_000
    return UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62) | (random.getrandbits(74) & ~(3 << 62)))


@dataclass(frozen=True)
class Drain:
    """Jobs per second over a whole drain, its first fifth and its last fifth; log and processor time per job.

    Log in bytes, processor time in microseconds.
    """

    rate: float
    first: float
    last: float
    log_bytes: float
    cpu: float

    @classmethod
    def of(cls, start: float, events: Iterable[tuple[float, int]], *, cpu_seconds: float, written: int = 0) -> "Drain":
        """Count from (time, jobs finished) pairs; times in seconds of the clock that gave `start`."""
        ordered = sorted(events)
        total = sum(jobs for _, jobs in ordered)
        marks = [start]
        done = 0
        for moment, jobs in ordered:
            done += jobs
            while done * 5 >= total * len(marks):
                marks.append(moment)
        fifth = total / 5
        return cls(
            rate=total / (marks[5] - start),
            first=fifth / (marks[1] - marks[0]),
            last=fifth / (marks[5] - marks[4]),
            log_bytes=written / total,
            cpu=cpu_seconds * 1e6 / total,
        )
