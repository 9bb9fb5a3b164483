"""Writes the parts of the documentation that are made from the source.

`python docs/generate.py` writes them, `python docs/generate.py --check` ends with 1 when a page is not current.
A generated part stands between `<!-- generated: NAME -->` and `<!-- end of generated -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backburner import settings
from backburner.cli import codes
from backburner.states import TRANSITIONS, JobState
from backburner.worker import exits

FOLDER = Path(__file__).parent
PART = re.compile(r"(<!-- generated: (?P<name>[\w ]+) -->\n).*?(<!-- end of generated -->)", re.DOTALL)


def state_diagram() -> str:
    """The moves of the transition table as a Mermaid diagram, one arrow per pair of states."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for verb, moves in TRANSITIONS.items():
        for state, ends in moves.items():
            for to in ends:
                arrows.setdefault((str(state), str(to)), []).append(verb)
    order = [str(state) for state in JobState]
    lines = ["stateDiagram-v2", "    [*] --> queued: enqueue", "    [*] --> scheduled: enqueue, not before a time"]
    # Retry, cancel and expire leave from nearly everywhere: their arrows would hide all others.
    everywhere = {"retry", "cancel", "expire"}
    for (start, end), verbs in sorted(arrows.items(), key=lambda arrow: [order.index(state) for state in arrow[0]]):
        shown = [verb for verb in verbs if verb not in everywhere]
        if shown:
            lines.append(f"    {start} --> {end}: {', '.join(shown)}")
    lines += [f"    {name} --> [*]" for name in order if JobState(name).final]
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def state_moves() -> str:
    """The whole transition table."""
    lines = ["| verb | from | to |", "|---|---|---|"]
    order = list(JobState)
    for verb, moves in TRANSITIONS.items():
        by_ends: dict[tuple[JobState, ...], list[JobState]] = {}
        for start, ends in moves.items():
            by_ends.setdefault(tuple(sorted(ends, key=order.index)), []).append(start)
        for to, starts in by_ends.items():
            left = ", ".join(f"`{state}`" for state in sorted(starts, key=order.index))
            lines.append(f"| {verb} | {left} | {', '.join(f'`{state}`' for state in to)} |")
    return "\n".join(lines) + "\n"


def settings_table() -> str:
    """Every setting with its environment variable, default and meaning."""
    lines = ["| setting | environment | default | meaning |", "|---|---|---|---|"]
    for name, variable, default, meaning in settings.describe():
        lines.append(f"| `{name}` | `{variable}` | {_shown(default)} | {meaning} |")
    return "\n".join(lines) + "\n"


def exit_codes() -> str:
    """The exit codes of commands, and those of worker processes that only their supervisor sees."""
    lines = ["| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in codes.MEANINGS.items()]
    lines += [f"| {code} | {meaning} |" for code, meaning in _child_codes()]
    return "\n".join(lines) + "\n"


def _child_codes() -> list[tuple[int, str]]:
    source = Path(exits.__file__).read_text(encoding="utf-8")
    found = re.findall(r'^[A-Z_]+ = (\d+)\n"""(.*?)"""', source, re.MULTILINE)
    return [(int(code), meaning) for code, meaning in found if int(code) not in codes.MEANINGS]


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:,.0f}" if value == int(value) else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and value >= 1000 else f"`{value}`" if value != "" else "empty"


PARTS: Mapping[str, Callable[[], str]] = {
    "state diagram": state_diagram,
    "state moves": state_moves,
    "settings": settings_table,
    "exit codes": exit_codes,
}


def made(text: str) -> str:
    """The page with its generated parts as they should be."""
    return PART.sub(lambda part: part[1] + PARTS[part["name"]]() + part[3], text)


def main(check: bool) -> int:
    """Write or check every page; the exit code."""
    stale: list[Path] = []
    used: set[str] = set()
    for path in sorted(FOLDER.rglob("*.md")):
        old = path.read_text(encoding="utf-8")
        used.update(part["name"] for part in PART.finditer(old))
        new = made(old)
        if new != old:
            stale.append(path.relative_to(FOLDER))
            if not check:
                path.write_text(new, encoding="utf-8")
    missing = sorted(set(PARTS) - used)
    if missing:
        print(f"no page has a part named: {', '.join(missing)}")
        return 1
    for path in stale:
        print(f"docs/{path} {'is not current: run python docs/generate.py' if check else 'written'}")
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
