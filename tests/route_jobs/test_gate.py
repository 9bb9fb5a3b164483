"""Forged, replayed, changed and foreign requests: each is refused, and the view never sees it."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner, JobState, RetryPolicy
from backburner.grant import GrantKeys
from backburner.route_jobs import RouteJobs
from backburner.route_jobs.gate import INSIDE
from backburner.route_jobs.outgoing import Body, Outgoing
from backburner.store.upkeep import CHANGED as CHANGED_ROW
from backburner.testing import JobsTesting
from tests.route_jobs.conftest import SECRET, MakeRoutes
from tests.route_jobs.site import MARKED, People, Site, Tap, with_body, with_header

HEADER = "Backburner-Grant"


def as_another(token: str, user: str) -> str:
    """The grant with another user in it, and the signature that it had."""
    version, key, payload, mac = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload))
    assert said["user"] != user
    forged = base64.urlsafe_b64encode(json.dumps(said | {"user": user}).encode()).decode()
    return ".".join([version, key, forged, mac])


CHANGES: dict[str, Callable[[Outgoing], Outgoing]] = {
    "other path": lambda sent: replace(sent, path="/other"),
    "other spelling": lambda sent: replace(sent, path="/Build"),
    "other method": lambda sent: replace(sent, method="PUT"),
    "other query": lambda sent: replace(sent, query="month=11"),
    "no query": lambda sent: replace(sent, query=""),
    "other body": lambda sent: with_body(sent, b"a=2"),
    "longer body": lambda sent: with_body(sent, b"a=1&b=2"),
    "shorter body": lambda sent: with_body(sent, b"a="),
    "no body": lambda sent: with_body(sent, b""),
    "other type": lambda sent: with_header(sent, "Content-Type", "text/plain"),
    "no type": lambda sent: with_header(sent, "Content-Type", None),
    "empty grant": lambda sent: with_header(sent, HEADER, ""),
    "cut grant": lambda sent: with_header(sent, HEADER, dict(sent.headers)[HEADER][:-1]),
    "other user": lambda sent: with_header(sent, HEADER, as_another(dict(sent.headers)[HEADER], "root")),
    "garbage": lambda sent: with_header(sent, HEADER, "1.x.y.z"),
    "two grants": lambda sent: replace(sent, headers=[*sent.headers, (HEADER, "1.x.y.z")]),
}


def test_a_changed_request_is_refused_and_the_true_one_passes(
    jobs: Backburner, testing: JobsTesting, tap: Tap, site: Site, people: People
) -> None:
    tap.before = list(CHANGES.values())
    job = jobs.route("POST", "/build", query={"month": 10}, form={"a": 1}, as_user=people.add("ada"))
    testing.drain(raises=True)
    assert dict(zip(CHANGES, [status for status, _ in tap.answers], strict=True)) == dict.fromkeys(CHANGES, 403)
    assert all(reason for _, reason in tap.answers)
    assert [seen.body for seen in site.seen] == [b"a=1"]
    assert job.refresh().state is JobState.SUCCEEDED


def test_a_grant_is_good_once(jobs: Backburner, testing: JobsTesting, tap: Tap, site: Site) -> None:
    tap.before = [lambda sent: sent, lambda sent: sent]
    job = jobs.route("POST", "/build", form={"a": 1})
    testing.drain()
    used = "The grant was used before, or its attempt is over."
    assert tap.answers == [(200, None), (403, used)]
    assert len(site.seen) == 1
    # What it then sent itself was the third: refused as well, and the job says so.
    assert (job.refresh().state, job.refresh().reason) == (JobState.FAILED, used)


def test_not_after_the_attempt_has_ended(jobs: Backburner, testing: JobsTesting, tap: Tap, site: Site) -> None:
    jobs.route("GET", "/status", query={"is": 500}, max_attempts=2)
    testing.drain()
    assert tap.send(tap.outgoing[0])[0] == 403
    assert len(site.seen) == 1


def test_an_older_attempt_is_refused_while_a_newer_one_runs(
    jobs: Backburner, testing: JobsTesting, make_routes: MakeRoutes, site: Site
) -> None:
    tap = Tap(make_routes(retry=RetryPolicy(base=10, jitter=0)))

    def died(sent: Outgoing) -> Outgoing:
        raise RuntimeError("the process died between grant and call")

    tap.before = [died]
    job = jobs.route("POST", "/build", form={"a": 1})
    testing.drain()
    assert (job.refresh().state, site.seen) == (JobState.RETRYING, [])
    # Not used, and of the same half minute; but of the attempt before.
    old = tap.outgoing[0]
    tap.before = [lambda sent: old]
    testing.drain(with_retries=True)
    assert tap.answers == [(403, "The grant was used before, or its attempt is over.")]
    assert [seen.proof.attempt for seen in site.seen if seen.proof is not None] == [2]
    assert job.refresh().state is JobState.SUCCEEDED


@pytest.mark.parametrize("seconds", [60, -60, 31, -31])
def test_clocks_that_are_off(
    jobs: Backburner, testing: JobsTesting, tap: Tap, routes: RouteJobs, site: Site, seconds: float
) -> None:
    """The receiver's clock is another than the sender's; both are the database's, where nothing is wrong."""
    store = jobs.store

    class Off:
        """The store as a machine sees it whose clock is off."""

        clock = type("", (), {"now": staticmethod(lambda: store.clock.now() + timedelta(seconds=seconds))})
        grants, ready = store.grants, store.ready

    routes.gate._store = lambda: Off()  # type: ignore[assignment,return-value]
    job = jobs.route("POST", "/build")
    testing.drain()
    assert (job.refresh().state, site.seen) == (JobState.FAILED, [])
    assert "not of this moment" in (job.refresh().reason or "")


