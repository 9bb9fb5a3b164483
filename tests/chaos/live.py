"""The app as worker processes load it, with all that watches and disturbs them."""

import os

from tests import faulty
from tests.chaos import clock
from tests.chaos.app import build, folder
from tests.chaos.recording import record_ends
from tests.worker.seams import DeadlySeams

record_ends(folder() / "history")
clock.follow(folder())
if "CHAOS_FAULT_RATE" in os.environ:
    faulty.install(faulty.Faults(float(os.environ["CHAOS_FAULT_RATE"]), os.getpid()))
_more = {"broker": os.environ["CHAOS_BROKER"]} if "CHAOS_BROKER" in os.environ else {}
jobs = build(os.environ["CHAOS_URL"], folder(), DeadlySeams(folder()), **_more)
