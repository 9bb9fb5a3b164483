"""What becomes of a route job: its request, its answer, its outcome."""

import io
import json
from typing import Any

import pytest

from backburner import Backburner, JobState
from backburner.errors import InvalidOption, SettingsError, StoreUnavailable, TooLarge
from backburner.job import Job
from backburner.route_jobs import Identity, RouteJobs
from backburner.testing import JobsTesting
from tests.route_jobs.conftest import MakeRoutes
from tests.route_jobs.site import MARKED, People, Site, Tap, User

pytestmark = pytest.mark.usefixtures("routes")


def output(jobs: Backburner, job: Job) -> str:
    return "".join(line.text for line in jobs.store.progress.log(job.id))


def test_the_whole_request_reaches_the_view(jobs: Backburner, testing: JobsTesting, site: Site, people: People) -> None:
    ada = people.add("ada")
    job = jobs.route(
        "post", "/build", query={"month": "2026-10", "n": [1, 2]}, form={"a": "1 & 2", "b": ["\u20ac", ""]},
        headers={"Accept-Language": "cs"}, as_user=ada, keep_headers=["ETag"],
    )  # fmt: skip
    testing.drain(raises=True)
    (seen,) = site.seen
    assert (seen.method, seen.path, seen.query) == ("POST", "/build", "month=2026-10&n=1&n=2")
    assert seen.body == b"a=1+%26+2&b=%E2%82%AC&b="
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert seen.headers["accept-language"] == "cs"
    assert seen.headers["host"] == "localhost"
    assert seen.proof is not None
    assert (seen.proof.job, seen.proof.attempt, seen.proof.user) == (job.id, 1, ada)
    assert "backburner-grant" not in seen.headers
    assert job.owner == "ada"
    assert job.refresh().result()["status"] == 200


def test_the_current_job_is_there_inside(jobs: Backburner, testing: JobsTesting, people: People) -> None:
    job = jobs.route("GET", "/build", as_user=people.add("ada"))
    testing.drain(raises=True)
    said = json.loads(output(jobs, job))
    assert said == {"job": job.id, "user": "ada", "body": ""}


def test_json_and_files_by_reference(jobs: Backburner, testing: JobsTesting, site: Site) -> None:
    jobs.route("PUT", "/build", json={"a": [1, "\u20ac"]})
    large = b"0123456789" * 200_000
    sent = jobs.route(
        "POST", "/build", form={"name": "x\r\ny"}, files={"f": ('a"b.csv', io.BytesIO(large), "text/csv")}
    )
    assert len(sent.args) < 1000, "files are stored by reference"
    testing.drain(raises=True)
    plain, parts = site.seen
    assert (plain.headers["content-type"], json.loads(plain.body)) == ("application/json", {"a": [1, "\u20ac"]})
    border = parts.headers["content-type"].partition("boundary=")[2].encode()
    assert parts.body == (
        b"--" + border + b'\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\ny\r\n'
        b"--" + border + b'\r\nContent-Disposition: form-data; name="f"; filename="a%22b.csv"\r\n'
        b"Content-Type: text/csv\r\n\r\n" + large + b"\r\n--" + border + b"--\r\n"
    )
    (stored,) = jobs.store.attachments.of_job(sent.id)
    assert (stored.name, stored.size) == ('a"b.csv', len(large))


def test_anonymous_means_anonymous(jobs: Backburner, testing: JobsTesting, site: Site) -> None:
    job = jobs.route("POST", "/build")
    testing.drain(raises=True)
    (seen,) = site.seen
    assert seen.proof is not None
    assert seen.proof.user is None
    assert not {"cookie", "authorization"} & set(seen.headers)
    assert job.owner is None


def test_output_comes_as_text_however_it_is_cut(jobs: Backburner, testing: JobsTesting) -> None:
    job = jobs.route("GET", "/words", keep_headers=["ETag", "x-none"])
    testing.drain(raises=True)
    assert output(jobs, job) == "1 \u20ac\n2 \u20ac\n"
    assert job.refresh().result() == {"status": 200, "headers": {"etag": '"7"'}, "size": 11}


