"""Views that answer a request with the job that runs it: in Django, Flask and FastAPI the same."""

import asyncio
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi import Request as FastAPIRequest
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from flask import Flask, g, request
from flask_sqlalchemy import SQLAlchemy

from backburner import Backburner, JobState
from backburner.contrib.fastapi import FastAPIBackburner, background_user
from backburner.contrib.flask import FlaskBackburner
from backburner.job import Job
from backburner.route_jobs import Identity, background_route
from backburner.worker import Worker, WorkerOptions
from tests.contrib.conftest import output
from tests.contrib.django_project import use_database

# Behind the settings, which that module makes.
from django.contrib.auth.models import User  # isort: skip
from django.core.handlers.wsgi import WSGIHandler  # isort: skip
from django.db import connections  # isort: skip
from django.test import AsyncClient, Client, override_settings  # isort: skip

from backburner.contrib.django import DjangoRoutes  # isort: skip
from backburner.contrib.django.project import project_jobs  # isort: skip

PASSWORDS = {"ada": "first"}
IDENTITY = Identity(
    load_user=lambda name: name if name in PASSWORDS else None, id_of=str, epoch_of=lambda name: PASSWORDS[name]
)


@dataclass
class Shop:
    """An app with a slow route, and a browser in which ada is signed in, or nobody."""

    jobs: Backburner
    ada: httpx.Client
    nobody: httpx.Client
    of_nobody: int
    """The status that somebody gets who is not signed in."""


def django_shop(folder: Path) -> Iterator[Shop]:
    use_database(folder)
    with override_settings(BACKBURNER={"FILES": str(folder / "files")}):
        jobs = project_jobs()
    DjangoRoutes(jobs)
    ada = Client()
    ada.force_login(User.objects.create_user("ada"))
    kept = {"sessionid": ada.cookies["sessionid"].value}
    app = WSGIHandler()
    token = {"csrftoken": "x" * 32}
    browsers = [
        httpx.Client(
            transport=httpx.WSGITransport(app=app), base_url="http://localhost", cookies=cookies | token,
            headers={"X-CSRFToken": "x" * 32},
        )
        for cookies in (kept, {})
    ]  # fmt: skip
    yield Shop(jobs, browsers[0], browsers[1], of_nobody=302)
    jobs.close()
    connections.close_all()


