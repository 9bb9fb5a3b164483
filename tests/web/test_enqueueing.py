"""The HTTP contract of starting jobs, as programs see it."""

import difflib
import io
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
import msgspec
import pytest

from backburner import Backburner, JobState, Secret, current_job
from backburner.errors import StoreUnavailable
from backburner.intake import Call, InvalidCall
from backburner.job import JobFilter
from backburner.store import keys
from backburner.web import User, api_token, job_token, web_app
from backburner.worker import Worker
from tests.web.listening import listening
from tests.web.shop import SECRET, Caller, Shop, as_user, by_header

JSON = {"content-type": "application/json"}


@dataclass
class Line:
    name: str
    price: Annotated[int, msgspec.Meta(ge=0)] = 0


@pytest.fixture(autouse=True)
def open_tasks(jobs: Backburner) -> None:
    """Tasks that are open to the outside; `shop.add` of the shop is not."""

    @jobs.task(name="open.add", api=True)
    def add(a: int, b: int = 1) -> int:
        return a + b

    @jobs.task(name="open.order", api=True, aliases=["old.order"], title="Order for {customer}")
    def order(customer: str, lines: list[Line], due: datetime | None = None, password: str = "") -> None: ...

    @jobs.task(name="open.once", api=True, unique="live")
    def once(shop: int) -> None: ...

    @jobs.task(name="open.file", api=True)
    def file() -> None:
        job = current_job()
        assert job is not None
        job.attach(io.BytesIO(b"1,2\n"), name="two.csv", media_type="text/csv")

    @jobs.task(name="open.reject", api=True, unique="live", on_conflict="reject")
    def reject(shop: int) -> None: ...

    @jobs.task(name="open.skip", api=True, unique="live", on_conflict="skip")
    def skip(shop: int) -> None: ...


def start(caller: Caller, task: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> httpx.Response:
    headers = more.pop("headers", {})
    return caller.post("/jobs", json={"task": task, "arguments": arguments or {}} | more, headers=headers)


def stored(shop: Shop) -> int:
    return shop.jobs.control.count(JobFilter())


def test_a_job_is_accepted_with_its_address(shop: Shop) -> None:
    lena = as_user(shop, "lena")
    answer = start(lena, "open.order", {"customer": "Ada", "lines": [{"name": "tea", "price": 3}]}, tags=["web"])
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"/jobs/{body['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert (body["state"], body["title"], body["tags"]) == ("queued", "Order for Ada", ["web"])
    job = shop.jobs.get(body["id"])
    assert (job.owner, job.visibility, job.args) == (
        "lena", "owner", '{"customer":"Ada","lines":[{"name":"tea","price":3}]}',
    )  # fmt: skip
    assert lena.get(answer.headers["location"]).json() == body


def test_options_are_those_that_only_concern_the_caller(shop: Shop) -> None:
    lena = as_user(shop, "lena")
    at = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    later = start(lena, "open.add", {"a": 1}, run_at=at.isoformat(), identifier="o-7", expires=200_000)
    assert (later.status_code, later.json()["state"], later.json()["identifier"]) == (202, "scheduled", "o-7")
    assert shop.jobs.get(later.json()["id"]).run_at == at
    for name in ("queue", "priority", "owner", "group", "visibility", "unique", "meta", "secrets"):
        refused = start(lena, "open.add", {"a": 1}, **{name: "x"})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, f"#/{name}")


def test_who_may_not_start_anything(shop: Shop) -> None:
    nobody = start(as_user(shop, ""), "open.add", {"a": 1})
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    assert stored(shop) == 0


def test_a_task_that_is_not_open_looks_as_one_that_is_not_there(shop: Shop) -> None:
    lena = as_user(shop, "lena")
    unknown = start(lena, "no.such.task")
    for name in ("shop.add", "os.system", "__import__", "Open.add", "open.add ", "\u043epen.add", ""):
        answer = start(lena, name, {"a": 1, "b": 2})
        assert (answer.status_code, answer.json()) == (404, unknown.json()), name
    assert stored(shop) == 0


def test_an_alias_answers(shop: Shop) -> None:
    answer = start(as_user(shop, "lena"), "old.order", {"customer": "Ada", "lines": []})
    assert (answer.status_code, answer.json()["task"]) == (202, "open.order")


