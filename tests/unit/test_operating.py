"""What operators say of queues, schedules, workers and locks: wrong values are refused before anything is stored."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from backburner import Backburner
from backburner.errors import InvalidOption, SettingsError
from backburner.secrets import MAX_SECRETS_BYTES, checked_secrets

Said = Callable[[Backburner], Any]


@pytest.fixture
def jobs(sqlite_url: str) -> Iterator[Backburner]:
    # Without tables: whoever asked the database would be told so.
    made = Backburner(sqlite_url, auto_migrate=False)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("option", "say"),
    [
        ("queue", lambda jobs: jobs.queues.pause("")),
        ("queue", lambda jobs: jobs.queues.pause("*")),
        ("queue", lambda jobs: jobs.queues.resume("*")),
        ("queue", lambda jobs: jobs.queues.limit("*", 5)),
        ("queue", lambda jobs: jobs.queues.limit("a,b", 5)),
        ("most", lambda jobs: jobs.queues.limit("reports", 0)),
        ("most", lambda jobs: jobs.queues.limit("reports", True)),
        ("reason", lambda jobs: jobs.queues.pause(reason="x" * 501)),
        ("by", lambda jobs: jobs.queues.pause(by="x" * 201)),
        ("until", lambda jobs: jobs.queues.pause(until=datetime(2099, 1, 1))),  # noqa: DTZ001 (that is what is wrong)
        ("reason", lambda jobs: jobs.schedules.pause("nightly", reason="x" * 501)),
        ("reason", lambda jobs: jobs.schedules.pause("nightly", reason="\0")),
        ("by", lambda jobs: jobs.schedules.pause("nightly", by="x" * 201)),
        ("ids", lambda jobs: jobs.workers.list("019a3f2e")),
        ("ids", lambda jobs: jobs.workers.stop("019a3f2e")),
        ("ids", lambda jobs: jobs.workers.wait("019a3f2e")),
        ("name", lambda jobs: jobs.lock("x" * 151)),
        ("wait", lambda jobs: jobs.lock("nightly", wait=-1)),
        ("lease", lambda jobs: jobs.lock("nightly", lease=0)),
        ("lease", lambda jobs: jobs.lock("nightly", lease="30")),
    ],
)
def test_wrong_values_are_refused(jobs: Backburner, option: str, say: Said) -> None:
    with pytest.raises(InvalidOption) as caught:
        say(jobs)
    assert caught.value.option == option


def test_no_task_and_no_setting_may_use_the_name_for_all_queues(jobs: Backburner) -> None:
    with pytest.raises(InvalidOption, match="stands for all queues"):
        jobs.task(name="work", queue="*")(lambda: None)
    with pytest.raises(SettingsError, match="stands for all queues"):
        Backburner("sqlite:///jobs.db", queues=("default", "*"))


def test_secrets_fit_into_a_pipe_however_they_are_written() -> None:
    """A control character takes six bytes there: whoever launches must not wait for somebody to read."""
    assert checked_secrets({"key": "x" * (MAX_SECRETS_BYTES - 20)}) is not None
    with pytest.raises(InvalidOption, match="has more than") as caught:
        checked_secrets({"key": "\x01" * (MAX_SECRETS_BYTES // 2)})
    assert "\x01" not in str(caught.value)
