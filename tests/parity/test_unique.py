"""Identifiers, jobs that are there once, merged requests, bulk inserts, and the app's own transaction."""

import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from backburner import Backburner, JobState
from backburner.errors import DuplicateJob
from tests.parity.conftest import StartWorker
from tests.parity.running import done, in_state, states


def test_enq_10_which_of_these_are_unfinished(jobs: Backburner, start_worker: StartWorker) -> None:
    go_on = threading.Event()

    @jobs.task
    def export(wait: bool) -> None:
        assert not wait or go_on.wait(30)

    ended = export.options(identifier="a").enqueue(False)
    running = export.options(identifier="b").enqueue(True)
    export.options(identifier="c", delay=3600).enqueue(False)
    start_worker()
    done(ended)
    in_state(running, JobState.RUNNING)
    wanted = ["a", "b", "c", "d"]
    assert jobs.unfinished_identifiers(wanted) == {"b", "c"}
    assert jobs.unfinished_identifiers(wanted, include_running=False) == {"c"}
    go_on.set()


def test_enq_11_an_action_is_done_once_however_often_it_is_enqueued(
    jobs_everywhere: Backburner, start_worker: StartWorker
) -> None:
    runs: list[int] = []

    @jobs_everywhere.task(unique="live")
    def price(product: int) -> None:
        runs.append(product)

    @jobs_everywhere.task(unique=3600)
    def remind(customer: int) -> None:
        runs.append(customer)

    threads = [threading.Thread(target=price.enqueue, args=(7,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (stored,) = jobs_everywhere.find()
    skipped = price.options(on_conflict="skip").enqueue(7)
    assert (skipped.state, stored.id in (skipped.reason or "")) == (JobState.SKIPPED, True)
    with pytest.raises(DuplicateJob, match=stored.id):
        price.options(on_conflict="reject").enqueue(7)
    once = remind.enqueue(1)
    start_worker()
    done(stored)
    done(once)
    assert sorted(runs) == [1, 7]
    # Done means free, but for the one that is unique for an hour.
    assert remind.enqueue(1).id == once.id
    assert done(price.enqueue(7)).id != stored.id
    assert sorted(runs) == [1, 7, 7]


def test_enq_11_replaced_before_it_starts(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    runs: list[str] = []

    @jobs_everywhere.task(unique="live", on_conflict="replace")
    def save(text: str) -> None:
        runs.append(text)

    old, new = (save.options(identifier="page-7").enqueue(text) for text in ("old", "new"))
    start_worker()
    done(new)
    assert states([old, new]) == [JobState.CANCELLED, JobState.SUCCEEDED]
    assert runs == ["new"]


def test_enq_12_requests_that_have_not_started_are_merged_and_pushed_back(
    jobs_everywhere: Backburner, start_worker: StartWorker
) -> None:
    runs: list[int] = []
    started, go_on = threading.Event(), threading.Event()

    @jobs_everywhere.task(unique="live", on_conflict="debounce", delay=0.5)
    def reindex(shop: int) -> None:
        runs.append(shop)
        started.set()
        assert go_on.wait(30)

    made = [reindex.enqueue(7) for _ in range(3)]
    assert len({job.id for job in made}) == 1
    assert made[0].run_at < made[1].run_at < made[2].run_at
    start_worker()
    assert started.wait(30)
    # What is asked for after the start is not lost: it comes after.
    late = reindex.options(delay=0).enqueue(7)
    assert late.id != made[0].id
    assert (late.state, late.blocked_on) == (JobState.BLOCKED, "parents")
    go_on.set()
    assert done(late).state is JobState.SUCCEEDED
    assert runs == [7, 7]
    assert made[0].refresh().finished_at <= late.refresh().started_at  # type: ignore[operator]


def test_enq_13_many_are_stored_together_or_not_at_all(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    runs: list[int] = []

    @jobs_everywhere.task
    def price(product: int) -> None:
        runs.append(product)

    with suppress(ZeroDivisionError), jobs_everywhere.bulk(size=10):
        price.enqueue(-1)
        raise ZeroDivisionError
    assert jobs_everywhere.find() == []
    with jobs_everywhere.bulk(size=10) as bulk:
        for product in range(25):
            price.enqueue(product)
        assert len(bulk.ids) == 25
        assert jobs_everywhere.find() == []
    ids = jobs_everywhere.enqueue_many(price, [(25,), {"product": 26}])
    assert {job.id for job in jobs_everywhere.find(limit=100)} == {*bulk.ids, *ids}
    start_worker()
    for job_id in (*bulk.ids, *ids):
        done(jobs_everywhere.get(job_id))
    assert sorted(runs) == list(range(27))


def test_enq_14_rolled_back_means_never_queued(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    runs: list[int] = []

    @jobs_everywhere.task(unique="live")
    def ship(order: int) -> None:
        runs.append(order)

    jobs_everywhere.store.ready()
    rung: list[Iterable[str]] = []
    bell, ring = jobs_everywhere.bell, jobs_everywhere.bell.ring

    def heard(queues: Any) -> None:
        rung.append(queues)
        ring(queues)

    bell.ring = heard  # type: ignore[method-assign]
    engine = create_engine(jobs_everywhere.store.url)
    with Session(engine) as session:
        with jobs_everywhere.transaction(session):
            lost = ship.enqueue(1)
        session.rollback()
        assert jobs_everywhere.find() == []
        assert rung == []
        with jobs_everywhere.transaction(session):
            kept = ship.enqueue(1)
        assert kept.id != lost.id
        session.commit()
        assert [set(queues) for queues in rung] == [{"default"}]
    engine.dispose()
    # Not before: a worker that is quick takes the job before anybody has to be told.
    start_worker()
    assert done(jobs_everywhere.get(kept.id)).state is JobState.SUCCEEDED
    assert runs == [1]
