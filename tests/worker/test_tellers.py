"""Who asked to be told when a job is done is told once, whatever its end."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from backburner import Backburner, JobState, PermanentError, RetryPolicy
from backburner.ending import Ending
from backburner.errors import InvalidOption
from backburner.job import JobFilter
from backburner.messengers import Webhook, signature
from backburner.states import FINAL
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.worker.conftest import EMBEDDED
from tests.worker.world import World


def work(how: str) -> str:
    if how == "fail":
        raise PermanentError("There is no such month.")
    return how


@pytest.fixture
def told(world: World) -> list[Ending]:
    """Endings in the order in which a teller of the app got them."""
    endings: list[Ending] = []
    world.jobs.task(name="shop.export_orders")(work)
    world.jobs.endings.add(endings.append, "list")
    return endings


def test_each_end_is_told_and_once_however_often_it_was_asked_for(world: World, told: list[Ending]) -> None:
    jobs = world.jobs
    task = jobs.registry.require("shop.export_orders").options(owner="ada")
    made = [task.enqueue("well"), task.options(title="Export\r\nBcc: eve").enqueue("fail"), task.enqueue("well")]
    for job in made:
        jobs.endings.tell(job)
        jobs.endings.tell(job, by=["list"])
    jobs.cancel(made[2])
    task.enqueue("well")
    with Worker(jobs, EMBEDDED):
        wait_until(lambda: len(told) == 3, "all three are told")
        wait_until(lambda: jobs.control.count(_open()) == 0, "nothing more is to come")
    by_id = {ending.job: ending for ending in told}
    assert [by_id[job.id].state for job in made] == ["succeeded", "failed", "cancelled"]
    well, badly, _ = (by_id[job.id] for job in made)
    assert (well.title, well.owner, well.headline) == ("Export orders", "ada", "Export orders: succeeded")
    assert (badly.reason, badly.headline) == ("There is no such month.", "Export  Bcc: eve: failed")
    assert len(told) == 3


def test_each_end_of_a_job_that_runs_again_is_told_once(world: World, told: list[Ending]) -> None:
    jobs = world.jobs
    job = jobs.registry.require("shop.export_orders").enqueue("fail")
    jobs.endings.tell(job)
    with Worker(jobs, EMBEDDED):
        wait_until(lambda: len(told) == 1, "the first end is told")
        wait_until(lambda: jobs.control.count(_open()) == 0, "the call for it has ended")
        # Too late: this end was told.
        jobs.endings.tell(job)
        wait_until(lambda: jobs.control.count(_open()) == 0, "nothing more is to come")
    assert len(told) == 1
    again = jobs.retry(job)
    jobs.endings.tell(again)
    jobs.endings.tell(again)
    with Worker(jobs, EMBEDDED):
        wait_until(lambda: len(told) == 2, "the second end is told")
        wait_until(lambda: jobs.control.count(_open()) == 0, "nothing more is to come")
    assert [(ending.job, ending.attempt) for ending in told] == [(job.id, 1), (job.id, 2)]


def test_an_end_that_is_asked_for_while_the_one_before_is_told_is_told_too(world: World) -> None:
    jobs = world.jobs
    told: list[int] = []
    telling, go_on = threading.Event(), threading.Event()

    def slow(ending: Ending) -> None:
        telling.set()
        assert go_on.wait(30)
        told.append(ending.attempt)

    jobs.task(name="shop.export_orders")(work)
    jobs.endings.add(slow, "list")
    job = jobs.registry.require("shop.export_orders").enqueue("well")
    jobs.endings.tell(job)
    with Worker(jobs, EMBEDDED):
        wait_until(telling.is_set, "the first end is being told")
        again = jobs.retry(job)
        jobs.endings.tell(again)
        jobs.endings.tell(again)
        wait_until(lambda: job.refresh().done and job.refresh().attempt == 2, "it has a second end")
        go_on.set()
        wait_until(lambda: jobs.control.count(_open()) == 0, "nothing more is to come")
    assert told == [1, 2]


def _open() -> JobFilter:
    return JobFilter(states=frozenset(JobState) - FINAL)


def test_a_teller_that_raises_is_called_again(world: World, told: list[Ending]) -> None:
    heard: list[Ending] = []

    async def flaky(ending: Ending) -> None:
        heard.append(ending)
        raise OSError("no route to host")

    world.jobs.endings.add(flaky, None)
    job = world.jobs.registry.require("shop.export_orders").enqueue("well")
    world.jobs.endings.tell(job)
    with Worker(world.jobs, EMBEDDED):
        wait_until(lambda: heard and told, "both were called")
        [call] = world.jobs.find(task="backburner.tell.flaky")
        wait_until(lambda: call.refresh().tries == 1, "it will be called again")
    assert "Tell that Export orders is done" in (call.title or "")


def test_a_webhook_is_signed_and_says_nothing_private(world: World, told: list[Ending]) -> None:
    seen: list[tuple[dict[str, str], bytes]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            # The first time it is busy.
            self.send_response(503 if len(seen) == 1 else 204)
            self.end_headers()

        def log_message(self, *given: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        hook = Webhook(f"http://127.0.0.1:{server.server_address[1]}/", "a secret of some length")
        world.jobs.endings.add(hook, "erp", retry=RetryPolicy.fixed(0.01))
        job = world.jobs.registry.require("shop.export_orders").options(owner="ada").enqueue("fail")
        world.jobs.endings.tell(job, by=["erp"])
        with Worker(world.jobs, EMBEDDED):
            wait_until(lambda: len(seen) == 2, "it came again")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    (first, body), (again, _) = seen
    assert json.loads(body)["state"] == "failed"
    assert "error" not in json.loads(body)
    assert first["Idempotency-Key"] == again["Idempotency-Key"] == f"{job.id}-end-1"
    seconds = int(first["Backburner-Signature"].split(",")[0].removeprefix("t="))
    assert first["Backburner-Signature"] == signature("a secret of some length", seconds, body)
    assert told == []


def test_nobody_tells_where_nobody_was_named(sqlite_url: str, world: World, told: list[Ending]) -> None:
    job = world.jobs.registry.require("shop.export_orders").enqueue("well")
    for by in (["unknown"], [], "list"):
        with pytest.raises(InvalidOption, match="by"):
            world.jobs.endings.tell(job, by=by)
    jobs = Backburner(sqlite_url)
    with pytest.raises(InvalidOption, match="tells nobody"):
        jobs.endings.tell(job)
    with pytest.raises(InvalidOption, match="cannot be called"):
        jobs.endings.add("mail", None)  # type: ignore[type-var]
    assert len(jobs.registry) == 0
    jobs.close()
