"""The command line: `main` is the group `backburner`, also for mounting in other Click programs."""

from __future__ import annotations

import click

from backburner.cli import codes
from backburner.cli.call import Call
from backburner.cli.lazy import Entry, LazyGroup
from backburner.version import VERSION

COMMANDS = {
    "worker": Entry("backburner.cli.worker", "Run jobs until told to stop."),
    "process": Entry("backburner.cli.process", "Run what is ready, then end; for cron."),
    "run": Entry("backburner.cli.run", "Run one stored job now, here."),
    "jobs": Entry("backburner.cli.jobs", "List, show, edit, retry, cancel and delete jobs."),
    "queues": Entry("backburner.cli.queues", "List, pause, resume and limit queues."),
    "schedules": Entry("backburner.cli.schedules", "List, show, run, pause, add and remove schedules."),
    "workers": Entry("backburner.cli.workers", "List workers, let them rest, stop them."),
    "reload": Entry("backburner.cli.reload", "Replace worker processes between jobs."),
    "lock": Entry("backburner.cli.lock", "Run a command once at a time."),
    "web": Entry("backburner.cli.web", "Serve the web pages and the HTTP API.", extra="web"),
    "migrate": Entry("backburner.cli.migrate", "Make and update the tables, or print the SQL."),
    "clear": Entry("backburner.cli.clear", "Delete old finished jobs."),
    "doctor": Entry("backburner.cli.doctor", "Check that everything works, and say what to do."),
    "settings": Entry("backburner.cli.settings", "Show every setting and where it comes from."),
    "audit": Entry("backburner.cli.audit", "List what operators did, the latest first: who, what, on what."),
    "note": Entry("backburner.cli.note", "Say what happened: a mark in the chart of the overview."),
    "demo": Entry("backburner.cli.demo", "Run the demo shop, or say how."),
}

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:2}  {text}" for code, text in codes.MEANINGS.items())


@click.group(
    cls=LazyGroup,
    commands_by_name=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--app",
    metavar="MODULE:OBJECT",
    help="The app's Backburner object, such as shop.tasks:jobs. Else BACKBURNER_APP, else app in "
    "backburner.toml or [tool.backburner] of pyproject.toml.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say more; show tracebacks of errors.")
@click.version_option(VERSION, prog_name="backburner")
@click.pass_context
def main(context: click.Context, app: str | None, verbose: bool) -> None:
    """Long jobs for Python web apps, in the database they have.

    \b
    Examples:
      backburner --app shop.tasks:jobs worker
      backburner jobs list --state failed
      backburner doctor
    """
    context.obj = Call(app, verbose)
