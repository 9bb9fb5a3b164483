"""What rows of the parity tests do with jobs again and again."""

from collections.abc import Iterable

from backburner import Job, JobState
from backburner.worker import Worker
from tests.waiting import wait_until


def done(job: Job) -> Job:
    """The job after its end, whatever end that is."""
    assert job.wait(60), f"{job.name} is still {job.refresh().state} after 60 s"
    return job.refresh()


def in_state(job: Job, state: JobState) -> Job:
    """The job as soon as it is in a state."""
    wait_until(lambda: job.refresh().state is state, f"{job.name} is {state}")
    return job.refresh()


def states(jobs: Iterable[Job]) -> list[JobState]:
    """The states as they are now, in order."""
    return [job.refresh().state for job in jobs]


def ran_out(worker: Worker) -> None:
    """A worker with `burst` has ended: nothing is ready any more."""
    assert worker.wait(60), "the worker found work for 60 s"
