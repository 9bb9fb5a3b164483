"""Routes of the app that run in the background, and the proof that such a request is one."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from backburner import Backburner, JobState
from backburner.errors import InvalidOption
from backburner.job import Job
from backburner.route_jobs import Identity, RouteJobs, granted
from backburner.settings import Settings
from tests.parity.conftest import StartWorker
from tests.parity.running import done
from tests.route_jobs.site import Tap

USERS = {"ada": "first", "bob": "first"}


@pytest.fixture
def jobs(sqlite_url: str, tmp_path: Any) -> Iterator[Backburner]:
    made = Backburner(sqlite_url, secret="a secret of this test alone", files=str(tmp_path / "files"))
    yield made
    made.close()


@pytest.fixture
def routes(jobs: Backburner) -> RouteJobs:
    """An app that says what it was asked, and by whom."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        proof = granted(environ)
        said = {
            "user": proof.user if proof is not None else "from outside",
            "method": environ["REQUEST_METHOD"],
            "query": environ["QUERY_STRING"],
            "body": environ["wsgi.input"].read().decode(),
            "cookie": environ.get("HTTP_COOKIE"),
        }
        start_response("200 OK", [("Content-Type", "application/json"), ("X-Report", "7")])
        return [json.dumps(said).encode()]

    identity = Identity(
        load_user=lambda name: name if name in known else None,
        id_of=lambda user: user,
        epoch_of=lambda user: known[user],
    )
    known = dict(USERS)
    made = RouteJobs(jobs, marked=["POST /report", "GET /report"], identity=identity, cookies=["session"])
    made.wsgi(app)
    vars(made)["known"] = known
    return made


def said(jobs: Backburner, job: Job) -> dict[str, Any]:
    return dict(json.loads("".join(line.text for line in jobs.store.progress.log(done(job).id))))


def test_run_05_a_route_runs_in_the_background_as_the_user(
    jobs: Backburner, routes: RouteJobs, start_worker: StartWorker
) -> None:
    start_worker()
    job = jobs.route("POST", "/report", query={"month": 10}, form={"a": 1}, as_user="ada", keep_headers=["X-Report"])
    assert said(jobs, job) == {
        "user": "ada", "method": "POST", "query": "month=10", "body": "a=1", "cookie": None,
    }  # fmt: skip
    assert job.result() == {"status": 200, "headers": {"x-report": "7"}, "size": done(job).result()["size"]}


def test_run_05_anonymous_means_anonymous(jobs: Backburner, routes: RouteJobs, start_worker: StartWorker) -> None:
    start_worker()
    found = said(jobs, jobs.route("GET", "/report"))
    assert (found["user"], found["cookie"]) == (None, None)


def test_run_05_cookies_when_they_are_asked_for(jobs: Backburner, routes: RouteJobs, start_worker: StartWorker) -> None:
    start_worker()
    job = jobs.route("GET", "/report", with_cookies={"session": "s-1", "other": "s-2"})
    assert said(jobs, job)["cookie"] == "session=s-1"


def test_run_05_only_routes_that_are_marked(jobs: Backburner, routes: RouteJobs) -> None:
    for method, path in (("DELETE", "/report"), ("GET", "/admin"), ("GET", "http://169.254.169.254/")):
        with pytest.raises(InvalidOption):
            jobs.route(method, path)
    assert jobs.find() == []


def test_run_06_a_request_is_good_once_and_only_as_it_was_signed(
    jobs: Backburner, routes: RouteJobs, start_worker: StartWorker
) -> None:
    tap = Tap(routes)
    tap.before = [lambda sent: replace(sent, method="GET"), lambda sent: replace(sent, query="month=11")]
    start_worker()
    job = jobs.route("POST", "/report", query={"month": 10}, form={"a": 1}, as_user="ada")
    assert done(job).state is JobState.SUCCEEDED
    assert [status for status, _ in tap.answers] == [403, 403]
    assert tap.send(tap.outgoing[0]) == (403, "The grant was used before, or its attempt is over.")


def test_run_06_it_fails_closed_when_the_password_has_changed(
    jobs: Backburner, routes: RouteJobs, start_worker: StartWorker
) -> None:
    job = jobs.route("POST", "/report", as_user="ada")
    vars(routes)["known"]["ada"] = "second"
    start_worker()
    assert done(job).state is JobState.FAILED
    assert "another password" in (done(job).reason or "")


def test_run_06_there_is_no_key_by_default() -> None:
    assert Settings().secret is None
    with pytest.raises(Exception, match="requests of route jobs are signed with it"):
        RouteJobs(Backburner("sqlite:///never-opened.db"), marked=["GET /report"])


def test_run_06_on_every_database(database_url: str, tmp_path: Any, start_worker: StartWorker) -> None:
    jobs = Backburner(database_url, auto_migrate=True, secret="a secret of this test alone", files=str(tmp_path))
    made = RouteJobs(jobs, marked=["POST /report"])

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("204 No Content", [])
        return []

    made.wsgi(app)
    tap = Tap(made)
    start_worker(jobs)
    job = jobs.route("POST", "/report", json={"a": 1})
    assert done(job).result() == {"status": 204, "headers": {}, "size": 0}
    assert tap.send(tap.outgoing[0])[0] == 403
    jobs.close()