def flask_shop(folder: Path) -> Iterator[Shop]:
    jobs, app = own_jobs(folder), Flask("shop")

    def signed_in() -> Any:
        return g.get("user") or request.headers.get("x-name")

    backburner = FlaskBackburner(
        jobs, app, user=signed_in, identity=IDENTITY, sign_in=lambda user: setattr(g, "user", user)
    )

    @app.before_request
    def asked() -> Any:
        return ("Sign in.", 401) if request.path == "/slow/" and signed_in() is None else None

    @app.route("/slow/", methods=["GET", "POST", "PUT"])
    @backburner.in_background(wait=0, then="/who/", title="Slow report")
    def slow() -> Any:
        files = [file.read().decode() for file in request.files.getlist("rows")]
        said = request.get_data(as_text=True) if request.is_json else dict(request.form.lists())
        language = request.headers.get("Accept-Language")
        text = f"{signed_in()}: {said} {files} {dict(request.args.lists())} {language}"
        return text, {"Content-Type": "text/plain"}

    made = [httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://localhost") for _ in range(2)]
    yield signed(jobs, made)
    jobs.close()


def fastapi_shop(folder: Path) -> Iterator[Shop]:
    jobs, app = own_jobs(folder), FastAPI()

    def present(request: FastAPIRequest) -> Any:
        return background_user(request) or request.headers.get("x-name")

    def somebody(name: Annotated[str | None, Depends(present)]) -> str:
        if name is None:
            raise HTTPException(401)
        return name

    backburner = FastAPIBackburner(jobs, app, user=present, identity=IDENTITY)
    slowly = backburner.in_background(wait=0, then="/who/", title="Slow report")

    @app.api_route("/slow/", methods=["GET", "POST", "PUT"], dependencies=[Depends(somebody), slowly])
    @background_route
    async def slow(asked: FastAPIRequest, name: Annotated[str, Depends(somebody)]) -> PlainTextResponse:
        form = await asked.form()
        files = [(await one.read()).decode() for one in form.getlist("rows") if not isinstance(one, str)]
        fields = {key: form.getlist(key) for key in form if key != "rows"}
        said = (await asked.body()).decode() if "json" in asked.headers.get("content-type", "") else fields
        query = {key: asked.query_params.getlist(key) for key in asked.query_params}
        return PlainTextResponse(f"{name}: {said} {files} {query} {asked.headers.get('accept-language')}")

    made = [TestClient(app, base_url="http://localhost", follow_redirects=False) for _ in range(2)]
    yield signed(jobs, made)
    if backburner.routes is not None:
        backburner.routes.close()
    jobs.close()


def own_jobs(folder: Path) -> Backburner:
    files = str(folder / "files")
    return Backburner(f"sqlite:///{folder / 'jobs.db'}", secret="a secret for tests, long enough", files=files)


def signed(jobs: Backburner, browsers: Any) -> Shop:
    browsers[0].headers["x-name"] = "ada"
    for one in browsers:
        one.headers["Sec-Fetch-Site"] = "same-origin"
    return Shop(jobs, browsers[0], browsers[1], of_nobody=401)


@pytest.fixture(params=[django_shop, flask_shop, fastapi_shop])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    make: Callable[[Path], Iterator[Shop]] = request.param
    yield from make(tmp_path)


def run(shop: Shop) -> Job:
    """Let a worker have the one job that there is; the job."""
    with Worker(shop.jobs, WorkerOptions(burst=True)) as worker:
        assert worker.wait(60)
    (job,) = shop.jobs.find()
    return job


def test_the_first_request_is_answered_with_the_job_that_runs_the_view(shop: Shop) -> None:
    fields = {"month": ["10", "11"], "csrf_token": "canary"}
    files = {"rows": ("rows.csv", io.BytesIO(b"1;2"), "text/csv")}
    answer = shop.ada.post("/slow/?a=1&a=2", data=fields, files=files, headers={"Accept-Language": "cs"})
    page = re.fullmatch(r"/backburner/jobs/([0-9a-f-]{36})/wait", answer.headers["location"])
    assert (answer.status_code in (302, 303), page is not None) == (True, True)
    held = shop.ada.get(answer.headers["location"], headers={"Accept": "text/html"})
    assert (held.status_code, "Slow report" in held.text) == (200, True)
    job = run(shop)
    assert (page and page[1], job.state, job.title) == (job.id, JobState.SUCCEEDED, "Slow report")
    text = "".join(line.text for line in shop.jobs.store.progress.log(job.id))
    assert text.startswith("ada: {'month': ['10', '11']} ['1;2'] {'a': ['1', '2']} cs"), text
    assert shop.ada.get(answer.headers["location"], headers={"Accept": "text/html"}).headers["location"] == "/who/"


def test_json_and_a_form_without_files(shop: Shop) -> None:
    assert shop.ada.post("/slow/", json={"month": 10}).status_code in (302, 303)
    assert output(shop.jobs, run(shop)) in (
        ["ada: {\"month\":10} [] {} None"], ["ada: {\"month\": 10} [] {} None"]
    )  # fmt: skip


def test_who_only_reads_is_answered_at_once(shop: Shop) -> None:
    answer = shop.ada.get("/slow/")
    assert (answer.status_code, answer.text.split(":")[0], shop.jobs.find()) == (200, "ada", [])


def test_what_is_around_the_view_holds_for_the_first_request(shop: Shop) -> None:
    assert shop.nobody.post("/slow/", data={"month": "10"}).status_code == shop.of_nobody
    assert shop.jobs.find() == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"<a/>", "text/xml", 415),
        (b"{", "application/json", 400),
        (b"[" + b"1," * 200_000 + b"1]", "application/json", 413),
    ],
)
def test_what_no_job_can_carry(shop: Shop, content: bytes, kind: str, status: int) -> None:
    answer = shop.ada.put("/slow/", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, shop.jobs.find()) == (status, [])


def test_where_a_session_of_flask_is_joined_it_is_committed(tmp_path: Path) -> None:
    """Nobody else would, and nobody can wait for a job that is not there yet."""
    app = Flask("shop")
    app.config.update(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'shop.db'}", BACKBURNER_SECRET="x" * 32)
    backburner = FlaskBackburner(app=app, db=SQLAlchemy(app))

    @app.post("/slow")
    @backburner.in_background(wait=0)
    def slow() -> str:
        return "done"

    answer = app.test_client().post("/slow")
    (job,) = backburner.jobs.find()
    assert answer.headers["location"] == f"/backburner/jobs/{job.id}/wait"
    backburner.jobs.close()


def test_an_async_view_of_django(tmp_path: Path) -> None:
    for shop in django_shop(tmp_path):
        browser = AsyncClient()
        asyncio.run(browser.aforce_login(User.objects.get(username="ada")))
        answer = asyncio.run(browser.get("/asynchronously/"))
        assert answer.headers["location"].startswith("/backburner/jobs/")
        assert output(shop.jobs, run(shop)) == ["for ada"]
