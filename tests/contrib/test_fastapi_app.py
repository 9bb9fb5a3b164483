"""`FastAPIBackburner` and `StarletteBackburner` in real apps: login, sessions, background tasks, templates."""

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, HTTPException, Request
from fastapi.templating import Jinja2Templates
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.background import BackgroundTasks
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backburner import Backburner, JobState, Task, current_job
from backburner.contrib.fastapi import DurableTasks, FastAPIBackburner
from backburner.contrib.starlette import GrantBackend, StarletteBackburner
from backburner.errors import InvalidArgument, InvalidOption, InvalidTask, SettingsError
from backburner.job import Job
from backburner.route_jobs import Identity, background_route
from backburner.web import User, api_token
from backburner.worker import Worker, WorkerOptions
from tests.contrib.conftest import output
from tests.web.listening import Listener

SECRET = "a secret for tests, long enough"


@pytest.fixture
def jobs(sqlite_url: str, tmp_path: Path) -> Iterator[Backburner]:
    made = Backburner(sqlite_url, secret=SECRET, files=str(tmp_path / "files"))
    yield made
    made.close()


class Shop:
    """A FastAPI app with users, whose dependency needs a session of the database, as many do."""

    def __init__(self, jobs: Backburner, url: str, **options: Any) -> None:
        self.open_sessions = 0
        self.seen: list[str] = []
        engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))
        sessions = async_sessionmaker(engine)

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
            self.seen.append("start")
            yield {"shop": "Kestrel"}
            self.seen.append("end")
            await engine.dispose()

        async def get_session() -> AsyncIterator[AsyncSession]:
            self.open_sessions += 1
            try:
                async with sessions() as session:
                    yield session
            finally:
                self.open_sessions -= 1

        async def current_user(
            session: Annotated[AsyncSession, Depends(get_session)], who: Annotated[str | None, Cookie()] = None
        ) -> dict[str, str]:
            assert session.is_active
            if who is None:
                raise HTTPException(401)
            return {"name": who}

        self.app, self.get_session, self.current_user = FastAPI(lifespan=lifespan), get_session, current_user
        options = {"user": current_user, "id_of": lambda user: user["name"]} | options
        self.backburner = FastAPIBackburner(jobs, self.app, operator=lambda user: user["name"] == "root", **options)

    def browser(self, name: str | None = None) -> TestClient:
        made = TestClient(self.app, follow_redirects=False)
        if name is not None:
            made.cookies.set("who", name)
        return made


@pytest.fixture
def shop(jobs: Backburner, sqlite_url: str) -> Iterator[Shop]:
    made = Shop(jobs, sqlite_url)
    yield made
    if made.backburner.routes is not None:
        made.backburner.routes.close()


@pytest.fixture
def work(jobs: Backburner) -> Task[[int], int]:
    @jobs.task(name="work", title="Work {n}")
    def work(n: int) -> int:
        return n

    return work


def found(jobs: Backburner) -> list[Job]:
    return sorted(jobs.find(), key=lambda job: job.id)


# Who asks


def test_a_dependency_of_the_app_says_who_asks(shop: Shop, work: Task[[int], int]) -> None:
    job = work.options(owner="ada").enqueue(1)
    address = f"/backburner/jobs/{job.id}"
    asked = [shop.browser(name).get(address).status_code for name in ("ada", "bob", "root", None)]
    assert asked == [200, 404, 200, 404]
    pages = [shop.browser(name).get("/backburner/dashboard/jobs").status_code for name in ("ada", "root", None)]
    assert pages == [403, 200, 403]
    assert shop.open_sessions == 0


def test_permissions_by_name_open_some_of_the_operators_pages(jobs: Backburner, sqlite_url: str) -> None:
    shop = Shop(jobs, sqlite_url, access=lambda user: ["jobs.view"] if user["name"] == "ada" else [])
    pages = [shop.browser(name).get("/backburner/dashboard/jobs").status_code for name in ("ada", "bob", None)]
    token = {"Authorization": f"Bearer {api_token(jobs, User('carol', scopes=frozenset({'read'})), 60)}"}
    assert pages == [200, 403, 403]
    assert shop.browser("ada").get("/backburner/dashboard/jobs", headers=token).status_code == 403


