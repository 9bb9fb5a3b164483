"""Nothing of a login is left anywhere: not in the database, not in logs, not in the list of processes."""

import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client

from backburner import Backburner, JobState
from backburner.errors import InvalidOption
from backburner.route_jobs import Granted, Identity, RouteJobs
from backburner.testing import JobsTesting
from tests.parity.programs import Program
from tests.route_jobs.conftest import SECRET, MakeRoutes
from tests.route_jobs.site import People, Site, Tap, User
from tests.servers import RedisServer
from tests.waiting import wait_until

COOKIE, TOKEN, PASSWORD = "canary-cookie-93a1", "canary-token-7f20", "canary-password-c4d8"


class Request:
    """What a framework gives for the request at hand."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.cookies = {"sessionid": COOKIE, "tracking": "canary-tracking-11"}


def dump(folder: Path) -> str:
    """Everything the database and the files of a test hold, freed pages and journals too."""
    parts: list[str] = []
    for path in folder.rglob("*.db"):
        with sqlite3.connect(path) as connection:
            parts += connection.iterdump()
        connection.close()
    parts += [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
    return "\n".join(parts)


def processes() -> str:
    """Command lines and environments of all processes that may be read."""
    found = []
    for name in ("cmdline", "environ"):
        for path in Path("/proc").glob(f"[0-9]*/{name}"):
            try:
                found.append(path.read_bytes().decode("latin-1"))
            except OSError:
                continue
    return "\n".join(found)


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_a_login_leaves_nothing_behind(
    jobs: Backburner, testing: JobsTesting, make_routes: MakeRoutes, people: People, site: Site, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    make_routes()
    ada = people.add("ada")
    ada.password = PASSWORD
    during: list[str] = []
    answer = site.answer
    site.answer = lambda seen: [during.append(dump(tmp_path) + processes()), answer(seen)][1]  # type: ignore[method-assign,func-returns-value,return-value,assignment]
    job = jobs.route(
        "POST", "/build", form={"a": "kept", "csrfmiddlewaretoken": TOKEN, "csrf_token": TOKEN}, as_user=ada
    )
    testing.drain(raises=True)
    assert job.refresh().state is JobState.SUCCEEDED
    said = capfd.readouterr()
    everything = "\n".join([*during, dump(tmp_path), processes(), caplog.text, said.out, said.err])
    assert "a=kept" in everything, "the dump shows what there is"
    for canary in (COOKIE, TOKEN, PASSWORD):
        assert canary not in everything
    assert len(during) == 1


def test_cookies_go_along_only_where_that_is_allowed(jobs: Backburner, routes: RouteJobs, testing: JobsTesting) -> None:
    del routes
    with pytest.raises(InvalidOption, match="is not allowed here"):
        jobs.route("POST", "/build", with_cookies=Request(User("ada")))
    assert testing.enqueued() == []


@pytest.fixture
def cookie_routes(make_routes: MakeRoutes) -> RouteJobs:
    return make_routes(cookies=["sessionid"], cookie_seconds=60)


@pytest.mark.usefixtures("cookie_routes")
def test_named_cookies_are_encrypted_and_wiped(
    jobs: Backburner, testing: JobsTesting, site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    job = jobs.route("POST", "/build", with_cookies=Request(User("ada")))
    assert jobs.store.grants.cookies(job.id) is not None
    before = dump(tmp_path)
    testing.drain(raises=True)
    (seen,) = site.seen
    assert seen.headers["cookie"] == f"sessionid={COOKIE}", "the named one, and no other"
    assert isinstance(seen.proof, Granted)
    assert (seen.proof.cookies, seen.proof.user) == (True, None)
    assert COOKIE not in before + dump(tmp_path) + caplog.text
    assert jobs.store.grants.cookies(job.id) is None, "they are wiped at the end"
    jobs.retry(job)
    testing.drain()
    assert (job.refresh().state, job.refresh().reason) == (JobState.FAILED, "The cookies it was to run with are over.")


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_who_shows_the_variables_of_a_failure_shows_no_cookie(
    jobs: Backburner, testing: JobsTesting, cookie_routes: RouteJobs
) -> None:
    """Services that collect errors keep the `repr` of what is there."""
    tap = Tap(cookie_routes)
    jobs.route("POST", "/build", with_cookies=Request(User("ada")))
    testing.drain(raises=True)
    (outgoing,) = tap.outgoing
    assert f"sessionid={COOKIE}" in dict(outgoing.headers).values()
    assert COOKIE not in repr(outgoing)
    assert dict(outgoing.headers)["Backburner-Grant"] not in repr(outgoing)


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.usefixtures("cookie_routes")
def test_they_live_for_a_while(jobs: Backburner, testing: JobsTesting, site: Site) -> None:
    job = jobs.route("POST", "/build", with_cookies=Request(User("ada")), delay=120)
    left = jobs.route("POST", "/build", with_cookies=Request(User("ada")))
    jobs.cancel(left)
    testing.drain(with_scheduled=True)
    assert (job.refresh().state, site.seen) == (JobState.FAILED, [])
    assert jobs.store.grants.prune(10) == 1, "what no end of an attempt has wiped goes by and by"


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.usefixtures("cookie_routes")
def test_they_are_wiped_after_a_final_failure_and_kept_for_the_next_try(jobs: Backburner, testing: JobsTesting) -> None:
    again = jobs.route("GET", "/status", query={"is": 500}, with_cookies=Request(User("ada")))
    never = jobs.route("GET", "/status", query={"is": 404}, with_cookies=Request(User("ada")))
    testing.drain()
    assert (again.refresh().state, never.refresh().state) == (JobState.RETRYING, JobState.FAILED)
    assert (jobs.store.grants.cookies(again.id) is None, jobs.store.grants.cookies(never.id)) == (False, None)


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.usefixtures("cookie_routes")
def test_an_attempt_that_was_taken_over_leaves_them_to_the_next(
    jobs: Backburner, testing: JobsTesting, site: Site
) -> None:
    """A worker froze, another has its job: what the first one ends with changes nothing."""
    job, answer = jobs.route("POST", "/build", with_cookies=Request(User("ada"))), site.answer
    taken = "UPDATE backburner_jobs SET attempt = attempt + 1 WHERE id = ?"

    def frozen(seen: Any) -> Any:
        jobs.store.run(lambda connection: connection.exec_driver_sql(taken, (job.id,)))
        return answer(seen)

    site.answer = frozen  # type: ignore[method-assign]
    testing.drain()
    assert (job.refresh().state, len(site.seen)) == (JobState.RUNNING, 1)
    assert jobs.store.grants.cookies(job.id) is not None


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.usefixtures("cookie_routes")
def test_those_of_one_job_are_of_no_use_to_another(jobs: Backburner, testing: JobsTesting, site: Site) -> None:
    ada, eve = (jobs.route("POST", "/build", with_cookies=Request(User(name))) for name in ("ada", "eve"))
    with jobs.store.engine.begin() as connection:
        stolen = connection.exec_driver_sql("SELECT cookies FROM backburner_grants WHERE job = ?", (ada.id,)).scalar()
        connection.exec_driver_sql("UPDATE backburner_grants SET cookies = ? WHERE job = ?", (stolen, eve.id))
    testing.drain()
    assert (ada.refresh().state, eve.refresh().state) == (JobState.SUCCEEDED, JobState.FAILED)
    assert len(site.seen) == 1


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
@pytest.mark.usefixtures("cookie_routes")
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"with_cookies": {"other": "1"}}, "has none of the cookies"),
        ({"with_cookies": {}}, "has none of the cookies"),
        ({"with_cookies": 7}, "is no request"),
        ({"with_cookies": {"sessionid": "1\r\nX: y"}}, "no value of a cookie"),
        ({"with_cookies": {"sessionid": "1; other=2"}}, "no value of a cookie"),
        ({"with_cookies": {"sessionid": "x" * 20_000}}, "more than 16,384 bytes"),
        ({"with_cookies": {"sessionid": "1"}, "as_user": User("ada")}, "beside as_user"),
    ],
)
def test_cookies_that_cannot_be(jobs: Backburner, testing: JobsTesting, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidOption, match=problem) as caught:
        jobs.route("POST", "/build", **options)
    assert "x" * 80 not in str(caught.value)
    assert testing.enqueued() == []


APP = """
import os
from pathlib import Path

