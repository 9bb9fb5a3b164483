"""The optional broker: it wakes workers, and a job never depends on it."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from amqp.exceptions import NotFound, PreconditionFailed

from backburner import Backburner, JobState, Task
from backburner.broker import BrokerState
from backburner.broker.rabbitmq import queue_arguments
from tests.broker.messages import channel_of, heard, lies, lying, put, queue_name, sent
from tests.parity.conftest import StartWorker
from tests.parity.running import done, states
from tests.servers import RabbitServer, RedisServer
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("brokers")
"""One process has them: a RabbitMQ takes seconds to start."""

LONG = 60.0
"""Seconds between looks. A worker with this poll runs in time only what it was rung for."""

Apps = Callable[[str, str], Backburner]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Apps]:
    """Apps with a bell of their own, as processes have: only the broker leads from one to the other."""
    made: list[Backburner] = []

    def make(url: str, broker: str) -> Backburner:
        jobs = Backburner(url, broker=broker, auto_migrate=True, files=str(tmp_path / "files"))
        jobs.task(name="shop.add")(add)
        made.append(jobs)
        return jobs

    yield make
    for jobs in made:
        jobs.close()


def add(a: int, b: int) -> int:
    return a + b


def task_of(jobs: Backburner) -> Task[..., Any]:
    return jobs.registry.require("shop.add")


def state_of(jobs: Backburner) -> BrokerState:
    state = jobs.control.broker()
    assert state is not None
    return state


def kind_of(broker: RabbitServer, queue: str) -> str:
    """What kind of queue RabbitMQ says it is: it refuses to declare one anew as another kind, and says why."""
    with channel_of(broker) as channel:
        channel.queue_declare(queue=queue, passive=True)
        with pytest.raises(PreconditionFailed) as caught:
            channel.queue_declare(
                queue=queue, durable=True, auto_delete=False, arguments=queue_arguments() | {"x-queue-type": "classic"}
            )
    assert "received 'classic'" in str(caught.value)
    return str(caught.value).rpartition("current is '")[2].partition("'")[0]


def test_run_18_rabbitmq_wakes_workers_by_a_quorum_queue_per_priority(
    sqlite_url: str, rabbit: RabbitServer, app: Apps, start_worker: StartWorker
) -> None:
    jobs, working = app(sqlite_url, rabbit.url), app(sqlite_url, rabbit.url)
    start_worker(working, poll=LONG)
    heard(working)
    task = task_of(jobs)
    for priority in (50, 7):
        # The second one finds a worker that has heard of the place.
        for number in range(2):
            assert done(task.options(queue="mails", priority=priority).enqueue(number, 1)).result() == number + 1
        assert kind_of(rabbit, queue_name(jobs, "mails", priority)) == "quorum"
    with channel_of(rabbit) as channel, pytest.raises(NotFound):
        channel.queue_declare(queue=queue_name(jobs, "mails", 8), passive=True)


def test_run_18_a_message_rings_and_says_nothing_about_a_job(
    sqlite_url: str, rabbit: RabbitServer, app: Apps, start_worker: StartWorker
) -> None:
    jobs, working = app(sqlite_url, rabbit.url), app(sqlite_url, rabbit.url)
    job = task_of(jobs).enqueue(1, 2)
    lies(rabbit, jobs, 1)
    with channel_of(rabbit) as channel:
        message = channel.basic_get(queue_name(jobs), no_ack=True)
    assert json.loads(message.body) == {"queue": "default", "priority": 50, "jobs": 1}
    # The message is gone, and the job is not: the database is the truth.
    assert job.refresh().state is JobState.QUEUED
    cancelled = task_of(jobs).enqueue(3, 4)
    cancelled.cancel()
    put(rabbit, b'{"queue": "default", "priority": 50, "jobs": 1000}', queue=queue_name(jobs))
    start_worker(working, poll=LONG)
    assert done(job).result() == 3
    wait_until(lambda: lying(rabbit, jobs) == 0, "all rings are taken")
    assert cancelled.refresh().state is JobState.CANCELLED, "no ring brings a job back"


def test_run_19_jobs_of_a_broker_that_is_down_are_kept_and_delivered_later_and_not_early(
    database_url: str, redis: RedisServer, app: Apps, start_worker: StartWorker
) -> None:
    jobs, working, promoting = (app(database_url, redis.url) for _ in range(3))
    start_worker(working, poll=LONG)
    # Makes ready what is due, and runs nothing: it rings for others.
    start_worker(promoting, poll=0.1, queues=("nothing",))
    heard(working)
    heard(promoting)
    task, before = task_of(jobs), jobs.control.now()
    assert done(task.enqueue(1, 2)).result() == 3
    sent(jobs)
    redis.stop()
    try:
        wait_until(lambda: state_of(working).connected is False, "the worker sees that it is down")
        made = [task.enqueue(number, 1) for number in range(3)]
        delayed, late = task.options(delay=0.5).enqueue(5, 6), task.options(delay=timedelta(hours=1)).enqueue(7, 8)
        wait_until(lambda: state_of(jobs).connected is False, "the app sees it too")
        state = state_of(jobs)
        assert state.waiting == 3, "nobody is rung for a job that is not due"
        assert state.away_since is not None
        assert state.away_since >= before
        assert state.error
    finally:
        redis.start()
    sent(jobs)
    assert (state_of(jobs).connected, state_of(jobs).away_since) == (True, None)
    assert [done(job).result() for job in made] == [1, 2, 3]
    ended = done(delayed)
    assert ended.result() == 11
    assert ended.started_at is not None
    assert ended.started_at >= delayed.run_at
    assert states([late]) == [JobState.SCHEDULED]
    assert [job.refresh().attempt for job in (*made, delayed)] == [1] * 4
