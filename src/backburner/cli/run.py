"""`backburner run`: runs one stored job now, here."""

from __future__ import annotations

from dataclasses import replace

import click

from backburner import store as stores
from backburner.cli import codes
from backburner.cli.call import call_of
from backburner.cli.failure import Failure
from backburner.cli.opening import ask_settings
from backburner.cli.text import one_line, say
from backburner.database import Database
from backburner.job import Job
from backburner.log_lines import log_to_stderr
from backburner.registry import Registry
from backburner.settings import Settings
from backburner.states import JobState
from backburner.why import Why
from backburner.worker import Supervisor, WorkerOptions

_GOOD = (JobState.SUCCEEDED, JobState.SKIPPED)

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   it has succeeded, or was skipped
  {codes.FAILED}   it has ended otherwise, there is no such job, or it is done already
  {codes.USAGE}   the command line is wrong
  {codes.BUSY}  it runs elsewhere, or has to wait; stdout says for what
  {codes.CONFIG}  the app, its settings or its tables cannot be used"""


@click.command(epilog=_EPILOG)
@click.argument("job_id", metavar="ID")
@click.pass_context
def command(context: click.Context, job_id: str) -> None:
    """Run one stored job now, here.

    It is claimed like any job: while it runs here, nobody else takes it, and when this process is killed, a
    worker does. Its progress is shown. A job that waits for a later time runs at once; one of a group, of a
    paused queue or of a task with no room waits its turn.
    """
    call = call_of(context)
    log_to_stderr(call.verbose)
    settings = ask_settings(call)
    before = _look(settings, job_id, start=True)
    if before.state.final:
        raise Failure(f"job {one_line(job_id)} is {before.state}. To run it again: backburner jobs retry {before.id}")
    options = WorkerOptions(
        concurrency=1, lease=settings.lease, beat=settings.beat, poll=settings.poll, grace=settings.grace,
        only=before.id, burst=True, shows=True, label="run",
    )  # fmt: skip
    code = Supervisor(call.needed_spec(), replace(options, processes=1)).run()
    if code != codes.OK:
        context.exit(code)
    job = _look(settings, before.id)
    say(f"{job.state}: {one_line(job.name)}" + (f": {one_line(job.reason)}" if job.reason else ""))
    for why in _waits_for(settings, job):
        say(f"  {one_line(why)}")
    context.exit(codes.OK if job.state in _GOOD else codes.FAILED if job.state.final else codes.BUSY)


def _waits_for(settings: Settings, job: Job) -> list[str]:
    """What keeps a job that did not run, in sentences; none for one that did."""
    database = Database(settings)
    try:
        return Why(database, Registry()).sentences(job)
    finally:
        database.close()


def _look(settings: Settings, job_id: str, *, start: bool = False) -> Job:
    """The job as it is; with `start` it need not wait for its time any more. Raises `JobNotFound`."""
    store = stores.open(settings)
    try:
        store.ready()
        found = store.jobs.get(job_id)
        if start:
            store.single.make_ready(job_id)
        return found
    finally:
        # No connection stays open: this process forks.
        store.close()