def test_a_grant_of_another_app_is_refused(
    jobs: Backburner, testing: JobsTesting, tap: Tap, routes: RouteJobs, site: Site
) -> None:
    routes._keys = GrantKeys(["another secret, as long as ours"])
    job = jobs.route("POST", "/build")
    testing.drain()
    assert (job.refresh().state, site.seen) == (JobState.FAILED, [])
    assert job.refresh().reason == "The grant was signed with another key."


def test_secrets_rotate(tmp_path: Path, people: People, site: Site) -> None:
    """Jobs of before the change run after it, as long as the former secret is named, and not without."""
    url, new = f"sqlite:///{tmp_path / 'jobs.db'}", "the next secret, as long as it"

    def app(*secrets: str) -> Backburner:
        made = Backburner(url, secret=secrets[0], former_secrets=secrets[1:] or None, files=str(tmp_path / "files"))
        RouteJobs(made, marked=MARKED, identity=people.identity).wsgi(site.wsgi)
        return made

    before, without, after = app(SECRET), app(new), app(new, SECRET)
    job = before.route("POST", "/build", as_user=people.add("ada"))
    for each, state in ((without, JobState.BLOCKED), (after, JobState.SUCCEEDED)):
        with JobsTesting(each, tmp_path, url=url) as testing:
            if job.refresh().state is JobState.BLOCKED:
                each.retry(job)
            testing.drain()
        assert job.refresh().state is state
    assert len(site.seen) == 1
    for each in (before, without, after):
        each.close()