def test_what_is_no_text_becomes_a_file(jobs: Backburner, testing: JobsTesting) -> None:
    job = jobs.route("GET", "/file")
    testing.drain(raises=True)
    (file,) = jobs.store.attachments.of_job(job.id)
    assert (file.size, file.media_type, file.name.endswith(".pdf")) == (8, "application/pdf", True)
    with jobs.files.open(file.place) as opened:
        assert opened.read() == b"%PDF-1.4"
    assert output(jobs, job) == ""


def test_an_answer_without_a_body(jobs: Backburner, testing: JobsTesting) -> None:
    job = jobs.route("GET", "/bare")
    testing.drain(raises=True)
    assert job.refresh().result() == {"status": 204, "headers": {}, "size": 0}
    assert jobs.store.attachments.of_job(job.id) == []


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_is_recorded_and_not_followed(
    jobs: Backburner, testing: JobsTesting, site: Site, status: int
) -> None:
    job = jobs.route("GET", "/status", query={"is": status})
    testing.drain(raises=True)
    assert len(site.seen) == 1
    result = job.refresh().result()
    assert (result["status"], result["headers"]) == (status, {"location": "http://169.254.169.254/latest"})


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_mistake_of_the_request_is_final(jobs: Backburner, testing: JobsTesting, status: int) -> None:
    job = jobs.route("GET", "/status", query={"is": status})
    testing.drain()
    ended = job.refresh()
    assert (ended.state, ended.tries) == (JobState.FAILED, 1)
    assert (ended.reason or "").startswith(f"The route answered {status} ")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_of_the_app_is_tried_again(jobs: Backburner, testing: JobsTesting, status: int) -> None:
    job = jobs.route("GET", "/status", query={"is": status})
    testing.drain()
    ended = job.refresh()
    assert (ended.state, ended.tries) == (JobState.RETRYING, 1)
    assert (ended.run_at - testing.clock.now()).total_seconds() == pytest.approx(30, abs=1)
    once = jobs.route("GET", "/status", query={"is": status, "n": 1}, repeatable=False)
    testing.drain()
    assert once.refresh().state is JobState.FAILED, "what must not run twice does not, whatever the app asks for"


def test_an_exception_of_the_app_is_that_of_a_task(jobs: Backburner, testing: JobsTesting) -> None:
    job = jobs.route("GET", "/raises")
    testing.drain()
    ended = job.refresh()
    assert (ended.state, ended.reason) == (JobState.FAILED, "The view has said no.")


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.parametrize("method", ["DELETE", "PUT"])
def test_a_route_that_is_not_marked_is_refused(jobs: Backburner, testing: JobsTesting, method: str) -> None:
    with pytest.raises(InvalidOption, match="no marked route answers"):
        jobs.route(method, "/other")
    assert testing.enqueued() == []