WRONG_ARGUMENTS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"/customer", "/lines"}),
    ({"customer": 1, "lines": "x"}, {"/customer", "/lines"}),
    ({"customer": "Ada", "lines": [{"name": "tea"}, {"name": "tea", "price": -1}]}, {"/lines/1/price"}),
    ({"customer": "Ada", "lines": [{"nam": "tea"}]}, {"/lines/0"}),
    ({"customer": "Ada", "lines": [], "due": "2026-01-01T00:00:00"}, {"/due"}),
    ({"customer": "Ada", "lines": [], "a/b~c": 1, "custome": 2}, {"/a~1b~0c", "/custome"}),
]


def test_every_wrong_argument_is_pointed_at(shop: Shop) -> None:
    for arguments, pointers in WRONG_ARGUMENTS:
        answer = start(as_user(shop, "lena"), "open.order", arguments)
        assert answer.status_code == 422, arguments
        assert answer.headers["content-type"] == "application/problem+json"
        assert {fault["pointer"] for fault in answer.json()["errors"]} == {f"#/arguments{place}" for place in pointers}
        assert all(fault["detail"] for fault in answer.json()["errors"])
    assert stored(shop) == 0


def test_values_are_not_repeated(shop: Shop) -> None:
    wrong = {"customer": "Ada", "lines": [], "password": ["hunter2"], "due": "hunter2"}
    assert "hunter2" not in start(as_user(shop, "lena"), "open.order", wrong).text


WRONG_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"delay": -1}, "/delay"),
    ({"delay": "soon"}, "/delay"),
    ({"delay": True}, "/delay"),
    ({"delay": 1e12}, "/delay"),
    ({"run_at": "tomorrow"}, "/run_at"),
    ({"run_at": "2026-11-24T14:00:00"}, "/run_at"),
    ({"run_at": 7}, "/run_at"),
    ({"run_at": "2026-11-24T14:00:00Z", "delay": 1}, "/run_at"),
    ({"expires": 0}, "/expires"),
    ({"expires": 1, "delay": 2}, "/expires"),
    ({"identifier": "x" * 201}, "/identifier"),
    ({"identifier": "a\0b"}, "/identifier"),
    ({"identifier": ""}, "/identifier"),
    ({"tags": "red"}, "/tags"),
    ({"tags": ["x"] * 3 + [""]}, "/tags"),
    ({"tags": [str(n) for n in range(51)]}, "/tags"),
    ({"arguments": []}, "/arguments"),
    ({"arguments": None}, "/arguments"),
    ({"task": 7}, "/task"),
]


def test_a_wrong_option_is_pointed_at(shop: Shop) -> None:
    lena = as_user(shop, "lena")
    for options, pointer in WRONG_OPTIONS:
        answer = lena.post("/jobs", json={"task": "open.add", "arguments": {"a": 1}} | options)
        assert answer.status_code == 422, options
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [f"#{pointer}"]
    assert stored(shop) == 0


def test_unknown_members_are_pointed_at_and_a_flood_of_them_is_not_repeated(shop: Shop) -> None:
    lena = as_user(shop, "lena")
    odd = start(lena, "open.add", {"a": 1}, **{"a/b~c": 1})
    assert [fault["pointer"] for fault in odd.json()["errors"]] == ["#/a~1b~0c"]
    flood = start(lena, "open.add", {"a": 1}, **{f"m{number}": 1 for number in range(2_000)})
    assert (flood.status_code, len(flood.json()["errors"])) == (422, 100)


def test_a_flood_of_unknown_arguments_is_not_looked_through(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    close = difflib.get_close_matches

    def counted(word: str, *given: Any) -> list[str]:
        looked.append(word)
        return close(word, *given)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    answer = start(as_user(shop, "lena"), "open.add", {"a": 1} | {f"m{number}": 1 for number in range(2_000)})
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 100)
    assert 0 < len(looked) <= 100


NUMBERS: list[tuple[bytes, int]] = [
    (b'{"task":"open.add","arguments":{"a":1},"delay":' + b"9" * 400 + b"}", 422),
    (b'{"task":"open.add","arguments":{"a":1},"expires":' + b"9" * 400 + b"}", 422),
    (b'{"task":"open.add","arguments":{"a":' + b"9" * 5_000 + b"}}", 400),
    (b'{"task":"open.add","arguments":{"a":1},"delay":1e999}', 400),
]


def test_numbers_that_are_out_of_all_bounds(shop: Shop) -> None:
    lena = as_user(shop, "lena")
    for body, status in NUMBERS:
        answer = lena.post("/jobs", content=body, headers=JSON)
        assert answer.status_code == status, (body[:80], answer.text)
    with pytest.raises(InvalidCall):
        shop.jobs.intake.take(Call("open.add", "lena", {"a": 10**5_000}))
    assert stored(shop) == 0