def test_what_the_dependency_opened_is_closed_before_the_answer_begins(shop: Shop, jobs: Backburner) -> None:
    """A stream goes on for half a minute: it must not hold a session of the app's database for so long."""
    gate = threading.Event()
    during: list[int] = []

    @jobs.task(name="hold")
    def hold() -> None:
        during.append(shop.open_sessions)
        gate.set()

    job = hold.options(owner="ada").enqueue()
    with shop.browser("ada") as browser, browser.stream("GET", f"/backburner/jobs/{job.id}/events") as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("event:")) == "event: snapshot"
        with Worker(jobs):
            assert next(line for line in lines if line == "event: done")
    assert (during, gate.is_set()) == ([0], True)


def test_overrides_of_dependencies_hold_for_our_pages_too(shop: Shop, work: Task[[int], int]) -> None:
    shop.app.dependency_overrides[shop.current_user] = lambda: {"name": "ada"}
    job = work.options(owner="ada").enqueue(1)
    assert shop.browser().get(f"/backburner/jobs/{job.id}").status_code == 200


@pytest.mark.parametrize("status", [403, 503])
def test_another_refusal_than_that_of_nobody_is_one(shop: Shop, work: Task[[int], int], status: int) -> None:
    def refuse() -> None:
        raise HTTPException(status)

    shop.app.dependency_overrides[shop.current_user] = refuse
    job = work.options(visibility="public").enqueue(1)
    assert shop.browser("ada").get(f"/backburner/jobs/{job.id}").status_code == (200 if status == 403 else 503)


def test_who_is_signed_in_owns_what_an_endpoint_enqueues(shop: Shop, jobs: Backburner, work: Task[[int], int]) -> None:
    mine = APIRouter(dependencies=[shop.backburner.owner])

    @mine.post("/start")
    async def start() -> Response:
        return await shop.backburner.respond(await work.aenqueue(1), wait=0, then="/thanks")

    @mine.post("/plainly")
    def plainly() -> str:
        return work.enqueue(2).id

    @shop.app.post("/nobodys")
    def nobodys() -> str:
        return work.enqueue(3).id

    shop.app.include_router(mine)
    ada = shop.browser("ada")
    page = ada.post("/start").headers["location"]
    ada.post("/plainly"), ada.post("/nobodys")
    assert [job.owner for job in found(jobs)] == ["ada", "ada", None]
    assert page == f"/backburner/jobs/{found(jobs)[0].id}/wait"
    assert shop.browser().post("/start").status_code == 401


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"user": "ada"}, "Pass a dependency"),
        ({"operator": True}, "cannot be called"),
        ({"at": "https://elsewhere.example/"}, "at"),
        ({"holding_template": "hold.html"}, "Give templates="),
    ],
)
def test_what_cannot_be_is_refused(jobs: Backburner, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidOption, match=problem):
        FastAPIBackburner(jobs, FastAPI(), **options)


def test_an_answer_that_is_no_user_says_what_to_give(jobs: Backburner, work: Task[[int], int]) -> None:
    app = FastAPI()
    FastAPIBackburner(jobs, app, user=lambda: object())
    with pytest.raises(SettingsError, match="Say id_of="):
        TestClient(app).get("/backburner/jobs")
    nobody = FastAPIBackburner(Backburner("sqlite:///never-opened.db"), FastAPI())
    with pytest.raises(InvalidOption, match="Give user="):
        _ = nobody.owner


# Background tasks


def test_background_tasks_are_stored_before_the_response(shop: Shop, jobs: Backburner, work: Task[[int], int]) -> None:
    def plain(n: int) -> None: ...

    jobs.task(name="plain")(plain)
    stored: list[int] = []

    @shop.app.post("/start")
    def start(tasks: Annotated[DurableTasks, shop.backburner.background], fail: bool = False) -> list[str]:
        tasks.add_task(work, 1)
        tasks.add_task(plain, n=2)
        stored.append(len(jobs.find()))
        if fail:
            raise HTTPException(400)
        return tasks.ids

    browser = shop.browser()
    assert browser.post("/start?fail=1").status_code == 400
    ids = browser.post("/start").json()
    assert [(job.id, job.task) for job in found(jobs)] == [(ids[0], "work"), (ids[1], "plain")]
    assert stored == [0, 0]


def test_what_no_worker_could_run_is_refused_where_it_is_added(jobs: Backburner, work: Task[[int], int]) -> None:
    other = Backburner("sqlite:///never-opened.db").task(name="other")(lambda: None)
    tasks = DurableTasks(jobs)
    for function in (print, lambda: None, other):
        with pytest.raises(InvalidTask, match=r"is no task.*Write @jobs.task above it"):
            tasks.add_task(function)
    with pytest.raises(InvalidArgument):
        tasks.add_task(work, "many")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="Enqueue it at once"):
        tasks.add_task(work.options(connection=object()), 1)
    assert tasks.ids == []


