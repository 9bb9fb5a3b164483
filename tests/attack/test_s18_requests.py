"""S18: whatever request comes, the app answers it, and makes no mistake: no parser on the way is left to itself."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from backburner import Backburner
from backburner.web import web_app
from tests.databases import Kind
from tests.web.shop import SECRET, Shop, by_header

FEW = settings(
    max_examples=100, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
MANY = settings(FEW, max_examples=5_000)

PATHS = (
    *("/jobs", "/jobs/x", "/jobs/feed", "/jobs/shared", "/jobs/x/log", "/jobs/x/wait", "/mine", "/files/x", "/static/"),
    *("/dashboard/jobs", "/dashboard/jobs/many", "/dashboard/jobs/complete", "/dashboard/jobs/export", "/openapi.json"),
    *("/dashboard/audit", "/dashboard/failures", "/dashboard/settings", "/dashboard/overview", "/dashboard/views"),
    *("/dashboard/tasks/open.add/run", "/dashboard/queues/x/pause", "/dashboard/schedules/x/run"),
    *("/dashboard/workers/all/quiet", "/dashboard/settings/keep_failed/say", "/dashboard/failures/x/mute"),
)
NAMES = [
    "q",
    "state",
    "limit",
    "before",
    "after",
    "wait",
    "known",
    "ids",
    "id",
    "verb",
    "text",
    "name",
    "value",
    "token",
    "hours",
    "open",
    "created_after",
    "arg.a",
    "columns",
    "most",
    "reason",
    "until",
    "show",
    "tag",
    "days",
]
HEADERS = (
    b"accept accept-language accept-encoding authorization cookie content-type content-length idempotency-key"
    b" if-none-match last-event-id origin prefer referer sec-fetch-site x-backburner-shown x-forwarded-for host"
).split()
LIKELY = (
    *(b"application/json", b"application/x-www-form-urlencoded", b"text/html", b"same-origin", b"localhost"),
    *(b"wait=0", b"0", b"-1", b"at-1-1", b"Bearer bb_x.y.z", b"en;q=2, cs;q=x", b'W/"x", *'),
    b"backburner_said=%5B%22a%22%2C%22/x%22%5D",
)
WORDS = (
    *("failed", "true", "1", "-1", "1e9", "9" * 40, "2026-11-30", "0001-01-01T00:00:00+23:59", "\0", "\ud7ff"),
    *("retry", "*"),
)
MEMBERS = ("task", "arguments", "a", "b", "tags", "delay", "run_at", "expires", "identifier", "x")

QUERIES = st.lists(
    st.tuples(st.sampled_from(NAMES) | st.text(max_size=8), st.text(max_size=40) | st.sampled_from(WORDS)), max_size=4
).map(lambda pairs: urlencode(pairs, errors="replace").encode())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("open.add"),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), one, max_size=4),
    max_leaves=8,
)
BODIES = st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()) | QUERIES
REQUESTS = st.tuples(
    st.sampled_from(("GET", "GET", "POST", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE")),
    st.sampled_from(PATHS),
    st.sampled_from(("", "", "", "", "/", "/..", "/%2e")) | st.text(max_size=12),
    QUERIES | QUERIES | st.binary(max_size=60),
    st.lists(st.tuples(st.sampled_from(HEADERS), st.binary(max_size=40) | st.sampled_from(LIKELY)), max_size=4),
    st.sampled_from((b"", b"lena", b"boss", b"boss")),
    BODIES,
)
"""Method, path, what is put behind it, query, headers, who, body."""


@pytest.fixture(scope="module")
def app(sqlite_kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    jobs = Backburner(sqlite_kind.migrated(folder), secret=SECRET, files=str(folder / "files"))
    shop = Shop(jobs)

    @jobs.task(name="open.add", api=True)
    def add(a: int, b: float = 1.0) -> float:
        return a + b

    shop.add.options(owner="lena").enqueue(1, 2)
    yield web_app(jobs, resolve_user=by_header)
    jobs.close()


async def answered(app: FastAPI, scope: dict[str, Any], body: bytes) -> int:
    """The status, by the plain interface: no client makes the request well-formed first."""
    told: list[dict[str, Any]] = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]
    status: list[int] = []

    async def receive() -> dict[str, Any]:
        return told.pop(0) if len(told) > 1 else told[0]

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    await asyncio.wait_for(app(scope, receive, send), 30)
    return status[0]


def ask(app: FastAPI, request: tuple[Any, ...]) -> None:
    method, root, rest, query, headers, who, body = request
    path = root + rest
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
        "method": method, "path": path, "raw_path": path.encode("utf-8", "replace"),
        "query_string": query,
        "headers": [(b"host", b"localhost"), (b"x-user", who), *headers], "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }  # fmt: skip
    assert asyncio.run(answered(app, scope, body)) < 500, request


@FEW
@given(request=REQUESTS)
@example(request=("GET", "/jobs", "", b"\xff", [], b"lena", b""))
@example(request=("POST", "/jobs", "", b"", [(b"content-type", b"application/json")], b"lena", b"\xff" * 9))
@example(request=("POST", "/dashboard/views", "", b"", [], b"boss", b"name=%ff&q=%00&x=%f0%28"))
def test_s18_any_request_is_answered_without_a_mistake(app: FastAPI, request: tuple[Any, ...]) -> None:
    ask(app, request)


@pytest.mark.long
@MANY
@given(request=REQUESTS)
def test_s18_many_more_requests(app: FastAPI, request: tuple[Any, ...]) -> None:
    ask(app, request)