NO_REQUESTS: list[tuple[bytes, dict[str, str], int]] = [
    (b"{", JSON, 400),
    (b"", JSON, 400),
    (b"\xff", JSON, 400),
    (b'{"task": "open.add", "arguments": {"a": NaN}}', JSON, 400),
    (b"[" * 100_000, JSON, 400),
    (b'{"task":"open.add","arguments":{"a":' + b"[" * 80 + b"]" * 80 + b"}}", JSON, 400),
    (b"[]", JSON, 422),
    (b'"task"', JSON, 422),
    (b"null", JSON, 422),
    (b"{}", {}, 415),
    (b"task=open.add", {"content-type": "application/x-www-form-urlencoded"}, 415),
    (b"{}", {"content-type": "text/plain"}, 415),
    (b"{}", {"content-type": "application/json; charset=latin-1"}, 415),
    (b"{}", {"content-type": "application/json, text/plain"}, 415),
    (b"{}", {"content-type": 'application/json; charset="UTF-8"'}, 422),
]


def test_bodies_that_are_no_request(shop: Shop) -> None:
    lena = as_user(shop, "lena")
    for body, headers, status in NO_REQUESTS:
        answer = lena.post("/jobs", content=body, headers=headers)
        assert answer.status_code == status, (body[:80], headers, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert stored(shop) == 0


def test_a_large_body_is_not_read_on(shop: Shop) -> None:
    sent = []

    async def flood() -> Any:
        for _ in range(1_000):
            sent.append(1)
            yield b" " * 65_536

    lena = as_user(shop, "lena")
    assert lena.post("/jobs", content=flood(), headers=JSON).status_code == 413
    assert len(sent) < 20
    assert lena.post("/jobs", content=b"{}", headers=JSON | {"content-length": "9" * 30}).status_code == 413


def test_arguments_that_are_too_large_to_be_stored(shop: Shop) -> None:
    answer = start(as_user(shop, "lena"), "open.order", {"customer": "x" * 300_000, "lines": []})
    assert (answer.status_code, stored(shop)) == (413, 0)


# Keys


def test_a_request_that_comes_twice_is_answered_with_its_job(shop: Shop) -> None:
    lena, key = as_user(shop, "lena"), {"idempotency-key": "k-1"}
    first = start(lena, "open.add", {"a": 1, "b": 2}, headers=key)
    again = lena.post(
        "/jobs", content=b'{"arguments": {"b": 2, "a" : 1}, "task": "open.add"}',
        headers=JSON | {"idempotency-key": '"k-1"'},
    )  # fmt: skip
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["location"] == first.headers["location"]
    shop.jobs.cancel(first.json()["id"])
    assert start(lena, "open.add", {"a": 1, "b": 2}, headers=key).json()["state"] == "cancelled"
    assert stored(shop) == 1


def test_the_same_key_for_another_request(shop: Shop) -> None:
    lena, key = as_user(shop, "lena"), {"idempotency-key": "k-1"}
    assert start(lena, "open.add", {"a": 1}, headers=key).status_code == 202
    others: list[dict[str, Any]] = [{"arguments": {"a": 2}}, {"delay": 60}, {"tags": ["red"]}, {"identifier": "o-7"}]
    for other in others:
        answer = lena.post("/jobs", json={"task": "open.add", "arguments": {"a": 1}} | other, headers=key)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:backburner:problem:idempotency-mismatch"), (
            other
        )
    assert stored(shop) == 1


def test_keys_belong_to_who_asks_and_to_the_task(shop: Shop) -> None:
    key = {"idempotency-key": "k-1"}
    made = [
        start(as_user(shop, name), task, arguments, headers=key)
        for name in ("lena", "other")
        for task, arguments in (("open.add", {"a": 1}), ("open.once", {"shop": 1}))
    ]
    own = shop.jobs.registry.require("open.add").options(owner="lena", idempotency_key="k-1").enqueue(5, 5)
    assert [answer.status_code for answer in made] == [202] * 4
    assert len({answer.json()["id"] for answer in made} | {own.id}) == 5


def test_keys_that_cannot_be(shop: Shop) -> None:
    lena, call = as_user(shop, "lena"), {"task": "open.add", "arguments": {"a": 1}}
    for given in ([""], ['""'], ["x" * 201], ["caf\u00e9"], ["a\tb"], ["a", "b"]):
        answer = lena.post("/jobs", json=call, headers=[("idempotency-key", key.encode()) for key in given])
        assert (answer.status_code, stored(shop)) == (400, 0), given


