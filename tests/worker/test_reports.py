"""What running jobs report, and where they go on after kill -9."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from backburner import Backburner, Job, JobState, Retry, RetryPolicy, current_job, track
from backburner.blame import Death, Limits, judge
from backburner.context import JobContext
from backburner.errors import LeaseLost
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.worker.app import said
from tests.worker.conftest import EMBEDDED
from tests.worker.history import noted
from tests.worker.world import World

AGAIN = RetryPolicy.fixed(0.0)


def hold(word: str) -> None:
    while not said(word):
        time.sleep(0.005)


def started(world: World, body: Callable[..., Any], **options: Any) -> Job:
    """Enqueue a task made of a body; the context it takes is given by the worker."""
    task: Any = world.jobs.task(name="body", **options)(body)
    job: Job = task.enqueue()
    return job


def output(world: World, job_id: str) -> str:
    return "".join(line.text for line in world.jobs.store.progress.log(job_id))


def make_table(world: World) -> None:
    world.jobs.store.run(lambda c: c.execute(text("DROP TABLE IF EXISTS imported")))
    world.jobs.store.run(lambda c: c.execute(text("CREATE TABLE imported (number integer)")))


def imported(world: World) -> list[int]:
    query = text("SELECT number FROM imported ORDER BY number")
    return list(world.jobs.store.read(lambda c: c.execute(query).scalars()))


def test_others_see_it_while_it_runs(working: World) -> None:
    def body(job: JobContext) -> str:
        job.stage("Reading", total=10, unit="rows")
        job.advance(4, "row 4")
        job.log("line one")
        job.log("line two")
        job.message("half of it", "success")
        job.link("Report", "/reports/1")
        job.item_failed("row 3", ValueError("no price"))
        hold("go on")
        return "done"

    job = started(working, body)
    rows = working.jobs.store.progress
    wait_until(lambda: rows.failed_count(job.id) == 1 and output(working, job.id), "it is stored while it runs")
    found = working.job(job)
    assert found.state is JobState.RUNNING
    assert found.progress is not None
    assert (found.progress.done, found.progress.total, found.progress.unit) == (4, 10, "rows")
    assert (found.progress.stage, found.progress.message, found.progress.failed) == ("Reading", "half of it", 1)
    assert [link.href for link in found.progress.links] == ["/reports/1"]
    assert output(working, job.id) == "line one\nline two\n"
    assert [(m.level, m.text) for m in rows.messages(job.id)] == [("success", "half of it")]
    assert [(item.key, item.error) for item in rows.failed_items(job.id)] == [("row 3", "no price")]
    working.say("go on")
    done = working.ends(job).progress
    assert done is not None
    assert done.done == 10, "finished means complete"


def test_output_goes_on_over_attempts(working: World) -> None:
    def body(job: JobContext) -> None:
        job.log(f"attempt {job.attempt} says something")
        if job.attempt < 3:
            raise Retry(after=0.0)

    job = working.ends(started(working, body))
    lines = working.jobs.store.progress.log(job.id)
    assert output(working, job.id) == "".join(f"attempt {n} says something\n" for n in (1, 2, 3))
    ends = [line.start + len(line.text) for line in lines]
    assert [line.start for line in lines] == [0, *ends[:-1]], "no gap, nothing over another"


def test_the_log_keeps_its_end(world: World) -> None:
    def body(job: JobContext) -> None:
        for number in range(400):
            job.log(f"line {number} {'x' * 90}")
            time.sleep(0.002)

    jobs = Backburner(world.url, max_log_bytes=4000)
    task: Any = jobs.task(name="body")(body)
    with Worker(jobs, EMBEDDED):
        job = task.enqueue()
        assert job.wait(30)
    kept = output(world, job.id)
    assert len(kept) >= 4000
    assert "line 399" in kept
    assert "line 1 " not in kept
    assert jobs.store.progress.log(job.id)[0].start > 0
    jobs.close()


def test_prints_go_to_the_log(working: World, capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        print("a", 1)
        print("b", end="")
        print("c")
        print()
        print("d\ne")

    captured = working.jobs.task(name="captured", capture_print=True)(body)
    other = working.jobs.task(name="other")(body)
    jobs = captured.enqueue(), other.enqueue()
    assert output(working, working.ends(jobs[0]).id).split() == ["a", "1", "bc", "d", "e"]
    assert "a 1\n" in output(working, jobs[0].id)
    assert output(working, working.ends(jobs[1]).id) == ""
    assert "a 1" in capsys.readouterr().out


def test_after_kill_9_it_goes_on_where_it_stood(world: World) -> None:
    job = world.enqueue("resumed", 600)
    world.start()
    pid = world.begun(job).pid
    rows = world.jobs.store.progress
    stored = json.loads(wait_until(lambda: rows.checkpoint(job.id), "a checkpoint is stored") or "{}")["track-1"]
    os.kill(pid, signal.SIGKILL)
    world.ends(job)
    done = [tuple(map(int, line.split())) for line in (world.folder / "items").read_text().splitlines()]
    first = [item for attempt, item in done if attempt == 1]
    second = [item for attempt, item in done if attempt == 2]
    assert 0 < stored <= second[0] <= first[-1] + 1, "only what was done since the last flush is done again"
    assert second == list(range(second[0], 600))
    assert set(first) | set(second) == set(range(600))


def test_rows_and_checkpoint_commit_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed again and again in the middle of an import: no row doubled, none missing."""
    make_table(world)
    monkeypatch.setenv("BACKBURNER_MAX_CRASHES", "100")
    job = world.enqueue("import_rows", 3000, 20)
    tree = world.start()
    for number, part in enumerate((300, 900, 1500, 2100), 1):
        wait_until(lambda p=part: len(imported(world)) >= p, f"{part} rows are there")  # type: ignore[misc]
        os.kill(world.begun(job, number).pid, signal.SIGKILL)
        world.begun(job, number + 1)
    done = world.ends(job)
    counted = Counter(imported(world))
    assert done.result() == "imported"
    assert [n for n, times in counted.items() if times > 1] == []
    assert sorted(counted) == [-1, *range(3000)]
    assert done.attempt >= 4
    assert tree.process.poll() is None


