"""`./scripts/chaos`: see its usage."""

import argparse
import signal
import sys
from typing import get_args

from tests.chaos.arena import Broker, Database, Plan
from tests.chaos.conduct import conduct
from tests.chaos.harms import HARMS
from tests.chaos.table import table

ALL = (*HARMS, "statements")


def main() -> int:
    """One run for each database; 1 when any rule was broken."""
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Runs real workers on private servers under a mixed load, harms them, and checks the history.",
        epilog=f"harms: {', '.join(ALL)}. Those that a database, a broker or this machine has not are left out.",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long harm is done, on each database (60)")
    parser.add_argument("--seed", type=int, default=1, help="of the load and of the harms (1)")
    parser.add_argument("--database", action="append", choices=get_args(Database), help="one of them; all by default")
    parser.add_argument("--broker", choices=get_args(Broker), help="wake workers by it as well")
    parser.add_argument("--faults", help="names of harms with commas between them; all by default")
    parser.add_argument("--rate", type=float, default=25.0, help="enqueues per second (25)")
    chosen = parser.parse_args()
    # An end from outside is an end in good order: nothing stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    harms = tuple(ALL if chosen.faults is None else (name.strip() for name in chosen.faults.split(",")))
    if unknown := set(harms) - set(ALL):
        parser.error(f"no harm is called {', '.join(sorted(unknown))}; there are: {', '.join(ALL)}")
    broken = 0
    for database in chosen.database or get_args(Database):
        plan = Plan(database, chosen.broker, chosen.seconds, chosen.seed, harms, rate=chosen.rate)
        outcome = conduct(plan, lambda line: print(line, file=sys.stderr, flush=True))
        print("\n".join(table(outcome)), flush=True)
        broken += len(outcome.violations)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
