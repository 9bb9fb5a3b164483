"""`backburner note`: say what happened, for the chart of the overview."""

from __future__ import annotations

import click

from backburner.cli import codes
from backburner.cli.acting import acting
from backburner.cli.text import note, safe

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   it is said
  {codes.USAGE}   the command line is wrong
  {codes.CONFIG}  the app, its settings or its tables cannot be used"""


@click.command(epilog=_EPILOG)
@click.argument("text")
@click.option("--release", is_flag=True, help="TEXT is the name of a release that goes out now.")
@click.pass_context
def command(context: click.Context, text: str, release: bool) -> None:
    """Say what happened: a mark in the chart of the overview.

    It stands at the present moment. TEXT has at most 120 characters.

    \b
    Examples:
      backburner note "Parcelfox is slow"
      backburner note --release 2026.11.24-2
    """
    operator = acting(context)
    if release:
        operator.release(text)
    else:
        operator.note(text)
    note(f"It is in the chart: {safe(text.strip())}")
