"""Routes of FastAPI and Starlette apps as jobs: with dependencies, lifespan, authentication and sessions."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, UploadFile
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.authentication import AuthenticationBackend, SimpleUser, requires
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, Router

from backburner import Backburner, JobState, current_job
from backburner.contrib.starlette import GrantBackend, StarletteRoutes, background_user, path_rule
from backburner.errors import InvalidOption
from backburner.route_jobs import Identity, background_route
from backburner.testing import JobsTesting
from tests.contrib.conftest import output

USERS = {"ada": "first", "bob": "first"}


@pytest.fixture
def users() -> dict[str, str]:
    """Names and passwords."""
    return dict(USERS)


@pytest.fixture
def identity(users: dict[str, str]) -> Identity:
    return Identity(
        load_user=lambda name: name if name in users else None, id_of=str, epoch_of=lambda name: users[name]
    )


def current_user(request: Request) -> str:
    user = background_user(request) or request.headers.get("x-user")
    if user is None:
        raise HTTPException(401)
    return str(user)


def counted(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    async def inner(*args: Any, **kwargs: Any) -> Any:
        return await view(*args, **kwargs)

    return inner


def fastapi_app() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"pool": "the pool"}

    app, parts = FastAPI(lifespan=lifespan), APIRouter(prefix="/parts")

    @app.post("/build")
    @counted
    @background_route
    async def build(
        request: Request, month: Annotated[str, Form()], user: Annotated[str, Depends(current_user)],
        rows: UploadFile | None = None,
    ) -> StreamingResponse:  # fmt: skip
        content = (await rows.read()).decode() if rows is not None else "none"

        async def lines() -> AsyncIterator[str]:
            yield f"{request.state.pool}, {user}, {month}, {content}\n"
            for number in range(3):
                current_job().progress(number * 30, f"row {number}")
                yield f"row {number}\n"

        return StreamingResponse(lines(), media_type="text/plain")

    @app.get("/plainly")
    @background_route
    def plainly() -> str:
        print("printed in a thread")
        return str(current_job().id)

    @app.get("/unmarked")
    def unmarked() -> str:
        return "unmarked"

    @parts.get("/{number}", name="part")
    @background_route
    async def part(number: int) -> int:
        return number

    app.include_router(parts)
    return app


@pytest.fixture
def app(jobs: Backburner, identity: Identity) -> Iterator[FastAPI]:
    made = fastapi_app()
    routes = StarletteRoutes(jobs, made, identity=identity)
    yield made
    routes.close()


@pytest.mark.usefixtures("app")
def test_a_route_runs_as_the_user(jobs: Backburner, testing: JobsTesting, tmp_path: Any) -> None:
    (tmp_path / "rows.csv").write_text("1;2")
    with (tmp_path / "rows.csv").open("rb") as rows:
        job = jobs.route("POST", "/build", form={"month": "10"}, files={"rows": rows}, as_user="ada")
    testing.drain(raises=True)
    assert output(jobs, job) == ["the pool, ada, 10, 1;2", "row 0", "row 1", "row 2"]
    assert job.refresh().owner == "ada"


@pytest.mark.usefixtures("app")
def test_a_plain_function_in_a_thread_has_the_job_too(jobs: Backburner, testing: JobsTesting) -> None:
    job = jobs.route("GET", "/plainly")
    testing.drain(raises=True)
    assert output(jobs, job) == ["printed in a thread", f'"{job.id}"']


@pytest.mark.usefixtures("app")
def test_anonymous_means_anonymous(jobs: Backburner, testing: JobsTesting) -> None:
    job = jobs.route("POST", "/build", form={"month": "10"})
    testing.drain()
    assert (job.refresh().state, job.refresh().reason) == (JobState.FAILED, "The route answered 401 Unauthorized.")


@pytest.mark.usefixtures("app")
def test_a_mistake_in_the_form_is_final(jobs: Backburner, testing: JobsTesting) -> None:
    job = jobs.route("POST", "/build", form={"wrong": "10"}, as_user="ada")
    testing.drain()
    assert job.refresh().state is JobState.FAILED
    assert '"missing"' in output(jobs, job)[0]


@pytest.mark.usefixtures("app")
def test_it_fails_closed(jobs: Backburner, testing: JobsTesting, users: dict[str, str]) -> None:
    gone, changed = (jobs.route("GET", "/parts/7", as_user=name) for name in ("ada", "bob"))
    del users["ada"]
    users["bob"] = "second"
    testing.drain()
    assert [job.refresh().state for job in (gone, changed)] == [JobState.FAILED] * 2


@pytest.mark.usefixtures("app")
def test_marks_are_found_by_the_router(jobs: Backburner, testing: JobsTesting) -> None:
    job = jobs.route("GET", "/parts/7")
    for method, path in (("GET", "/unmarked"), ("POST", "/parts/7"), ("GET", "/none"), ("GET", "/openapi.json")):
        with pytest.raises(InvalidOption, match="no marked route answers"):
            jobs.route(method, path)
    testing.drain(raises=True)
    assert output(jobs, job) == ["7"]


def test_the_header_from_outside_is_refused(app: FastAPI) -> None:
    with TestClient(app) as browser:
        refused = browser.get("/unmarked", headers={"Backburner-Grant": "1.a.b.c"})
        assert (refused.status_code, browser.get("/unmarked").status_code) == (403, 200)


def test_links_to_routes(app: FastAPI) -> None:
    rule = path_rule(app)
    assert rule("part", {"number": 7}) == "/parts/7"
    for route, params in (("gone", {}), ("part", {"other": 7})):
        with pytest.raises(Exception, match="No route exists"):
            rule(route, params)


class ByHeader(AuthenticationBackend):
    """The app's own rule for browsers."""

    async def authenticate(self, conn: HTTPConnection) -> Any:
        return None


