"""`backburner worker`: processes that run jobs, under a supervisor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from backburner.cli import codes
from backburner.cli.call import call_of
from backburner.cli.log import log_to_stderr
from backburner.cli.opening import ask_settings
from backburner.cli.values import DURATION, SIZE
from backburner.settings import Settings
from backburner.worker import Supervisor, WorkerOptions

C = TypeVar("C", bound=Callable[..., Any])

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
  {codes.CONFIG}  the app, its settings or its tables cannot be used"""


def working_options(function: C) -> C:
    """The options that `worker` and `process` share."""
    for option in reversed(
        (
            click.option(
                "-q", "--queue", "queues", multiple=True, metavar="NAME",
                help="Take jobs of this queue only; may be given several times. Else of every queue.",
            ),
            click.option(
                "-p", "--processes", type=click.IntRange(1, 256), default=1, metavar="N",
                help="How many processes to run, 1 unless said.",
            ),
            click.option(
                "-c", "--concurrency", type=click.IntRange(1, 1000), metavar="N",
                help="How many jobs one process runs at once. Else the setting concurrency.",
            ),
            click.option(
                "--max-memory", type=SIZE,
                help="Replace a process between jobs when it uses more, such as 512MB.",
            ),
            click.option(
                "--grace", type=DURATION,
                help="How long running jobs may go on after a stop was asked for. Else the setting grace.",
            ),
        )
    ):  # fmt: skip
        function = option(function)
    return function


@click.command(epilog=_EPILOG)
@working_options
@click.option("--label", metavar="TEXT", help="A name for these workers, shown wherever they are listed.")
@click.option("--max-jobs", type=click.IntRange(1), metavar="N", help="Replace a process after this many jobs.")
@click.option("--max-time", type=DURATION, help="Replace a process after this time, such as 2h.")
@click.option("--burst", is_flag=True, help="End when nothing is ready any more.")
@click.pass_context
def command(
    context: click.Context,
    queues: Sequence[str],
    processes: int,
    concurrency: int | None,
    max_memory: int | None,
    grace: float | None,
    label: str | None,
    max_jobs: int | None,
    max_time: float | None,
    burst: bool,
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
    options = WorkerOptions(
        label=label,
        max_jobs=max_jobs,
        max_time=max_time,
        burst=burst,
        **chosen(settings, queues, processes, concurrency, max_memory, grace),
    )
    context.exit(Supervisor(call.needed_spec(), options).run())


def chosen(
    settings: Settings,
    queues: Sequence[str],
    processes: int,
    concurrency: int | None,
    max_memory: int | None,
    grace: float | None,
) -> dict[str, Any]:
    """The shared options, with the app's settings where nothing was said. Raises `BadParameter`."""
    for name in queues:
        if settings.queues is not None and name not in settings.queues:
            raise click.BadParameter(
                f"{name!r} is not among the app's queues: {', '.join(settings.queues)}.", param_hint="--queue"
            )
    return {
        "queues": tuple(dict.fromkeys(queues)),
        "processes": processes,
        "concurrency": settings.concurrency if concurrency is None else concurrency,
        "max_memory": max_memory,
        "grace": settings.grace if grace is None else grace,
        "lease": settings.lease,
        "beat": settings.beat,
        "poll": settings.poll,
    }
