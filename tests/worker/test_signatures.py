"""Rows that were enqueued for a function that has other parameters now."""

from collections.abc import Callable
from typing import Any

import pytest

from backburner import Backburner
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.worker.app import build
from tests.worker.conftest import EMBEDDED
from tests.worker.world import World


def older(job: str, dry_run: bool) -> str:
    return f"{job} {dry_run}"


def without(job: str) -> str:
    return job


def with_default(job: str, dry_run: bool, page: int = 7) -> str:
    return f"{job} {dry_run} {page}"


def with_more(job: str, dry_run: bool, page: int) -> str:
    return f"{job} {dry_run} {page}"


def enqueued(world: World, name: str = "changing") -> str:
    """A job of the older function."""
    return world.jobs.task(name=name)(older).enqueue("a", dry_run=True).id


def now(world: World, function: Callable[..., Any], **options: Any) -> Backburner:
    """The app with the function as it is today."""
    app = build(world.url, world.folder)
    app.task(**{"name": "changing"} | options)(function)
    return app


def test_a_new_parameter_takes_its_default(world: World) -> None:
    job_id = enqueued(world)
    with Worker(now(world, with_default), EMBEDDED):
        assert world.ends(job_id).result() == "a True 7"


@pytest.mark.parametrize(
    ("function", "says"),
    [(without, "it has no parameter 'dry_run' any more"),
     (with_more, "the call has nothing for its parameter 'page'")],
)  # fmt: skip
def test_what_does_not_fit_is_held_and_says_why(world: World, function: Callable[..., Any], says: str) -> None:
    job_id = enqueued(world)
    with Worker(now(world, function), EMBEDDED):
        # One look: a worker that starts tries what is held once more.
        job = wait_until(
            lambda: next((j for j in [world.job(job_id)] if j.blocked_on == "changed signature"), None), "held"
        )
        assert job is not None
        assert job.reason == "Its task has changed since it was enqueued."
        assert says in (job.error or "")
        assert says in world.jobs.control.why_not_running(job)[0]
    # The next release knows what to do, and its worker tries again.
    with Worker(now(world, with_default), EMBEDDED):
        assert world.ends(job_id).result() == "a True 7"


def test_a_former_parameter_is_left_out(world: World) -> None:
    job_id = enqueued(world)
    with Worker(now(world, without, former=["dry_run"]), EMBEDDED):
        assert world.ends(job_id).result() == "a"


def test_a_renamed_task_answers_to_its_old_name(world: World) -> None:
    job_id = enqueued(world, "old.name")
    with Worker(now(world, older, name="new.name", aliases=["old.name"]), EMBEDDED):
        assert world.ends(job_id).result() == "a True"
