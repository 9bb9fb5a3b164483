"""Settings that come after tasks were declared."""

from pathlib import Path

import pytest

from backburner import Backburner
from backburner.errors import SettingsError


def test_settings_that_come_late_hold_from_then_on(tmp_path: Path) -> None:
    jobs = Backburner(f"sqlite:///{tmp_path}/one.db", lease=60)
    work = jobs.task(name="work")(lambda: None)
    first = work.enqueue()
    jobs.configure(url=f"sqlite:///{tmp_path}/two.db", secret="a secret for tests, long enough", signed=True)
    second = work.enqueue()
    assert [job.id for job in jobs.find()] == [second.id]
    assert (jobs.settings.lease, jobs.store.url.database) == (60, f"{tmp_path}/two.db")
    jobs.configure(url=f"sqlite:///{tmp_path}/one.db")
    assert [job.id for job in jobs.find()] == [first.id]
    jobs.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("default_queue", "mails"),
        ("default_priority", 7),
        ("priorities", [50, 60]),
        ("queues", ["default", "mails"]),
        ("routes", {"mail.*": "mails"}),
        ("max_args_bytes", 10),
    ],
)
def test_what_declared_tasks_have_taken_over_comes_too_late(name: str, value: object) -> None:
    fresh = Backburner("sqlite:///never-opened.db")
    fresh.configure(**{name: value})
    jobs = Backburner("sqlite:///never-opened.db")
    jobs.task(name="work")(lambda: None)
    before = jobs.settings
    with pytest.raises(SettingsError, match=f"'{name}'.*comes too late.*Give it to Backburner"):
        jobs.configure(url="sqlite:///other.db", **{name: value})
    assert jobs.settings is before


def test_a_secret_comes_too_late_when_something_is_signed_with_it() -> None:
    jobs = Backburner("sqlite:///never-opened.db", secret="a secret for tests, long enough")
    jobs.task(name="work", codec="pickle", pickle_types=[complex])(lambda n: None)
    with pytest.raises(SettingsError, match="comes too late") as caught:
        jobs.configure(secret="another secret, long enough")
    assert "another secret" not in str(caught.value)