def test_a_transaction_that_fails_takes_its_checkpoint_back(working: World) -> None:
    make_table(working)
    seen: list[Any] = []

    def body(job: JobContext) -> str:
        seen.append(job.last_checkpoint)
        if job.attempt == 1:
            with job.transaction() as connection:
                connection.execute(text("INSERT INTO imported VALUES (1)"))
                job.checkpoint("first")
            with job.transaction() as connection:
                connection.execute(text("INSERT INTO imported VALUES (2)"))
                job.checkpoint("second")
                job.finish("too early")
                raise OSError
        return "done"

    job = working.ends(started(working, body, retry=AGAIN))
    assert seen == [None, "first"]
    assert imported(working) == [1]
    assert (job.result(), job.tries) == ("done", 1)


def test_finish_inside_a_transaction(working: World) -> None:
    make_table(working)

    def body(job: JobContext) -> str:
        job.expect(10)
        with job.transaction() as connection:
            connection.execute(text("INSERT INTO imported VALUES (7)"))
            job.finish({"rows": 1})
        return "not this"

    job = working.ends(started(working, body))
    assert job.result() == {"rows": 1}
    assert imported(working) == [7]


def test_finish_that_was_rolled_back_does_not_count(working: World) -> None:
    make_table(working)

    def body(job: JobContext) -> str:
        try:
            with job.transaction() as connection:
                connection.execute(text("INSERT INTO imported VALUES (7)"))
                job.finish("not this")
                raise OSError
        except OSError:
            pass
        return "this"

    job = working.ends(started(working, body))
    assert (job.result(), imported(working)) == ("this", [])


def test_a_job_taken_over_writes_nothing_in_its_transaction(working: World) -> None:
    make_table(working)
    errors: list[BaseException] = []

    def body(job: JobContext) -> None:
        if job.attempt > 1:
            return
        with noted():
            hold("go on")
            try:
                with job.transaction() as connection:
                    connection.execute(text("INSERT INTO imported VALUES (7)"))
                    job.checkpoint("stale")
            except LeaseLost as error:
                errors.append(error)
                raise

    job = started(working, body)
    working.begun(job)
    store = working.jobs.store
    [worker] = store.workers.live()
    store.workers.rescue(
        worker.id,
        lambda orphan: judge(orphan, Death("by hand"), Limits(), store.clock.now()),
        worker.id,
        "by hand",
        certain=True,
    )
    working.say("go on")
    wait_until(lambda: errors, "the stale body is told")
    assert imported(working) == []
    assert store.progress.checkpoint(job.id) is None
    assert working.job(job).losses == 1


def test_failed_items_are_collected_and_retried_alone(working: World) -> None:
    done: list[str] = []

    def body(names: list[str]) -> int:
        job = current_job()
        assert job is not None
        for guard in track(names, key=str, on_error="collect"):
            with guard as name:
                if name == "bad" and not said("mended"):
                    raise ValueError("no price")
                done.append(name)
        return len(done)

    task = working.jobs.task(name="body")(body)
    job = working.ends(task.enqueue(["one", "bad", "two"]))
    assert done == ["one", "two"]
    assert job.progress is not None
    assert (job.progress.done, job.progress.total, job.progress.failed) == (3, 3, 1)
    assert [(i.key, i.error) for i in working.jobs.store.progress.failed_items(job.id)] == [("bad", "no price")]
    working.say("mended")
    again = working.ends(working.jobs.retry_items(job))
    assert done == ["one", "two", "bad"]
    assert working.jobs.store.progress.failed_count(again.id) == 0


def test_a_long_transaction_of_a_body_stops_nobody(working: World) -> None:
    """On SQLite it keeps the database: other outcomes wait for it and are written afterwards."""
    make_table(working)

    def body(job: JobContext) -> str:
        with noted(), job.transaction() as connection:
            connection.execute(text("INSERT INTO imported VALUES (1)"))
            job.progress(50, "in the middle")
            hold("go on")
            job.checkpoint("behind it")
        return "done"

    mates = [working.enqueue("hold", "go on") for _ in range(2)]
    for mate in mates:
        working.begun(mate)
    job = started(working, body)
    working.begun(job)
    # Longer than a flush of reports takes to come round.
    until = time.monotonic() + 1.0
    wait_until(lambda: time.monotonic() > until, "reports are due")
    working.say("go on")
    assert working.ends(job).result() == "done"
    for mate in mates:
        assert working.ends(mate).attempt == 1
    assert imported(working) == [1]
