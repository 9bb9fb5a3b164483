"""The leases of a supervisor's children, and the rescue of what they leave."""

import threading
from dataclasses import asdict

import pytest

from backburner import Backburner
from backburner.blame import Death
from backburner.seams import SeamName, Seams
from backburner.worker import WorkerOptions, leases
from backburner.worker.children import Grave
from backburner.worker.leases import Leases
from tests.store.scene import Crew


class Slow(Seams):
    """The first rescue waits until it may go on."""

    def __init__(self) -> None:
        self.rescues = 0
        self.waits, self.go_on = threading.Event(), threading.Event()

    def reach(self, name: SeamName) -> None:
        if name == "before rescue":
            self.rescues += 1
            if self.rescues == 1:
                self.waits.set()
                self.go_on.wait(30)


def test_the_heartbeats_thread_may_still_be_at_a_rescue_when_all_ends(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both took the dead from the same list, one after the other had done it: the supervisor ended with an error."""
    monkeypatch.setattr(leases, "_LAST_RESCUE_SECONDS", 0.2)
    jobs, seams, crew = Backburner(sqlite_url), Slow(), Crew()
    jobs.store.ready()
    made = Leases(asdict(jobs.settings), jobs.ids.new(), WorkerOptions(), list, seams)
    made.end(Grave(jobs.ids.new(), Death("gone"), told=lambda _: None))
    crew.add(made._bury)
    crew.start()
    assert seams.waits.wait(30)
    made.close()
    seams.go_on.set()
    crew.join()
    assert seams.rescues == 1
    jobs.close()
