"""Runs of chaos, a short one in each run of the tests: real workers, mixed load, harm after harm, and the checker."""

import os

import pytest

from tests.chaos.arena import Broker, Database, Plan
from tests.chaos.conduct import conduct
from tests.chaos.harms import HARMS
from tests.chaos.table import table

# One after the other: two runs side by side are more than two cores carry.
pytestmark = pytest.mark.xdist_group("chaos")
SEED = int(os.environ.get("CHAOS_SEED", "1"))
SHORT = ("child", "tree", "point", "busy", "restart", "cut", "statements")
"""Harms that are over at once: the others last for longer than a lease."""


def _no_rule_is_broken(plan: Plan) -> None:
    outcome = conduct(plan)
    print("\n".join(table(outcome)))
    # On a busy machine a single harm may take all the time there is.
    assert sum(outcome.harms.values()) >= 1, "nothing was harmed"
    assert len(outcome.story.bodies) > 10, "nothing ran"
    assert outcome.violations == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "database", [*(pytest.param(name, marks=pytest.mark.long) for name in ("sqlite", "mariadb")), "postgresql"]
)
def test_no_rule_is_broken(database: Database) -> None:
    _no_rule_is_broken(Plan(database, seconds=5.0, seed=SEED, harms=SHORT))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("broker", [None, "rabbitmq", "redis"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_no_rule_is_broken_by_any_harm(database: Database, broker: Broker | None) -> None:
    _no_rule_is_broken(Plan(database, broker, 60.0, SEED, (*HARMS, "statements")))
