"""The app as worker processes load it."""

import os

from tests.waiting import wait_until
from tests.worker.app import SLOW, build, note_notice
from tests.worker.history import folder

if (folder() / SLOW).exists():
    wait_until(lambda: not (folder() / SLOW).exists(), "the app may be loaded")
jobs = build(os.environ["WORKER_TEST_URL"], folder())
jobs.notifier(note_notice)
