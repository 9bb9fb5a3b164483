"""Any filter on any number of jobs: what is found, what is counted, and what is left for the next page."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from backburner.condition import Field
from backburner.fault import fault_at
from backburner.job import JobFilter
from backburner.outcome import Settlement
from backburner.states import JobState
from backburner.where import Where
from tests.store.scene import Scene, end

S = JobState
HOSTILE = ["'; DROP TABLE backburner_jobs; --", '" OR ""="', "%", "_", "\\", "%(x)s {} :x ?"]


def where(scene: Scene, text: str) -> JobFilter:
    return Where.of(text).filter(scene.clock.now())


def found(scene: Scene, text: str, among: int = 10_000) -> set[str]:
    """What a filter finds in all its pages: the same by the search and, without a bound, by the plain list."""
    which, ids, before = where(scene, text), list[str](), None
    while True:
        page = scene.store.search.page(replace(which, before=before), 3, among)
        ids += page.ids
        if page.next is None:
            break
        assert before is None or page.next < before
        before = page.next
    assert ids == sorted(set(ids), reverse=True)
    assert ids == scene.store.jobs.ids(which, 1000)
    assert sum(scene.store.search.tally(which, 1000).states.values()) == len(ids)
    return set(ids)


def failed(scene: Scene, kind: str, state: JobState = S.FAILED, message: str = "no answer", **changes: object) -> str:
    worker = scene.worker()
    job = scene.running(worker, **changes)
    fault = fault_at(kind, "shop/feeds.py:27 in load", message, job.task, job.queue, "box", line=kind)
    again = scene.clock.now() + timedelta(hours=1) if state is S.RETRYING else None
    told: Settlement = end(job, state, fault=fault, record=scene.record(), error=f"{kind}: {message}", run_at=again)
    scene.settle(worker, told)
    return job.id


@pytest.fixture
def shop(scene: Scene) -> tuple[Scene, dict[str, str]]:
    jobs: dict[str, str] = {}
    scene.clock.move(-7200)
    jobs["old"] = scene.ended(task="orders.export", queue="mail", owner="lena", identifier="order:1")
    jobs["timeout"] = failed(
        scene, "ConnectTimeout", task="offers.push", queue="web", title="Push offer KO-12 to Parcelfox"
    )
    scene.clock.move(7200)
    jobs["key"] = failed(scene, "KeyError", task="orders.charge", queue="pay", tags=json.dumps(["Red", "black friday"]))
    jobs["again"] = failed(scene, "ConnectTimeout", S.RETRYING, task="offers.push", queue="web", owner="dan")
    jobs["queued"] = scene.one(task="orders.export", owner="lena", tags=json.dumps(["red"]), priority=10)
    jobs["later"] = scene.one(task="seo.map", run_at=scene.clock.now() + timedelta(seconds=9), title="Übersicht 100%")
    return scene, jobs


@pytest.mark.parametrize("among", [10_000, 2])
def test_each_key(shop: tuple[Scene, dict[str, str]], among: int) -> None:
    scene, jobs = shop
    for text, names in (
        ("", "old timeout key again queued later"),
        ("state:failed", "timeout key"),
        ("-state:failed,succeeded", "again queued later"),
        ("task:orders.export", "old queued"),
        ("task:orders.*", "old key queued"),
        ("-task:orders.*", "timeout again later"),
        ("queue:web", "timeout again"),
        ("state:failed queue:web", "timeout"),
        ("tag:red", "queued"),
        ("tag:red,Red", "queued key"),
        ('tag:"black friday"', "key"),
        ("tag:ck*", ""),
        ('tag:"black fri"*', "key"),
        ("-tag:*", "old timeout again later"),
        ("owner:lena", "old queued"),
        ("owner:lena state:queued", "queued"),
        ("-owner:*", "timeout key later"),
        ("-owner:lena", "timeout key again later"),
        ("identifier:order:1", "old"),
        ("identifier:order:1,order:2", "old"),
        ("identifier:order:*", "old"),
        ("error:timeout", "timeout again"),
        ("error:Key*", "key"),
        ("error:Timeout*", ""),
        ('error:"no answer" state:failed', "timeout key"),
        ("-error:timeout", "old key queued later"),
        ("priority:-20", "queued"),
        ("priority:50 state:queued", ""),
        ("created:>1h", "old timeout"),
        ("created:<1h", "key again queued later"),
        ("finished:>1h", "old timeout"),
        ("-finished:>1h", "key again queued later"),
        ("parcelfox", "timeout"),
        ("ORDERS. -charge", "old queued"),
        ("Übersicht", "later"),
        ("100%", "later"),
        ("1%0", ""),
        (f"id:{jobs['old']},{jobs['key']}", "old key"),
        (f"id:{jobs['old']} state:failed", ""),
    ):
        assert found(scene, text, among) == {jobs[name] for name in names.split()}, text


def test_a_job_whose_end_left_no_failure_is_not_found_by_the_one_before(shop: tuple[Scene, dict[str, str]]) -> None:
    """As one whose process was lost too often, after an attempt that had raised."""
    (scene, jobs), t = shop, shop[0].store.schema.jobs
    lost = {"state": S.FAILED, "finished_at": scene.clock.now()}
    scene.store.run(lambda c: c.execute(t.update().where(t.c.id == jobs["again"]).values(**lost)))
    assert found(scene, "error:timeout state:failed") == {jobs["timeout"]}
    assert found(scene, "-error:timeout state:failed") == {jobs["key"], jobs["again"]}


def test_by_fingerprint(shop: tuple[Scene, dict[str, str]]) -> None:
    scene, jobs = shop
    fingerprint = scene.store.failures.of_job(jobs["timeout"])
    assert found(scene, f"fingerprint:{fingerprint}") == {jobs["timeout"], jobs["again"]}
    assert found(scene, f"fingerprint:{fingerprint} state:failed") == {jobs["timeout"]}
    assert found(scene, f"fingerprint:{str(fingerprint)[:4]}* task:offers.*") == {jobs["timeout"], jobs["again"]}
    assert found(scene, "fingerprint:00000000") == set()


def test_text_is_never_read_as_sql(scene: Scene) -> None:
    plain = set(scene.insert(2))
    jobs = {text: scene.one(task=text, queue=text, identifier=text, owner=text) for text in HOSTILE}
    for text, mine in jobs.items():
        said = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for field in (Field.TASK, Field.QUEUE, Field.IDENTIFIER, Field.OWNER):
            assert found(scene, f"{field}:{said}") == {mine}, text
        for part in (f"{Field.TASK}:{said}*", said):
            # Others of them may begin with this one or have it in them; a plain job is there for a wildcard alone.
            ids = found(scene, part)
            assert mine in ids, part
            assert plain.isdisjoint(ids), part
        assert found(scene, f"tag:{said} error:{said} fingerprint:{said}") == set(), text


def test_a_page_says_how_far_it_has_looked(scene: Scene) -> None:
    rare = scene.ended(owner="ada", queue="rare")
    others = [scene.ended() for _ in range(12)]
    page = scene.store.search.page(where(scene, "queue:rare"), 5, among=4)
    assert (page.ids, page.next, page.complete) == ((), others[-4], False)
    tally = scene.store.search.tally(where(scene, "queue:rare"), 100, among=4)
    assert (sum(tally.states.values()), tally.complete) == (0, False)
    # What an index finds is not looked for among others.
    for text in ("owner:ada queue:rare", f"id:{rare} queue:rare"):
        page = scene.store.search.page(where(scene, text), 5, among=4)
        assert (page.ids, page.next, page.complete) == ((rare,), None, True)


def happens(scene: Scene, monkeypatch: pytest.MonkeyPatch, look: int, act: Callable[[], object]) -> None:
    """Between this look of a search at the database and the next."""
    read, looks = scene.store.read, itertools.count(1)

    def meanwhile(work: Callable[[Connection], Any]) -> Any:
        answer = read(work)
        if next(looks) == look:
            act()
        return answer

    monkeypatch.setattr(scene.store, "read", meanwhile)


def all_pages(scene: Scene, text: str, among: int) -> list[str]:
    ids, before = list[str](), None
    while True:
        page = scene.store.search.page(replace(where(scene, text), before=before), 5, among=among)
        ids += page.ids
        if page.next is None:
            return ids
        before = page.next


LOOKS = pytest.mark.parametrize("look", [1, 2, 3, 4])


@LOOKS
@pytest.mark.parametrize("late", [False, True], ids=["new", "stored late"])
def test_jobs_that_come_meanwhile_push_none_between_two_pages(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, look: int, late: bool
) -> None:
    """Also one whose id is older: ids are made before the transaction ends that stores them."""
    rare = scene.ended(queue="rare")
    older = scene.ids.many(2)
    for _ in range(3):
        scene.ended()

    def come() -> None:
        for one in older:
            scene.ended(id=one if late else scene.ids.new())

    happens(scene, monkeypatch, look, come)
    assert all_pages(scene, "queue:rare", among=4) == [rare]


@LOOKS
@pytest.mark.parametrize("text", ["task:shop.price queue:default", "queue:default owner:ada", "queue:default"])
def test_a_job_that_ends_meanwhile_is_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, look: int, text: str
) -> None:
    for _ in range(6):
        scene.ended(queue="other", owner="ada")
    worker = scene.worker()
    job = scene.running(worker, owner="ada")
    happens(scene, monkeypatch, look, lambda: scene.finish(worker, [job]))
    assert all_pages(scene, text, among=4) == [job.id]


@LOOKS
@pytest.mark.parametrize("text", ["task:shop.price queue:default", "queue:default owner:ada", "queue:default"])
def test_a_job_that_is_retried_meanwhile_is_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, look: int, text: str
) -> None:
    for _ in range(6):
        scene.ended(queue="other", owner="ada")
    job = scene.ended(JobState.FAILED, owner="ada")
    happens(scene, monkeypatch, look, lambda: scene.store.jobs.retry(job))
    assert all_pages(scene, text, among=4) == [job]


@LOOKS
@pytest.mark.parametrize("text", ["state:queued queue:rare", "state:failed queue:rare"])
def test_jobs_that_come_meanwhile_push_none_out_of_a_state(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, look: int, text: str
) -> None:
    def made(queue: str) -> str:
        priority = 50 if queue == "rare" else 1
        if "queued" in text:
            return scene.one(queue=queue, priority=priority)
        return scene.ended(JobState.FAILED, queue=queue)

    rare = made("rare")
    for _ in range(3):
        made("other")
    happens(scene, monkeypatch, look, lambda: [made("other") for _ in range(4)])
    assert all_pages(scene, text, among=4) == [rare]


@LOOKS
def test_a_job_that_ends_meanwhile_is_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch, look: int) -> None:
    for _ in range(6):
        scene.ended(queue="other")
    worker = scene.worker()
    job = scene.running(worker)
    happens(scene, monkeypatch, look, lambda: scene.finish(worker, [job]))
    tally = scene.store.search.tally(where(scene, "task:shop.price queue:default"), 100, among=4)
    assert sum(tally.states.values()) >= 1


def test_what_is_frequent_is_found_at_one_look(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [scene.one(queue="often") if n % 2 else scene.ended(queue="often") for n in range(6)]
    scene.ended()
    monkeypatch.setattr(scene.store.search, "_page", lambda *_: pytest.fail("it was not enough"))
    page = scene.store.search.page(where(scene, "queue:often"), 4)
    assert (page.ids, page.next, page.complete) == (tuple(mine[:1:-1]), mine[2], True)
    following = replace(where(scene, "queue:often -owner:*"), before=mine[4])
    assert scene.store.search.page(following, 2).ids == (mine[3], mine[2])


def test_few_unfinished_and_few_failed_jobs_are_all_looked_at(scene: Scene) -> None:
    mine = [scene.ended(S.FAILED, queue="rare"), scene.one(queue="rare")]
    for _ in range(8):
        scene.ended()
    page = scene.store.search.page(where(scene, "queue:rare state:failed,queued"), 5, among=4)
    assert (set(page.ids), page.complete) == (set(mine), True)
    tally = scene.store.search.tally(where(scene, "queue:rare state:failed,queued"), 5, among=4)
    assert (tally.states, tally.complete) == ({S.FAILED: 1, S.QUEUED: 1}, True)


def test_a_tally_stops_at_its_limit(scene: Scene) -> None:
    for _ in range(4):
        scene.ended(owner="ada")
    for text in ("", "owner:ada"):
        tally = scene.store.search.tally(where(scene, text), 3)
        assert (tally.states[S.SUCCEEDED], tally.complete) == (3, True)


def test_a_filter_of_no_state_at_all(scene: Scene) -> None:
    scene.ended()
    assert found(scene, "state:failed -state:failed queue:default") == set()
