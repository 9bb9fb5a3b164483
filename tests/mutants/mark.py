"""Which rule is switched off in this process, as the environment says; none as a rule."""

import os

VARIABLE = "BACKBURNER_TEST_MUTANT"


def obey() -> None:
    """Switch off the rule that the environment names, if it names one. To be called before anything is made."""
    name = os.environ.get(VARIABLE)
    if name:
        # Only here: it imports the whole worker.
        from tests.mutants.rules import switch_off

        switch_off(name)
