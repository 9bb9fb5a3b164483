"""All mutants, of the rules and of what holds against threats."""

from collections.abc import Mapping

from tests.mutants.mitigations import MITIGATIONS
from tests.mutants.mutant import Mutant
from tests.mutants.rules import MUTANTS

EVERY: Mapping[str, Mutant] = {**MUTANTS, **MITIGATIONS}
"""By name."""


def switch_off(name: str) -> None:
    """Break one in this process. Raises `KeyError`."""
    EVERY[name].switch_off()
