"""Every `backburner` command that the documentation shows is one the command line understands."""

import shlex
from contextlib import suppress

import click
import pytest

from backburner.cli import main
from tests.docs.pages import pages

IN_BLOCKS = [
    (block.place, command)
    for page in pages()
    for block in page.blocks
    for command in block.commands
    if block.language == "console" and "backburner" in command.split("#")[0].replace("/", " ").split()
]
# docs/cli.md is made from the command line itself, and its sentences show patterns, not commands.
IN_SENTENCES = [
    (f"{page.name}:{line}", code)
    for page in pages()
    if page.name != "docs/cli.md"
    for line, code in page.inline_code
    if code.startswith("backburner ")
]
SHOWN = [*IN_BLOCKS, *IN_SENTENCES]


def parse(words: list[str]) -> None:
    """Parse a command line and run nothing. Raises `click.UsageError`."""
    command: click.Command = main
    context: click.Context | None = None
    name = "backburner"
    while True:
        context = command.make_context(name, words, parent=context)
        if not isinstance(command, click.Group):
            return
        words = [*context._protected_args, *context.args]
        if not words and command.invoke_without_command:
            return
        found, inner, words = command.resolve_command(context, words)
        if inner is None:
            raise click.UsageError(f"there is no command {found}")
        command, name = inner, found or ""


def complaint(words: list[str]) -> str | None:
    """What the command line has against these words; None when it understands them."""
    try:
        with suppress(click.exceptions.Exit):  # --help and --version end by themselves
            parse(words)
    except click.UsageError as error:
        return error.format_message()
    return None


@pytest.mark.parametrize(("place", "command"), SHOWN, ids=[f"{place}: {command}" for place, command in SHOWN])
def test_the_command_line_understands(place: str, command: str) -> None:
    words = shlex.split(command, comments=True)
    for end in ("&&", "|", ">", "&"):
        words = words[: words.index(end)] if end in words else words
    words = words[next(i for i, word in enumerate(words) if word.rpartition("/")[2] == "backburner") + 1 :]
    assert complaint(words) is None, f"{place}: {command}"


def test_a_wrong_command_would_be_seen() -> None:
    assert complaint(["worker", "--processes", "2"]) is None
    assert "--no-such-option" in (complaint(["worker", "--no-such-option"]) or "")
    assert "no-such-command" in (complaint(["no-such-command"]) or "")


def test_commands_are_found_in_blocks_and_in_sentences() -> None:
    assert ["README.md" in place for place, command in SHOWN if "first:jobs worker" in command] == [True]
    assert len(IN_BLOCKS) >= 10
    assert len(IN_SENTENCES) >= 10
