"""How state machines are run: within a bounded time, and always the same way."""

from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import RuleBasedStateMachine, RuleStrategy, run_state_machine_as_test

SHRINKING = 20
"""Seconds in which the steps to a failure are made fewer. By itself Hypothesis takes minutes, and the test's time would
be over before the failure is told; it has no setting for that."""


def shake(machine: type[RuleBasedStateMachine], examples: int, steps: int, *, derandomize: bool = True) -> None:
    """Play so many examples of so many steps each."""
    bounded = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=derandomize, database=None,
        phases=[Phase.generate, Phase.shrink], report_multiple_bugs=False, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    # By itself Hypothesis leaves out about half of the rules in each example, and makes most examples of parts of
    # others: of so few hardly one has all that a failure takes.
    with (
        patch.object(RuleStrategy, "_rule_is_enabled", RuleStrategy.is_valid),
        patch.object(engine.ConjectureRunner, "generate_mutations_from", lambda runner, example: None),
        patch.object(engine, "MAX_SHRINKING_SECONDS", SHRINKING),
    ):
        run_state_machine_as_test(machine, settings=bounded)
