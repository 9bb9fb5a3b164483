"""`backburner worker`: processes that run jobs, under a supervisor."""

from __future__ import annotations

from dataclasses import replace

import click

from backburner.cli import codes
from backburner.cli.call import call_of
from backburner.cli.opening import ask_settings
from backburner.cli.values import TIME
from backburner.cli.working import Working, working_options
from backburner.log_lines import log_to_stderr
from backburner.worker import Supervisor

_EPILOG = f"""\b
Signals:
  SIGTERM, Ctrl-C   take nothing more, let running jobs end within the grace
  Ctrl-C again      end at once; what ran is run again elsewhere
  SIGHUP            start the processes anew, one after the other

\b
Exit codes:
  {codes.OK}   it was told to stop, or with --burst nothing was ready any more
  {codes.FAILED}   something unexpected
  {codes.USAGE}   the command line is wrong
  {codes.CONFIG}  the app, its settings or its tables cannot be used
  {codes.STAY_DOWN}  it was told to stop by `backburner workers stop`: do not start it again"""


@click.command(epilog=_EPILOG)
@working_options(label="A name for these workers, shown wherever they are listed.")
@click.option("--max-jobs", type=click.IntRange(1), metavar="N", help="Replace a process after this many jobs.")
@click.option("--max-time", type=TIME, help="Replace a process after this time, such as 2h.")
@click.option("--burst", is_flag=True, help="End when nothing is ready any more.")
@click.pass_context
def command(
    context: click.Context, working: Working, max_jobs: int | None, max_time: float | None, burst: bool
) -> None:
    """Run jobs until told to stop.

    The supervising process imports nothing of the app: it watches over the processes that do, and when one
    of them dies, its jobs go on in another.

    \b
    Examples:
      backburner --app shop.tasks:jobs worker
      backburner worker -q mails -q reports --processes 4
      backburner worker --max-memory 512MB --max-time 2h
      backburner worker --burst
    """
    call = call_of(context)
    log_to_stderr(call.verbose)
    settings = ask_settings(call)
    options = working.worker_options(settings)
    options = replace(options, max_jobs=max_jobs, max_time=max_time, burst=burst)
    context.exit(Supervisor(call.needed_spec(), options).run())
