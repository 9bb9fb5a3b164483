"""Who gets what: every route for everybody, and tokens."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from backburner import Backburner, Job
from backburner.errors import InvalidOption, SettingsError
from backburner.web import job_token, web_app
from backburner.web.contract import CONTRACT
from backburner.web.dashboard.routes import DASHBOARD
from backburner.web.tokens import Grant, Tokens
from backburner.worker import Worker
from tests.web.shop import PRIVATE, SECRET, Caller, Shop, as_user, by_header

# What each route answers: nobody, the job's owner, somebody else, an operator.
EXPECTED: dict[tuple[str, str], tuple[int, int, int, int]] = {
    ("GET", "/jobs"): (401, 200, 200, 200),
    ("POST", "/jobs"): (401, 404, 404, 404),  # of a task that is not open: tests/web/test_enqueueing.py starts some
    ("GET", "/jobs/feed"): (200, 200, 200, 200),  # of other people's jobs it says "gone": tested below
    ("GET", "/jobs/shared"): (200, 200, 200, 200),  # what it shows to whom: tests/web/test_sharing.py
    ("GET", "/jobs/{job_id}"): (404, 200, 404, 200),
    ("GET", "/jobs/{job_id}/events"): (404, 200, 404, 200),
    ("GET", "/jobs/{job_id}/log"): (404, 200, 404, 200),
    ("GET", "/jobs/{job_id}/result"): (404, 200, 404, 200),
    ("GET", "/jobs/{job_id}/wait"): (404, 200, 404, 200),
    ("POST", "/jobs/{job_id}/wait/{verb}"): (404, 303, 404, 303),
    ("POST", "/jobs/{job_id}/cancel"): (404, 409, 404, 409),
    ("POST", "/jobs/{job_id}/retry"): (404, 202, 404, 202),
    ("POST", "/jobs/{job_id}/tell"): (404, 409, 404, 409),
    ("POST", "/jobs/{job_id}/dismiss"): (404, 204, 404, 204),
    ("DELETE", "/jobs/{job_id}"): (404, 403, 404, 204),
    ("GET", "/files/{file_id}"): (404, 200, 404, 200),
    ("GET", "/openapi.json"): (401, 200, 200, 200),
    ("GET", "/metrics"): (403, 403, 403, 200),
    ("GET", "/livez"): (200, 200, 200, 200),
    ("GET", "/readyz"): (200, 200, 200, 200),
    ("GET", "/mine"): (401, 200, 200, 200),
    ("POST", "/mine/{job_id}/{verb}"): (404, 303, 404, 303),
}
VISITORS = ("", "lena", "other", "boss")


def test_every_route_is_in_the_table() -> None:
    assert {(route.method, route.path) for route in CONTRACT if route not in DASHBOARD} == set(EXPECTED)


@pytest.fixture
def done(shop: Shop, worker: Worker) -> Job:
    shop.gate.set()
    job = shop.export.options(owner="lena").enqueue("October")
    assert job.wait(30)
    return job.refresh()


@pytest.mark.parametrize("visitor", range(len(VISITORS)), ids=["nobody", "owner", "other", "operator"])
def test_every_route_for_everybody(shop: Shop, done: Job, visitor: int) -> None:
    caller = as_user(shop, VISITORS[visitor])
    [file] = shop.jobs.control.files_of([done.id])[done.id]
    for method, path in EXPECTED:
        # What changes a job gets one of its own, which was cancelled.
        job = done if method == "GET" else shop.add.options(owner="lena", delay=3600).enqueue(1, 2).cancel()
        address = path.format(job_id=job.id, file_id=file.id, verb="retry")
        if path == "/jobs/feed":
            address += f"?ids={done.id}"
        answer = caller.ask(method, address, json={"task": "shop.add"} if (method, path) == ("POST", "/jobs") else None)
        assert answer.status_code == EXPECTED[method, path][visitor], (method, path, answer.text)


@pytest.mark.parametrize("visitor", ["", "other"])
def test_what_is_somebody_elses_looks_as_if_it_were_not_there(shop: Shop, done: Job, visitor: str) -> None:
    caller, unknown = as_user(shop, visitor), "01a1fe3d-8c27-72b1-84a0-4f9b196f4b46"
    [file] = shop.jobs.control.files_of([done.id])[done.id]
    for method, path in (
        ("GET", "/jobs/{}"), ("GET", "/jobs/{}/events"), ("GET", "/jobs/{}/log"), ("GET", "/jobs/{}/result"),
        ("POST", "/jobs/{}/cancel"), ("POST", "/jobs/{}/retry"), ("DELETE", "/jobs/{}"), ("GET", "/jobs/feed?ids={}"),
    ):  # fmt: skip
        foreign, none = (caller.ask(method, path.format(each)) for each in (done.id, unknown))
        assert foreign.status_code == none.status_code
        assert foreign.text.replace(done.id, "-") == none.text.replace(unknown, "-")
        assert dict(foreign.headers) == dict(none.headers)
    assert caller.get(f"/files/{file.id}").text == caller.get(f"/files/{unknown}").text


def test_without_a_rule_everything_is_closed(shop: Shop, done: Job) -> None:
    closed = Caller(web_app(shop.jobs), {"x-user": "boss"})
    for method, path in EXPECTED:
        if path not in ("/livez", "/readyz", "/jobs/feed", "/jobs/shared"):
            answer = closed.ask(method, path.format(job_id=done.id, file_id=done.id, verb="cancel"))
            assert answer.status_code in (401, 403, 404), path


def test_lists_show_only_what_is_ones_own(shop: Shop, done: Job) -> None:
    assert [job["id"] for job in as_user(shop, "lena").get("/jobs").json()["jobs"]] == [done.id]
    assert as_user(shop, "other").get("/jobs").json()["jobs"] == []
    own = shop.add.options(owner="other").enqueue(1, 2)
    assert [job["id"] for job in as_user(shop, "other").get("/jobs").json()["jobs"]] == [own.id]
    assert as_user(shop, "other").get("/jobs?owner=lena").json()["jobs"] == []


def test_visibility(shop: Shop) -> None:
    users = shop.add.options(owner="lena", visibility="users").enqueue(1, 2)
    public = shop.add.options(owner="lena", visibility="public").enqueue(1, 2)
    nobody, other = as_user(shop, ""), as_user(shop, "other")
    assert nobody.get(f"/jobs/{users.id}").status_code == 404
    assert other.get(f"/jobs/{users.id}").status_code == 200
    assert nobody.get(f"/jobs/{public.id}").json()["actions"] == []
    # To see is not to act.
    assert other.post(f"/jobs/{users.id}/cancel").status_code == 403
    assert nobody.post(f"/jobs/{public.id}/cancel").status_code == 403


def test_private_text_is_for_operators(shop: Shop, worker: Worker) -> None:
    job = shop.crash.options(owner="lena").enqueue()
    assert job.wait(30)
    lena, boss = as_user(shop, "lena"), as_user(shop, "boss")
    for path in ("", "/events", "/log", "/result"):
        text = lena.get(f"/jobs/{job.id}{path}").text
        assert "hunter2" not in text, path
        assert "Traceback" not in text, path
    assert lena.get(f"/jobs/{job.id}").json()["reason"] == "It stopped with an error."
    assert boss.get(f"/jobs/{job.id}").json()["error"] == PRIVATE
    assert "hunter2" in boss.get(f"/dashboard/jobs/{job.id}").text


def test_owners_may_not_repeat_what_must_not_run_twice(shop: Shop) -> None:
    careful = shop.add.options(owner="lena", repeatable=False).enqueue(1, 2)
    plain = shop.add.options(owner="lena").enqueue(1, 2)
    lena = as_user(shop, "lena")
    for job, status in ((careful, 403), (plain, 202)):
        job.cancel()
        assert ("retry" in lena.get(f"/jobs/{job.id}").json()["actions"]) is (status == 202)
        assert lena.post(f"/jobs/{job.id}/retry").status_code == status
    assert "must not run twice" in lena.post(f"/jobs/{careful.id}/retry").json()["detail"]
    assert as_user(shop, "boss").post(f"/jobs/{careful.id}/retry").status_code == 202
    # What an operator does is written down; what people do to jobs of their own is their business.
    (row,) = shop.jobs.insight.audit.page().rows
    assert (row.by, row.via, row.action, row.target) == ("boss", "http", "retry", careful.id)


def test_a_token_opens_one_job(shop: Shop, done: Job) -> None:
    other = shop.add.enqueue(1, 2)
    nobody, token = as_user(shop, ""), job_token(shop.jobs, done, 60)
    for path in ("", "/events", "/log", "/result"):
        assert nobody.get(f"/jobs/{done.id}{path}?token={token}").status_code == 200, path
        assert nobody.get(f"/jobs/{other.id}{path}?token={token}").status_code == 404, path
    body = nobody.get(f"/jobs/{done.id}?token={token}").json()
    assert body["actions"] == []
    assert nobody.get(body["files"][0]["href"]).status_code == 200
    assert nobody.get(body["files"][0]["href"].partition("?")[0]).status_code == 404
    assert nobody.get(f"/jobs?token={token}").status_code == 401


def test_a_token_acts_only_when_it_says_so(shop: Shop) -> None:
    job = shop.add.enqueue(1, 2)
    nobody = as_user(shop, "")
    assert nobody.post(f"/jobs/{job.id}/cancel?token={job_token(shop.jobs, job, 60)}").status_code == 403
    may = job_token(shop.jobs, job.id, 60, act=True)
    assert nobody.post(f"/jobs/{job.id}/cancel?token={may}").status_code == 202
    assert nobody.ask("DELETE", f"/jobs/{job.id}?token={may}").status_code == 403


def test_a_token_past_its_life_is_gone_and_opens_nothing(shop: Shop) -> None:
    job, public = shop.add.enqueue(1, 2), shop.add.options(visibility="public").enqueue(1, 2)
    then = shop.jobs.control.now() - timedelta(seconds=5)

    def old(which: Job) -> str:
        return Tokens(SECRET).make(Grant(which.id, True, then))

    nobody = as_user(shop, "")
    assert nobody.get(f"/jobs/{job.id}?token={old(job)}").status_code == 410
    assert nobody.post(f"/jobs/{job.id}/cancel?token={old(job)}").status_code == 410
    assert nobody.get(f"/jobs/{public.id}?token={old(job)}").status_code == 200
    assert nobody.post(f"/jobs/{public.id}/cancel?token={old(public)}").status_code == 403
    assert as_user(shop, "boss").get(f"/jobs/{job.id}?token={old(job)}").status_code == 200


@pytest.mark.parametrize("secret", [SECRET, None])
def test_forged_tokens(shop: Shop, secret: str | None) -> None:
    job = shop.add.enqueue(1, 2)
    # Its first character: the last one has bits that say nothing.
    signed, _, signature = job_token(shop.jobs, job, 60).rpartition(".")
    forged = Tokens("another secret, just as long").make(Grant(job.id, True, shop.jobs.control.now() + timedelta(1)))
    nobody = as_user(shop, "")
    for token in (
        forged,
        f"{signed}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
        signed,
        "",
        "x" * 5000,
        "....",
        "\u00e9",
    ):
        assert nobody.get(f"/jobs/{job.id}", params={"token": token}).status_code == 404, token


def test_no_tokens_without_a_secret(sqlite_url: str) -> None:
    bare = Backburner(sqlite_url)
    with pytest.raises(SettingsError, match="BACKBURNER_SECRET"):
        job_token(bare, "01a1fe3d-8c27-72b1-84a0-4f9b196f4b46", 60)
    with pytest.raises(InvalidOption):
        job_token(bare, "01a1fe3d-8c27-72b1-84a0-4f9b196f4b46", 0)
    bare.close()


def test_the_rule_may_be_async(shop: Shop) -> None:
    async def later(request: object) -> object:
        return by_header(request)  # type: ignore[arg-type]

    app = web_app(shop.jobs, resolve_user=later)  # type: ignore[arg-type]
    assert Caller(app, {"x-user": "boss"}).get("/jobs").status_code == 200
    assert Caller(app).get("/jobs").status_code == 401


def test_tokens_of_a_former_secret_are_read_and_none_is_signed_with_it(shop: Shop) -> None:
    grant = Grant("job", act=False, until=shop.jobs.control.now().replace(microsecond=0))
    new = "the next secret, just as long"
    before, after = Tokens(SECRET), Tokens(new, SECRET)
    assert after.read(before.make(grant)) == grant
    assert before.read(after.make(grant)) is None
    assert Tokens(new).read(after.make(grant)) == grant


@pytest.mark.parametrize("found", ["lena", {"id": "lena"}], ids=["a name", "a row"])
def test_a_user_of_another_kind_is_named_with_the_remedy(shop: Shop, found: object) -> None:
    """To the log, by the server that runs the app: whoever asks learns nothing of it."""
    resolve: Any = lambda request: found  # noqa: E731 (of a wrong type on purpose)
    app = web_app(shop.jobs, resolve_user=resolve)
    assert Caller(app).get("/jobs").status_code == 500
    with pytest.raises(SettingsError, match=r"is no User. Have it return backburner.web.User\(id\), or None") as raised:
        TestClient(app).get("/jobs")
    assert "lena" not in str(raised.value)
