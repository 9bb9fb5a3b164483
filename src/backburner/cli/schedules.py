"""`backburner schedules`: see what comes again and again, pause it, run it now, add and remove it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast, get_args
from zoneinfo import ZoneInfo

import click

from backburner.backburner import Backburner
from backburner.cli import codes
from backburner.cli.acting import acting, operator_of
from backburner.cli.call import call_of
from backburner.cli.jobs import confirm
from backburner.cli.opening import open_app
from backburner.cli.text import as_json, moment, note, one_line, say, table
from backburner.cli.values import TIME
from backburner.codec import readable
from backburner.errors import BackburnerError
from backburner.recurrence import Missed
from backburner.schedule import Schedule

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   done
  {codes.FAILED}   there is no schedule of that name, or no task
  {codes.USAGE}   the command line is wrong
  {codes.CONFIG}  the app, its settings or its tables cannot be used"""
_HIDDEN = frozenset({"options", "digest", "replaced"})
_RUNS, _FIRES = 3, 5


@click.group(epilog=_EPILOG)
def command() -> None:
    """List, show, run, pause, add and remove schedules.

    Schedules of the code are here when a worker has stored them. Works with --app, or with nothing but the
    setting url; adding one needs the app.
    """


@command.command("list", epilog=_EPILOG)
@click.option("--json", "json_", is_flag=True, help="Print a JSON list.")
@click.pass_context
def list_(context: click.Context, json_: bool) -> None:
    """List schedules: when they fire, in words, and when next."""
    found = open_app(call_of(context)).schedules.list()
    if json_:
        say(as_json([_record(one) for one in found]))
        return
    if not found:
        note("No schedules.")
        return
    rows = [(one.name, one.task, _standing(one), one.description) for one in found]
    say(table(("SCHEDULE", "TASK", "NEXT", "WHEN"), rows))


@command.command(epilog=_EPILOG)
@click.argument("name")
@click.option("--json", "json_", is_flag=True, help="Print a JSON object.")
@click.pass_context
def show(context: click.Context, name: str, json_: bool) -> None:
    """Show a schedule: its next and last runs, and why it does not fire."""
    jobs = open_app(call_of(context))
    schedule = jobs.schedules.get(name)
    fires, problems = jobs.schedules.fires(name, _FIRES), jobs.schedules.problems(schedule)
    arguments = readable(schedule.args, jobs.registry.secrets_of(schedule.task))
    if json_:
        more = {"fires": [one._asdict() for one in fires], "problems": problems}
        say(as_json(_record(schedule) | {"args": json.loads(arguments)} | more))
        return
    lines = [("schedule", schedule.name), ("task", schedule.task), ("when", schedule.description)]
    lines += [("arguments", arguments), ("missed", _missed(schedule))]
    lines += [("from", "the code" if schedule.source == "code" else "added at run time")]
    lines += [("next", _local(schedule, at)) for at in _next(schedule)]
    lines += [("fired", f"{moment(one.at)}  {f'job {one.job}' if one.job else ''}") for one in fires]
    lines += [("problem", problem) for problem in problems]
    say("\n".join(f"{label:<10} {one_line(text)}" for label, text in lines))


@command.command(epilog=_EPILOG)
@click.argument("name")
@click.option("--json", "json_", is_flag=True, help="Print a JSON object.")
@click.pass_context
def run(context: click.Context, name: str, json_: bool) -> None:
    """Enqueue a job of a schedule now, besides its times, even while it is paused."""
    job = acting(context).run_schedule(name)
    say(as_json({"schedule": name, "job": job.id}) if json_ else f"enqueued: {job.id}")


@command.command(epilog=_EPILOG)
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Why; shown wherever somebody looks at it.")
@click.pass_context
def pause(context: click.Context, name: str, reason: str | None) -> None:
    """Let a schedule fire no more until it is resumed; jobs that it made go on.

    \b
    Example:
      backburner schedules pause nightly --reason "month end"
    """
    acting(context).pause_schedule(name, reason=reason)
    note(f"Schedule {one_line(name)} is paused.")


