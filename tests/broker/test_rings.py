"""Rings go by the broker: whoever makes jobs ready in one process wakes a worker in another."""

import os
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from backburner import Backburner, Job, PermanentError
from backburner.broker.rings import Names
from backburner.worker import WorkerOptions
from tests.broker.conftest import SLOW, Apps, Server, Workers
from tests.broker.messages import heard, lies, lying, never_rung, put, queue_name, sent
from tests.waiting import wait_until


def call(jobs: Backburner, *args: Any, **options: Any) -> Job:
    task = jobs.registry.get("add")
    assert task is not None
    return task.options(**options).enqueue(*args)


def test_an_enqueue_wakes_a_worker_elsewhere(app: Apps, start: Workers) -> None:
    jobs, working = app(), app()
    start(working)
    heard(working)
    for number in range(3):
        job = call(jobs, number, 1)
        assert job.wait(15.0)
        assert job.result() == number + 1


def test_a_worker_of_all_queues_learns_of_new_ones(app: Apps, start: Workers) -> None:
    jobs, working = app(), app()
    start(working)
    heard(working)
    for queue, priority in (("new", 50), ("new", 7), ("Grüße / und mehr", -3), ("x" * 100, 50)):
        for _ in range(2):
            assert call(jobs, 1, queue=queue, priority=priority).wait(15.0), queue


def test_a_worker_leaves_the_rings_of_other_queues_and_priorities(app: Apps, start: Workers, broker: Server) -> None:
    jobs, working = app(), app()
    start(working, replace(SLOW, queues=("a",), priorities=(10, 60)))
    heard(working)
    assert call(jobs, 1, queue="a").wait(15.0)
    call(jobs, 1, queue="b")
    call(jobs, 1, queue="a", priority=5)
    sent(jobs)
    lies(broker, jobs, 1, "b")
    lies(broker, jobs, 1, "a", 5)


def test_what_does_not_fit_one_worker_wakes_the_next(app: Apps, start: Workers) -> None:
    jobs, workers = app(), [app(), app(), app()]
    go_on, running = threading.Event(), []

    def hold(number: int) -> None:
        running.append(number)
        go_on.wait(30)

    for one in (jobs, *workers):
        one.task(name="hold")(hold)
    for one in workers:
        start(one, replace(SLOW, concurrency=2))
        heard(one)
    task = jobs.registry.get("hold")
    assert task is not None
    try:
        ids = jobs.enqueue_many(task, [(number,) for number in range(6)])
        wait_until(lambda: len(running) == 6, "six bodies are under way in three workers", 15.0)
    finally:
        go_on.set()
    assert all(jobs.get(job_id).wait(15.0) for job_id in ids)


def test_a_full_worker_leaves_rings_to_others(app: Apps, start: Workers) -> None:
    jobs, full, later = app(), app(), app()
    go_on, running = threading.Event(), threading.Event()

    def hold() -> None:
        running.set()
        go_on.wait(30)

    for one in (jobs, full, later):
        one.task(name="hold")(hold)
    start(full, replace(SLOW, concurrency=1))
    heard(full)
    task = jobs.registry.get("hold")
    assert task is not None
    try:
        held = task.enqueue()
        assert running.wait(15.0)
        waiting = [call(jobs, number) for number in range(20)]
        start(later)
        assert all(job.wait(15.0) for job in waiting)
    finally:
        go_on.set()
    assert held.wait(15.0)


def test_a_delayed_job_is_rung_for_when_it_is_due(app: Apps, start: Workers, broker: Server) -> None:
    jobs, promoting, working = app(), app(), app()
    job = call(jobs, 1, delay=0.5)
    call(jobs, 2, queue="other")
    sent(jobs)
    assert never_rung(broker, jobs), "nothing waits in the broker for a job that is not due"
    start(working)
    heard(working)
    # Its own queue is another: it only promotes.
    start(promoting, replace(SLOW, queues=("nothing",), poll=0.1))
    assert job.wait(15.0)


def test_a_retry_by_hand_rings(app: Apps, start: Workers) -> None:
    jobs, working = app(), app()
    fail = [True]

    def shaky() -> str:
        if fail[0]:
            raise PermanentError("not yet")
        return "done"

    for one in (jobs, working):
        one.task(name="shaky")(shaky)
    start(working)
    heard(working)
    task = jobs.registry.get("shaky")
    assert task is not None
    job = task.enqueue()
    assert job.wait(15.0)
    fail[0] = False
    assert jobs.retry(job.id).wait(15.0)
    assert jobs.get(job.id).result() == "done"


