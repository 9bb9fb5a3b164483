"""What is kept of failures is found by its indexes, and never all of it: guarded on 50,000 rows of a few kinds."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from backburner.rollup import time_of
from backburner.where import Where
from tests.store.many_rows import filled
from tests.store.plans import plan_of
from tests.store.scene import Scene
from tests.store.test_plans import MARIADB_WALK, SQLITE_WALK, unsorted

KIND = "CASE n % 3 WHEN 0 THEN 'aaaa' WHEN 1 THEN 'bbbb' ELSE 'cccc' END"
FILL = [
    f"""INSERT INTO backburner_failures (job, fingerprint, attempt, final, at, task, queue, host)
        SELECT {{id}}, {KIND}, 1, n % 2 = 0, {{now}}, 't', 'default', 'box' FROM ({{series}}) AS numbers""",
    f"""INSERT INTO backburner_failure_groups
            (fingerprint, error_type, place, message, task, first_at, last_at, job, attempts)
        SELECT {KIND}, 'E', 'p', 'm', 't', {{now}}, {{now}}, {{id}}, 1 FROM ({{series}}) AS numbers WHERE n <= 3""",
    f"""INSERT INTO backburner_failure_hours (fingerprint, hour, attempts)
        SELECT {KIND}, n, 1 FROM ({{series}}) AS numbers""",
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Read by all these tests and changed by none."""
    yield from filled(request, tmp_path_factory, FILL, ["failures", "failure_groups", "failure_hours"])


def walks_nowhere(plan: str, table: str) -> None:
    """No walk over a table of many rows, whole or along an index."""
    assert not re.search(rf"Seq Scan on {table}\b", plan), plan
    assert [line for line in plan.splitlines() if SQLITE_WALK.search(line) and table in line] == [], plan
    assert not [line for line in plan.splitlines() if MARIADB_WALK.search(line) and f" {table} " in line], plan


@pytest.mark.parametrize("after", [0, 1], ids=["the end", "the newest"])
@pytest.mark.parametrize("text", ["state:retrying", "state:failed", "", "state:retrying,running"])
def test_of_one_kind_the_newest_are_counted(scene: Scene, text: str, after: int) -> None:
    """In the order of the index, up to a number: whatever the state, and however often it failed."""
    which = Where.of(f"fingerprint:aaaa {text}").filter(scene.clock.now())
    plan = plan_of(scene.store, lambda: scene.store.search.tally(which, 100, among=2_000), after)
    assert re.search(r"failures_group", plan), plan
    walks_nowhere(plan, "backburner_failures")
    if after == 0:
        unsorted(plan)


def test_jobs_of_one_kind_are_those_of_all_states(scene: Scene) -> None:
    """None of these rows has a job: what is asked about is all that there is to see."""
    found = scene.store.search.tally(Where.of("fingerprint:aaaa").filter(scene.clock.now()), 100, among=10)
    assert (sum(found.states.values()), found.complete) == (0, False)


@pytest.mark.parametrize("after", [0, 1, 3], ids=["the page", "the hours", "the groups"])
def test_old_hours_are_forgotten_by_key(scene: Scene, after: int) -> None:
    """A few of them are old, as between two rounds."""
    before = time_of(0) + timedelta(hours=50)
    plan = plan_of(scene.store, lambda: scene.store.failures.prune(before, 100), after)
    walks_nowhere(plan, "backburner_failure_hours")
    walks_nowhere(plan, "backburner_failures")
