"""Writes docs/cli.md from the help texts of the commands; a test says when it has to be run again.

.venv/bin/python scripts/write_cli_docs.py
"""

from collections.abc import Iterator
from pathlib import Path

import click

from backburner.cli import main

TARGET = Path(__file__).parents[1] / "docs" / "cli.md"
START = """\
# The command line

`backburner [--app module:object] [-v] COMMAND`. The app is found by `--app`, else by `BACKBURNER_APP`, else by
`app` in `backburner.toml` or `[tool.backburner]` of `pyproject.toml`. `jobs`, `schedules`, `migrate`, `clear`,
`doctor` and `settings` also work without an app when the setting `url` is set there, for example
`BACKBURNER_URL=sqlite:///jobs.db backburner jobs list`.

Results go to stdout, everything else to stderr. Lists, `jobs show`, `doctor` and `settings` print JSON with
`--json`; times in it are ISO 8601 in UTC. An error is one line on stderr; `-v` adds its traceback.

Durations are seconds, or a number with `s`, `min`, `h`, `d` or `w`. Sizes have a unit: `512MB`, `1.5GB`.

`worker` and `process` import the app first in a short-lived process, which tells its settings, and then in each
worker process. The supervising process itself runs no code of the app.

This page is made from the help texts by `scripts/write_cli_docs.py`.
"""


def pages(command: click.Command, path: tuple[str, ...], above: click.Context | None) -> Iterator[tuple[str, str]]:
    """Name and help of a command and of those below it."""
    context = click.Context(command, info_name=path[-1], parent=above, terminal_width=80, max_content_width=80)
    yield " ".join(path), command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from pages(below, (*path, name), context)


def rendered() -> str:
    """The whole page."""
    parts = [START]
    for name, text in pages(main, ("backburner",), None):
        level = "##" if name.count(" ") < 2 else "###"
        body = "\n".join(line.rstrip() for line in text.splitlines())
        parts.append(f"{level} {name}\n\n```text\n{body}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(rendered(), encoding="utf-8")
