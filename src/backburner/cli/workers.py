"""`backburner workers`: see which workers live, let them rest, stop them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

import click

from backburner.cli import codes
from backburner.cli.acting import acting, operator_of
from backburner.cli.call import call_of
from backburner.cli.failure import Failure
from backburner.cli.opening import open_app
from backburner.cli.text import as_json, duration, note, one_line, say, table
from backburner.cli.values import DURATION
from backburner.workers import Workers, WorkerState

C = TypeVar("C", bound=Callable[..., Any])

EPILOG = f"""\b
Exit codes:
  {codes.OK}   done, or no worker was chosen; with --wait all have ended
  {codes.FAILED}   something unexpected; with --timeout some have not ended
  {codes.USAGE}   the command line is wrong
  {codes.CONFIG}  the app, its settings or its tables cannot be used"""


def choosing_workers(function: C) -> C:
    """The arguments and options that choose workers."""
    for option in reversed(
        (
            click.argument("ids", nargs=-1, metavar="[ID...]"),
            click.option("--label", metavar="TEXT", help="Only workers with this label."),
            click.option("-q", "--queue", metavar="NAME", help="Only workers that take jobs of this queue."),
        )
    ):
        function = option(function)
    return function


def waiting_options(function: C) -> C:
    """Whether to wait until those that were told have ended."""
    for option in reversed(
        (
            click.option("--wait", is_flag=True, help="Wait until all that were told have ended."),
            click.option("--timeout", type=DURATION, help="Wait no longer than this, such as 5min."),
        )
    ):
        function = option(function)
    return function


@click.group(epilog=EPILOG)
def command() -> None:
    """List workers, let them rest, stop them.

    A worker here is one process that runs jobs. What it is told reaches it with its next beat, within 5 s by
    default. To have workers load new code, see `backburner reload`.
    """


@command.command("list", epilog=EPILOG)
@choosing_workers
@click.option("--json", "json_", is_flag=True, help="Print a JSON list.")
@click.pass_context
def list_(context: click.Context, ids: Sequence[str], label: str | None, queue: str | None, json_: bool) -> None:
    """List living workers, the oldest first."""
    jobs = open_app(call_of(context))
    found = jobs.workers.list(ids or None, label=label, queue=queue)
    if json_:
        say(as_json([asdict(one) for one in found]))
        return
    if not found:
        note("No workers.")
        return
    now = jobs.store.clock.now()
    rows = [
        (one.id, _standing(one), f"{one.running}/{one.concurrency}", one.label or "", _queues(one), _place(one, now))
        for one in found
    ]
    say(table(("ID", "STATE", "JOBS", "LABEL", "QUEUES", "WHERE"), rows))


@command.command(epilog=EPILOG)
@choosing_workers
@click.option("--all", "all_", is_flag=True, help="All workers.")
@click.pass_context
def quiet(context: click.Context, ids: Sequence[str], label: str | None, queue: str | None, all_: bool) -> None:
    """Let workers take no more jobs. They stay, and end what they have; a reload makes them work again."""
    _needs_choice(ids, label, queue, all_)
    told = acting(context).tell_workers("quiet", ids or None, label=label, queue=queue)
    say(f"told {counted(told)} to rest")


@command.command(
    epilog=EPILOG
    + f"""

\b
A `backburner worker` whose processes were all told ends with the exit
code {codes.STAY_DOWN}. Tell your service manager not to start it again; for systemd:
  RestartPreventExitStatus={codes.CONFIG} {codes.STAY_DOWN}"""
)
@choosing_workers
@click.option("--all", "all_", is_flag=True, help="All workers.")
@waiting_options
@click.pass_context
def stop(
    context: click.Context, ids: Sequence[str], label: str | None, queue: str | None, all_: bool, wait: bool,
    timeout: float | None,
) -> None:  # fmt: skip
    """Stop workers for good: nothing more is taken, running jobs have the worker's grace."""
    _needs_choice(ids, label, queue, all_)
    jobs = open_app(call_of(context))
    told = operator_of(jobs).tell_workers("stop", ids or None, label=label, queue=queue)
    say(f"told {counted(told)} to stop")
    await_end(jobs.workers, told, wait, timeout)


def await_end(workers: Workers, told: Sequence[str], wait: bool, timeout: float | None) -> None:
    """With --wait or --timeout, wait for the end of all that were told. Raises `Failure` when it does not come."""
    if not wait and timeout is None:
        return
    if not workers.wait(told, timeout):
        left = [one.id for one in workers.list(told)]
        raise Failure(f"{counted(left)} of {len(told)} still at work after {duration(timeout or 0)}: {', '.join(left)}")
    say(f"{counted(told)} ended")


def counted(ids: Sequence[str]) -> str:
    """How many workers, in words."""
    return "1 worker" if len(ids) == 1 else f"{len(ids)} workers"


def _needs_choice(ids: Sequence[str], label: str | None, queue: str | None, all_: bool) -> None:
    if bool(ids or label is not None or queue is not None) == all_:
        raise click.UsageError("Say which workers: ids, --label, --queue, or --all.")


def _standing(worker: WorkerState) -> str:
    if not worker.alive:
        return "silent"
    return {"quiet": "rests", "reload": "reloads", "stop": "stops", None: "works"}.get(worker.told, "works")


def _queues(worker: WorkerState) -> str:
    return "all" if worker.queues is None else ", ".join(worker.queues)


def _place(worker: WorkerState, now: datetime) -> str:
    age = duration(max(0.0, (now - worker.started_at).total_seconds()))
    kind = ", embedded" if worker.embedded else ""
    return one_line(f"{worker.host}, process {worker.pid}{kind}, for {age}")
