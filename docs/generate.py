"""Writes the parts of the documentation that are made from the source.

`python docs/generate.py` writes them, `python docs/generate.py --check` ends with 1 when a page is not current.
A generated part stands between `<!-- generated: NAME -->` and `<!-- end of generated -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import backburner
from backburner import settings
from backburner.cli import codes
from backburner.seams import SeamName
from backburner.states import TRANSITIONS, JobState
from backburner.store.schema import described
from backburner.worker import exits, process

FOLDER = Path(__file__).parent
PREFIX = "backburner_"
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


REFERENCES = {
    "job": "jobs", "child": "jobs", "parent": "jobs", "worker": "workers", "group_name": "groups", "queue": "queues",
    "schedule": "schedules",
}  # fmt: skip
"""Columns by which a row belongs to one of another table, whose key it has."""


def table_diagram() -> str:
    """The tables and what belongs to what, as a Mermaid diagram; tables that stand alone are left out."""
    lines = ["erDiagram"]
    tables = {
        table.name.removeprefix(PREFIX): table for table in described("postgresql", None, PREFIX).metadata.sorted_tables
    }
    for name, table in sorted(tables.items()):
        for column in table.c:
            of = REFERENCES.get(column.name)
            if of in tables and of != name:
                lines.append(f"    {of} ||--o{{ {name} : {column.name}")
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def chores() -> str:
    """What every worker does besides running jobs, by the text of the classes."""
    found = re.search(r"Chores\(\n\s+\[(.*?)\n\s+\]", Path(process.__file__).read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    makers = [line.strip().partition("(")[0].rstrip(",") for line in found[1].strip().splitlines()]
    lines = ["| chore | what it does |", "|---|---|"]
    for maker in makers:
        name = maker.removeprefix("self.").lstrip("_").capitalize() if maker.startswith("self.") else maker
        chore = getattr(process, name)
        # What gives a module its name is told of there.
        whole = chore.__module__.endswith(f".{name.lower()}")
        said = (sys.modules[chore.__module__].__doc__ if whole else chore.__doc__) or ""
        lines.append(f"| `{name}` | {said.strip().splitlines()[0]} |")
    return "\n".join(lines) + "\n"


def threads() -> str:
    """The threads of Backburner by name, with the module that starts each."""
    lines = ["| thread | started by | which is |", "|---|---|---|"]
    source = Path(backburner.__file__).parent
    for path in sorted(source.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        module = path.relative_to(source).with_suffix("").as_posix()
        said = re.match(r'"""(.*?)(?:\n\n|""")', text, re.DOTALL)
        for name in re.findall(r'Thread\([^\n]*name=f?"(backburner-[\w-]+?)-?(?:\{\w+\})?"', text):
            about = "" if said is None else " ".join(said[1].split())
            lines.append(f"| `{name}` | `{module}` | {about} |")
    return "\n".join(lines) + "\n"


def named_points() -> str:
    """The points where tests may stop a process."""
    return ", ".join(f"`{name}`" for name in get_args(SeamName)) + "\n"


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
    "table diagram": table_diagram,
    "chores": chores,
    "threads": threads,
    "named points": named_points,
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
