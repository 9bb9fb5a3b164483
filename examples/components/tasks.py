"""What the page of components starts."""

from __future__ import annotations

import io
import time
from typing import Annotated

from msgspec import Meta

from backburner import Backburner, PermanentError, current_job, track

Pause = Annotated[float, Meta(ge=0, le=1)]
"""Seconds for each step."""


def declare(jobs: Backburner) -> None:
    """Declare the tasks. All are open to the page: `api=True`."""

    @jobs.task(name="components.export", api=True, title="Export orders of {month}")
    def export(month: str, pause: Pause = 0.05) -> int:
        """A share, live output, a file at the end."""
        job = current_job()
        lines = ["id,total\n"]
        for number in track(range(1, 401), unit="orders"):
            lines.append(f"{number},{number * 7}\n")
            if number % 20 == 0:
                job.log(f"orders up to {number} written\n")
            if number == 118:
                job.message("Order 118 has no invoice address", "warning")
            time.sleep(pause)
        job.message("One has no invoice address")
        job.attach(io.BytesIO("".join(lines).encode()), name=f"orders {month}.csv", media_type="text/csv")
        return len(lines) - 1

    @jobs.task(name="components.feed", api=True, title="Import stock of supplier Alpstock")
    def feed(pause: Pause = 0.02) -> None:
        """Nobody knows how much it is."""
        job = current_job()
        job.stage("Reading the feed", unit="rows")
        for _ in range(500):
            job.advance(7)
            time.sleep(pause)

    @jobs.task(
        name="components.index",
        api=True,
        title="The search index is being rebuilt",
        visibility="public",
        tags=["search"],
    )
    def index(pause: Pause = 0.05) -> None:
        """Concerns everybody."""
        job = current_job()
        job.stage("New products may be missing", 300)
        for _ in range(300):
            job.advance(1)
            time.sleep(pause)

    @jobs.task(name="components.prices", api=True, title="Import price list of supplier Nordvik", max_attempts=1)
    def prices() -> None:
        """Fails, and says what to do."""
        raise PermanentError("Row 1,204 has no price, so nothing was changed. Correct the file and send it again.")
