"""`backburner clear`: deletes finished jobs that are old enough."""

from __future__ import annotations

from collections.abc import Sequence

import click

from backburner.backburner import Backburner
from backburner.cli import codes
from backburner.cli.acting import who
from backburner.cli.call import call_of
from backburner.cli.jobs import confirm
from backburner.cli.opening import open_app
from backburner.cli.text import duration, note, say, table
from backburner.cli.values import DURATION
from backburner.states import FINAL, JobState

_COUNTED = 100_000
_FINAL = sorted(FINAL)

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   done, or there was nothing to delete
  {codes.FAILED}   the database refused, or the question was answered with no
  {codes.USAGE}   the command line is wrong, or --yes is missing
  {codes.CONFIG}  the app, its settings or its tables cannot be used"""


@click.command(epilog=_EPILOG)
@click.option(
    "-s",
    "--state",
    "states",
    multiple=True,
    type=click.Choice([str(state) for state in _FINAL]),
    metavar="STATE",
    help="Only jobs that ended in this state; may be given several times. Else every final state.",
)
@click.option(
    "--older-than",
    type=DURATION,
    help="Only jobs that ended longer ago, such as 30d. Else as long as the settings keep_... say.",
)
@click.option("--dry-run", is_flag=True, help="Only count what would be deleted.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def command(context: click.Context, states: Sequence[str], older_than: float | None, dry_run: bool, yes: bool) -> None:
    """Delete old finished jobs.

    Workers do this by themselves, by the settings keep_succeeded, keep_failed and so on, where 0 means for
    ever. Jobs that are not finished are never touched; jobs of tasks with a keep of their own are kept as
    long as that says. Deleting goes in small batches, beside running workers.

    \b
    Examples:
      backburner clear --dry-run
      backburner clear --state succeeded --older-than 7d
      backburner clear --older-than 0 --yes
    """
    jobs = open_app(call_of(context))
    ages = _ages(jobs, [JobState(state) for state in states] or _FINAL, older_than)
    upkeep = jobs.store.upkeep
    counts = {state: upkeep.prunable(state, age, _COUNTED) for state, age in ages.items()}
    rows = [
        (state, duration(age), f"{counts[state]:,}" + (" or more" if counts[state] >= _COUNTED else ""))
        for state, age in ages.items()
    ]
    say(table(("STATE", "OLDER THAN", "JOBS"), rows))
    total = sum(counts.values())
    if dry_run or not total:
        note("Nothing was deleted." if dry_run else "There is nothing to delete.")
        return
    confirm(f"Delete {total:,} {'job' if total == 1 else 'jobs'}?", yes)
    gone = 0
    for state, age in ages.items():
        while batch := upkeep.prune(state, age):
            gone += batch
    told = ", ".join(f"{state} older than {duration(age)}" for state, age in ages.items())
    jobs.insight.audit.write(who(), "cli", "clear", "jobs", told, count=gone)
    say(f"deleted {gone:,} {'job' if gone == 1 else 'jobs'}")


def _ages(jobs: Backburner, states: Sequence[JobState], older_than: float | None) -> dict[JobState, float]:
    """How old jobs must be, by state; states whose jobs are kept for ever are left out."""
    if older_than is not None:
        return dict.fromkeys(states, older_than)
    kept = {state: getattr(jobs.settings, f"keep_{state.value}") for state in states}
    for state in [state for state, age in kept.items() if not age]:
        note(f"{state.value} jobs are kept for ever by the setting keep_{state.value}: give --older-than.")
        del kept[state]
    return kept
