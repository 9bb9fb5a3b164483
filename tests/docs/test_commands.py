"""Every `backburner` command that the documentation shows is one the command line understands."""

import shlex
from contextlib import suppress

import click
import pytest

from backburner.cli import main
from tests.docs.pages import Block, pages

SHOWN = [
    (block, command)
    for page in pages()
    for block in page.blocks
    for command in block.commands
    if block.language == "console" and "backburner" in command.split("#")[0].replace("/", " ").split()
]


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


@pytest.mark.parametrize(("block", "command"), SHOWN, ids=[f"{b.place}: {c}" for b, c in SHOWN])
def test_the_command_line_understands(block: Block, command: str) -> None:
    words = shlex.split(command, comments=True)
    for end in ("&&", "|", ">", "&"):
        words = words[: words.index(end)] if end in words else words
    words = words[next(i for i, word in enumerate(words) if word.rpartition("/")[2] == "backburner") + 1 :]
    try:
        with suppress(click.exceptions.Exit):  # --help and --version end by themselves
            parse(words)
    except click.UsageError as error:
        pytest.fail(f"{block.place}: {command}\n{error.format_message()}")


def test_a_wrong_command_would_be_seen() -> None:
    with pytest.raises(click.UsageError):
        parse(["worker", "--no-such-option"])
    with pytest.raises(click.UsageError):
        parse(["no-such-command"])
