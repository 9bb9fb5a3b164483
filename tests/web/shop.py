"""The tasks that the tests of the web side run, and who asks for them."""

import asyncio
import io
import itertools
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.requests import Request

from backburner import Backburner, Job, PermanentError, current_job, track
from backburner.progress import LogLine, ProgressWrite
from backburner.web import User, web_app

SECRET = "a secret for tests, long enough"
PRIVATE = "ValueError: the password of the database is hunter2"


class Shop:
    """Tasks of a shop. Those that say so wait at `gate`; `reached` says that one has come there."""

    def __init__(self, jobs: Backburner) -> None:
        self.jobs = jobs
        self.gate, self.reached = threading.Event(), threading.Event()
        gate, reached = self.gate, self.reached

        @jobs.task(name="shop.export", title="Export orders of {month}")
        def export(month: str) -> dict[str, int]:
            job = current_job()
            assert job is not None
            for number in track(range(100), unit="orders"):
                if number % 10 == 0:
                    job.log(f"order {number}")
                if number == 50:
                    job.message("Half is done")
                    reached.set()
                    assert gate.wait(60)
            job.attach(io.BytesIO(b"id,total\n1,2\n"), name='Orders "Oct"\u00e9.csv', media_type="text/csv")
            job.link("Download CSV", "/orders.csv")
            return {"rows": 100}

        @jobs.task(name="shop.patient")
        def patient() -> None:
            job = current_job()
            assert job is not None
            job.expect(10, "steps")
            job.advance(4)
            reached.set()
            while not gate.wait(0.02):
                job.check()

        @jobs.task(name="shop.refuse", max_attempts=1)
        def refuse() -> None:
            raise PermanentError("Row 1,204 has no price.")

        @jobs.task(name="shop.crash", max_attempts=1)
        def crash() -> None:
            raise ValueError("the password of the database is hunter2")

        @jobs.task(name="shop.add")
        def add(a: int, b: int) -> int:
            return a + b

        self.export, self.patient, self.refuse, self.crash, self.add = export, patient, refuse, crash, add


USERS = {
    "lena": User("lena"),
    "other": User("other"),
    "boss": User("boss", operator=True),
}


def by_header(request: Request) -> User | None:
    """The tests' own rule: a header says who it is."""
    return USERS.get(request.headers.get("x-user", ""))


class Caller:
    """Asks a web app in this process, each time on an event loop of its own."""

    def __init__(self, app: FastAPI, headers: Mapping[str, str] | None = None, client: str = "127.0.0.1") -> None:
        self._app, self._headers, self._client = app, dict(headers or {}), client

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The whole answer; a stream is read to its end."""

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, client=(self._client, 1), raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=self._headers
            ) as client:
                return await client.request(method, path, **options)

        return asyncio.run(once())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("POST", path, **options)


def as_user(shop: Shop, name: str) -> Caller:
    """Somebody, or nobody ("")."""
    app = web_app(shop.jobs, resolve_user=by_header)
    return Caller(app, {"x-user": name} if name else {})


def events_of(text: str) -> list[tuple[str, str | None, str]]:
    """The events of a stream: kind, id, data."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if "event" in fields:
            found.append((fields["event"], fields.get("id"), fields["data"]))
    return found


def store_output(jobs: Backburner, job: Job, texts: Sequence[str]) -> None:
    """Output of a job that stands in its log at once, a piece for each text."""
    store = jobs.store
    starts = itertools.accumulate(map(len, texts), initial=0)
    lines = [LogLine(start, text, store.clock.now()) for start, text in zip(starts, texts, strict=False)]
    write = ProgressWrite(job.id, 0, log=tuple(lines))
    store.run(lambda c: store.progress._append(c, store.schema.log, [(write, line._asdict()) for line in lines]))