def test_unique_over_http_is_per_user_and_leaves_the_apps_own_alone(shop: Shop) -> None:
    lena, other = as_user(shop, "lena"), as_user(shop, "other")
    first, again = (start(lena, "open.once", {"shop": 1}) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["id"] == first.json()["id"]
    assert int(again.headers["retry-after"]) >= 1
    theirs = start(other, "open.once", {"shop": 1})
    own = shop.jobs.registry.require("open.once").enqueue(1)
    assert theirs.status_code == 202
    assert len({first.json()["id"], theirs.json()["id"], own.id}) == 3


def test_unique_jobs_that_are_refused_or_skipped(shop: Shop) -> None:
    lena = as_user(shop, "lena")
    first, refused = (start(lena, "open.reject", {"shop": 1}) for _ in range(2))
    assert (refused.status_code, refused.json()["id"]) == (409, first.json()["id"])
    assert start(lena, "open.skip", {"shop": 1}).status_code == 202
    skipped = start(lena, "open.skip", {"shop": 1})
    assert (skipped.status_code, skipped.json()["state"]) == (200, "skipped")


def test_a_retry_takes_the_key_of_its_owner_again(shop: Shop) -> None:
    lena = as_user(shop, "lena")
    first = start(lena, "open.once", {"shop": 1}).json()["id"]
    shop.jobs.cancel(first)
    second = start(lena, "open.once", {"shop": 1}).json()["id"]
    assert second != first
    assert lena.post(f"/jobs/{first}/retry").status_code == 409
    shop.jobs.cancel(second)
    assert lena.post(f"/jobs/{first}/retry").status_code == 202


def test_an_equal_request_in_flight(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "WAIT", 0.1)
    lena, key = as_user(shop, "lena"), {"idempotency-key": "k"}
    assert start(lena, "open.add", {"a": 0}).status_code == 202
    # Another writer is at it, and not done in time.
    path = shop.jobs.settings.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = start(lena, "open.add", {"a": 1}, headers=key)
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
    assert answer.json()["type"] == "urn:backburner:problem:in-flight"
    assert start(lena, "open.add", {"a": 1}, headers=key).status_code == 202
    assert stored(shop) == 2


def test_requests_at_the_same_moment_make_one_job(shop: Shop) -> None:
    app = web_app(shop.jobs, resolve_user=by_header)
    answers: list[httpx.Response] = []

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=30, headers={"x-user": "lena", "idempotency-key": "k"}) as lena:
            barrier.wait(30)
            answers.append(lena.post("/jobs", json={"task": "open.add", "arguments": {"a": 1}}))

    barrier = threading.Barrier(8)
    with listening(app) as url:
        asking = [threading.Thread(target=ask) for _ in range(8)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(60)
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert stored(shop) == 1


# Waiting


def test_a_wait_ends_with_the_job(shop: Shop, worker: Worker) -> None:
    answer = start(as_user(shop, "lena"), "open.add", {"a": 1, "b": 2}, headers={"prefer": "wait=30"})
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert answer.headers["preference-applied"] == "wait=30"
    assert "retry-after" not in answer.headers
    assert as_user(shop, "lena").get(f"{answer.headers['location']}/result").json() == 3


def test_a_wait_goes_on_with_the_feed(shop: Shop, worker: Worker) -> None:
    shop.jobs.registry.require("shop.patient").api = True
    answers: list[httpx.Response] = []
    lena = as_user(shop, "lena")
    asking = threading.Thread(target=lambda: answers.append(start(lena, "shop.patient", headers={"prefer": "wait=30"})))
    asking.start()
    assert shop.reached.wait(30)
    shop.gate.set()
    asking.join(30)
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(200, "succeeded")]


def test_a_wait_that_is_over(shop: Shop) -> None:
    answer = start(as_user(shop, "lena"), "open.add", {"a": 1}, headers={"prefer": "respond-async, wait=0.05"})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "respond-async, wait=0.05"
    assert "retry-after" in answer.headers


def test_nobody_waits_unless_told(shop: Shop) -> None:
    lena = as_user(shop, "lena")
    assert "preference-applied" not in start(lena, "open.add", {"a": 1}).headers
    told = start(lena, "open.add", {"a": 1}, headers={"prefer": "respond-async"})
    assert (told.status_code, told.headers["preference-applied"]) == (202, "respond-async")


