"""What type checkers must accept and must refuse of tracing, as in `enqueueing.py`."""

# pyright: reportUnnecessaryTypeIgnoreComment=error

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, assert_type

from opentelemetry.sdk.trace import TracerProvider

from backburner import Backburner
from backburner.contrib.opentelemetry import instrument
from backburner.hooks import Attempt, Hook
from backburner.surroundings import Enqueueing

jobs = Backburner("sqlite://")


@contextmanager
def watch(call: Enqueueing) -> Iterator[None]:
    """Around a call."""
    assert_type(call.task, str | None)
    yield


class Tenants(Hook):
    """Reads what was captured."""

    def before(self, attempt: Attempt) -> None:
        assert_type(attempt.captured["tenant"], Any)


instrument(jobs)
instrument(jobs, TracerProvider(), same_trace=True, record_exceptions=False)
instrument("jobs")  # type: ignore[arg-type]
instrument(jobs, "provider")  # type: ignore[arg-type]
instrument(jobs, same_tracing=True)  # type: ignore[call-arg]
jobs.surroundings.add(watch=watch)
jobs.surroundings.add(watch=lambda: None)  # type: ignore[arg-type, misc]
