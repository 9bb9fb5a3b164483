"""`./scripts/mutants [NAME ...]`: switches off one rule or mitigation after the other, and says which test has seen it.

A NAME is that of a mutant, `rules` or `threats` for all of a kind, or the number of a threat, such as S08. Ends with 1
when a mutant survives: then a rule could be lost without anybody noticing.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.every import EVERY
from tests.mutants.mark import VARIABLE
from tests.mutants.mitigations import MITIGATIONS
from tests.mutants.rules import MUTANTS

ROOT = Path(__file__).parents[2]
FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/\S+?\.py.*?)(?: - .*)?$", re.MULTILINE)


def failing(tests: Sequence[str], **said: str) -> str | None:
    """The first of these tests that fails; None when none does."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests],
        cwd=ROOT, env=os.environ | said, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return None
    found = FAILED.search(done.stdout)
    if found is None:
        raise RuntimeError(
            f"pytest ended with {done.returncode} and named no test:\n{done.stdout[-2000:]}{done.stderr}"
        )
    return found[1]


def caught(name: str) -> str | None:
    """The first test that fails with this mutant, and not without it; None when it survives."""
    test = failing(EVERY[name].tests, **{VARIABLE: name})
    if test is not None and failing([test.partition("[")[0]]) is not None:
        raise RuntimeError(f"{test} fails when nothing is switched off as well: it says nothing about a mutant")
    return test


def chosen(names: list[str]) -> list[str]:
    """The mutants that these names stand for; all without any. Raises `KeyError`."""
    kinds = {"rules": list(MUTANTS), "threats": list(MITIGATIONS)}
    found: list[str] = []
    for name in names:
        of_threat = [one for one, mutant in MITIGATIONS.items() if mutant.rule.endswith(f"({name})")]
        found += kinds.get(name) or of_threat or [name]
        if found[-1] not in EVERY:
            raise KeyError(name)
    return found or list(EVERY)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(EVERY)}; all by default")
    try:
        names = chosen(parser.parse_args().names)
    except KeyError as error:
        parser.error(f"no mutant is called {error}")
    survived = 0
    for name in names:
        test = caught(name)
        survived += test is None
        print(f"{name:32} {test or 'SURVIVED'}", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
