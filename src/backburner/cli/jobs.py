"""`backburner jobs`: look at stored jobs and act on them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

from backburner.backburner import Backburner
from backburner.cli import codes
from backburner.cli.acting import operator_of
from backburner.cli.call import call_of
from backburner.cli.failure import Failure
from backburner.cli.opening import open_app
from backburner.cli.show import as_record, as_text
from backburner.cli.text import as_json, duration, job_record, note, one_line, say, table
from backburner.cli.values import FILTER
from backburner.errors import BackburnerError, StoreError
from backburner.insight.operator import Operator
from backburner.job import Job, JobFilter
from backburner.selection import Selection, filter_of
from backburner.states import JobState

C = TypeVar("C", bound=Callable[..., Any])

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   done, for every job that was named
  {codes.FAILED}   a job was not found, or is in a state that does not allow it
  {codes.USAGE}   the command line is wrong, or --yes is missing
  {codes.CONFIG}  the app, its settings or its tables cannot be used"""


@click.group()
def command() -> None:
    """List, show, edit, retry, cancel and delete jobs.

    Works with --app, or with nothing but the setting url.
    """


def choosing_options(function: C) -> C:
    """The options that choose jobs."""
    for option in reversed(
        (
            click.option(
                "-s", "--state", "state", multiple=True, type=click.Choice([str(state) for state in JobState]),
                metavar="STATE", help="In this state; may be given several times.",
            ),
            click.option("-t", "--task", metavar="NAME", help="Of this task."),
            click.option("-q", "--queue", metavar="NAME", help="In this queue."),
            click.option("--tag", metavar="TAG", help="With this tag."),
            click.option("--identifier", metavar="TEXT", help="With this identifier."),
            click.option("--owner", metavar="NAME", help="Of this owner."),
            click.option("-w", "--where", type=FILTER, help="That fit a filter: 'task:orders.* created:<24h'."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


@command.command("list")
@choosing_options
@click.option(
    "-n", "--limit", type=click.IntRange(1, 1000), default=50, metavar="N", help="How many to list, 50 unless said."
)
@click.option("--before", metavar="ID", help="Only jobs older than this one: the next page.")
@click.option("--json", "json_", is_flag=True, help="Print a JSON list.")
@click.pass_context
def list_(context: click.Context, /, limit: int, json_: bool, **given: Any) -> None:
    """List jobs, the newest first.

    \b
    Examples:
      backburner jobs list
      backburner jobs list --state failed --state interrupted
      backburner jobs list --task shop.export --json
      backburner jobs list --where 'error:Timeout finished:<24h -queue:mail'
    """
    jobs = open_app(call_of(context))
    found = jobs.find(limit=limit, **selection_of(given))
    if json_:
        say(as_json([job_record(job) for job in found]))
        return
    if not found:
        note("No jobs.")
        return
    now = jobs.store.clock.now()
    rows = [(job.id, job.state.value, duration(_age(job, now)), _line(job)) for job in found]
    say(table(("ID", "STATE", "AGE", "JOB"), rows))
    if len(found) == limit:
        note(f"There may be more: --before {found[-1].id}")


@command.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--log", "with_log", is_flag=True, help="Print its live output as well.")
@click.option("--json", "json_", is_flag=True, help="Print JSON: an object, or a list when several are asked for.")
@click.pass_context
def show(context: click.Context, ids: Sequence[str], with_log: bool, json_: bool) -> None:
    """Show jobs: progress, attempts, messages, failed items, files, and why one is not running."""
    jobs = open_app(call_of(context))
    found, missing = [], []
    for job_id in ids:
        try:
            found.append(jobs.control.show(job_id))
        except LookupError as error:
            missing.append(str(error))
    if json_:
        records = [as_record(jobs, one, with_log=with_log) for one in found]
        say(as_json(records[0] if len(ids) == 1 and records else records))
    elif found:
        say("\n\n".join(as_text(jobs, one, with_log=with_log) for one in found))
    _end(missing)


def _acting(verb: str, text: str, epilog: str = _EPILOG) -> Callable[[Callable[..., None]], click.Command]:
    """A command that takes ids, or a choice and --yes."""

    def make(function: Callable[..., None]) -> click.Command:
        function = click.pass_context(function)
        function = click.option("-y", "--yes", is_flag=True, help="Do not ask.")(function)
        function = choosing_options(function)
        function = click.argument("ids", nargs=-1, metavar="[ID...]")(function)
        return command.command(verb, help=text, epilog=epilog)(function)

    return make


@_acting(
    "retry",
    """Run finished or held jobs again.

    The same id, at the end of the line, with fresh counters. Without ids, every job that the options
    choose; succeeded and skipped ones only when --state or --task is given.

    \b
    Examples:
      backburner jobs retry 019a3f2e-5b1c-7d24-9c41-6a1b2c3d4e5f
      backburner jobs retry --state failed --task shop.export --yes
    """,
)
def retry(context: click.Context, ids: Sequence[str], yes: bool, **given: Any) -> None:
    """Retry by id or by choice."""
    _act(context, "retry", ids, given, yes, Operator.retry)


@_acting(
    "cancel",
    """Cancel jobs: at once while they wait, by request while they run.

    Without ids, every job that the options choose and that is not done.

    \b
    Examples:
      backburner jobs cancel 019a3f2e-5b1c-7d24-9c41-6a1b2c3d4e5f
      backburner jobs cancel --queue mails --state queued --yes
    """,
)
def cancel(context: click.Context, ids: Sequence[str], yes: bool, **given: Any) -> None:
    """Cancel by id or by choice."""
    _act(context, "cancel", ids, given, yes, Operator.cancel)


@_acting(
    "delete",
    """Delete jobs that are not running, with all that is kept of them.

    Without ids, every such job that the options choose.

    \b
    Examples:
      backburner jobs delete 019a3f2e-5b1c-7d24-9c41-6a1b2c3d4e5f
      backburner jobs delete --state cancelled --yes
    """,
)
def delete(context: click.Context, ids: Sequence[str], yes: bool, **given: Any) -> None:
    """Delete by id or by choice."""
    _act(context, "delete", ids, given, yes, Operator.delete)


@command.command(epilog=_EPILOG)
@click.argument("job_id", metavar="ID")
@click.option("--args", metavar="JSON", help="The new arguments, an object by parameter name; else an editor opens.")
@click.option("--retry", "again", is_flag=True, help="Then run it again: for finished and held jobs.")
@click.pass_context
def edit(context: click.Context, job_id: str, args: str | None, again: bool) -> None:
    """Change the arguments of a job that is not running.

    They are checked against the signature of the task. Where rows are signed, the row is signed anew: also
    with the same arguments. Pickled arguments are replaced by JSON.

    \b
    Examples:
      backburner jobs edit 019a3f2e-5b1c-7d24-9c41-6a1b2c3d4e5f
      backburner jobs edit ID --args '{"month": "2026-11"}' --retry
    """
    jobs = open_app(call_of(context))
    if args is None:
        job = jobs.get(job_id)
        if not _has_terminal():
            raise click.UsageError("Give --args: there is no terminal to edit on.", context)
        args = click.edit(job.args if job.codec == "json" else "{}", extension=".json")
        if args is None:
            note("Nothing was changed.")
            return
    operator = operator_of(jobs)
    job = operator.edit(job_id, args)
    say(f"edited: {job_id}")
    if again:
        operator.retry(job_id)
        say(f"retried: {job_id}")
    elif job.done or job.state is JobState.BLOCKED:
        note(f"It is {job.state}. To run it: backburner jobs retry {job_id}")


def selection_of(given: dict[str, Any]) -> Selection:
    """What the choosing options say, without those that were not given."""
    return {name: value for name, value in given.items() if value not in (None, ())}  # type: ignore[return-value]


def _act(
    context: click.Context,
    verb: str,
    ids: Sequence[str],
    given: dict[str, Any],
    yes: bool,
    one: Callable[[Operator, str], Job | None],
) -> None:
    chosen = selection_of(given)
    if bool(ids) == bool(chosen):
        raise click.UsageError(f"Say which jobs to {verb}: either ids, or options such as --state failed.", context)
    jobs = open_app(call_of(context))
    if ids:
        _each(operator_of(jobs), verb, ids, one)
        return
    which = filter_of(chosen, jobs.store.clock.now)
    confirm(_question(jobs, verb, which), yes)
    told = " ".join(_told(name, value) for name, value in chosen.items())
    count = operator_of(jobs).act_on_all(verb, which, told)
    say(f"{_PAST[verb]} {count:,} jobs" if count != 1 else f"{_PAST[verb]} 1 job")


def _told(name: str, value: object) -> str:
    if name == "where":
        return str(value)
    return f"{name}:{','.join(value) if isinstance(value, tuple) else value}"


_PAST = {"retry": "retried", "cancel": "cancelled", "delete": "deleted"}


def _each(operator: Operator, verb: str, ids: Sequence[str], one: Callable[[Operator, str], Job | None]) -> None:
    problems = []
    for job_id in ids:
        try:
            job = one(operator, job_id)
        except StoreError:
            raise
        except BackburnerError as error:
            problems.append(str(error))
            continue
        asked = job is not None and verb == "cancel" and not job.done
        say(f"{'asked to stop' if asked else _PAST[verb]}: {job_id}")
    _end(problems)


def _end(problems: Sequence[str]) -> None:
    """Every problem on a line of its own; the last one ends the command."""
    for problem in problems[:-1]:
        note(f"Error: {one_line(problem)}")
    if problems:
        raise Failure(problems[-1])


def _question(jobs: Backburner, verb: str, which: JobFilter) -> str:
    limit = 10_000
    count = jobs.control.count(which, limit)
    number = f"{limit:,} jobs or more match" if count >= limit else f"{count:,} jobs match"
    if count == 1:
        number = "1 job matches"
    allowed = {"retry": "is finished or held", "cancel": "is not done", "delete": "is not running"}
    return f"{number}. {verb.capitalize()} every one that {allowed[verb]}?"


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be taken back. Raises `UsageError` when nobody can answer."""
    if yes:
        return
    if not _has_terminal():
        raise click.UsageError(f"{question} Say --yes: there is no terminal to ask on.")
    click.confirm(question, abort=True)


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _age(job: Job, now: datetime) -> float:
    return max(0.0, (now - job.created_at).total_seconds())


def _line(job: Job) -> str:
    progress = job.progress
    if progress is None or job.done:
        failed = f" ({progress.failed:,} failed)" if progress is not None and progress.failed else ""
        return f"{job.name}{failed}"
    share = progress.share
    return f"{job.name} ({f'{share:.0%}' if share is not None else f'{progress.done:,g}'})"
