"""`backburner settings`: every setting, its value, and who said so."""

from __future__ import annotations

import textwrap
import typing
from typing import Any

import click

from backburner import settings
from backburner.cli import codes
from backburner.cli.call import Call, call_of
from backburner.cli.opening import open_app
from backburner.cli.text import as_json, safe, say
from backburner.settings import Settings, describe, masked

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   they are shown
  {codes.CONFIG}  a setting is wrong, or the app cannot be used; stderr says which and why"""


@click.command(epilog=_EPILOG)
@click.option("--json", "json_", is_flag=True, help="Print a JSON list.")
@click.pass_context
def command(context: click.Context, json_: bool) -> None:
    """Show every setting and where it comes from.

    Arguments of the app's code come before the environment (BACKBURNER_...), that before backburner.toml
    or [tool.backburner] of pyproject.toml, that before the defaults. Passwords are not shown. Without an
    app, what environment and files say.
    """
    found = records(call_of(context))
    if json_:
        say(as_json(found))
        return
    for one in found:
        say(f"{one['name']} = {safe(shown(one['value']))}")
        default = "" if one["source"] == "default" else f"; default {shown(one['default'])}"
        for text in (f"{one['help']}.", f"From: {safe(one['source'])}{default}. Environment: {one['variable']}"):
            say(textwrap.fill(text, 80, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False))


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
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


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