def test_starlette_with_its_own_authentication(jobs: Backburner, testing: JobsTesting) -> None:
    class Report(HTTPEndpoint):
        @background_route
        async def get(self, request: Request) -> PlainTextResponse:
            return PlainTextResponse(f"report for {request.user.display_name}")

    @requires("authenticated")
    @background_route
    async def secret(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"secret of {request.user.display_name}")

    app = Starlette(routes=[Route("/report", Report), Mount("/in", routes=[Route("/secret", secret)])])
    app.add_middleware(AuthenticationMiddleware, backend=GrantBackend(ByHeader()))
    identity = Identity(load_user=SimpleUser, id_of=lambda user: user.username, epoch_of=lambda user: "1")
    routes = StarletteRoutes(jobs, app, identity=identity)
    ada = SimpleUser("ada")
    found = [jobs.route("GET", "/report", as_user=ada), jobs.route("GET", "/in/secret", as_user=ada)]
    nobody = jobs.route("GET", "/in/secret")
    testing.drain()
    routes.close()
    assert [output(jobs, job) for job in found] == [["report for ada"], ["secret of ada"]]
    assert (nobody.refresh().state, nobody.refresh().reason) == (
        JobState.FAILED, "The route answered 403 Forbidden."
    )  # fmt: skip


def test_a_mark_behind_another_host_does_not_count(jobs: Backburner) -> None:
    """Routes that depend on the host are asked with the one that requests of jobs will carry."""

    async def other(request: Request) -> PlainTextResponse:
        return PlainTextResponse("not marked")

    @background_route
    async def marked(request: Request) -> PlainTextResponse:
        return PlainTextResponse("marked")

    app = Starlette(
        routes=[
            Host("shop.example.org", app=Router([Route("/build", other), Route("/here", marked)])),
            Route("/build", marked),
            Route("/here", other),
        ]
    )
    StarletteRoutes(jobs, app, site="https://shop.example.org")
    with pytest.raises(InvalidOption, match="no marked route answers"):
        jobs.route("GET", "/build")
    assert jobs.route("GET", "/here", delay=60).done is False
