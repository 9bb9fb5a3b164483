"""For the tests of apps: run jobs at once or when the test says so, by a clock that the test moves."""

from __future__ import annotations

from backburner.testing.clock import FakeClock
from backburner.testing.deaths import Point
from backburner.testing.jobs import JobsTesting
from backburner.testing.result import JobResult
from backburner.testing.stored import Wanted

__all__ = ["FakeClock", "JobResult", "JobsTesting", "Point", "Wanted"]
