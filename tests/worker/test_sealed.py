"""Signed rows: what others wrote or changed is held and not run; `edit` signs anew. And both codecs in one table."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update

from backburner import Backburner, Job, JobState
from backburner.errors import InvalidArgument, WrongState
from backburner.worker import Worker
from tests.unit.test_pickles import SECRET, Money
from tests.waiting import wait_until
from tests.worker.conftest import EMBEDDED
from tests.worker.world import World

ran: list[Any] = []


def add(number: int, money: Money | None = None) -> str:
    ran.append(number)
    return f"{number} {money.amount if money else None}"


@pytest.fixture
def signed(world: World) -> Iterator[Backburner]:
    """An app that signs its rows."""
    ran.clear()
    jobs = Backburner(world.url, secret=SECRET, signed=True, files=str(world.folder / "files"))
    jobs.capture("tenant", lambda: "acme")
    jobs.task(name="add", codec="json", pickle_types=[Money])(add)
    jobs.task(name="pickled", codec="pickle", pickle_types=[Money])(add)
    jobs.task(name="other")(lambda number: number)
    yield jobs
    jobs.close()


def enqueue(jobs: Backburner, task: str = "add", *args: Any) -> Job:
    return jobs.registry.require(task).options(owner="ada").enqueue(*(args or (1,)))


def change(jobs: Backburner, job: Job, **values: Any) -> None:
    """What somebody with access to the database may do."""
    t = jobs.store.schema.jobs
    jobs.store.run(lambda c: c.execute(update(t).where(t.c.id == job.id).values(**values)))


def held(jobs: Backburner, job: Job) -> Job:
    wait_until(lambda: jobs.get(job.id).blocked_on == "changed row", "it is held")
    return jobs.get(job.id)


def test_what_was_signed_runs(world: World, signed: Backburner) -> None:
    made: list[Job | str] = [enqueue(signed), enqueue(signed, "pickled", 2, Money(Decimal(3)))]
    many: list[Job | str] = [*signed.enqueue_many(signed.registry.require("add"), [(4,), (5,)])]
    with Worker(signed, EMBEDDED):
        assert [world.ends(job).result_text for job in made + many] == [
            '"1 None"', '"2 3"', '"4 None"', '"5 None"'
        ]  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"args": '{"number":2}'}, {"task": "other"}, {"owner": "eve"}, {"owner": None}, {"context": '{"tenant":"b"}'},
        {"queue": "elsewhere"}, {"mac": None}, {"mac": "0" * 64}, {"mac": "é"}, {"codec": "pickle"},
    ],
)  # fmt: skip
def test_a_changed_row_is_held_and_not_run(world: World, signed: Backburner, changed: dict[str, Any]) -> None:
    job = enqueue(signed)
    change(signed, job, **changed)
    after = enqueue(signed, "add", 9)
    with Worker(signed, EMBEDDED):
        found = held(signed, job)
        assert found.reason == "Its stored call was changed by others."
        assert "Signature: " in signed.control.why_not_running(found)[0]
        world.ends(after)
    assert ran == [9]


def test_a_row_copied_under_another_id_is_held(world: World, signed: Backburner) -> None:
    first, second = enqueue(signed), enqueue(signed, "add", 2)
    t = signed.store.schema.jobs
    mac = signed.store.read(lambda c: c.execute(t.select().where(t.c.id == first.id)).one()).mac
    change(signed, second, mac=mac, args=first.args)
    with Worker(signed, EMBEDDED):
        held(signed, second)
        world.ends(first)


def test_an_edit_signs_anew(world: World, signed: Backburner) -> None:
    job = enqueue(signed)
    change(signed, job, args='{"number":666}')
    with Worker(signed, EMBEDDED):
        held(signed, job)
        assert signed.edit(job, '{"number": 7}').args == '{"number":7}'
        signed.retry(job)
        assert world.ends(job).result_text == '"7 None"'
        # A finished one too, and it runs with the new ones when it is retried.
        signed.edit(job, '{"number": 8}')
        signed.retry(job)
        wait_until(lambda: signed.get(job.id).result_text == '"8 None"', "it ran with the new arguments")


def test_a_pickled_row_is_edited_as_json(world: World, signed: Backburner) -> None:
    job = enqueue(signed, "pickled", 2, Money(Decimal(3)))
    assert (job.codec, signed.edit(job, '{"number": 4}').codec) == ("pickle", "json")
    with Worker(signed, EMBEDDED):
        assert world.ends(job).result_text == '"4 None"'


@pytest.mark.parametrize("args", ['{"number": "x"}', '{"numbre": 1}', "{}", "[1]", "{", '{"number": 1, "x": 2}'])
def test_an_edit_is_checked_against_the_signature(signed: Backburner, args: str) -> None:
    job = enqueue(signed)
    with pytest.raises(InvalidArgument):
        signed.edit(job, args)
    assert signed.get(job.id).args == '{"number":1}'


def test_a_running_job_is_not_edited(world: World) -> None:
    job = world.enqueue("hold", "end")
    with Worker(world.jobs, EMBEDDED):
        world.begun(job)
        with pytest.raises(WrongState, match="edit"):
            world.jobs.edit(job, '{"word": "other"}')
        world.say("end")
        world.ends(job)


def test_a_notice_is_signed_too(world: World, signed: Backburner) -> None:
    told: list[Any] = []
    signed.notifier(told.append, "list")

    @signed.task(name="fails", max_attempts=1, notify_after=1)
    def fails() -> None:
        raise ValueError("no")

    with Worker(signed, EMBEDDED):
        world.ends(fails.enqueue(), JobState.FAILED)
        wait_until(lambda: told, "the notifier is called")


def test_what_a_schedule_fires_is_signed_too(world: World, signed: Backburner) -> None:
    signed.schedules.add(signed.registry.require("other"), every=3600, args=(3,), name="hourly")
    job = signed.schedules.run("hourly")
    with Worker(signed, EMBEDDED):
        assert world.ends(job).result_text == "3"
