"""Jobs that a person puts back in line."""

from pathlib import Path

import pytest

from backburner import Backburner, JobState, PermanentError, Task
from backburner.errors import WrongState
from backburner.web import User, web_app
from tests.broker.messages import heard
from tests.parity.conftest import StartWorker
from tests.parity.programs import Program
from tests.parity.running import done, states
from tests.servers import RedisServer
from tests.web.shop import Caller

FAILED, SUCCEEDED = JobState.FAILED, JobState.SUCCEEDED

APP = """
import os
from pathlib import Path

from backburner import Backburner, PermanentError

jobs = Backburner(os.environ["APP_URL"], auto_migrate=True)


@jobs.task(name="shop.send")
def send(number: int) -> int:
    if not Path("mended").exists():
        raise PermanentError("the printer is out of paper")
    return number
"""


class Printer:
    """A task that fails for good until the printer is mended."""

    def __init__(self) -> None:
        self.mended = False

    def task(self, jobs: Backburner, name: str = "shop.send") -> Task[[int], int]:
        @jobs.task(name=name)
        def send(number: int) -> int:
            if not self.mended:
                raise PermanentError("the printer is out of paper")
            return number

        return send


def test_run_20_one_job_or_all_that_a_filter_chooses_are_put_back(jobs: Backburner, start_worker: StartWorker) -> None:
    printer = Printer()
    send, post = printer.task(jobs), printer.task(jobs, "shop.post")
    start_worker()
    mails = [send.options(queue="mails", tags=["spring"]).enqueue(number) for number in range(3)]
    others = [send.options(queue="letters").enqueue(3), post.options(queue="mails").enqueue(4)]
    assert [done(job).state for job in (*mails, *others)] == [FAILED] * 5
    printer.mended = True
    assert done(jobs.retry(mails[0])).result() == 0
    # Only what is chosen, and of that only what failed.
    assert jobs.retry(state="failed", queue="mails", task="shop.send") == 2
    assert [done(job).result() for job in mails] == [0, 1, 2]
    assert states(others) == [FAILED] * 2
    assert jobs.retry(queue="mails") == 1
    assert done(others[1]).result() == 4
    assert jobs.retry(state="succeeded", tag="spring") == 3, "what went well is put back only when it is named"
    assert [done(job).state for job in mails] == [SUCCEEDED] * 3
    assert states(others) == [FAILED, SUCCEEDED]
    assert len(jobs.find()) == 5, "a job keeps its id"


def test_run_20_what_is_not_finished_is_not_put_back(jobs: Backburner) -> None:
    job = Printer().task(jobs).options(delay=3600).enqueue(1)
    with pytest.raises(WrongState):
        jobs.retry(job)
    assert jobs.retry(task="shop.send") == 0
    assert job.refresh().state is JobState.SCHEDULED


def test_run_20_from_the_command_line(sqlite_url: str, tmp_path: Path) -> None:
    program = Program(tmp_path, sqlite_url)
    program.write(APP)
    jobs = Backburner(sqlite_url, auto_migrate=True)
    send = Printer().task(jobs)
    made = [send.options(queue=queue).enqueue(number) for number, queue in enumerate(("mails", "mails", "letters"))]
    assert program.run("process").returncode == 0
    assert states(made) == [FAILED] * 3
    (tmp_path / "mended").touch()
    assert program.run("jobs", "retry", "--state", "failed", "--queue", "mails", "--yes").stdout == "retried 2 jobs\n"
    assert states(made) == [JobState.QUEUED] * 2 + [FAILED]
    assert program.run("jobs", "retry", made[2].id).stdout == f"retried: {made[2].id}\n"
    assert program.run("process").returncode == 0
    assert [job.refresh().result() for job in made] == [0, 1, 2]
    jobs.close()


def test_run_20_over_http(jobs: Backburner, start_worker: StartWorker) -> None:
    printer = Printer()
    send = printer.task(jobs)
    start_worker()
    job = done(send.enqueue(1))
    printer.mended = True
    nobody = Caller(web_app(jobs, resolve_user=lambda request: None))
    operator = Caller(web_app(jobs, resolve_user=lambda request: User("boss", operator=True)))
    assert nobody.post(f"/jobs/{job.id}/retry").status_code == 404
    assert operator.post(f"/jobs/{job.id}/retry").status_code == 202
    assert done(job.refresh()).result() == 1


def test_run_20_what_is_put_back_goes_through_the_broker(
    sqlite_url: str, redis: RedisServer, start_worker: StartWorker
) -> None:
    # As in two processes: only the broker leads from one to the other.
    jobs, working = (Backburner(sqlite_url, broker=redis.url, auto_migrate=True) for _ in range(2))
    printer = Printer()
    send, _ = printer.task(jobs), printer.task(working)
    # Without a ring it looks once a minute.
    worker = start_worker(working, poll=60.0)
    heard(working)
    made = [done(send.enqueue(number)) for number in range(3)]
    printer.mended = True
    assert done(jobs.retry(made[0])).result() == 0
    assert jobs.retry(state="failed") == 2
    assert [done(job.refresh()).result() for job in made] == [0, 1, 2]
    worker.stop(5.0)
    for app in (jobs, working):
        app.close()
