"""`./scripts/mutants [NAME ...]`: switches off one safety rule after the other, and says which test has seen it.

Ends with 1 when a mutant survives: then a rule could be lost without anybody noticing.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.mutants.mark import VARIABLE
from tests.mutants.rules import MUTANTS

ROOT = Path(__file__).parents[2]
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?)(?: - .*)?$", re.MULTILINE)


def caught(name: str) -> str | None:
    """The first test that fails with this mutant; None when it survives."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *MUTANTS[name].tests],
        cwd=ROOT, env=os.environ | {VARIABLE: name}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return None
    found = FAILED.search(done.stdout)
    if found is None:
        raise RuntimeError(
            f"pytest ended with {done.returncode} and named no test:\n{done.stdout[-2000:]}{done.stderr}"
        )
    return found[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(MUTANTS)}; all by default")
    chosen = parser.parse_args().names
    if unknown := set(chosen) - set(MUTANTS):
        parser.error(f"no mutant is called {', '.join(sorted(unknown))}")
    survived = 0
    for name in chosen or MUTANTS:
        test = caught(name)
        survived += test is None
        print(f"{name:32} {test or 'SURVIVED'}", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
