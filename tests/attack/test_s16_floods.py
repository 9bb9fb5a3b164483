"""S16: whoever floods fills no table and no memory: each kind of thing has a cap, and what is beyond it is told.

Bodies and arguments, long polls, streams, and who may have how many jobs have theirs in `tests/web`.
"""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from backburner import Backburner, Job, JobState, current_job
from backburner.errors import BackburnerError, InvalidOption, NotSerializable, TooLarge
from backburner.worker import Worker
from tests.web.shop import Shop, as_user

MANY = 2_000
# As they are documented, and not as they are written in the code: that may be what has changed.
MESSAGES, LINKS, TEXT, DEPTH, PAGE = 200, 20, 4_096, 64, 200


@pytest.fixture
def jobs(sqlite_url: str, tmp_path: Any) -> Any:
    made = Backburner(sqlite_url, files=str(tmp_path / "files"), poll=0.05, max_log_bytes=65_536, secret="x" * 16)
    yield made
    made.close()


def rows(jobs: Backburner, table: Any, job: Job) -> int:
    query = select(func.count()).select_from(table).where(table.c.job == job.id)
    return jobs.store.read(lambda c: c.execute(query).scalar_one())


def test_s16_what_a_job_says_has_a_bound(jobs: Backburner) -> None:
    @jobs.task(name="flood")
    def flood() -> None:
        job = current_job()
        assert job is not None
        for number in range(MANY):
            job.message(f"{number} " + "m" * 2 * TEXT)
            job.link(f"link {number}", f"/{number}")
            job.stage(f"stage {number}" * 100, 10, "u" * 5_000)
            job.advance(0.01, "a" * 2 * TEXT)
            job.log("l" * 1_000)

    made, schema = flood.enqueue(), jobs.store.schema
    with Worker(jobs):
        assert made.wait(60)
    details = jobs.control.show(made.id)
    assert details.job.state is JobState.SUCCEEDED
    assert rows(jobs, schema.progress, made) == 1
    assert rows(jobs, schema.messages, made) <= MESSAGES
    assert max(len(message.text) for message in details.messages) <= TEXT
    progress = details.job.progress
    assert progress is not None
    assert len(progress.links) <= LINKS
    assert max(len(progress.message or ""), len(progress.stage or ""), len(progress.unit or "")) <= TEXT
    kept = jobs.store.read(
        lambda c: c.execute(select(func.sum(func.length(schema.log.c.text))).where(schema.log.c.job == made.id))
    ).scalar_one()
    assert 65_536 <= kept <= 65_536 * 2.25, "the end of it is kept, and what had been stored before the last of it"


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("error", "attack"),
    [
        (TooLarge, lambda task: task.enqueue("x" * 300_000)),
        (NotSerializable, lambda task: task.enqueue(nested(DEPTH + 1))),
        (TooLarge, lambda task: task.options(meta={"x": "y" * 70_000}).enqueue(1)),
        (InvalidOption, lambda task: task.options(title="t" * 501).enqueue(1)),
        (InvalidOption, lambda task: task.options(tags=[f"t{number}" for number in range(51)]).enqueue(1)),
        (InvalidOption, lambda task: task.options(tags=["t" * 201]).enqueue(1)),
        (InvalidOption, lambda task: task.options(identifier="i" * 201).enqueue(1)),
        (InvalidOption, lambda task: task.options(queue="q" * 101).enqueue(1)),
        (InvalidOption, lambda task: task.options(owner="o" * 201).enqueue(1)),
        (InvalidOption, lambda task: task.options(group="g" * 201).enqueue(1)),
    ],
)
def test_s16_what_is_enqueued_has_a_bound(
    jobs: Backburner, error: type[BackburnerError], attack: Callable[[Any], object]
) -> None:
    task = jobs.task(name="takes")(lambda value: None)
    with pytest.raises(error):
        attack(task)
    assert jobs.find() == []


def test_s16_what_an_answer_holds_has_a_bound(jobs: Backburner) -> None:
    shop = Shop(jobs)
    jobs.enqueue_many(shop.add.options(owner="lena"), [(number, 1) for number in range(PAGE + 50)])
    for who, path in (("lena", "/jobs"), ("boss", "/jobs"), ("lena", "/mine"), ("boss", "/dashboard/jobs")):
        caller = as_user(shop, who)
        for limit in (PAGE + 1, 10**30):
            assert caller.get(path, params={"limit": limit}).status_code in (200, 422), path
        shown = caller.get(path if path == "/mine" else f"{path}?limit={PAGE}").text
        assert sum(job.id in shown for job in jobs.find(limit=1_000)) <= PAGE, path
    boss = as_user(shop, "boss")
    assert boss.get("/jobs/feed", params={"ids": ",".join(str(number) for number in range(51))}).status_code == 422
    chosen = {"verb": "delete", "id": [job.id for job in jobs.find(limit=PAGE + 1)], "typed": str(PAGE + 1)}
    assert boss.post("/dashboard/jobs/many", data=chosen).status_code == 422
    assert len(jobs.find(limit=1_000)) == PAGE + 50
