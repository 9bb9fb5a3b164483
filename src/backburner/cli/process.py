"""`backburner process`: runs what is ready and ends; for cron, safe when the last one is still at it."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import datetime, timedelta

import click

from backburner import store as stores
from backburner.cli import codes
from backburner.cli.call import call_of
from backburner.cli.opening import ask_settings
from backburner.cli.text import note
from backburner.cli.values import DURATION
from backburner.cli.working import Working, working_options
from backburner.cron import CronTimes, zone_of
from backburner.insight.runtime import effective
from backburner.lock import Lock
from backburner.log_lines import log_to_stderr
from backburner.settings import Settings
from backburner.store.store import Store
from backburner.worker import Supervisor

_EPILOG = f"""\b
In a crontab, each minute:
  * * * * * cd /srv/shop && backburner --app shop.tasks:jobs process

\b
Exit codes:
  {codes.OK}   what was ready is done, or the budget is spent
  {codes.FAILED}   something unexpected, or the database does not answer
  {codes.USAGE}   the command line is wrong
  {codes.BUSY}  as many as --limit are running already; stderr says where
  {codes.CONFIG}  the app, its settings or its tables cannot be used"""


@click.command(epilog=_EPILOG)
@working_options(
    label="A name for these workers. Each label has a limit of its own: give the lines of a crontab that "
    "serve different queues different labels.",
)
@click.option(
    "--budget",
    type=DURATION,
    default=55.0,
    help="Begin no more jobs after this time, 55s unless said; jobs under way may end, however long they take.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 100),
    default=1,
    metavar="N",
    help="How many of this command may run at the same time, on all hosts together; 1 unless said.",
)
@click.pass_context
def command(context: click.Context, working: Working, budget: float, limit: int) -> None:
    """Run what is ready, then end; for cron.

    A lock in the database keeps a second one from starting while the first is still at work. It is kept
    for as long as the command runs; when its machine dies, the lock is free again half a minute later.

    Where the setting run_cron says when to work, it ends at once in all other minutes: so operators choose
    the times while the crontab stays as it is.
    """
    call = call_of(context)
    log_to_stderr(call.verbose)
    settings = ask_settings(call)
    options = replace(working.worker_options(settings), burst=True, budget=budget)
    store = stores.open(settings)
    try:
        if (rest := _rests(store, settings)) is not None:
            note(f"Nothing to do before {rest:%Y-%m-%d %H:%M} UTC, says run_cron.")
            context.exit(codes.OK)
        name = "process" if working.label is None else f"process-{working.label}"
        with Lock(lambda: store, name, title=f"backburner {name}", places=limit, lost=_stop, apart=True):
            code = Supervisor(call.needed_spec(), options).run()
    finally:
        store.close()
    context.exit(code)


def _rests(store: Store, settings: Settings) -> datetime | None:
    """When it is to work next, by `run_cron`; None when that is now, or whenever it is started."""
    store.ready()
    now, said = store.clock.now(), effective(settings, store.runtime.all())
    if said.run_cron is None:
        return None
    times, minute = CronTimes(said.run_cron, zone_of(said.cron_zone)), now.replace(second=0, microsecond=0)
    following = times.after(minute - timedelta(seconds=1))
    return None if following is None or following == minute else following


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