def test_the_header_from_outside_is_refused(
    jobs: Backburner, testing: JobsTesting, tap: Tap, site: Site, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Even a true grant, where the app is called inside the process: nothing of that comes over the network."""
    caller = tap.caller
    made = f"_{'environ' if kind == 'wsgi' else 'scope'}"
    inside = getattr(caller, made)

    def from_outside(*arguments: Any) -> Any:
        found = inside(*arguments)
        # What a header could say is text.
        return found | {INSIDE: "yes", f"HTTP_{INSIDE}": "yes"}

    monkeypatch.setattr(caller, made, from_outside)
    job = jobs.route("POST", "/build")
    testing.drain()
    assert (job.refresh().state, site.seen) == (JobState.FAILED, [])
    assert job.refresh().reason == "Requests of jobs do not come from outside here."


def test_other_requests_pass_as_they_are(tap: Tap, site: Site, testing: JobsTesting) -> None:
    del testing
    plain = Outgoing("GET", "/anything", "", [("Cookie", "a=1"), ("Authorization", "x")], Body(io.BytesIO(), 0, ""))
    assert tap.send(plain) == (200, None)
    (seen,) = site.seen
    assert seen.proof is None
    assert (seen.headers["cookie"], seen.headers["authorization"]) == ("a=1", "x")


def test_a_request_of_a_job_has_no_login_of_its_own(
    jobs: Backburner, testing: JobsTesting, tap: Tap, site: Site, people: People
) -> None:
    """What a proxy in between, or a hand, adds does not count."""
    more = [("Cookie", "session=bob"), ("Authorization", "Bearer bob")]
    tap.on_the_way = lambda sent: replace(sent, headers=[*sent.headers, *more])
    jobs.route("POST", "/build", as_user=people.add("ada"))
    testing.drain(raises=True)
    (seen,) = site.seen
    assert not {"cookie", "authorization"} & set(seen.headers)
    assert seen.proof is not None
    assert seen.proof.user.id == "ada"


GONE = "The user this job runs as is gone, or may not sign in any more."
CHANGED = "The user has another password since, or has logged out everywhere."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda people: people.known.clear(), GONE),
        (lambda people: setattr(people.known["ada"], "active", False), GONE),
        (lambda people: setattr(people.known["ada"], "password", "second"), CHANGED),
        (lambda people: setattr(people.known["ada"], "may", False), "The user may not do this any more."),
    ],
)
def test_who_may_not_any_more_is_refused(
    jobs: Backburner, testing: JobsTesting, routes: RouteJobs, site: Site, people: People,
    change: Callable[[People], None], reason: str,
) -> None:  # fmt: skip
    del routes
    job = jobs.route("POST", "/build", as_user=people.add("ada"))
    other = jobs.route("POST", "/build", as_user=people.add("bob"))
    change(people)
    if "bob" not in people.known:
        people.add("bob")
    testing.drain()
    assert (job.refresh().state, job.refresh().reason) == (JobState.FAILED, reason)
    assert other.refresh().state is JobState.SUCCEEDED
    assert [seen.proof.user.id for seen in site.seen if seen.proof is not None] == ["bob"]


def test_who_may_edit_a_job_cannot_have_it_run_as_another(
    jobs: Backburner, testing: JobsTesting, routes: RouteJobs, site: Site, people: People
) -> None:
    """An edited row is signed anew; but what is stored of ada's epoch is hers, though root's is the same text."""
    del routes
    people.add("root")
    job = jobs.route("POST", "/build", as_user=people.add("ada"))
    jobs.edit(job, job.args.replace('"ada"', '"root"'))
    testing.drain()
    assert (job.refresh().state, job.refresh().reason, site.seen) == (JobState.FAILED, CHANGED, [])


def test_a_row_that_somebody_changed_is_not_run(
    jobs: Backburner, testing: JobsTesting, routes: RouteJobs, site: Site, people: People
) -> None:
    """Whoever can write rows cannot become another user, though rows of other tasks are not signed here."""
    del routes
    people.add("root")
    job = jobs.route("POST", "/build", as_user=people.add("ada"))
    forged = job.args.replace('"ada"', '"root"')
    with jobs.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE backburner_jobs SET args = ?", (forged,))
    testing.drain()
    assert (job.refresh().state, job.refresh().blocked_on, site.seen) == (JobState.BLOCKED, CHANGED_ROW, [])
