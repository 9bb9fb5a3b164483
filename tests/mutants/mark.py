"""What is switched off in this process, as the environment says; none as a rule."""

import os

VARIABLE = "MUTANT_OF_BACKBURNER"
"""Not BACKBURNER_...: that would be a setting, and one that does not exist fails each test by itself."""


def obey() -> None:
    """Switch off what the environment names, if it names anything. To be called before anything is made."""
    name = os.environ.get(VARIABLE)
    if name:
        # Only here: it imports the whole worker and the web side.
        from tests.mutants.every import switch_off

        switch_off(name)