def test_too_many_wait_already(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.web.waiting.MOST_VIEWERS", 0)
    answer = start(as_user(shop, "lena"), "open.add", {"a": 1}, headers={"prefer": "wait=30"})
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


def test_a_browser_is_sent_on_to_the_file(shop: Shop, worker: Worker) -> None:
    lena = as_user(shop, "lena")
    browser = {"prefer": "wait=30", "accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = start(lena, "open.file", headers=browser)
    assert answer.status_code == 303
    result = lena.get(answer.headers["location"])
    assert result.status_code == 303
    assert lena.get(result.headers["location"]).content == b"1,2\n"
    valued = lena.get(start(lena, "open.add", {"a": 1}, headers=browser).headers["location"])
    assert (valued.status_code, valued.json()) == (200, 2)


@pytest.mark.parametrize("prefer", ["", "wait=0.2"])
def test_what_is_stored_is_told_although_the_database_went_away(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, prefer: str
) -> None:
    """503 would say that nothing is stored, and who asks again without a key would start it twice."""
    take = shop.jobs.intake.take

    def away(*_: Any) -> Any:
        raise StoreUnavailable("the database does not answer")

    def taken(call: Any) -> Any:
        found = take(call)
        monkeypatch.setattr(shop.jobs.store, "read", away)
        return found

    monkeypatch.setattr(shop.jobs.intake, "take", taken)
    answer = start(as_user(shop, "lena"), "open.add", {"a": 1}, headers={"prefer": prefer})
    monkeypatch.undo()
    assert (answer.status_code, stored(shop)) == (202, 1), answer.text
    assert answer.headers["location"] == f"/jobs/{answer.json()['id']}"
    assert (answer.json()["state"], "retry-after" in answer.headers) == ("queued", True)


# Quotas


def test_a_quota_of_unfinished_jobs(sqlite_url: str) -> None:
    jobs = Backburner(sqlite_url, secret=SECRET, max_per_owner=2)
    shop = Shop(jobs)
    jobs.task(name="open.tick", api=True)(lambda: None)
    lena, key = as_user(shop, "lena"), {"idempotency-key": "k"}
    first = start(lena, "open.tick", headers=key)
    assert (first.status_code, start(lena, "open.tick").status_code) == (202, 202)
    refused = start(lena, "open.tick")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert start(lena, "open.tick", headers={"idempotency-key": "new"}).status_code == 429
    assert start(lena, "open.tick", headers=key).status_code == 200
    assert start(as_user(shop, "other"), "open.tick").status_code == 202
    jobs.cancel(first.json()["id"])
    assert start(lena, "open.tick").status_code == 202
    jobs.close()


# Tokens


def bearing(shop: Shop, user: User, seconds: float = 60) -> Caller:
    return Caller(web_app(shop.jobs), {"authorization": f"Bearer {api_token(shop.jobs, user, seconds)}"})


def with_scopes(shop: Shop, *scopes: str) -> Caller:
    return bearing(shop, User("lena", scopes=frozenset(scopes)))


def test_scopes_of_tokens(shop: Shop) -> None:
    job = start(as_user(shop, "lena"), "open.add", {"a": 1}).json()["id"]
    reader, actor, writer = (with_scopes(shop, scope) for scope in ("read", "act", "enqueue"))
    asked = {
        name: (
            caller.get(f"/jobs/{job}").status_code,
            caller.get("/jobs").status_code,
            start(caller, "open.add", {"a": 1}).status_code,
            caller.post(f"/jobs/{job}/retry").status_code,
        )
        for name, caller in (("reader", reader), ("actor", actor), ("writer", writer))
    }
    assert asked == {"reader": (200, 200, 403, 403), "actor": (403, 403, 403, 409), "writer": (403, 403, 202, 403)}
    assert reader.get(f"/jobs/{job}").json()["actions"] == []
    missing = writer.get("/jobs/01a1fe3d-8c27-72b1-84a0-4f9b196f4b46")
    assert missing.json() == writer.get(f"/jobs/{job}").json()
    assert 'error="insufficient_scope", scope="read"' in missing.headers["www-authenticate"]
    assert actor.post(f"/jobs/{job}/cancel").status_code == 202
    assert reader.get(f"/jobs/{start(as_user(shop, 'other'), 'open.add', {'a': 1}).json()['id']}").status_code == 404


def test_a_token_for_one_task(shop: Shop) -> None:
    once = with_scopes(shop, "enqueue:open.o*")
    assert start(once, "open.once", {"shop": 1}).status_code == 202
    assert start(once, "old.order", {"customer": "Ada", "lines": []}).status_code == 202
    assert start(once, "open.add", {"a": 1}).status_code == 404


def test_scopes_of_the_apps_own_rule(shop: Shop) -> None:
    app = web_app(shop.jobs, resolve_user=lambda request: User("lena", scopes=frozenset({"enqueue:open.add"})))
    caller = Caller(app)
    assert start(caller, "open.add", {"a": 1}).status_code == 202
    assert start(caller, "open.once", {"shop": 1}).status_code == 404
    assert caller.get("/jobs").status_code == 403


def test_a_token_of_a_job_makes_no_stranger_of_who_may_not(shop: Shop) -> None:
    """What a scope forbids is 403, whatever else the request carries."""
    job = shop.add.options(owner="lena").enqueue(1, 2)
    token = job_token(shop.jobs, job, 60)
    reader, writer = with_scopes(shop, "read"), with_scopes(shop, "enqueue")
    call = {"task": "open.add", "arguments": {"a": 1}}
    assert reader.post(f"/jobs?token={token}", json=call).status_code == 403
    assert writer.get(f"/jobs?token={token}").status_code == 403
    assert writer.get(f"/metrics?token={token}").status_code == 403
    assert writer.get(f"/jobs/{job.id}?token={token}").status_code == 200


def test_an_operators_token_reads_everything_and_no_more_than_its_scopes(shop: Shop) -> None:
    job = shop.add.enqueue(1, 2)
    watcher = bearing(shop, User("monitor", operator=True, scopes=frozenset({"read"})))
    assert watcher.get(f"/jobs/{job.id}").status_code == 200
    assert watcher.get("/dashboard/jobs").status_code == 200
    assert watcher.post(f"/jobs/{job.id}/cancel").status_code == 403
    assert watcher.post(f"/dashboard/jobs/{job.id}/cancel").status_code == 403
    assert job.refresh().state is JobState.QUEUED


def test_tokens_that_are_no_good(shop: Shop) -> None:
    good = api_token(shop.jobs, User("lena", scopes=frozenset({"enqueue", "read"})), 1)
    body, _, signature = good.rpartition(".")
    bad = ["bb_", "bb_x", "bb_" + "x" * 20_000, body, f"{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"]
    app = web_app(shop.jobs, resolve_user=by_header)
    for token in bad:
        caller = Caller(app, {"authorization": f"bearer {token}", "x-user": "boss"})
        answer = start(caller, "open.add", {"a": 1})
        assert (answer.status_code, 'error="invalid_token"' in answer.headers["www-authenticate"]) == (401, True)
        assert caller.get("/jobs").status_code == 401
    clock = shop.jobs.store.clock
    now = clock.now()
    shop.jobs.control.now = lambda: now + timedelta(seconds=5)  # type: ignore[method-assign]
    assert start(Caller(app, {"authorization": f"Bearer {good}"}), "open.add", {"a": 1}).status_code == 401
    assert stored(shop) == 0


def test_other_peoples_tokens_are_left_to_the_apps_rule(shop: Shop) -> None:
    app = web_app(shop.jobs, resolve_user=by_header)
    assert Caller(app, {"authorization": "Bearer eyJhbGciOi", "x-user": "lena"}).get("/jobs").status_code == 200
    assert Caller(app, {"authorization": "Basic bGVuYTp4", "x-user": "lena"}).get("/jobs").status_code == 200


def test_a_token_is_refused_to_pages_of_other_sites(shop: Shop) -> None:
    caller = with_scopes(shop, "enqueue")
    answer = start(caller, "open.add", {"a": 1}, headers={"sec-fetch-site": "cross-site"})
    assert (answer.status_code, stored(shop)) == (403, 0)


def test_what_the_server_is_not_set_up_for_is_said_without_details(sqlite_url: str) -> None:
    jobs = Backburner(sqlite_url)

    @jobs.task(name="pay", api=True)
    def pay(token: Secret[str]) -> None: ...

    app = web_app(jobs, resolve_user=lambda request: User("ada"))
    answer = Caller(app).post("/jobs", json={"task": "pay", "arguments": {"token": "hunter2"}})
    assert (answer.status_code, answer.json()["title"]) == (503, "The server is not set up for this")
    assert "hunter2" not in answer.text
    assert jobs.find() == []
    jobs.close()
