"""Help: every command has one, it fits a terminal, and the docs have it too."""

import runpy
from pathlib import Path

import click
import pytest

from backburner.cli import COMMANDS, codes, main
from backburner.worker import exits

ROOT = Path(__file__).parents[2]
DOCS = runpy.run_path(str(ROOT / "scripts" / "write_cli_docs.py"))
PAGES: dict[str, str] = dict(DOCS["pages"](main, ("backburner",), None))


def test_all_commands_are_there() -> None:
    said = (
        "worker process run jobs queues schedules workers reload lock web migrate clear doctor settings audit note demo"
    )
    groups = {
        "jobs": "list show edit retry cancel delete",
        "queues": "list pause resume limit",
        "schedules": "list show run pause resume add remove",
        "workers": "list quiet stop",
        "settings": "runtime set restore",
    }
    below = [f"backburner {group} {name}" for group, names in groups.items() for name in names.split()]
    assert set(PAGES) == {"backburner", *below, *(f"backburner {name}" for name in (*said.split(), "demo"))}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_help_explains_and_fits_80_columns(name: str) -> None:
    lines = PAGES[name].splitlines()
    assert lines[0].startswith(f"Usage: {name}")
    assert lines[2].strip(), "no docstring"
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize(
    "name", sorted(set(PAGES) - {"backburner jobs", "backburner jobs list", "backburner jobs show"})
)
def test_every_help_names_its_exit_codes(name: str) -> None:
    assert "Exit codes:\n" in PAGES[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_short_texts_are_those_of_the_commands(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.get_short_help_str(100) == COMMANDS[name].help.rstrip(".") + "."


def test_the_docs_are_current() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == DOCS["rendered"](), "run: .venv/bin/python scripts/write_cli_docs.py"


def test_the_exit_codes_are_the_workers() -> None:
    assert (codes.OK, codes.FAILED, codes.BUSY, codes.CONFIG, codes.STAY_DOWN) == (
        exits.STOPPED,
        exits.FAILED,
        exits.BUSY,
        exits.CONFIG,
        exits.STAY_DOWN,
    )
