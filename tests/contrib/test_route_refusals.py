"""What an app that its adapter has wired refuses, and ends: the same in Flask and in FastAPI."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi import Request as FastAPIRequest
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from flask import Flask, g, redirect, request

from backburner import Backburner, JobState, current_job
from backburner.contrib.fastapi import FastAPIBackburner, background_user
from backburner.contrib.flask import FlaskBackburner
from backburner.errors import InvalidOption, TooLarge
from backburner.job import Job
from backburner.route_jobs import Identity, RouteJobs, background_route
from backburner.worker import Worker, WorkerOptions
from tests.contrib.conftest import output
from tests.route_jobs.site import Tap, with_body
from tests.waiting import wait_until

OPTIONS = {"max_answer": 10_000, "max_attempts": 1}


@dataclass
class Office:
    """An app with one user, ada, whose views say what was called."""

    jobs: Backburner
    passwords: dict[str, str] = field(default_factory=lambda: {"ada": "first", "bob": "first"})
    called: list[str] = field(default_factory=list)
    running: threading.Event = field(default_factory=threading.Event)
    routes: RouteJobs | None = None

    def identity(self) -> Identity:
        known = self.passwords
        return Identity(
            load_user=lambda name: name if name in known else None, id_of=str, epoch_of=lambda name: known[name]
        )

    def build(self, name: str | None) -> str:
        self.called.append(name or "nobody")
        return f"built for {name}"


def flask_office(office: Office) -> RouteJobs:
    app = Flask("office")

    @app.post("/build")
    @background_route
    def build() -> str:
        assert request.form or request.is_json
        return office.build(g.get("user"))

    @app.post("/plain")
    def plain() -> str:
        return office.build(None)

    @app.get("/away")
    @background_route
    def away() -> Any:
        return redirect("http://169.254.169.254/latest")

    @app.get("/large")
    @background_route
    def large() -> str:
        return "x" * 20_000

    @app.get("/never")
    @background_route
    def never() -> Any:
        office.running.set()
        while True:
            # A view that shows signs of life hears of its end.
            current_job().check()
            office.running.wait(0.01)

    sign_in = lambda user: setattr(g, "user", user)  # noqa: E731
    made = FlaskBackburner(office.jobs, app, identity=office.identity(), sign_in=sign_in, routes=OPTIONS)
    assert made.routes is not None
    return made.routes


def fastapi_office(office: Office) -> RouteJobs:
    app = FastAPI()

    @app.post("/build")
    @background_route
    async def build(asked: FastAPIRequest, user: Annotated[Any, Depends(background_user)]) -> PlainTextResponse:
        if not await asked.body():
            raise HTTPException(422)
        return PlainTextResponse(office.build(user))

    @app.post("/plain")
    def plain() -> str:
        return office.build(None)

    @app.get("/away")
    @background_route
    def away() -> Response:
        return RedirectResponse("http://169.254.169.254/latest", 302)

    @app.get("/large")
    @background_route
    def large() -> PlainTextResponse:
        return PlainTextResponse("x" * 20_000)

    @app.get("/never")
    @background_route
    async def never() -> None:
        office.running.set()
        await asyncio.Event().wait()

    made = FastAPIBackburner(office.jobs, app, identity=office.identity(), routes=OPTIONS)
    assert made.routes is not None
    return made.routes


@pytest.fixture(params=[flask_office, fastapi_office])
def office(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> Iterator[Office]:
    jobs = Backburner(sqlite_url, secret="a secret for tests, long enough", files=str(tmp_path / "files"))
    made = Office(jobs)
    make: Callable[[Office], RouteJobs] = request.param
    made.routes = make(made)
    yield made
    made.routes.close()
    jobs.close()


def ended(office: Office, *made: Job) -> list[Job]:
    """The jobs after their ends, by a worker."""
    with Worker(office.jobs, WorkerOptions(concurrency=2, poll=0.05)):
        assert all(job.wait(30) for job in made)
    return [job.refresh() for job in made]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/plain"),
        ("GET", "/build"),
        ("POST", "/none"),
        ("POST", "http://office.example/build"),
        ("POST", "https://169.254.169.254/build"),
        ("POST", "//evil.example/build"),
        ("POST", "/\\evil.example/build"),
        ("POST", "/build/../plain"),
        ("POST", "/build%0d%0aX-A: b"),
        ("POST", "build"),
    ],
)
def test_only_a_marked_route_of_the_app_itself(office: Office, method: str, path: str) -> None:
    with pytest.raises(InvalidOption):
        office.jobs.route(method, path)
    assert office.jobs.find() == []


def test_who_is_gone_or_has_logged_out_everywhere_in_between(office: Office) -> None:
    jobs = office.jobs
    gone, changed = (jobs.route("POST", "/build", form={"a": 1}, as_user=name) for name in ("ada", "bob"))
    del office.passwords["ada"]
    office.passwords["bob"] = "second"
    seen = ended(office, gone, changed)
    assert [(job.state, job.reason) for job in seen] == [
        (JobState.FAILED, "The user this job runs as is gone, or may not sign in any more."),
        (JobState.FAILED, "The user has another password since, or has logged out everywhere."),
    ]
    assert office.called == []


def test_a_grant_is_good_once_and_for_its_body_alone(office: Office) -> None:
    assert office.routes is not None
    tap = Tap(office.routes)
    tap.before = [lambda sent: with_body(sent, b"a=2"), lambda sent: replace(sent, path="/plain")]
    (job,) = ended(office, office.jobs.route("POST", "/build", form={"a": 1}, as_user="ada"))
    assert [status for status, _ in tap.answers] == [403, 403]
    assert tap.send(tap.outgoing[0]) == (403, "The grant was used before, or its attempt is over.")
    assert (job.state, output(office.jobs, job), office.called) == (JobState.SUCCEEDED, ["built for ada"], ["ada"])


def test_a_body_that_is_too_large_is_refused_where_it_is_given(office: Office) -> None:
    with pytest.raises(TooLarge):
        office.jobs.route("POST", "/build", json={"a": "x" * 300_000})
    assert office.jobs.find() == []


def test_answers_that_lead_elsewhere_or_are_too_large(office: Office) -> None:
    away, large = ended(office, office.jobs.route("GET", "/away"), office.jobs.route("GET", "/large"))
    assert away.state is JobState.SUCCEEDED, "it is recorded, and not followed"
    assert (away.result()["status"], away.result()["headers"]["location"]) == (302, "http://169.254.169.254/latest")
    assert (large.state, large.reason) == (JobState.FAILED, "Its answer is larger than 10,000 bytes.")


def test_a_route_that_never_ends_is_cancelled_or_runs_out_of_time(office: Office) -> None:
    with Worker(office.jobs, WorkerOptions(concurrency=2, poll=0.05)):
        late = office.jobs.route("GET", "/never", timeout=0.2)
        assert late.wait(30)
        office.running.clear()
        never = office.jobs.route("GET", "/never")
        wait_until(office.running.is_set, "the view runs")
        never.cancel()
        assert never.wait(30)
    assert (late.refresh().state, never.refresh().state) == (JobState.FAILED, JobState.CANCELLED)
    assert "0.2 s" in (late.refresh().reason or "")
