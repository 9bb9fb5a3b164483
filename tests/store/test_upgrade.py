"""From the first tables on: what was stored by an older release is there, as it was, and goes on."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, insert, inspect

from backburner.blame import Death, Limits, judge
from backburner.states import FINAL, JobState
from backburner.store import versions
from backburner.store.schema import described
from backburner.store.store import Store
from tests.store.conftest import OpenStore
from tests.store.scene import START, HandClock, Scene

FIRST = versions.KNOWN[0]
WORKER = str(uuid.UUID(int=1))


@pytest.fixture
def old(empty_database_url: str, opened: OpenStore) -> Store:
    """A store on tables of the first version, and on nothing later."""
    store = opened(empty_database_url, auto_migrate=False)
    with store.engine.begin() as connection:
        versions.upgrade(connection, store.schema, FIRST)
    return store


def written(number: int, state: JobState) -> dict[str, Any]:
    """A row in this state, as the first release has written it; it had no other columns that matter here."""
    ended = state in FINAL
    row: dict[str, Any] = {
        "id": str(uuid.UUID(int=0x7000 << 64 | 100 + number)), "state": str(state), "queue": "default", "priority": 50,
        "run_at": START, "task": "shop.price", "args": f'{{"n":{number}}}', "codec": "json", "visibility": "owner",
        "created_at": START, "attempt": 0, "tries": 0,
    }  # fmt: skip
    if state is JobState.RUNNING:
        row |= {"worker": WORKER, "started_at": START, "attempt": 1}
    if state in (JobState.SCHEDULED, JobState.RETRYING):
        row |= {"run_at": START + timedelta(seconds=60), "tries": int(state is JobState.RETRYING)}
    if state is JobState.BLOCKED:
        row |= {"blocked_on": "unknown task", "reason": "No worker here knows it."}
    if ended:
        row |= {"finished_at": START, "reason": "because", "attempt": 1, "settled_attempt": 1, "settled_by": WORKER}
    return row


def fill(store: Store) -> dict[JobState, str]:
    """One row in every state, and the worker of the one that runs; their ids."""
    # As it was described then: types of the columns are those of today, where they have stayed.
    found = MetaData()
    now = described(store.dialect.name, None, "backburner_")
    rows = {state: written(number, state) for number, state in enumerate(JobState)}
    worker = {
        "id": WORKER, "supervisor": WORKER, "host": "box", "pid": 1, "concurrency": 1, "version": "0.1",
        "started_at": START, "beat_at": START, "lease_until": START + timedelta(seconds=30),
    }  # fmt: skip
    with store.engine.begin() as connection:
        there = inspect(connection)
        for table, values in ((now.jobs, list(rows.values())), (now.workers, [worker])):
            names = {column["name"] for column in there.get_columns(table.name)}
            assert names, f"the first version has no {table.name}"
            columns = [column._copy() for column in table.c if column.name in names]
            then = Table(table.name, found, *columns)
            for value in values:
                connection.execute(insert(then).values(**value))
    return {state: str(row["id"]) for state, row in rows.items()}


def test_rows_in_every_state_survive_and_go_on(old: Store, clock: HandClock) -> None:
    ids = fill(old)
    old.migrate()
    assert old.version() == versions.NEEDED
    scene, jobs = Scene(old, clock), old.jobs
    for number, (state, job) in enumerate(ids.items()):
        found = jobs.get(job)
        assert (found.state, found.args, found.created_at) == (state, f'{{"n":{number}}}', START)
        assert (found.finished_at is not None) == (state in FINAL)
    # What waits for its time becomes due, what runs is rescued, what is queued is claimed, what has ended is retried.
    clock.move(61)
    old.upkeep.promote()
    assert old.workers.rescue(WORKER, lambda orphan: _back(scene, orphan), WORKER, "gone", certain=False) is not None
    assert old.upkeep.unhold(["shop.price"]) == 1
    for state in sorted(FINAL):
        jobs.retry(ids[state])
    worker = scene.worker()
    claimed = scene.claim(worker)
    assert {job.id for job in claimed} == set(ids.values())
    assert scene.finish(worker, claimed) == set(ids.values())
    assert {jobs.get(job).state for job in ids.values()} == {JobState.SUCCEEDED}


def _back(scene: Scene, orphan: Any) -> Any:
    return judge(orphan, Death("gone"), Limits(), scene.clock.now())


def test_each_version_is_reached_from_each_before_it(empty_database_url: str, opened: OpenStore) -> None:
    store = opened(empty_database_url, auto_migrate=False)
    for version in versions.KNOWN:
        with store.engine.begin() as connection:
            versions.upgrade(connection, store.schema, version)
        assert store.version() == version
    assert Scene(store, HandClock(datetime(2030, 1, 1, tzinfo=UTC))).one()
