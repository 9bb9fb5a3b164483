"""`backburner doctor`: checks everything that a worker needs, and says what to do."""

from __future__ import annotations

import textwrap
from collections import Counter

import click

from backburner.cli import codes
from backburner.cli.call import Call, call_of
from backburner.cli.checks import CHECKS, Finding, Verdict
from backburner.cli.failure import Failure, failure_of
from backburner.cli.opening import open_app
from backburner.cli.text import as_json, one_line, safe, say
from backburner.errors import BackburnerError
from backburner.settings import masked

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "red"}
_EPILOG = f"""\b
Exit codes:
  {codes.OK}   no problems; there may be warnings
  {codes.FAILED}   at least one problem"""


@click.command(epilog=_EPILOG)
@click.option("--json", "json_", is_flag=True, help="Print a JSON list of findings.")
@click.pass_context
def command(context: click.Context, json_: bool) -> None:
    """Check that everything works, and say what to do.

    Looks at the app and its settings, the database and its tables, the clocks, the wake-up of workers, the
    workers themselves and jobs that are held. Changes nothing. Each line is ok, a warning (it works, but not
    as well as it could) or a problem (it does not work), with the remedy below it.
    """
    found = examine(call_of(context))
    if json_:
        say(as_json([one._asdict() for one in found]))
    else:
        for one in found:
            say(as_lines(one))
        counts = Counter(one.verdict for one in found)
        say(f"\n{_number(counts[Verdict.PROBLEM], 'problem')}, {_number(counts[Verdict.WARNING], 'warning')}.")
    context.exit(codes.FAILED if any(one.verdict is Verdict.PROBLEM for one in found) else codes.OK)


def examine(call: Call) -> list[Finding]:
    """All checks in order; the first that leaves nothing to stand on ends them."""
    try:
        jobs = open_app(call)
    except (Failure, BackburnerError) as error:
        text = error.message if isinstance(error, Failure) else str(error)
        return [Finding("settings", Verdict.PROBLEM, text, "Correct it; the other checks need the app")]
    spec, url = call.spec(), masked("url", jobs.settings.url)
    found = [Finding("settings", Verdict.OK, f"{f'app {spec}' if spec else 'no app'}, database {url}")]
    try:
        for check in CHECKS:
            findings = list(check(jobs))
            found += findings
            if any(one.fatal for one in findings):
                break
    except Exception as error:  # noqa: BLE001 (a check that fails is a finding)
        found.append(Finding("doctor", Verdict.PROBLEM, failure_of(error).message, "See backburner -v doctor"))
    finally:
        jobs.close()
    return found


def as_lines(one: Finding) -> str:
    """The finding on 80 columns, its remedy below."""
    indent = " " * 22
    text = textwrap.wrap(safe(one_line(one.text)), 58, break_long_words=False, break_on_hyphens=False)
    lines = [("" if number == 0 else indent) + line for number, line in enumerate(text)]
    if one.remedy:
        lines += textwrap.wrap(
            safe(one.remedy),
            80,
            initial_indent=f"{indent}> ",
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    # Without a terminal Click leaves the colour out.
    verdict = click.style(f"{one.verdict.value:<7}", fg=_COLOURS[one.verdict])
    return f"{verdict}  {one.check:<11}  " + "\n".join(lines)


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
