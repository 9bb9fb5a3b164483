"""Grants: one row per job, used once, by the attempt that runs."""

from datetime import datetime, timedelta

import pytest

from backburner.job import SealedCookies
from backburner.store import versions
from backburner.store.channel import CoreChannel
from backburner.store.store import Store
from tests.store.conftest import OpenStore
from tests.store.scene import Crew, HandClock, Scene

NONCE = "a" * 32


def running(scene: Scene) -> tuple[str, int]:
    """A job that runs: its id and its attempt."""
    claimed = scene.running()
    return claimed.id, claimed.attempt


def keep(scene: Scene, job: str, ciphertext: str, until: datetime) -> None:
    """What an enqueue stores with such a job."""
    row = scene.job(id=job, cookies=SealedCookies(ciphertext, until))
    scene.store.run(lambda c: scene.store.grants.write(CoreChannel(c), [row]))


def test_a_grant_is_used_once(scene: Scene) -> None:
    job, attempt = running(scene)
    grants = scene.store.grants
    grants.give(job, attempt, NONCE)
    assert grants.use(job, attempt, NONCE)
    assert not grants.use(job, attempt, NONCE)


@pytest.mark.parametrize(("later", "nonce"), [(1, NONCE), (0, "b" * 32)])
def test_only_the_one_that_was_given(scene: Scene, later: int, nonce: str) -> None:
    job, attempt = running(scene)
    scene.store.grants.give(job, attempt, NONCE)
    assert not scene.store.grants.use(job, attempt + later, nonce)
    assert not scene.store.grants.use("0190" + job[4:], attempt, NONCE)
    assert scene.store.grants.use(job, attempt, NONCE)


def test_none_without_having_been_given(scene: Scene) -> None:
    job, attempt = running(scene)
    assert not scene.store.grants.use(job, attempt, NONCE)


def test_a_newer_attempt_takes_the_place_of_an_older_one_and_never_the_other_way(scene: Scene) -> None:
    worker, grants = scene.worker(), scene.store.grants
    claimed = scene.running(worker)
    job, attempt = claimed.id, claimed.attempt
    grants.give(job, attempt, NONCE)
    assert scene.finish(worker, [claimed]) == {job}
    scene.store.jobs.retry(job)
    (again,) = scene.claim(scene.worker())
    grants.give(job, again.attempt, "b" * 32)
    grants.give(job, attempt, NONCE)
    assert not grants.use(job, attempt, NONCE)
    assert grants.use(job, again.attempt, "b" * 32)


def test_not_when_the_attempt_is_over(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    scene.store.grants.give(claimed.id, claimed.attempt, NONCE)
    assert scene.finish(worker, [claimed]) == {claimed.id}
    assert not scene.store.grants.use(claimed.id, claimed.attempt, NONCE)


def test_of_many_at_once_one_wins(scene: Scene) -> None:
    job, attempt = running(scene)
    scene.store.grants.give(job, attempt, NONCE)
    won: list[bool] = []
    crew = Crew()
    for _ in range(6):
        crew.add(lambda: won.append(scene.store.grants.use(job, attempt, NONCE)))
    crew.start().join()
    assert sorted(won) == [False] * 5 + [True]


def test_cookies_live_until_they_are_over_or_wiped(scene: Scene, clock: HandClock) -> None:
    grants, until = scene.store.grants, clock.now() + timedelta(seconds=60)
    kept, wiped, over = scene.insert(3)
    for job in (kept, wiped, over):
        keep(scene, job, f"sealed {job}", until if job == over else until + timedelta(seconds=60))
    # A grant leaves them alone.
    grants.give(kept, 1, NONCE)
    grants.wipe(wiped)
    assert [grants.cookies(job) for job in (kept, wiped, over)] == [f"sealed {kept}", None, f"sealed {over}"]
    clock.move(61)
    assert grants.cookies(over) is None
    assert (grants.prune(10), grants.prune(10)) == (1, 0)
    assert grants.cookies(kept) == f"sealed {kept}"


def test_an_attempt_that_was_taken_over_wipes_nothing(scene: Scene, clock: HandClock) -> None:
    worker, grants = scene.worker(), scene.store.grants
    claimed = scene.running(worker)
    keep(scene, claimed.id, "sealed", clock.now() + timedelta(seconds=60))
    grants.wipe(claimed.id, claimed.attempt - 1)
    assert grants.cookies(claimed.id) == "sealed"
    grants.wipe(claimed.id, claimed.attempt)
    assert grants.cookies(claimed.id) is None


def test_cookies_of_what_has_ended_are_cleaned_away(scene: Scene, clock: HandClock) -> None:
    """Cancelled, out of tries, too late: no body was there to wipe them."""
    worker, grants, until = scene.worker(), scene.store.grants, clock.now() + timedelta(days=1)
    claimed = scene.running(worker)
    waits = scene.one()
    unborn = "0190b0a0-0000-7000-8000-000000000001"
    for job in (claimed.id, waits, unborn):
        keep(scene, job, "sealed", until)
    assert grants.prune(10) == 0
    assert scene.finish(worker, [claimed]) == {claimed.id}
    assert (grants.prune(10), grants.prune(10)) == (1, 0)
    assert [grants.cookies(job) for job in (claimed.id, waits, unborn)] == [None, "sealed", "sealed"]


def test_it_goes_with_its_job(scene: Scene) -> None:
    job = scene.one()
    scene.store.grants.give(job, 1, NONCE)
    scene.store.jobs.delete(job)
    with scene.store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM backburner_grants").scalar() == 0


def test_tables_of_the_version_before_get_theirs(empty_database_url: str, opened: OpenStore) -> None:
    store: Store = opened(empty_database_url, auto_migrate=True)
    with store.engine.begin() as connection:
        versions.upgrade(connection, store.schema, "1001")
        assert versions.found(connection, store.schema) == "1001"
    assert "grants" in store.migration_sql()
    scene = Scene(store, HandClock())
    job, attempt = running(scene)
    scene.store.grants.give(job, attempt, NONCE)
    assert scene.store.grants.use(job, attempt, NONCE)
    assert store.version() == "1003"