@pytest.mark.parametrize("commit", [True, False])
def test_a_session_rings_after_its_commit_and_never_after_a_rollback(
    app: Apps, broker: Server, postgresql_url: str, commit: bool
) -> None:
    jobs = app()
    call(jobs, 1, queue="first")
    sent(jobs)
    engine = create_engine(postgresql_url)
    with Session(engine) as session:
        with jobs.transaction(session):
            call(jobs, 1)
        call_later = jobs.registry.get("add")
        assert call_later is not None
        call_later.options(connection=session).enqueue(2)
        call(jobs, 1, queue="before the end")
        sent(jobs)
        assert never_rung(broker, jobs)
        session.commit() if commit else session.rollback()
    call(jobs, 1, queue="last")
    sent(jobs)
    lies(broker, jobs, 1, "last")
    if commit:
        # One or two, depending on what went out together.
        wait_until(lambda: lying(broker, jobs) > 0, "a ring for what was committed")
    else:
        assert never_rung(broker, jobs)
    engine.dispose()


@pytest.mark.parametrize("commit", [True, False])
def test_a_block_rings_at_its_end_for_what_was_committed(
    app: Apps, broker: Server, postgresql_url: str, commit: bool
) -> None:
    jobs = app()
    engine = create_engine(postgresql_url)
    with engine.connect() as connection, jobs.transaction(connection):
        for number in range(3):
            call(jobs, number)
        connection.commit() if commit else connection.rollback()
    call(jobs, 1, queue="last")
    sent(jobs)
    lies(broker, jobs, 1, "last")
    if commit:
        lies(broker, jobs, 1)
    else:
        assert never_rung(broker, jobs)
    engine.dispose()


def test_a_bulk_block_that_raises_rings_for_nothing(app: Apps, broker: Server) -> None:
    jobs = app()
    with suppress(ZeroDivisionError), jobs.bulk():
        call(jobs, 1)
        _ = 1 / 0
    with jobs.bulk():
        for number in range(50):
            call(jobs, number, queue="good")
    sent(jobs)
    lies(broker, jobs, 1, "good")
    assert never_rung(broker, jobs)


def test_enough_is_enough(app: Apps, broker: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody takes rings they do not pile up: one that lies there says all there is to say."""
    monkeypatch.setattr("backburner.broker.link.ENOUGH", 3)
    monkeypatch.setattr("backburner.broker.link.DECLARE_SECONDS", 0.0)
    jobs = app()
    for number in range(8):
        call(jobs, number)
        sent(jobs)
    lies(broker, jobs, 3)


FORGED = [
    b"",
    b"no json",
    b"[" * 5000,
    b"[]",
    b'{"queue": 5, "priority": 50, "jobs": 1}',
    b'{"queue": "default", "priority": "50", "jobs": 1}',
    b'{"queue": "default", "priority": 50, "jobs": -1}',
    b'{"queue": "default", "priority": 50, "jobs": 1e999}',
    b'{"queue": "default", "priority": 999999, "jobs": 1}',
    b'{"queue": "default", "priority": 50, "jobs": 100000000000000000000}',
    b'{"queue": "other", "priority": 50, "jobs": 1000000}',
    b"\xff\xfe",
]


def test_forged_messages_cost_nothing(app: Apps, start: Workers, broker: Server) -> None:
    jobs, working = app(), app()
    start(working)
    heard(working)
    assert call(jobs, 1).wait(15.0)
    notices = Names.of(jobs.store).notices
    for body in FORGED:
        put(broker, body, queue=queue_name(jobs))
        put(broker, body, exchange=notices)
    put(broker, b"x", queue=queue_name(jobs), content_type="application/x-python-serialize", content_encoding="binary")
    put(broker, b"x", queue=queue_name(jobs), headers={"compression": "gzip"})
    wait_until(lambda: lying(broker, jobs) == 0, "all of it is taken and forgotten")
    for number in range(3):
        assert call(jobs, number).wait(15.0)
    state = working.control.broker()
    assert state is not None
    assert state.error is None, "not even the connection broke"


def test_a_forked_child_rings_by_a_connection_of_its_own(app: Apps, start: Workers) -> None:
    """As gunicorn's preload does: the app enqueues, forks, and parent and children enqueue."""
    jobs, working = app(), app()
    ids = [call(jobs, 0).id]
    sent(jobs)
    for number in range(1, 4):
        ids.append(in_child(jobs, number))
        ids.append(call(jobs, number).id)
    start(working, WorkerOptions(concurrency=4, poll=30.0))
    assert all(jobs.get(job_id).wait(15.0) for job_id in ids)
    heard(working)
    ids = [in_child(jobs, 9), call(jobs, 9).id]
    assert all(jobs.get(job_id).wait(15.0) for job_id in ids)


def in_child(jobs: Backburner, number: int) -> str:
    """Enqueue in a forked child; the id."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.write(writing, call(jobs, number).id.encode())
            jobs.close()
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return told
