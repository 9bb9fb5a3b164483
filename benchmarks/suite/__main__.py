"""`python -m benchmarks.suite`: see `./scripts/bench --help`."""

from __future__ import annotations

import argparse

from benchmarks.suite.compare import compare
from benchmarks.suite.report import RESULTS, written
from benchmarks.suite.results import Pair, Size, median
from benchmarks.suite.systems import SYSTEMS
from benchmarks.suite.targets import TARGETS, Target


def main() -> None:
    """Measure what is asked for, and write or print the results."""
    options = _options()
    size = Size(1, 0.01) if options.small else Size(options.rounds)
    wanted = {name.lower() for name in options.names}

    def asked(name: str) -> bool:
        return not wanted or bool(wanted & _names(name))

    targets: list[tuple[Target, Pair]] = []
    for target in TARGETS:
        if asked(target.id) and (options.long or not target.long):
            print(f"{target.id}: {target.what}", flush=True)
            pair = target.run(size)
            beside = f", {target.base} {median(pair.base):,.0f}" if pair.base else ""
            print(f"  {median(pair.ours):,.1f} {target.unit}{beside}", flush=True)
            targets.append((target, pair))
    systems = [system for system in SYSTEMS if asked(system.name)]
    if options.small and not wanted:
        systems = [system for system in systems if system.package is None]
    for system in systems:
        system.install()
    text = written(targets, compare(systems, size), size)
    if wanted or options.small:
        print(text)
    else:
        RESULTS.write_text(text, encoding="utf-8")
        print(f"written: {RESULTS}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Backburner beside its peers and the limits of the machine.",
        epilog=f"Names: {', '.join(sorted({t.id for t in TARGETS} | {s.name.split(',')[0] for s in SYSTEMS}))}.",
    )  # fmt: skip
    parser.add_argument("names", nargs="*", help="only these; printed and not written to benchmarks/RESULTS.md")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", action="store_true", help="what takes many minutes as well")
    parser.add_argument("--small", action="store_true", help="some jobs, one round, no peers: does it work at all")
    found = parser.parse_args()
    known = {name for one in (*(t.id for t in TARGETS), *(s.name for s in SYSTEMS)) for name in _names(one)}
    for name in found.names:
        if name.lower() not in known:
            parser.error(f"there is no {name}; see --help for the names")
    return found


def _names(name: str) -> set[str]:
    """What a target or system may be called: "Celery, redis" is one of Celery."""
    return {name.lower(), name.lower().partition(",")[0]}


if __name__ == "__main__":
    main()
