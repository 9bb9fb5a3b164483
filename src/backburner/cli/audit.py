"""`backburner audit`: what operators did, by dashboard, HTTP, command line or code."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from backburner.action import Action
from backburner.cli import codes
from backburner.cli.call import call_of
from backburner.cli.opening import open_app
from backburner.cli.text import as_json, note, one_line, say, table
from backburner.insight.audit import KINDS

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   they are listed
  {codes.USAGE}   the command line is wrong
  {codes.CONFIG}  the app, its settings or its tables cannot be used"""


@click.command(epilog=_EPILOG)
@click.option("--by", metavar="WHO", help="Of this person, ada@web-1 on the command line.")
@click.option("--action", metavar="VERB", help="This verb: retry, pause, set and so on.")
@click.option("--kind", type=click.Choice(KINDS), help="On things of this kind.")
@click.option("--target", metavar="NAME", help="On this one: a job's id, a queue, a setting; with --kind.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, metavar="N", help="How many, 50 unless said.")
@click.option("--before", metavar="ID", help="Older than this one: the next page.")
@click.option("--json", "json_", is_flag=True, help="Print a JSON list.")
@click.pass_context
def command(context: click.Context, /, json_: bool, target: str | None, kind: str | None, **asked: Any) -> None:
    """List what operators did, the latest first: who, what, on what.

    With --json also how that stood before and after. Kept for the setting keep_audit, a year by default.

    \b
    Examples:
      backburner audit --by ada@web-1
      backburner audit --kind queue --target mails
    """
    if target is not None and kind is None:
        raise click.UsageError("Say --kind beside --target: names of queues and settings may be the same.")
    found = open_app(call_of(context)).insight.audit.page(target=target, kind=kind, **asked)
    if json_:
        say(as_json([_record(one) for one in found.rows]))
        return
    if not found.rows:
        note("Nothing." if found.complete else "Nothing among the latest actions.")
    else:
        rows = [(f"{one.at:%Y-%m-%d %H:%M:%S}", one_line(one.by), one.via, _what(one)) for one in found.rows]
        say(table(("AT (UTC)", "BY", "VIA", "WHAT"), rows))
    if found.next is not None:
        note(f"There may be more: --before {found.next}")


def _what(one: Action) -> str:
    count = "" if one.count is None else f" ({one.count:,})"
    reason = f": {one_line(one.reason)}" if one.reason else ""
    return f"{one.action} {one.kind} {one_line(one.target)}{count}{reason}"


def _record(one: Action) -> dict[str, Any]:
    told = asdict(one)
    return told | {name: None if told[name] is None else json.loads(told[name]) for name in ("before", "after")}
