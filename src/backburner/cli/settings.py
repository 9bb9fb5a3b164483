"""`backburner settings`: every setting, its value, and who said so; some may be said at run time."""

from __future__ import annotations

import textwrap
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from backburner import settings
from backburner.cli import codes
from backburner.cli.acting import acting
from backburner.cli.call import Call, call_of
from backburner.cli.opening import open_app
from backburner.cli.text import as_json, note, safe, say, table
from backburner.cli.values import DURATION
from backburner.errors import SettingsError
from backburner.insight.runtime import CHANGEABLE, RuntimeSetting
from backburner.settings import Settings, describe, masked, parsed

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   they are shown
  {codes.CONFIG}  a setting is wrong, or the app cannot be used; stderr says which and why"""


@click.group(epilog=_EPILOG, invoke_without_command=True)
@click.option("--json", "json_", is_flag=True, help="Print a JSON list.")
@click.pass_context
def command(context: click.Context, json_: bool) -> None:
    """Show every setting and where it comes from.

    Arguments of the app's code come before the environment (BACKBURNER_...), that before backburner.toml
    or [tool.backburner] of pyproject.toml, that before the defaults. Passwords are not shown. Without an
    app, what environment and files say. The database is not asked: what was said at run time, and goes
    before all of it, is shown by `backburner settings runtime`.
    """
    if context.invoked_subcommand is not None:
        return
    found = records(call_of(context))
    if json_:
        say(as_json(found))
        return
    for one in found:
        say(f"{one['name']} = {safe(shown(one['value']))}")
        default = "" if one["source"] == "default" else f"; default {shown(one['default'])}"
        for text in (f"{one['help']}.", f"From: {safe(one['source'])}{default}. Environment: {one['variable']}"):
            say(textwrap.fill(text, 80, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False))


@command.command(epilog=_EPILOG)
@click.option("--json", "json_", is_flag=True, help="Print a JSON list.")
@click.pass_context
def runtime(context: click.Context, json_: bool) -> None:
    """Show the settings that may be said at run time, and who says them: the database or the app."""
    found = open_app(call_of(context)).insight.runtime.list()
    if json_:
        say(as_json([asdict(one) for one in found]))
        return
    rows = [(one.name, safe(shown(one.value)), safe(_source(one))) for one in found]
    say(table(("SETTING", "VALUE", "FROM"), rows))


@command.command("set", epilog=_EPILOG)
@click.argument("name", type=click.Choice(CHANGEABLE), metavar="NAME")
@click.argument("value")
@click.pass_context
def set_(context: click.Context, name: str, value: str) -> None:
    """Say a setting at run time: kept in the database, it holds for all workers within ten seconds.

    \b
    Examples:
      backburner settings set keep_failed 90d
      backburner settings set cleaning no
      backburner settings set clean_cron "0 3 * * *"
    """
    operator = acting(context)
    with _explained():
        one = operator.say(name, _typed(name, value))
    note(f"{one.name} = {safe(shown(one.value))}")


@command.command(epilog=_EPILOG)
@click.argument("name", type=click.Choice(CHANGEABLE), metavar="NAME")
@click.pass_context
def restore(context: click.Context, name: str) -> None:
    """Take back what was said at run time: what the app says holds again."""
    one = acting(context).restore(name)
    note(f"{one.name} = {safe(shown(one.value))}, from {safe(one.source)}")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise click.UsageError(f"{error}.") from error


def _typed(name: str, value: str) -> Any:
    """The value as the setting's type; durations may have a unit. Raises `SettingsError` and `BadParameter`."""
    if typing.get_type_hints(Settings)[name] is float:
        return DURATION.convert(value, None, None)
    return parsed(name, value, "command line")


def _source(one: RuntimeSetting) -> str:
    by = f" by {one.by}" if one.by else ""
    return one.source if one.at is None else f"{one.source}, {one.at:%Y-%m-%d %H:%M}{by}"


def records(call: Call) -> list[dict[str, Any]]:
    """What is known of each setting, in order. Raises `SettingsError` and `Failure`."""
    outside = {name: (value, source) for name, value, source in settings.found()}
    chosen = Settings.resolve() if call.spec() is None else open_app(call).settings
    return [_record(chosen, outside, *one) for one in describe()]


def shown(value: Any) -> str:
    """A value as it is written down."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:g}"
    return str(value)


def _record(
    chosen: Settings, outside: dict[str, tuple[Any, str]], name: str, variable: str, default: Any, text: str
) -> dict[str, Any]:
    value = getattr(chosen, name)
    said = outside.get(name)
    if said is not None and value == (tuple(said[0]) if isinstance(said[0], list) else said[0]):
        source = said[1]
    else:
        source = "default" if said is None and value == default else "the app's code"
    return {
        "name": name,
        "value": masked(name, value),
        "source": source,
        "default": default,
        "unit": _unit(name, text),
        "variable": variable,
        "help": text,
    }


def _unit(name: str, text: str) -> str:
    """Seconds and bytes are named in the meaning; else the kind of value."""
    for unit in ("seconds", "bytes"):
        if unit in text:
            return unit
    hint = typing.get_type_hints(Settings)[name]
    kinds = {bool: "true or false", int: "number", str: "text"}
    options = [option for option in typing.get_args(hint) or (hint,) if option is not type(None)]
    return kinds.get(options[0], "list")
