"""The web side inside a Django project, by WSGI and by ASGI, under its login and permissions."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backburner import Backburner, current_job
from backburner.worker import Worker
from tests.contrib.django_project import use_database
from tests.waiting import wait_until
from tests.web.shop import events_of

# Behind the settings, which that module makes.
from asgiref.sync import sync_to_async  # isort: skip
from django.contrib.auth.models import Permission, User  # isort: skip
from django.core.handlers.asgi import ASGIHandler  # isort: skip
from django.db import connections  # isort: skip
from django.db.backends.signals import connection_created  # isort: skip
from django.test import AsyncClient, Client  # isort: skip

from backburner.contrib.django import site  # isort: skip
from backburner.contrib.django.project import project_jobs  # isort: skip


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Backburner]:
    use_database(tmp_path)
    site._app.cache_clear()
    site._bridge.cache_clear()
    made = project_jobs()
    yield made
    made.close()
    connections.close_all()


def person(name: str, **options: Any) -> Any:
    return User.objects.create_user(name, password="x", **options)


def signed_in(who: Any, kind: Any = Client) -> Any:
    browser = kind(enforce_csrf_checks=True)
    if who is not None:
        browser.force_login(who)
    return browser


@pytest.fixture
def people(jobs: Backburner) -> dict[str, Any]:
    staff = person("sam", is_staff=True)
    operator = person("olga", is_staff=True)
    operator.user_permissions.set(Permission.objects.filter(codename__endswith="_job"))
    return {
        "owner": person("ada"), "other": person("bob"), "gone": person("eve", is_active=False), "staff": staff,
        "operator": operator, "boss": person("boss", is_staff=True, is_superuser=True), "nobody": None,
    }  # fmt: skip


def owned(jobs: Backburner, who: Any) -> Any:
    return jobs.task(name="add")(lambda: 3).options(owner=str(who.pk)).enqueue()


def test_who_sees_what(jobs: Backburner, people: dict[str, Any]) -> None:
    job = owned(jobs, people["owner"])
    seen = {name: signed_in(who).get(f"/backburner/jobs/{job.id}").status_code for name, who in people.items()}
    assert seen == {"owner": 200, "other": 404, "gone": 404, "staff": 404, "operator": 200, "boss": 200, "nobody": 404}
    pages = {name: signed_in(who).get("/backburner/dashboard/jobs").status_code for name, who in people.items()}
    assert pages == {"owner": 403, "other": 403, "gone": 302, "staff": 403, "operator": 200, "boss": 200, "nobody": 302}
    login = signed_in(None).get("/backburner/dashboard/jobs?state=failed")
    assert login.headers["location"] == "/login/?next=/backburner/dashboard/jobs%3Fstate%3Dfailed"


def test_writes_are_taken_from_our_own_pages_alone(jobs: Backburner, people: dict[str, Any]) -> None:
    browser, job = signed_in(people["owner"]), owned(jobs, people["owner"])
    cancel = f"/backburner/jobs/{job.id}/cancel"
    assert browser.post(cancel, headers={"origin": "https://evil.example"}).status_code == 403
    assert browser.post(cancel, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert browser.post(cancel).status_code == 403, "a cookie, and nobody says where it comes from"
    assert jobs.get(job.id).state == "queued"
    done = browser.post(cancel, headers={"origin": "http://testserver"})
    assert (done.status_code, done.json()["href"]) == (202, f"/backburner/jobs/{job.id}")
    assert jobs.get(job.id).state == "cancelled"


def test_what_is_posted_arrives(jobs: Backburner, people: dict[str, Any]) -> None:
    @jobs.task(name="shout", api=True)
    def shout(text: str) -> str:
        return text.upper()

    text = "ž" * 100_000
    for kind in (Client, AsyncClient):
        browser = signed_in(people["owner"], kind)
        sent = browser.post(
            "/backburner/jobs", {"task": "shout", "arguments": {"text": text}}, content_type="application/json",
            headers={"origin": "http://testserver"},
        )  # fmt: skip
        answer = asyncio.run(_awaited(sent)) if kind is AsyncClient else sent
        assert answer.status_code == 202, answer.content
        assert jobs.get(answer.json()["id"]).owner == str(people["owner"].pk)


def test_an_async_view_loads_its_user_where_django_does(jobs: Backburner, people: dict[str, Any]) -> None:
    """Each thread has a connection of its own, and Django looks after that of its own thread alone."""
    jobs.task(name="add")(lambda: 3)
    browser = signed_in(people["owner"], AsyncClient)
    connections.close_all()
    threads: list[str] = []

    def connected(**_: Any) -> None:
        threads.append(threading.current_thread().name)

    async def started() -> tuple[Any, str]:
        own = await sync_to_async(lambda: threading.current_thread().name)()
        return await browser.get("/start/"), own

    connection_created.connect(connected)
    try:
        answer, own = asyncio.run(started())
    finally:
        connection_created.disconnect(connected)
    assert jobs.get(answer.content.decode()).owner == str(people["owner"].pk)
    assert set(threads) == {own}


async def _awaited(what: Any) -> Any:
    return await what


def test_files_of_the_page_are_served(jobs: Backburner) -> None:
    for answer in (Client().get("/backburner/static/backburner.js"), asyncio.run(_fetched())):
        script = answer.getvalue() if answer.streaming else answer.content
        assert (answer.status_code, b"customElements" in script) == (200, True)


async def _fetched() -> Any:
    answer = await AsyncClient().get("/backburner/static/backburner.js")
    if not answer.streaming:
        return answer
    text = b"".join([part async for part in answer.streaming_content])
    answer.streaming_content = iter([text])
    return answer


class Talker:
    """A job that says a line, waits, and says another."""

    def __init__(self, jobs: Backburner, owner: Any) -> None:
        self.gate = gate = threading.Event()

        @jobs.task(name="talk")
        def talk() -> None:
            job = current_job()
            assert job is not None
            job.log("first")
            assert gate.wait(30)
            job.log("second")

        self.job = talk.options(owner=str(owner.pk)).enqueue()
        self._jobs = jobs

    def ready(self) -> None:
        wait_until(lambda: self._jobs.store.progress.log(self.job.id), "the first line is stored")


async def watched(count: int) -> None:
    """Return when so many watch; waited for in a thread, the loop goes on."""
    feed = site._app().state.feed
    await asyncio.to_thread(wait_until, lambda: feed.viewers == count, f"{count} watch")


def test_by_wsgi_a_stream_is_one_look(jobs: Backburner, people: dict[str, Any]) -> None:
    talker = Talker(jobs, people["owner"])
    with Worker(jobs):
        talker.ready()
        answer = signed_in(people["owner"]).get(f"/backburner/jobs/{talker.job.id}/events")
        assert [kind for kind, _, _ in events_of(answer.getvalue().decode())] == ["snapshot", "log"]
        talker.gate.set()
        assert talker.job.wait(30)


def test_by_asgi_a_stream_goes_on_to_its_end(jobs: Backburner, people: dict[str, Any]) -> None:
    talker = Talker(jobs, people["owner"])
    browser = signed_in(people["owner"])
    cookies = {"sessionid": browser.cookies["sessionid"].value}

    async def watch() -> str:
        transport = httpx.ASGITransport(app=ASGIHandler())
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", cookies=cookies) as client:
            asking = asyncio.create_task(client.get(f"/backburner/jobs/{talker.job.id}/events"))
            await watched(1)
            talker.gate.set()
            return (await asking).text

    with Worker(jobs):
        talker.ready()
        text = asyncio.run(watch())
        assert talker.job.wait(30)
    kinds = [kind for kind, _, _ in events_of(text)]
    assert (kinds[0], kinds[-1], kinds.count("log")) == ("snapshot", "done", 2)


def test_a_client_that_goes_away_ends_its_stream(jobs: Backburner, people: dict[str, Any]) -> None:
    job = owned(jobs, people["owner"])
    cookie = signed_in(people["owner"]).cookies["sessionid"].value
    path = f"/backburner/jobs/{job.id}/events"

    async def leave() -> None:
        gone, begun, streaming = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not begun.is_set():
                begun.set()
                return {"type": "http.request", "body": b"", "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if b"snapshot" in message.get("body", b""):
                streaming.set()

        handler: Any = ASGIHandler()
        scope = {
            "type": "http", "method": "GET", "path": path, "query_string": b"", "root_path": "",
            "headers": [(b"host", b"testserver"), (b"cookie", f"sessionid={cookie}".encode())],
        }  # fmt: skip
        serving = asyncio.create_task(handler(scope, receive, send))
        await streaming.wait()
        await watched(1)
        gone.set()
        await serving
        await watched(0)

    asyncio.run(leave())


def test_a_fault_of_the_web_side_is_a_page_with_500(
    jobs: Backburner, people: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(jobs.control, "glance", broken)
    by_wsgi = signed_in(people["boss"]).get("/backburner/jobs/x")
    by_asgi = asyncio.run(_awaited(signed_in(people["boss"], AsyncClient).get("/backburner/jobs/x")))
    assert [by_wsgi.status_code, by_asgi.status_code] == [500, 500]


def test_it_works_where_each_request_is_a_transaction(
    jobs: Backburner, people: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django refuses async views there; a job that was started over HTTP stays when the request around it fails."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    job = owned(jobs, people["owner"])
    browser = signed_in(people["owner"])
    assert browser.get(f"/backburner/jobs/{job.id}").status_code == 200
    assert browser.get("/backburner/livez").status_code == 200


def test_a_middleware_may_have_read_the_body(jobs: Backburner, people: dict[str, Any]) -> None:
    jobs.task(name="double", api=True)(lambda number: number * 2)
    browser = signed_in(people["boss"])

    def reading(get_response: Any) -> Any:
        def answer(request: Any) -> Any:
            assert request.body
            return get_response(request)

        return answer

    browser.handler.load_middleware()
    browser.handler._middleware_chain = reading(browser.handler._middleware_chain)
    answer = browser.post(
        "/backburner/jobs", {"task": "double", "arguments": {"number": 2}}, content_type="application/json",
        headers={"sec-fetch-site": "same-origin"},
    )  # fmt: skip
    assert answer.status_code == 202, answer.content