def test_they_have_the_interface_of_starlettes(jobs: Backburner, work: Task[[int], int]) -> None:
    """Handed to a response they run, which is to be stored, behind it."""

    async def start(request: Request) -> JSONResponse:
        tasks = DurableTasks(jobs)
        tasks.add_task(work, 1)
        return JSONResponse(tasks.ids, background=tasks)

    assert DurableTasks.add_task.__annotations__.keys() == BackgroundTasks.add_task.__annotations__.keys()
    app = Starlette(routes=[Route("/start", start, methods=["POST"])])
    assert TestClient(app).post("/start").json() == [job.id for job in jobs.find()]


# Sessions


@pytest.mark.parametrize("commit", [True, False])
def test_jobs_are_there_with_the_commit_of_the_session(
    shop: Shop, jobs: Backburner, work: Task[[int], int], commit: bool
) -> None:
    @shop.app.post("/start")
    async def start(
        session: Annotated[AsyncSession, shop.backburner.enlisted(shop.get_session)],
        tasks: Annotated[DurableTasks, shop.backburner.background],
    ) -> str:
        job = await work.aenqueue(1)
        with pytest.raises(InvalidOption, match="await task.aenqueue"):
            tasks.add_task(work, 2)
        if commit:
            await session.commit()
        return job.id

    stored = shop.browser().post("/start").json()
    assert [job.id for job in jobs.find()] == ([stored] if commit else [])


def test_an_app_around_it_is_told_that_it_has_no_users(shop: Shop) -> None:
    outer = FastAPI(dependencies=[shop.backburner.owner])
    outer.add_api_route("/start", lambda: None, methods=["POST"])
    with pytest.raises(InvalidOption, match="Attach to the outermost app"):
        TestClient(outer, cookies={"who": "ada"}).post("/start")


@pytest.mark.parametrize("before", ["signed-in", "enlisted"])
def test_a_pipelined_request_has_neither_user_nor_transaction_of_the_one_before(
    shop: Shop, jobs: Backburner, work: Task[[int], int], before: str
) -> None:
    @shop.app.post("/signed-in", dependencies=[shop.backburner.owner])
    async def signed_in() -> None:
        await work.aenqueue(1)

    @shop.app.post("/enlisted", dependencies=[shop.backburner.owner])
    async def enlisted(session: Annotated[AsyncSession, shop.backburner.enlisted(shop.get_session)]) -> None:
        await work.aenqueue(1)
        await session.commit()

    @shop.app.post("/second")
    async def second() -> None:
        await work.aenqueue(2)

    listener = Listener(shop.app, shop.backburner.web)
    listener.start()
    try:
        head = "Host: localhost\r\nContent-Length: 0\r\n"
        text = f"POST /{before} HTTP/1.1\r\n{head}Cookie: who=ada\r\n\r\n"
        text += f"POST /second HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
        with socket.create_connection(listener.address, 20) as connection:
            connection.sendall(text.encode())
            answers = b"".join(iter(lambda: connection.recv(65_536), b""))
    finally:
        listener.stop()
    assert answers.count(b"HTTP/1.1 200 OK") == 2, answers
    assert [(job.title, job.owner) for job in found(jobs)] == [("Work 1", "ada"), ("Work 2", None)]


@pytest.mark.parametrize("commit", [True, False])
def test_background_tasks_join_a_plain_session(
    shop: Shop, jobs: Backburner, sqlite_url: str, work: Task[[int], int], commit: bool
) -> None:
    engine = create_engine(sqlite_url)

    def get_session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    @shop.app.post("/start")
    def start(
        session: Annotated[Session, shop.backburner.enlisted(get_session)],
        tasks: Annotated[DurableTasks, shop.backburner.background],
    ) -> list[str]:
        tasks.add_task(work, 1)
        tasks.add_task(work, 2)
        if commit:
            session.commit()
        return tasks.ids

    ids = shop.browser().post("/start").json()
    engine.dispose()
    assert [job.id for job in found(jobs)] == (ids if commit else [])


