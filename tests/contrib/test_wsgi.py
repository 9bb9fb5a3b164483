"""The web side behind WSGI: nothing waits there, and nothing is left behind."""

import asyncio
import io
import os
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from backburner import Backburner, current_job
from backburner.contrib.wsgi import WsgiBridge
from backburner.testing import JobsTesting
from backburner.web import User, web_app
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.web.shop import events_of


def who(request: Request) -> User:
    """As the WSGI server around us says."""
    return User(request.scope["wsgi_environ"]["REMOTE_USER"], operator=True)


@pytest.fixture
def browser(jobs: Backburner) -> Iterator[httpx.Client]:
    transport = httpx.WSGITransport(app=WsgiBridge(lambda: web_app(jobs, resolve_user=who)), remote_addr="127.0.0.1")
    transport.app = _signed_in(transport.app)
    with httpx.Client(transport=transport, base_url="http://testserver") as made:
        yield made


def _signed_in(app: Any) -> Any:
    return lambda environ, start_response: app(environ | {"REMOTE_USER": "boss", "SCRIPT_NAME": ""}, start_response)


def test_the_web_side_answers(jobs: Backburner, browser: httpx.Client, testing: JobsTesting) -> None:
    job = jobs.task(name="add")(lambda: 3).enqueue()
    assert browser.get(f"/jobs/{job.id}").json()["place"] == 1
    assert browser.get("/static/backburner.js").headers["content-type"].startswith("text/javascript")
    assert browser.post(f"/jobs/{job.id}/cancel").json()["state"] == "cancelled"
    assert browser.get("/jobs/none").status_code == 404


def test_a_long_poll_is_answered_at_once(jobs: Backburner, browser: httpx.Client, testing: JobsTesting) -> None:
    job = jobs.task(name="add")(lambda: 3).enqueue()
    mark = browser.get(f"/jobs/{job.id}").headers["etag"]
    answer = browser.get(f"/jobs/{job.id}", headers={"Prefer": "wait=30", "If-None-Match": mark})
    assert (answer.status_code, "preference-applied" in answer.headers) == (304, False)


def test_a_stream_is_one_look_and_goes_on_where_it_was(jobs: Backburner, browser: httpx.Client) -> None:
    said, gate = threading.Event(), threading.Event()

    @jobs.task(name="talk")
    def talk() -> None:
        job = current_job()
        assert job is not None
        job.log("first")
        said.set()
        assert gate.wait(30)
        job.log("second")

    job = talk.enqueue()
    with Worker(jobs):
        assert said.wait(30)
        wait_until(lambda: jobs.store.progress.log(job.id), "the first line is stored")
        events = events_of(browser.get(f"/jobs/{job.id}/events").text)
        assert [kind for kind, _, _ in events] == ["snapshot", "log"]
        feed = events_of(browser.get(f"/jobs/feed?ids={job.id}").text)
        assert [kind for kind, _, _ in feed] == ["snapshot"]
        gate.set()
        assert job.wait(30)
    rest = events_of(browser.get(f"/jobs/{job.id}/events", headers={"Last-Event-ID": str(events[-1][1])}).text)
    kinds = [kind for kind, _, _ in rest]
    # It begins by what was seen up to a second ago: then the state and the progress follow that came since.
    assert [kind for kind in kinds if kind not in ("state", "progress")] == ["snapshot", "log", "done"]
    assert (kinds[0], kinds[-1]) == ("snapshot", "done")
    assert "second" in rest[kinds.index("log")][2]


def test_an_answer_that_nobody_reads_to_its_end_ends_its_task() -> None:
    ended = threading.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            ended.set()

    answer = WsgiBridge(lambda: endless).answer(environ())
    assert (answer.status, next(answer.body)) == ("200 OK", b"x")
    answer.body.close()
    assert ended.wait(30)


def test_what_is_sent_arrives() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-loop", b"1")]})
        await send({"type": "http.response.body", "body": body})

    sent = b"month=2026-10" * 10_000
    answer = WsgiBridge(lambda: echo).answer(environ(REQUEST_METHOD="POST", body=sent))
    assert (answer.status, answer.headers, b"".join(answer.body)) == ("201 Created", [("x-loop", "1")], sent)


def test_a_body_that_ends_before_its_length_is_an_error_and_no_endless_question() -> None:
    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await Request(scope, receive).body()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"whole"})

    asked = environ(REQUEST_METHOD="POST", body=b"half of it", CONTENT_LENGTH="100")
    with pytest.raises(OSError, match="ended before its body was here"):
        WsgiBridge(lambda: reading).answer(asked)


def test_a_process_that_was_forked_has_a_loop_of_its_own() -> None:
    async def pid(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

    bridge = WsgiBridge(lambda: pid)
    assert b"".join(bridge.answer(environ()).body) == str(os.getpid()).encode()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"".join(bridge.answer(environ()).body))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == str(child).encode()
    os.waitpid(child, 0)


def environ(body: bytes = b"", **more: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "testserver", "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)), **more,
    }  # fmt: skip
