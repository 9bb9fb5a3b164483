"""A scheduler in a process of its own, with the folder of its host: it looks whenever the test says what time it is."""

import os
import tempfile
from datetime import datetime
from pathlib import Path

from backburner import Backburner
from backburner.worker.scheduler import Scheduler
from tests.store.scene import HandClock
from tests.waiting import wait_until

OVER = "over"


def said(folder: Path) -> str:
    """What the test says: the number of a look and the time of it, or that it is over."""
    return (folder / "now").read_text()


def say(folder: Path, word: str) -> None:
    """Whole or not at all: somebody may read it at this moment."""
    new = folder / "now.new"
    new.write_text(word)
    new.rename(folder / "now")


def look(url: str, folder: str, name: str) -> int:
    """Look once per word, and answer it, until it is over."""
    assert tempfile.gettempdir() == os.environ["TMPDIR"], "each host has a folder of its own"
    place, clock = Path(folder), HandClock()
    jobs = Backburner(url)
    jobs.store.clock = clock
    scheduler = Scheduler(jobs.store, jobs.bell, jobs.ids.new, jobs.schedules, 1.0, clock.seconds)
    before = ""
    while True:
        wait_until(lambda last=before: said(place) != last, "the time moves on", 120)  # type: ignore[misc]
        before = said(place)
        if before == OVER:
            jobs.close()
            return 0
        clock._moment = datetime.fromisoformat(before.partition(" ")[2])
        scheduler.once()
        (place / f"{name}.new").write_text(before)
        (place / f"{name}.new").rename(place / f"{name}.looked")
