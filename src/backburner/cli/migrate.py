"""`backburner migrate`: brings the tables to this version, or prints how."""

from __future__ import annotations

import click

from backburner.cli import codes
from backburner.cli.call import call_of
from backburner.cli.opening import open_app
from backburner.cli.text import note, say
from backburner.errors import SchemaTooNew
from backburner.store import versions
from backburner.store.health import Health
from backburner.store.store import Store

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   the tables are as they should be; with --sql: the statements are printed
  {codes.FAILED}   with --check: a migration is needed; else the database refused
  {codes.USAGE}   the command line is wrong
  {codes.CONFIG}  the app or its settings cannot be used, or the tables are newer"""


@click.command(epilog=_EPILOG)
@click.option("--sql", is_flag=True, help="Print the statements instead, for somebody else to run.")
@click.option("--check", is_flag=True, help=f"Only look; exit code {codes.FAILED} when a migration is needed.")
@click.pass_context
def command(context: click.Context, sql: bool, check: bool) -> None:
    """Make and update the tables, or print the SQL.

    All statements run in one transaction, one process at a time, and wait for a lock at most 5 seconds.
    Workers of the previous release go on beside the new tables.

    \b
    Examples:
      backburner migrate
      backburner migrate --sql | psql shop
      backburner migrate --check || echo "migrate before you deploy"
    """
    if sql and check:
        raise click.UsageError("--sql and --check cannot be used together.", context)
    jobs = open_app(call_of(context))
    store = jobs.store
    found = _version(store)
    if found is not None and versions.is_newer(found):
        raise SchemaTooNew(store.shown_url, found, versions.NEEDED)
    there = "no tables" if found is None else f"tables of version {found}"
    if found == versions.NEEDED:
        note(f"{store.shown_url} has {there}: nothing to do.")
    elif sql:
        say(store.migration_sql().rstrip("\n"))
    elif check:
        note(f"{store.shown_url} has {there}, version {versions.NEEDED} is needed. Run: backburner migrate")
        context.exit(codes.FAILED)
    else:
        store.migrate()
        note(f"{store.shown_url} had {there}, and has version {versions.NEEDED} now.")


def _version(store: Store) -> str | None:
    file = Health(store).file
    # To look into an SQLite file that is not there would make it.
    return None if file is not None and not file.exists else store.version()