def test_a_route_that_is_not_marked_any_more_is_not_called(
    jobs: Backburner, testing: JobsTesting, site: Site, routes: RouteJobs
) -> None:
    job = jobs.route("POST", "/build")
    routes._marked = lambda method, path: False
    testing.drain()
    assert (job.refresh().state, site.seen) == (JobState.FAILED, [])
    assert job.refresh().reason == "There is no such route any more, or it is not marked any more."


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"form": {"a": 1}, "json": {}}, "json"),
        ({"json": {1, 2}}, "json"),
        ({"json": float("nan")}, "json"),
        ({"form": "a=1"}, "form"),
        ({"query": "a=1"}, "query"),
        ({"query": {"a": None}}, "query"),
        ({"form": {"a": None}}, "form"),
        ({"files": {"f": "/etc/passwd"}}, "files"),
        ({"files": {"f": ("a", io.BytesIO(b""), "no type\r\n")}}, "files"),
        ({"files": {"f": ("a", io.BytesIO(b"1"), f"text/{'x' * 100}")}}, "files"),
        ({"headers": {"Cookie": "a=1"}}, "headers"),
        ({"headers": {"Authorization": "Bearer x"}}, "headers"),
        ({"headers": {"Host": "evil.example"}}, "headers"),
        ({"headers": {"Backburner-Grant": "1.a.b.c"}}, "headers"),
        ({"headers": {"X-Forwarded-For": "10.0.0.1"}}, "headers"),
        ({"headers": {"Accept": "a\r\nCookie: b"}}, "headers"),
        ({"keep_headers": ["Set-Cookie"]}, "keep_headers"),
        ({"keep_headers": "etag"}, "keep_headers"),
        ({"with_cookies": {"a": "1"}}, "with_cookies"),
        ({"as_user": User("")}, "as_user"),
        ({"as_user": User("x" * 201)}, "as_user"),
        ({"queue": "a,b"}, "queue"),
        ({"forms": {}}, "forms"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_stored(
    jobs: Backburner, testing: JobsTesting, options: dict[str, Any], option: str
) -> None:
    with pytest.raises(InvalidOption) as caught:
        jobs.route("POST", "/build", **options)
    assert caught.value.option == option
    assert testing.enqueued() == []
    assert not list(testing._folder.rglob("files/*/*"))


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.parametrize(
    "options",
    [
        {"form": {"password": "hunter2", "a": None}},
        {"form": {"password": "hunter2", "a": "\ud800"}},
        {"form": "password=hunter2"},
        {"query": {"password": "hunter2" * 2_000}},
        {"json": {"password": "hunter2", "a": {1}}},
        {"json": {"password": "hunter2"}, "form": {"a": 1}},
    ],
)
def test_values_of_a_request_are_not_repeated(jobs: Backburner, testing: JobsTesting, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption) as caught:
        jobs.route("POST", "/build", **options)
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"
    assert testing.enqueued() == []


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_a_read_has_no_body(jobs: Backburner, testing: JobsTesting) -> None:
    with pytest.raises(InvalidOption, match="has no body"):
        jobs.route("GET", "/build", form={"a": 1})
    assert testing.enqueued() == []


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_a_body_that_is_too_large_is_refused(jobs: Backburner, testing: JobsTesting) -> None:
    with pytest.raises(TooLarge, match="Store the|limit"):
        jobs.route("POST", "/build", form={"a": "x" * 300_000})
    with pytest.raises(TooLarge):
        jobs.route("POST", "/build", form={"a": "x" * 300_000}, files={"f": io.BytesIO(b"data")})
    assert testing.enqueued() == []
    assert not list(testing._folder.rglob("files/*/*")), "the file that was stored before went with it"


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_files_come_with_a_job_that_is_stored_later(jobs: Backburner, testing: JobsTesting) -> None:
    with jobs.bulk():
        job = jobs.route("POST", "/build", files={"f": io.BytesIO(b"data")})
        assert jobs.store.attachments.of_job(job.id) == []
    testing.drain(raises=True)
    assert job.refresh().state is JobState.SUCCEEDED


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_one_that_may_have_been_stored_keeps_its_files(
    jobs: Backburner, testing: JobsTesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the database goes away behind the commit: who asked is told that it is away, and the job is there."""

    def away(*_: object) -> None:
        raise StoreUnavailable("the server ends")

    parent = jobs.route("GET", "/build")
    monkeypatch.setattr(jobs.store.dependencies, "join", away)
    with pytest.raises(StoreUnavailable):
        jobs.route("POST", "/build", files={"f": io.BytesIO(b"data")}, after=[parent])
    monkeypatch.undo()
    testing.drain()
    assert [job.state for job in jobs.find()] == [JobState.SUCCEEDED, JobState.SUCCEEDED]


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_equal_requests_that_wait_are_one(jobs: Backburner, testing: JobsTesting, people: People) -> None:
    ada, bob = people.add("ada"), people.add("bob")

    def ask(user: User, content: bytes = b"1", **more: Any) -> str:
        options: dict[str, Any] = {"unique": "live", "on_conflict": "debounce", "delay": 60, "as_user": user, **more}
        return jobs.route("POST", "/build", form={"a": "1"}, files={"f": ("a", io.BytesIO(content))}, **options).id

    first = ask(ada)
    assert ask(ada) == first
    others = {ask(bob), ask(ada, b"2"), ask(ada, query={"b": 1}), first}
    assert len(others) == 4
    assert len(testing.enqueued()) == 4
    assert len(list(testing._folder.rglob("files/*/*"))) == 4, "the file of the one that was merged is gone again"


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_it_starts_later_when_asked_to(jobs: Backburner, testing: JobsTesting, site: Site) -> None:
    job = jobs.route("POST", "/build", delay=3600)
    testing.drain()
    assert (job.refresh().state, site.seen) == (JobState.SCHEDULED, [])
    testing.drain(with_scheduled=True)
    assert job.refresh().state is JobState.SUCCEEDED


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.parametrize("kept", [{"f": io.BytesIO(b"data")}])
def test_a_file_that_is_gone_ends_it(jobs: Backburner, testing: JobsTesting, kept: Any) -> None:
    job = jobs.route("POST", "/build", files=kept)
    (file,) = jobs.store.attachments.of_job(job.id)
    jobs.files.delete(file.place)
    testing.drain()
    assert (job.refresh().state, job.refresh().reason) == (JobState.FAILED, "Its file file is gone.")


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_each_attempt_has_a_grant_of_its_own(jobs: Backburner, testing: JobsTesting, tap: Tap) -> None:
    job = jobs.route("GET", "/status", query={"is": 500}, max_attempts=3)
    testing.drain(with_retries=True)
    tokens = {dict(outgoing.headers)["Backburner-Grant"] for outgoing in tap.outgoing}
    assert len(tokens) == len(tap.outgoing) == job.refresh().attempt == 3


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_without_a_secret_there_are_no_route_jobs(tmp_path: Any) -> None:
    with pytest.raises(SettingsError, match="requests of route jobs are signed with it"):
        RouteJobs(Backburner(f"sqlite:///{tmp_path}/x.db"), marked=MARKED)


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_without_route_jobs_there_is_no_route(tmp_path: Any) -> None:
    with pytest.raises(InvalidOption, match="this app has no RouteJobs"):
        Backburner(f"sqlite:///{tmp_path}/x.db").route("GET", "/build")


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.parametrize("marked", ["GET /a", ["/a"], ["get /a"], ["GET a"], [7]])
def test_marks_that_are_none(tmp_path: Any, marked: Any) -> None:
    with pytest.raises(InvalidOption, match="marked"):
        RouteJobs(Backburner(f"sqlite:///{tmp_path}/x.db", secret="x" * 16), marked=marked)


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_an_app_without_users_runs_nothing_as_one(
    jobs: Backburner, testing: JobsTesting, make_routes: MakeRoutes, people: People
) -> None:
    del testing
    jobs.registry._tasks.pop("backburner.route")
    make_routes(identity=None)
    with pytest.raises(InvalidOption, match="knows no users"):
        jobs.route("POST", "/build", as_user=people.add("ada"))


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_an_identity_needs_its_functions() -> None:
    with pytest.raises(InvalidOption, match="epoch_of"):
        Identity(load_user=str, id_of=str, epoch_of=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.parametrize(
    "options", [{"name": "a"}, {"aliases": ["a"]}, {"former": ["a"]}, {"api": True}, {"codec": "pickle"}]
)
def test_there_is_one_way_to_a_route_job(tmp_path: Any, options: dict[str, Any]) -> None:
    """Under another name its rows would run unsigned; over HTTP anybody could say whom they run as."""
    with pytest.raises(InvalidOption, match="cannot be said of route jobs"):
        RouteJobs(Backburner(f"sqlite:///{tmp_path}/x.db", secret="x" * 16), marked=MARKED, **options)


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_an_operator_may_edit_one(jobs: Backburner, testing: JobsTesting, site: Site, people: People) -> None:
    people.add("ada")
    job = jobs.route("POST", "/build", form={"a": 1}, as_user=people.known["ada"])
    jobs.edit(job, job.args.replace("a=1", "a=2"))
    testing.drain(raises=True)
    assert [seen.body for seen in site.seen] == [b"a=2"]