from backburner import Backburner, current_job
from backburner.route_jobs import Identity, RouteJobs
from tests.route_jobs.conftest import SECRET
from tests.waiting import wait_until

jobs = Backburner(os.environ["APP_URL"], secret=SECRET, files="files")


def site(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    Path(f"{current_job().id}.started").write_text(str(len(environ.get("HTTP_COOKIE", ""))))
    wait_until(Path("go").exists, "somebody lets go", 60)
    return [b"done"]


identity = Identity(load_user=str, id_of=lambda user: user, epoch_of=lambda user: Path("password").read_text())
routes = RouteJobs(jobs, marked=["POST /build"], identity=identity, cookies=["sessionid"])
routes.wsgi(site)
"""


def test_no_process_shows_a_login(jobs: Backburner, tmp_path: Path) -> None:
    """A real worker, and the jobs in processes of their own: looked at while they run, and after it."""
    program = Program(tmp_path, jobs.settings.url)
    program.write(APP)
    (tmp_path / "password").write_text(PASSWORD)
    people = Identity(load_user=str, id_of=str, epoch_of=lambda user: PASSWORD)
    RouteJobs(jobs, marked=["POST /build"], identity=people, cookies=["sessionid"]).wsgi(Site().wsgi)
    made = [
        jobs.route("POST", "/build", form={"csrf_token": TOKEN}, isolate=True, as_user="ada"),
        jobs.route("POST", "/build", form={"csrf_token": TOKEN}, isolate=True, with_cookies=Request(User("ada"))),
    ]
    with program.started("worker"):
        started = [tmp_path / f"{job.id}.started" for job in made]
        wait_until(lambda: all(path.exists() for path in started), "the routes run")
        (tmp_path / "password").unlink()
        during = processes() + dump(tmp_path)
        assert [path.read_text() for path in started] == ["0", str(len(f"sessionid={COOKIE}"))]
        (tmp_path / "go").touch()
        assert all(job.wait(60) for job in made)
    assert [job.refresh().state for job in made] == [JobState.SUCCEEDED] * 2
    everything = during + dump(tmp_path) + program.said()
    assert all(job.id in everything for job in made)
    assert "backburner.worker.isolated" in during
    for canary in (COOKIE, TOKEN, PASSWORD):
        assert canary not in everything


def test_no_broker_has_one_either(redis: RedisServer, tmp_path: Path) -> None:
    """A ring says that there is work, and for whom it is not."""
    jobs = Backburner(
        f"sqlite:///{tmp_path / 'jobs.db'}", secret=SECRET, broker=redis.url, files=str(tmp_path / "files")
    )
    people = Identity(load_user=str, id_of=str, epoch_of=lambda user: PASSWORD)
    RouteJobs(jobs, marked=["POST /build"], identity=people, cookies=["sessionid"]).wsgi(Site().wsgi)
    with redis_client.Redis.from_url(redis.url) as client:
        jobs.route("POST", "/build", form={"csrf_token": TOKEN}, as_user="canary-user-5d02")
        jobs.route("POST", "/build", form={"csrf_token": TOKEN}, with_cookies=Request(User("ada")))
        rings = wait_until(lambda: list(client.scan_iter(_type="list")), "a ring lies there")
        lying = b"".join(piece for key in rings for piece in client.lrange(key, 0, -1)).decode("latin-1")
        client.flushall()
    jobs.close()
    assert "default" in lying, "the dump shows what there is"
    for canary in (COOKIE, TOKEN, PASSWORD, "canary-user-5d02", "/build"):
        assert canary not in lying
