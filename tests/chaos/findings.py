"""What is in the database when all is over, as the checker takes it."""

import json
from typing import Any

from sqlalchemy import Connection, select, text

from backburner.states import JobState
from backburner.store.store import Store
from tests.chaos.app import EFFECTS, EVERY
from tests.chaos.history import Event
from tests.chaos.story import Fired, Row, Story

_COLUMNS = (
    "id", "title", "task", "state", "position", "attempt", "settled_attempt", "tries", "crashes", "losses",
    "max_attempts", "repeatable", "group_name", "group_policy", "slot", "worker", "unique_key", "result", "reason",
    "tags",
)  # fmt: skip
_LIMITS = {"failing": 3, "hungry": 2}
"""Tries that the tasks give, where the job itself says nothing."""
_TAG = "schedule:"


def story_of(store: Store, events: list[Event], clock_moved: bool) -> Story:
    """Everything there is: to be asked when no worker runs any more."""
    schema = store.schema
    jobs, fires, edges = schema.jobs.c, schema.fires.c, schema.dependencies.c

    def look(connection: Connection) -> list[Any]:
        queries = (
            select(*(getattr(jobs, name) for name in _COLUMNS)),
            select(edges.child, edges.parent),
            select(fires.schedule, fires.at, fires.job),
            text(f"SELECT job, number FROM {EFFECTS}"),
        )
        return [connection.execute(query).all() for query in queries]

    rows, waits, fired, effects = store.read(look)
    after = dict(waits)
    return Story(
        events,
        [_row(row, after.get(row.id)) for row in rows],
        fires=[Fired(one.schedule, one.at, one.job, EVERY) for one in fired],
        scheduled=[(name, row.id) for row in rows for name in _schedules(row)],
        effects=[(job, number) for job, number in effects],
        alive=[worker.id for worker in store.workers.live()],
        clock_moved=clock_moved,
    )


def _row(found: Any, after: str | None) -> Row:
    return Row(
        id=found.id, token=found.title or f"scheduled {found.id}", state=JobState(found.state),
        position=found.position, attempt=found.attempt, settled_attempt=found.settled_attempt, tries=found.tries,
        crashes=found.crashes, losses=found.losses,
        max_attempts=found.max_attempts if found.max_attempts is not None else _LIMITS.get(found.task),
        repeatable=found.repeatable, group=found.group_name, keeps_slot=found.group_policy in ("block", "stop"),
        slot=found.slot, worker=found.worker, key=found.unique_key, after=after, result=found.result,
        reason=found.reason,
    )  # fmt: skip


def _schedules(found: Any) -> list[str]:
    tags = json.loads(found.tags) if found.tags else []
    return [tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG)]
