"""At home in a framework: an endpoint starts a job as who is signed in, and its page is theirs alone.

The small shops of `examples/` are driven in a browser by `tests/browser`.
"""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import Cookie, FastAPI
from fastapi.testclient import TestClient
from flask import Flask, current_app, request

from backburner import Backburner
from backburner.contrib.fastapi import FastAPIBackburner
from backburner.contrib.flask import FlaskBackburner
from tests.parity.conftest import StartWorker
from tests.parity.running import done

Browser = Callable[[str | None], Any]


def flask_app(jobs: Backburner) -> Browser:
    """A Flask app; its task needs the application context."""
    app = Flask("shop")
    backburner = FlaskBackburner(jobs, app, user=lambda: request.cookies.get("name"))

    @jobs.task(title="Export {month}")
    def export(month: str) -> str:
        return f"{month} in {current_app.name}"

    @app.post("/export")
    def start() -> Any:
        return backburner.respond(export.enqueue("10"), wait=0, then="/thanks")

    return lambda name: httpx.Client(
        transport=httpx.WSGITransport(app=app), base_url="http://localhost", cookies={"name": name} if name else {}
    )


def fastapi_app(jobs: Backburner) -> Browser:
    """A FastAPI app with a dependency that says who asks."""
    app = FastAPI(title="shop")
    backburner = FastAPIBackburner(jobs, app, user=current_user)

    @jobs.task(title="Export {month}")
    async def export(month: str) -> str:
        return f"{month} in {app.title}"

    @app.post("/export", dependencies=[backburner.owner])
    async def start() -> Any:
        return await backburner.respond(await export.aenqueue("10"), wait=0, then="/thanks")

    return lambda name: TestClient(app, cookies={"name": name} if name else {}, follow_redirects=False)


def current_user(name: str | None = Cookie(None)) -> str | None:
    return name


@pytest.mark.parametrize("make", [flask_app, fastapi_app])
def test_fra_01_an_app_starts_a_job_for_who_is_signed_in(
    jobs: Backburner, start_worker: StartWorker, make: Callable[[Backburner], Browser]
) -> None:
    browser = make(jobs)
    ada, bob, nobody = browser("ada"), browser("bob"), browser(None)
    page = ada.post("/export").headers["location"]
    html = {"Accept": "text/html"}
    assert [one.get(page, headers=html).status_code for one in (ada, bob, nobody)] == [200, 404, 404]
    assert "<backburner-wait " in ada.get(page, headers=html).text
    assert ada.get("/backburner/dashboard/jobs").status_code == 403
    start_worker()
    (job,) = jobs.find(owner="ada")
    assert done(job).result() == "10 in shop"
    assert ada.get(page, headers=html).headers["location"] == "/thanks"