def test_the_commit_rings_a_worker(jobs: Backburner, sqlite_url: str, work: Task[[int], int]) -> None:
    # It would look by itself after an hour.
    shop = Shop(jobs, sqlite_url, worker=WorkerOptions(poll=3_600), routes={"queue": "routes"})

    @shop.app.post("/start")
    async def start(session: Annotated[AsyncSession, shop.backburner.enlisted(shop.get_session)]) -> str:
        job = await work.aenqueue(7)
        await session.commit()
        return job.id

    with shop.browser() as browser:
        job = jobs.get(browser.post("/start").json())
        assert job.wait(30)
    assert job.refresh().result() == 7


# Lifespan and routes


def test_a_worker_lives_as_long_as_the_app_and_not_twice(jobs: Backburner, sqlite_url: str) -> None:
    people = {"ada": "first"}
    identity = Identity(load_user=lambda name: name if name in people else None, id_of=str, epoch_of=people.__getitem__)
    shop = Shop(jobs, sqlite_url, worker=True, identity=identity)
    workers: list[int] = []

    @shop.app.get("/report")
    @background_route
    async def report(request: Request) -> str:
        workers.append(len(jobs.workers.list()))
        print("building")
        return f"{request.state.shop} for {request.scope['user']}, {current_job() is not None}"

    with shop.browser() as browser:
        assert browser.get("/backburner/readyz").status_code == 200
        job = jobs.route("GET", "/report", as_user="ada")
        assert job.wait(30)
        assert output(jobs, job) == ["building", '"Kestrel for ada, True"']
        assert (workers, shop.seen) == ([1], ["start", "start"]), (
            "the app starts for the worker's loop, without another"
        )
    assert shop.seen == ["start", "start", "end", "end"]
    assert jobs.workers.list() == []


def test_an_app_that_cannot_have_route_jobs_is_told_by_the_call(sqlite_url: str) -> None:
    jobs = Backburner(sqlite_url)
    FastAPIBackburner(jobs, FastAPI())
    with pytest.raises(InvalidOption, match="this app has no RouteJobs"):
        jobs.route("GET", "/report")
    jobs.close()


# Pages


def test_parts_for_templates_and_the_holding_page(jobs: Backburner, sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ backburner.head() }}{{ backburner.bar(job) }}{{ backburner.notice(job) }}")
    (tmp_path / "hold.html").write_text(
        "<title>{{ holding.title }}</title>{{ backburner.head() }}<p>{{ url_for('page').path }}</p>{{ holding.body }}"
    )
    templates = Jinja2Templates(tmp_path)
    shop = Shop(jobs, sqlite_url, templates=templates, holding_template="hold.html")
    job = jobs.task(name="work", title="<Work>")(lambda: None).options(owner="ada").enqueue()

    @shop.app.get("/page", name="page")
    def page(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html", {"job": job})

    at = f"/backburner/jobs/{job.id}"
    text = shop.browser().get("/page").text
    assert f'<backburner-progress src="{at}" cancel><a href="{at}/wait">See how far &lt;Work&gt; is</a>' in text
    assert f"“&lt;Work&gt;” runs in the background, number …{job.id[-4:]}." in text
    below = TestClient(shop.app, root_path="/shop").get("/page").text
    assert f'src="/shop{at}"' in below
    held = shop.browser("ada").get(f"{at}/wait").text
    assert "<p>/page</p>" in held
    assert "<backburner-wait " in held
    assert '<script type="module" src="/backburner/static/backburner.js' in held


# Starlette


class ByCookie(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        name = conn.cookies.get("who")
        return None if name is None else (AuthCredentials(["authenticated"]), SimpleUser(name))


def test_starlette_with_its_own_authentication(jobs: Backburner, work: Task[[int], int]) -> None:
    async def start(request: Request) -> Response:
        return await backburner.respond(await work.aenqueue(1), wait=20, then="/thanks")

    app = Starlette(
        routes=[Route("/start", start, methods=["POST"])],
        middleware=[Middleware(AuthenticationMiddleware, backend=GrantBackend(ByCookie()))],
    )
    backburner = StarletteBackburner(jobs, app, worker=True, operator=lambda user: user.username == "root")
    with TestClient(app, cookies={"who": "ada"}, follow_redirects=False) as ada:
        assert ada.post("/start").headers["location"] == "/thanks"
        (job,) = jobs.find()
        assert (job.owner, job.state) == ("ada", JobState.SUCCEEDED)
        address = f"/backburner/jobs/{job.id}"
        assert ada.get(address).status_code == 200
        others = [{}, {"who": "bob"}, {"who": "root"}]
        asked = [TestClient(app, cookies=cookies).get(address).status_code for cookies in others]
        assert asked == [404, 404, 200]
