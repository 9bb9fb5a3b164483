"""No statement of the daily work may walk over many rows: guarded on 50,000 of them."""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from backburner.job import JobFilter
from backburner.outcome import Settlement
from backburner.progress import Progress, ProgressWrite
from backburner.queues import Queues
from backburner.settings import Settings
from backburner.states import JobState
from backburner.store import choice
from backburner.store.dialects.base import ClaimOrder
from backburner.store.upkeep import UNKNOWN_TASK
from backburner.where import Where
from tests.store.many_rows import filled
from tests.store.plans import Explainer, generic_plan, plan_of, plans_of
from tests.store.scene import Scene

WORKERS = 8
WORKER = "01900000-0000-7000-8000-00000000000{}"

FILL = """
INSERT INTO backburner_jobs (
    id, state, queue, priority, run_at, expires_at, attempt, worker, task, args, codec, visibility,
    created_at, finished_at, keep_until, blocked_on, identifier, owner)
SELECT {id}, state, CASE WHEN n % 10 = 0 THEN 'mail' ELSE 'default' END, 50, {now},
    CASE WHEN n % 100 = 0 THEN {later} END,
    CASE WHEN state = 'queued' THEN 0 ELSE 1 END,
    CASE WHEN state = 'running' THEN {worker} END,
    {task}, '{{}}', 'json', 'owner', {now},
    CASE WHEN state IN ('succeeded', 'failed') THEN {now} END,
    CASE WHEN state = 'succeeded' AND n % 50 = 0 THEN {later} END,
    CASE WHEN state = 'blocked' THEN 'unknown task' END, CASE WHEN n <= 3000 THEN 'old' ELSE {thing} END, {user}
FROM (
    SELECT n, CASE WHEN n <= 39000 THEN 'succeeded' WHEN n <= 40000 THEN 'failed'
                   WHEN n <= 40100 THEN 'running' WHEN n <= 40600 THEN 'scheduled'
                   WHEN n <= 40700 THEN 'retrying' WHEN n <= 40800 THEN 'blocked' ELSE 'queued' END AS state
    FROM ({series}) AS numbers) AS many
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """50,000 rows, read by all these tests and changed by none."""
    for scene in filled(request, tmp_path_factory, [FILL], ["jobs"]):
        scene.clock.move(60)
        yield scene


ID = "01900000-0000-7000-9000-0000000{}"
RUNNING = [ID.format(number) for number in range(40001, 40051)]
SQLITE_WALK = re.compile(r"SCAN (backburner_\w+|j)\b")
MARIADB_WALK = re.compile(r"\b(backburner_\w+|j) (ALL|index) by\b")
ON_MARIADB = {"arrived": "ready"}
"""Two indexes elsewhere are one there."""


def uses(plan: str, *indexes: str) -> None:
    """The plan goes by these indexes of the jobs and walks over no table."""
    for index in indexes if " by " not in plan else [ON_MARIADB.get(one, one) for one in indexes]:
        assert re.search(rf"\bbackburner_jobs_{index}\b", plan), f"{index} is not used:\n{plan}"
    assert "Seq Scan on backburner" not in plan, plan
    walks = [line for line in plan.splitlines() if SQLITE_WALK.search(line) and "USING" not in line]
    assert walks == [], plan
    assert MARIADB_WALK.search(plan) is None, plan


def unsorted(plan: str) -> None:
    """No rows of a table are sorted: the index gives the order. What a LIMIT has cut off already may be."""
    assert "Sort" not in plan, plan
    assert "filesort" not in plan, plan
    lines = plan.splitlines()
    for line, before in zip(lines[1:], lines, strict=False):
        assert "TEMP B-TREE" not in line or before.startswith("SCAN (subquery"), plan


def by_key(plan: str, key: str = "pkey") -> None:
    """Rows of `jobs` are found one by one by their key, by no other index."""
    assert "Seq Scan on backburner" not in plan, plan
    used = set(re.findall(r"\bbackburner_jobs_(?!pkey)\w+", plan))
    assert used == set(), plan
    keys = (
        rf"backburner_jobs_{key}|INTEGER PRIMARY KEY|sqlite_autoindex_backburner_jobs| by (PRIMARY|id),"
        # MariaDB looks a single row up by its key while it makes the plan.
        "|after reading const tables"
    )
    assert re.search(keys, plan), plan
    assert MARIADB_WALK.search(plan) is None, plan
    assert SQLITE_WALK.search(plan) is None, plan


def claim(scene: Scene, free: int, ahead: int, bound: tuple[int, int] | None = None) -> Explainer:
    explainer = Explainer(scene.store)
    short = [f"task{number}" for number in range(3)] if ahead else []
    order = ClaimOrder(WORKER.format(1), "default", free, ahead, short, scene.clock.now(), bound)
    scene.store.dialect.claim(explainer, order)
    return explainer


@pytest.mark.parametrize("free", [1, 10, 500])
@pytest.mark.parametrize("ahead", [0, 200])
@pytest.mark.parametrize("bound", [None, (50, 45_000)])
def test_claim_goes_down_the_ready_index(scene: Scene, free: int, ahead: int, bound: tuple[int, int] | None) -> None:
    plan = claim(scene, free, ahead, bound).plans()[-1]
    uses(plan, "ready")
    unsorted(plan)


def test_claim_by_the_plan_for_any_values(scene: Scene) -> None:
    if scene.store.dialect.name != "postgresql":
        plan = claim(scene, 10, 0).plans()[-1]
    else:
        plan = generic_plan(scene.store, *claim(scene, 10, 0).statements[0])
    uses(plan, "ready")
    unsorted(plan)


def settle(scene: Scene, count: int) -> Explainer:
    explainer = Explainer(scene.store)
    batch = [Settlement(job, 40_001 + n, 1, JobState.SUCCEEDED) for n, job in enumerate(RUNNING[:count])]
    scene.store.dialect.settle(explainer, batch, WORKER.format(1), scene.clock.now())
    return explainer


@pytest.mark.parametrize("count", [1, 50])
def test_settle_finds_its_rows_by_key(scene: Scene, count: int) -> None:
    plans = settle(scene, count).plans()
    assert len(plans) >= 2, "the fence, and the look at an ambiguous commit"
    for plan in plans:
        by_key(plan)


@pytest.mark.parametrize("scene", ["postgresql"], indirect=True)
def test_settle_by_the_plan_for_any_values(scene: Scene) -> None:
    for statement in settle(scene, 50).statements:
        by_key(generic_plan(scene.store, *statement))


def test_settle_when_statistics_are_of_a_backlog_that_nobody_had_begun(on_postgresql: Scene) -> None:
    """They say that no job runs: a plan for that compares each running job with each end, for seconds."""
    store = on_postgresql.store
    on_postgresql.insert(5_000)
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"VACUUM ANALYZE {store.schema.qualified('jobs')}")
    explainer = Explainer(store)
    batch = [Settlement(RUNNING[n % 50], n, 1, JobState.SUCCEEDED) for n in range(300)]
    store.dialect.settle(explainer, batch, WORKER.format(1), on_postgresql.clock.now())
    explained = explainer.plans()[0]
    assert re.search(r"Scan .*backburner_jobs j ", explained), explained
    assert not re.search(r"Seq Scan on backburner_jobs j .*rows=1 ", explained), explained


def test_promote_takes_what_is_due(scene: Scene) -> None:
    plan = plan_of(scene.store, scene.store.upkeep.promote)
    uses(plan, "due")


def test_the_next_due_time(scene: Scene) -> None:
    uses(plan_of(scene.store, scene.store.upkeep.next_due), "due")


def test_expire(scene: Scene) -> None:
    uses(plan_of(scene.store, scene.store.upkeep.expire), "expiring")


LIVE = [
    (JobState.QUEUED, ["ready", "arrived"]),
    (JobState.SCHEDULED, ["due"]),
    (JobState.RETRYING, ["due"]),
    (JobState.BLOCKED, ["held"]),
    (JobState.RUNNING, ["owned"]),
]


@pytest.mark.parametrize(("state", "indexes"), LIVE)
def test_unfinished_jobs_are_counted_by_an_index_of_their_own(
    scene: Scene, state: JobState, indexes: list[str]
) -> None:
    which = JobFilter(states=frozenset({state}))
    for any_values in (False, True):
        uses(plan_of(scene.store, lambda: scene.store.jobs.count(which, 10_000), any_values=any_values), *indexes)


@pytest.mark.parametrize(("state", "indexes"), LIVE)
def test_unfinished_jobs_are_listed_by_an_index_of_their_own(scene: Scene, state: JobState, indexes: list[str]) -> None:
    which = JobFilter(states=frozenset({state}), owner="user:7", before=ID.format(50_000))
    # After the look whether they are few: their owner has finished jobs without end.
    for door in (lambda: scene.store.jobs.ids(which, 50), lambda: scene.store.jobs.count(which, 50)):
        plan = plan_of(scene.store, door, 1)
        uses(plan, *indexes)
        assert "backburner_jobs_owner" not in plan, plan


def test_all_states_are_counted_by_one_statement(scene: Scene) -> None:
    for any_values in (False, True):
        plan = plan_of(scene.store, lambda: scene.store.search.tally(JobFilter(), 10_000), any_values=any_values)
        uses(plan, "ready", "arrived", "due", "held", "owned", "ended")


@pytest.mark.parametrize("after", [0, 1], ids=["whether they are few", "the newest"])
def test_jobs_that_ended_in_a_rare_state_are_listed_by_its_index(scene: Scene, after: int) -> None:
    """Not by going back along the ids: a hundred failures may lie behind a million successes."""
    which = JobFilter(states=frozenset({JobState.FAILED}), before=ID.format(50_000))
    for any_values in (False, True):
        uses(plan_of(scene.store, lambda: scene.store.jobs.ids(which, 50), after, any_values=any_values), "ended")


SEARCHED = [
    # Failed jobs are few: all of them are looked at. Their number first.
    ("state:failed queue:mail", 0, ["ended"]),
    ("state:failed queue:mail", 1, ["ended"]),
    # Of an owner and of a task the newest: the end of what is looked at first.
    ("owner:user:7 queue:mail", 0, ["owner"]),
    ("owner:user:7 queue:mail", 1, ["owner"]),
    ("state:succeeded task:task3 tag:x", 1, ["task"]),
    # One job in seven is of it: by the order of ids that is as good.
    ("state:succeeded task:task3 tag:x", 2, []),
    ("identifier:thing:5000,thing:6000 tag:x", 1, ["identifier"]),
    # The newest of them by the order of ids would be behind all others.
    ("identifier:old tag:x", 0, ["identifier"]),
]


@pytest.mark.parametrize(("text", "after", "indexes"), SEARCHED)
def test_a_search_looks_at_what_an_index_brings(scene: Scene, text: str, after: int, indexes: list[str]) -> None:
    which = Where.of(text).filter(scene.clock.now())
    plan = plan_of(scene.store, lambda: scene.store.search.tally(which, 100, among=2_000), after)
    uses(plan, *indexes)


@pytest.mark.parametrize("after", [1, 2], ids=["the end", "the newest"])
def test_what_no_index_finds_is_looked_for_among_the_newest(scene: Scene, after: int) -> None:
    which = Where.of("state:succeeded queue:none").filter(scene.clock.now())
    plan = plan_of(scene.store, lambda: scene.store.search.tally(which, 100, among=2_000), after)
    of_jobs = [line for line in plan.splitlines() if "backburner_jobs" in line]
    assert of_jobs, plan
    # Along an index in its order, up to the limit: no walk over the table, and no sorting of its rows.
    assert not any(re.search("Seq Scan|ALL by|filesort|SCAN backburner_jobs$", line) for line in of_jobs), plan
    assert re.search(r"Sort Key: .*id", plan) is None, plan


@pytest.mark.parametrize("after", [0, 1])
def test_jobs_of_a_failure_are_found_by_its_fingerprint(scene: Scene, after: int) -> None:
    which = Where.of("fingerprint:9f31c2aa state:failed").filter(scene.clock.now())
    plan = plan_of(scene.store, lambda: scene.store.search.tally(which, 100, among=2_000), after)
    assert re.search(r"failures_group|const tables", plan), plan
    assert "Seq Scan on backburner_jobs" not in plan, plan


def test_unhold(scene: Scene) -> None:
    assert UNKNOWN_TASK == "unknown task"
    uses(plan_of(scene.store, lambda: scene.store.upkeep.unhold(["task1"])), "held")


@pytest.mark.parametrize("after", [0, 1], ids=["the look", "the batch"])
def test_prune_takes_the_oldest(scene: Scene, after: int) -> None:
    prune = scene.store.upkeep.prune
    plan = plan_of(scene.store, lambda: prune(JobState.SUCCEEDED, 1), after)
    uses(plan, "ended")
    unsorted(plan)


def test_prune_kept(scene: Scene) -> None:
    uses(plan_of(scene.store, scene.store.upkeep.prune_kept), "kept")


@pytest.mark.parametrize(("after", "indexes"), [(2, ["group"]), (3, ["due"]), (4, [])])
def test_stopping_a_group_looks_for_what_waits_in_it(scene: Scene, after: int, indexes: list[str]) -> None:
    failed = RUNNING[0]
    uses(plan_of(scene.store, lambda: scene.store.groups.stop(f"g{after}", failed), after), *indexes)


def test_what_a_worker_owns(scene: Scene) -> None:
    claims = scene.store.claims
    uses(plan_of(scene.store, lambda: claims.owned(WORKER.format(1))), "owned")
    uses(plan_of(scene.store, lambda: claims.cancelled(WORKER.format(1))), "owned")


def test_orphans_of_a_dead_worker(scene: Scene) -> None:
    worker = scene.worker()
    look = plan_of(scene.store, lambda: scene.rescue(worker, certain=True), after=3)
    uses(look, "owned")


def test_queues_with_ready_jobs(scene: Scene) -> None:
    explainer = Explainer(scene.store)
    scene.store.claims.ready_queues(explainer)  # type: ignore[arg-type]
    for plan in explainer.plans():
        uses(plan, "ready")
        probes(plan)


def test_jobs_of_queues_are_counted_by_indexes_of_unfinished_ones(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though many wait, and some queue has few: those before it are not walked through, nor are finished ones."""
    monkeypatch.setattr(choice, "MOST_LIVE", 100)
    database: Any = SimpleNamespace(store=scene.store, settings=Settings(queues=("default", "mail", "unused")))
    found = {one.name: (one.waiting, one.running, one.capped) for one in Queues(database).list()}
    assert found == {"default": (8_370, 90, False), "mail": (930, 10, False), "unused": (0, 0, False)}
    for plan in plans_of(scene.store, Queues(database).list, "backburner_jobs"):
        uses(plan)


