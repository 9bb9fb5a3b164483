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
        found, inner, words = command.resolve_command(context, words)
        if inner is None:
            raise click.UsageError(f"there is no command {found}")
        command, name = inner, found or ""


@pytest.mark.parametrize(("place", "command"), SHOWN, ids=[f"{place}: {command}" for place, command in SHOWN])
def test_the_command_line_understands(place: str, command: str) -> None:
    words = shlex.split(command, comments=True)
    for end in ("&&", "|", ">", "&"):
        words = words[: words.index(end)] if end in words else words
    words = words[next(i for i, word in enumerate(words) if word.rpartition("/")[2] == "backburner") + 1 :]
    try:
        with suppress(click.exceptions.Exit):  # --help and --version end by themselves
            parse(words)
    except click.UsageError as error:
        pytest.fail(f"{place}: {command}\n{error.format_message()}")


def test_a_wrong_command_would_be_seen() -> None:
    with pytest.raises(click.UsageError):
        parse(["worker", "--no-such-option"])
    with pytest.raises(click.UsageError):
        parse(["no-such-command"])
