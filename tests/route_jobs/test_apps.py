"""Apps that fail in the middle, end too early, or do not start at the first try."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backburner import Backburner, JobState
from backburner.job import Job
from backburner.route_jobs import RouteJobs
from backburner.route_jobs.loop import CallLoop
from backburner.testing import JobsTesting

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
HALF = {"type": "http.response.body", "body": b"half of it\n", "more_body": True}


def ended(jobs: Backburner, testing: JobsTesting) -> Job:
    job = jobs.route("GET", "/a", max_attempts=1)
    testing.drain()
    return job.refresh()


def test_a_wsgi_app_that_fails_behind_its_status_has_failed(jobs: Backburner, testing: JobsTesting) -> None:
    """An app may take its status back as long as nothing was sent, and must not afterwards."""

    def app(environ: Any, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"half of it\n"
        try:
            raise ValueError("the other half is missing")
        except ValueError:
            start_response("500 Oh", [("Content-Type", "text/plain")], sys.exc_info())
            yield b"sorry\n"

    RouteJobs(jobs, marked=["GET /a"]).wsgi(app)
    job = ended(jobs, testing)
    assert (job.state, job.error) == (JobState.FAILED, "ValueError: the other half is missing")


def test_a_wsgi_app_may_take_its_status_back_before_it_has_sent_anything(
    jobs: Backburner, testing: JobsTesting
) -> None:
    def app(environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError("nothing was sent")
        except ValueError:
            start_response("404 Gone", [("Content-Type", "text/plain")], sys.exc_info())
            return [b"sorry\n"]

    RouteJobs(jobs, marked=["GET /a"]).wsgi(app)
    job = ended(jobs, testing)
    assert (job.state, job.reason) == (JobState.FAILED, "The route answered 404 Not Found.")


async def _ends_too_early(send: Callable[..., Any]) -> None:
    await send(HEAD)
    await send(HALF)


async def _is_cancelled_within(send: Callable[..., Any]) -> None:
    await send(HEAD)
    await send(HALF)
    other = asyncio.ensure_future(asyncio.sleep(3600))
    other.cancel()
    await other


@pytest.mark.parametrize("answer", [_ends_too_early, _is_cancelled_within])
def test_half_an_answer_of_an_asgi_app_is_none(
    jobs: Backburner, testing: JobsTesting, answer: Callable[..., Any]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await answer(send)

    routes = RouteJobs(jobs, marked=["GET /a"])
    routes.asgi(app)
    job = ended(jobs, testing)
    routes.close()
    assert job.state is JobState.FAILED
    assert (job.error or "").startswith("RuntimeError: the app ")


def test_an_app_that_could_not_start_is_started_again(jobs: Backburner, testing: JobsTesting) -> None:
    """Its database was away for a moment: the worker needs no restart for it."""
    starts: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            starts.append("")
            if len(starts) == 1:
                await send({"type": "lifespan.startup.failed", "message": "no database"})
                raise ConnectionError("no database")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send(HEAD)
        await send({"type": "http.response.body", "body": b"there"})

    routes = RouteJobs(jobs, marked=["GET /a"])
    routes.asgi(app)
    made = [jobs.route("GET", "/a", max_attempts=1) for _ in range(3)]
    testing.drain()
    routes.close()
    assert [job.refresh().state for job in made] == [JobState.FAILED, JobState.SUCCEEDED, JobState.SUCCEEDED]
    assert made[0].refresh().error == "RuntimeError: the app did not start: no database"
    assert len(starts) == 2


@pytest.mark.parametrize("media_type", ["application/an odd one", f"application/{'x' * 200}"])
def test_a_media_type_that_is_none_is_no_reason_to_call_the_view_again(
    jobs: Backburner, testing: JobsTesting, media_type: str
) -> None:
    def app(environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", media_type)])
        return [b"1,2"]

    RouteJobs(jobs, marked=["GET /a"]).wsgi(app)
    job = ended(jobs, testing)
    assert job.state is JobState.SUCCEEDED, job.error
    (file,) = jobs.store.attachments.of_job(job.id)
    assert (file.size, file.media_type) == (3, "application/octet-stream")


@pytest.mark.parametrize("charset", ["hex", "none-such", "undefined"])
def test_a_charset_that_is_none_is_no_reason_to_call_the_view_again(
    jobs: Backburner, testing: JobsTesting, charset: str
) -> None:
    def app(environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", f"text/plain; charset={charset}")])
        return [b"1 \xe2\x82\xac\n"]

    RouteJobs(jobs, marked=["GET /a"]).wsgi(app)
    job = ended(jobs, testing)
    assert job.state is JobState.SUCCEEDED, job.error
    assert [line.text for line in jobs.store.progress.log(job.id)] == ["1 \u20ac\n"]


def test_a_request_that_does_not_heed_its_end_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a plain function does that an ASGI app runs in a thread. Its job tried again beside it would run twice."""
    monkeypatch.setattr("backburner.route_jobs.loop.END_SECONDS", 0.0)
    loop, order = CallLoop(), list[str]()

    async def produce(send: Any) -> None:
        try:
            await send((200, []))
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            for _ in range(1000):
                await asyncio.sleep(0)
            order.append("the view has ended")

    with loop.answer(produce, lambda: None) as answer:
        assert answer.status == 200
    order.append("the job has ended")
    loop.close()
    assert order == ["the view has ended", "the job has ended"]


def test_a_loop_that_ends_leaves_nobody_waiting() -> None:
    loop = CallLoop()

    async def produce(send: Any) -> None:
        await send((200, []))
        loop.close()
        await asyncio.Event().wait()

    with (
        pytest.raises(RuntimeError, match="the app was cancelled from within"),
        loop.answer(produce, lambda: None) as answer,
    ):
        list(answer.pieces)
