"""Route jobs in a worker with threads: cancelled, too late, too large; and in a process of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner, JobState, RetryPolicy
from backburner.job import Job
from backburner.route_jobs import RouteJobs
from backburner.worker import Worker, WorkerOptions
from tests.route_jobs.conftest import SECRET
from tests.route_jobs.site import MARKED, Site
from tests.waiting import wait_until

Start = Callable[..., Backburner]


@pytest.fixture
def start(tmp_path: Path, site: Site) -> Iterator[Start]:
    """An app whose routes are called by ASGI, and a worker that runs."""
    ends: list[Callable[[], Any]] = []

    def made(**options: Any) -> Backburner:
        jobs = Backburner(f"sqlite:///{tmp_path / 'jobs.db'}", secret=SECRET, files=str(tmp_path / "files"))
        RouteJobs(jobs, marked=MARKED, retry=RetryPolicy(max_attempts=1), **options).asgi(site.asgi)
        worker = Worker(jobs, WorkerOptions(concurrency=2, poll=0.05)).start()
        ends.extend([jobs.close, lambda: worker.stop(2.0)])
        return jobs

    yield made
    for end in reversed(ends):
        end()


def ended(job: Job) -> Job:
    assert job.wait(30), job.refresh().state
    return job.refresh()


def test_a_route_that_never_ends_is_cancelled_with_its_job(start: Start, site: Site) -> None:
    job = start().route("GET", "/never")
    assert site.running.wait(30)
    job.cancel()
    assert ended(job).state is JobState.CANCELLED
    assert site.ended.wait(30), "the view itself was stopped"


def test_another_worker_of_the_process_that_ends_takes_nothing_away(start: Start, site: Site) -> None:
    jobs = start()
    job = jobs.route("GET", "/never")
    assert site.running.wait(30)
    with Worker(jobs, WorkerOptions(queues=("other",), poll=0.05)):
        pass
    job.cancel()
    assert ended(job).state is JobState.CANCELLED
    assert site.ended.wait(30), "the loop goes on, and the view is told"


@pytest.mark.parametrize("limit", [{"timeout": 0.2}, {"stall_timeout": 0.2}])
def test_a_route_that_never_ends_has_a_limit(start: Start, site: Site, limit: dict[str, float]) -> None:
    job = ended(start().route("GET", "/never", **limit))  # type: ignore[arg-type]
    assert job.state is JobState.FAILED
    assert "0.2 s" in (job.reason or "")
    assert site.ended.wait(30)


def test_an_answer_that_is_too_large_ends_it(start: Start) -> None:
    jobs = start(max_answer=10_000)
    job = ended(jobs.route("GET", "/large"))
    assert (job.state, job.reason) == (JobState.FAILED, "Its answer is larger than 10,000 bytes.")
    assert jobs.store.progress.log_end(job.id) <= 10_000


def test_the_lifespan_of_the_app_lasts_as_long_as_the_worker(tmp_path: Path) -> None:
    said: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["made"] = "at its start"
            for _ in range(2):
                message = await receive()
                said.append(message["type"])
                await send({"type": f"{message['type']}.complete"})
            return
        said.append(scope["state"]["made"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    jobs = Backburner(f"sqlite:///{tmp_path / 'jobs.db'}", secret=SECRET, files=str(tmp_path / "files"))
    RouteJobs(jobs, marked=["GET /a"]).asgi(app)
    with Worker(jobs, WorkerOptions(poll=0.05)):
        for _ in range(2):
            assert ended(jobs.route("GET", "/a")).state is JobState.SUCCEEDED
    jobs.close()
    wait_until(lambda: len(said) == 4, "the app was told to end")
    assert said == ["lifespan.startup", "at its start", "at its start", "lifespan.shutdown"]


def test_an_app_that_does_not_start_fails_its_jobs(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    jobs = Backburner(f"sqlite:///{tmp_path / 'jobs.db'}", secret=SECRET)
    RouteJobs(jobs, marked=["GET /a"], retry=RetryPolicy(max_attempts=1)).asgi(app)
    with Worker(jobs, WorkerOptions(poll=0.05)):
        job = ended(jobs.route("GET", "/a"))
    jobs.close()
    assert (job.state, job.error) == (JobState.FAILED, "RuntimeError: the app did not start: no database")
