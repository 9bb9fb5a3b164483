"""The app as worker processes load it."""

import os

from tests.worker.app import build
from tests.worker.history import folder

jobs = build(os.environ["WORKER_TEST_URL"], folder())
