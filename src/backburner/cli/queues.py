"""`backburner queues`: see how queues stand, pause and resume them, limit how many of their jobs run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta

import click

from backburner.cli import codes
from backburner.cli.acting import acting, operator_of
from backburner.cli.call import call_of
from backburner.cli.opening import open_app
from backburner.cli.text import as_json, note, one_line, say, table
from backburner.cli.values import TIME
from backburner.contradictions import ALL_QUEUES
from backburner.errors import InvalidOption
from backburner.queues import QueueState

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   done
  {codes.USAGE}   the command line is wrong
  {codes.CONFIG}  the app, its settings or its tables cannot be used"""


@click.group(epilog=_EPILOG)
def command() -> None:
    """List, pause, resume and limit queues.

    What is said here holds at once, for all workers, and is kept in the database.
    """


@command.command("list", epilog=_EPILOG)
@click.option("--json", "json_", is_flag=True, help="Print a JSON list.")
@click.pass_context
def list_(context: click.Context, json_: bool) -> None:
    """List queues: what waits and runs in them, what is paused and why."""
    found = open_app(call_of(context)).queues.list()
    if json_:
        say(as_json([asdict(queue) for queue in found]))
        return
    rows = [
        (_shown(one.name), f"{one.waiting}{'+' if one.capped else ''}", _running(one), _pause(one)) for one in found
    ]
    say(table(("QUEUE", "WAITING", "RUNNING", "PAUSED"), rows))


@command.command(epilog=_EPILOG)
@click.argument("queue", required=False)
@click.option("--all", "all_", is_flag=True, help="All queues, those too that are not used yet.")
@click.option("--reason", metavar="TEXT", help="Why; shown wherever somebody asks why a job does not run.")
@click.option("--for", "seconds", type=TIME, help="For this time only, such as 30min. Else until it is resumed.")
@click.pass_context
def pause(context: click.Context, queue: str | None, all_: bool, reason: str | None, seconds: float | None) -> None:
    """Take no more jobs of a queue; what runs goes on, and cleaning too.

    \b
    Examples:
      backburner queues pause reports --reason "month end" --for 2h
      backburner queues pause --all
    """
    name = _one(queue, all_)
    jobs = open_app(call_of(context))
    until = None if seconds is None else jobs.store.clock.now() + timedelta(seconds=seconds)
    with _explained():
        operator_of(jobs).pause(name, reason=reason, until=until)
    note("Everything is paused." if name is None else f"Queue {one_line(name)} is paused.")


@command.command(epilog=_EPILOG)
@click.argument("queue", required=False)
@click.option("--all", "all_", is_flag=True, help="End the pause of all queues; a queue's own pause stays.")
@click.pass_context
def resume(context: click.Context, queue: str | None, all_: bool) -> None:
    """Take jobs of a queue again."""
    name = _one(queue, all_)
    with _explained():
        was = acting(context).resume(name)
    if name is None:
        note("Everything goes on." if was else "There was no pause of everything.")
    else:
        note(f"Queue {one_line(name)} goes on." if was else f"Queue {one_line(name)} was not paused.")


@command.command(epilog=_EPILOG)
@click.argument("queue")
@click.argument("most", type=click.IntRange(1), required=False)
@click.option("--none", "none_", is_flag=True, help="Take the limit away.")
@click.pass_context
def limit(context: click.Context, queue: str, most: int | None, none_: bool) -> None:
    """Let at most MOST jobs of a queue run at the same time, on all workers together."""
    if (most is None) != none_:
        raise click.UsageError("Say how many, or --none.")
    with _explained():
        acting(context).limit(queue, most)
    note(
        f"Queue {one_line(queue)} has no limit." if most is None else f"Queue {one_line(queue)} may run {most} at once."
    )


def _one(queue: str | None, all_: bool) -> str | None:
    if (queue is None) != all_:
        raise click.UsageError("Name a queue, or say --all.")
    return queue


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except InvalidOption as error:
        raise click.UsageError(f"{error}.") from error


def _shown(name: str) -> str:
    return "(all)" if name == ALL_QUEUES else one_line(name)


def _waiting(queue: QueueState) -> str:
    return f"{queue.waiting}+" if queue.capped else str(queue.waiting)


def _running(queue: QueueState) -> str:
    return str(queue.running) if queue.most is None else f"{queue.running} of {queue.most}"


def _pause(queue: QueueState) -> str:
    if not queue.paused or queue.paused_at is None:
        return ""
    parts = [f"since {queue.paused_at:%Y-%m-%d %H:%M}"]
    if queue.paused_until is not None:
        parts.append(f"until {queue.paused_until:%Y-%m-%d %H:%M}")
    if queue.paused_by:
        parts.append(f"by {one_line(queue.paused_by)}")
    return " ".join(parts) + (f": {one_line(queue.reason)}" if queue.reason else "")