@command.command(epilog=_EPILOG)
@click.argument("name")
@click.pass_context
def resume(context: click.Context, name: str) -> None:
    """Let a schedule fire again, from its next time on."""
    schedule = acting(context).resume_schedule(name)
    note(f"Schedule {one_line(name)} goes on: {_standing(schedule)}.")


@command.command(epilog=_EPILOG)
@click.argument("name")
@click.argument("task")
@click.option("--cron", metavar="EXPRESSION", help="Five fields, or @hourly, @daily, @weekly, @monthly, @yearly.")
@click.option("--every", type=TIME, help="The interval, such as 5min; instead of --cron.")
@click.option("--zone", default="UTC", metavar="ZONE", help="The time zone of --cron, such as Europe/Prague; else UTC.")
@click.option("--args", "arguments", default="{}", metavar="JSON", help="Arguments by name, as a JSON object.")
@click.option(
    "--missed", type=click.Choice(get_args(Missed)), default="skip",
    help="What becomes of times without a worker: skip unless said.",
)  # fmt: skip
@click.option("--bound", type=int, metavar="N", help="With --missed all: how many are made up for; 100 unless said.")
@click.option("--json", "json_", is_flag=True, help="Print a JSON object.")
@click.pass_context
def add(
    context: click.Context, /, name: str, task: str, arguments: str, every: float | None, missed: str, json_: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Add a schedule at run time.

    \b
    Examples:
      backburner schedules add nightly shop.report --cron "30 2 * * MON-FRI"
      backburner schedules add stock shop.sync --every 5min --args '{"shop": 7}'
    """
    try:
        args = json.loads(arguments)
    except (ValueError, RecursionError):
        args = None
    if not isinstance(args, dict):
        raise click.UsageError(f"--args {arguments!r:.80} is no JSON object. Write it like '{{\"shop\": 7}}'.", context)
    jobs = open_app(call_of(context))
    schedule = jobs.schedules.add(task, name=name, every=every, args=args, missed=cast("Missed", missed), **given)
    say(
        as_json(_record(schedule))
        if json_
        else f"added: {one_line(name)}, {schedule.description}; {_standing(schedule)}"
    )


@command.command(epilog=_EPILOG)
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def remove(context: click.Context, name: str, yes: bool) -> None:
    """Remove a schedule that was added at run time, or that the code has no longer. Its jobs stay."""
    jobs: Backburner = open_app(call_of(context))
    jobs.schedules.get(name)
    confirm(f"Remove schedule {one_line(name)}?", yes)
    operator_of(jobs).remove_schedule(name)
    say(f"removed: {one_line(name)}")


def _record(schedule: Schedule) -> dict[str, Any]:
    found = {name: value for name, value in asdict(schedule).items() if name not in _HIDDEN and name != "args"}
    return found | {"description": schedule.description, "next_runs": _next(schedule)}


def _next(schedule: Schedule) -> list[datetime]:
    """The next runs, as far as this machine can tell them."""
    try:
        return schedule.next_runs(_RUNS)
    except BackburnerError:
        return []


def _standing(schedule: Schedule) -> str:
    if schedule.disabled:
        return "disabled"
    if schedule.paused_at is not None:
        return "paused"
    return "never" if schedule.next_at is None else _local(schedule, schedule.next_at)


def _local(schedule: Schedule, at: datetime) -> str:
    """A time as the schedule's own zone shows it, where that is known here."""
    try:
        return f"{at.astimezone(ZoneInfo(schedule.zone)):%Y-%m-%d %H:%M:%S %Z}"
    except (KeyError, ValueError, OSError):
        return moment(at)


def _missed(schedule: Schedule) -> str:
    return f"all, up to {schedule.bound:,}" if schedule.missed == "all" else schedule.missed
