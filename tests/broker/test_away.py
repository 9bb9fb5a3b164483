"""The broker is away, frozen, or a process dies at the wrong moment: slower, and nothing else."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backburner import Backburner
from backburner.broker import ear
from backburner.broker.address import Address
from backburner.broker.link import Link
from backburner.broker.sender import MOST_PLACES, Sender
from backburner.broker.shunned import Shunned
from backburner.broker.state import Watched
from backburner.cli.checks import Verdict, wake_up
from backburner.clock import DatabaseClock
from tests.broker.conftest import SLOW, Apps, Server, Workers
from tests.broker.messages import heard, lies, sent
from tests.broker.test_rings import call
from tests.servers import RedisServer, free_port
from tests.waiting import wait_until


def test_a_stopped_broker_is_seen_and_jobs_run_by_the_poll_until_it_is_back(
    app: Apps, start: Workers, broker: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While it is connected it looks so rarely that only a ring can be the reason for a run.
    monkeypatch.setattr(ear, "PATIENCE", 1000.0)
    jobs, working = app(), app()
    worker = replace(SLOW, poll=0.2)
    start(working, worker)
    heard(working)
    before = jobs.control.now()
    broker.stop()
    wait_until(lambda: (state := working.control.broker()) and state.connected is False, "the worker sees it")
    waiting = [call(jobs, number) for number in range(5)]
    assert all(job.wait(15.0) for job in waiting)
    wait_until(lambda: (state := jobs.control.broker()) and state.connected is False, "the app sees it")
    state = jobs.control.broker()
    assert state is not None
    assert state.away_since is not None
    assert state.away_since >= before
    assert state.error
    assert state.waiting == 5
    assert "guest:guest" not in repr(state)
    broker.start()
    sent(jobs)
    heard(working)
    state = jobs.control.broker()
    assert state is not None
    assert (state.connected, state.away_since, state.waiting) == (True, None, 0)
    assert state.error, "what it said last stays to be read"
    for number in range(3):
        assert call(jobs, number).wait(15.0), "rings are heard again"


def test_a_broker_that_was_never_there_stops_nobody(app: Apps, start: Workers) -> None:
    nowhere = f"amqp://guest:guest@127.0.0.1:{free_port()}//"
    jobs, working = app(broker=nowhere), app(broker=nowhere)
    start(working, replace(SLOW, poll=0.2))
    assert call(jobs, 1).wait(15.0)


def test_a_frozen_broker_holds_up_no_enqueue(app: Apps, broker: Server) -> None:
    jobs = app()
    call(jobs, 1)
    sent(jobs)
    broker.pause()
    try:
        ids = [call(jobs, number).id for number in range(20)]
        assert all(jobs.get(job_id).id == job_id for job_id in ids)
        state = jobs.control.broker()
        assert state is not None
        assert state.waiting == 20, "none of them has waited for an answer of the broker"
    finally:
        broker.resume()
    sent(jobs)


def test_a_process_that_dies_between_commit_and_message_loses_no_job(app: Apps, start: Workers) -> None:
    jobs, working = app(), app()
    start(working, replace(SLOW, poll=0.2))
    heard(working)
    pid = os.fork()
    if pid == 0:

        def die(*_: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        jobs.bell.ring = die  # type: ignore[method-assign, assignment]
        call(jobs, 7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    [job] = jobs.find()
    assert job.wait(15.0)


def test_what_is_left_at_the_end_of_a_process_is_sent(postgresql_url: str, redis: RedisServer, tmp_path: Path) -> None:
    program = (
        "from backburner import Backburner\n"
        f"jobs = Backburner({postgresql_url!r}, broker={redis.url!r}, table_prefix='backburner_')\n"
        "@jobs.task(name='add')\ndef add(a): ...\n"
        "add.options(queue='end-of-process').enqueue(1)\n"
    )
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True, cwd=tmp_path)
    with_names = Backburner(postgresql_url, broker=redis.url)
    lies(redis, with_names, 1, "end-of-process")
    with_names.close()


def test_a_process_that_ends_after_its_broker_says_nothing_of_it(redis: RedisServer) -> None:
    """kombu gives back at the end what was taken: of a broken connection that fails, and would be said at length."""
    program = (
        "from backburner.broker.address import Address\n"
        "from backburner.broker.link import Link\n"
        "from backburner.broker.rings import Place\n"
        "from backburner.broker.shunned import Shunned\n"
        f"link = Link.open(Address.of({redis.url!r}), 'ending', Shunned(), listens=True)\n"
        "link.publish({('mails', 50): 1})\n"
        "taken = []\n"
        "link.listen(taken.append, str)\n"
        "link.listen_to(Place('mails', 50))\n"
        "while not taken:\n    link.drain(0.05)\n"
        "print('taken', flush=True)\n"
        "input()\n"
        "link.close(broken=True)\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        redis.stop(crash=True)
        try:
            _, said = process.communicate("\n", timeout=60)
        finally:
            redis.start()
    assert (process.returncode, said) == (0, "")


def test_a_broken_link_is_let_go_and_no_other_socket_gets_a_time_out(
    broker: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = Link.open(Address.of(broker.url), "broken", Shunned(), listens=True)
    given: list[float | None] = []
    monkeypatch.setattr("socket.setdefaulttimeout", given.append)
    link.close(broken=True)
    assert not link._connection.connected
    assert given == []


def test_what_waits_for_the_broker_has_a_bound() -> None:
    def refuse() -> None:
        raise ConnectionError("nobody there")

    sender = Sender(refuse, Watched("amqp://host", DatabaseClock().now))  # type: ignore[arg-type]
    for number in range(5 * MOST_PLACES):
        sender.add((f"queue {number}", 50), 2)
    assert sender.waiting == 10 * MOST_PLACES
    assert len(sender._pending) + len(sender._under_way) <= MOST_PLACES + 1
    sender.close(5.0)


@pytest.mark.parametrize("there", [True, False])
def test_doctor_asks_the_broker(app: Apps, broker: Server, there: bool) -> None:
    url = broker.url if there else f"amqp://guest:s3cret@127.0.0.1:{free_port()}//"
    [found] = wake_up(app(broker=url))
    assert found.check == "broker"
    assert found.verdict is (Verdict.OK if there else Verdict.WARNING)
    assert "s3cret" not in found.text