def probes(plan: str) -> None:
    """MariaDB goes on in an index from where it is told to, not from its front. The others say nothing of that."""
    assert not re.search(r"\bref by backburner_jobs_(ready|group)", plan), plan


def test_the_sweep_of_groups_goes_by_their_index(scene: Scene) -> None:
    plan = plan_of(scene.store, lambda: scene.store.groups.sweep("g7"))
    uses(plan, "group", "slot")
    front = "\n".join(line for line in plan.splitlines() if not line.startswith("DEPENDENT SUBQUERY"))
    probes(front)


def test_single_jobs_by_key(scene: Scene) -> None:
    jobs, job = scene.store.jobs, RUNNING[0]
    write = [ProgressWrite(each, 1, Progress(done=1)) for each in RUNNING[:20]]
    for door in (
        lambda: jobs.get(job),
        lambda: jobs.states(RUNNING),
        lambda: jobs.cancel(job, "why"),
        lambda: jobs.retry(job),
        lambda: jobs.delete(job),
        lambda: scene.store.progress.write(write),
    ):
        by_key(plan_of(scene.store, door))


def test_the_guard_would_see_a_walk(scene: Scene) -> None:
    """A statement without an index must not pass."""
    explainer = Explainer(scene.store)
    explainer.execute("SELECT id FROM backburner_jobs WHERE title = 'x' ORDER BY args")
    (plan,) = explainer.plans()
    for guard in (uses, unsorted, by_key):
        with pytest.raises(AssertionError):
            guard(plan)
