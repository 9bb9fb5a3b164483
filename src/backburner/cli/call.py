"""`Call`: what was said before the command's name, and the way from there to the app."""

from __future__ import annotations

from dataclasses import dataclass, replace

import click

from backburner import settings
from backburner.errors import SettingsError

_REMEDY = 'Give --app module:object, set BACKBURNER_APP, or write app = "module:object" in backburner.toml'

_HERE = "command line"


@dataclass(frozen=True, slots=True)
class Call:
    """The options of the group `backburner`."""

    app: str | None = None
    verbose: bool = False

    def said(self) -> tuple[str, str] | None:
        """Where the app is, and who says so: `--app`, else the environment, else a file; None when nobody does.

        Raises `SettingsError`.
        """
        if self.app is not None:
            return self.app, _HERE
        said = [(value, source) for name, value, source in settings.found() if name == settings.APP]
        if not said:
            return None
        value, source = said[-1]
        if not isinstance(value, str) or not value:
            raise SettingsError("app", value, "names no object", "Write it like shop.tasks:jobs", source)
        return value, source

    def spec(self) -> str | None:
        """Where the app is, if anybody says. Raises `SettingsError`."""
        said = self.said()
        return None if said is None else said[0]

    def needed_spec(self) -> str:
        """As `spec`, when there must be one. Raises `SettingsError`."""
        spec = self.spec()
        if spec is None:
            # A misspelt app is an unknown setting, and that says more.
            settings.Settings.resolve()
            raise SettingsError("app", None, "is not set", _REMEDY, _HERE)
        return spec


def call_of(context: click.Context) -> Call:
    """The call a command belongs to; a plain one where another program mounts our commands."""
    found = context.find_object(Call)
    return replace(found) if found is not None else Call()
