"""`backburner reload`: replace worker processes between jobs, each exactly once; for deployments."""

from __future__ import annotations

from collections.abc import Sequence

import click

from backburner.cli.acting import operator_of
from backburner.cli.call import call_of
from backburner.cli.opening import open_app
from backburner.cli.text import say
from backburner.cli.workers import EPILOG, await_end, choosing_workers, counted, waiting_options


@click.command(epilog=EPILOG)
@choosing_workers
@waiting_options
@click.pass_context
def command(
    context: click.Context, ids: Sequence[str], label: str | None, queue: str | None, wait: bool, timeout: float | None
) -> None:
    """Replace worker processes between jobs.

    The new ones load the app's code as it is now. Each is replaced once, when the jobs it has are done, however
    long they take; it takes no more meanwhile. Without ids and options, all of them, on every host. Workers
    embedded in an app are left out: restart the app.

    \b
    Examples:
      backburner reload
      backburner reload --label mails --wait
      backburner reload --queue reports --timeout 5min
    """
    jobs = open_app(call_of(context))
    told = operator_of(jobs).tell_workers("reload", ids or None, label=label, queue=queue)
    say(f"told {counted(told)} to load anew")
    await_end(jobs.workers, told, wait, timeout)
