"""`Call`: what was said before the command's name, and the way from there to the app."""

from __future__ import annotations

from dataclasses import dataclass, replace

import click

from backburner import settings
from backburner.errors import SettingsError

_REMEDY = 'Give --app module:object, set BACKBURNER_APP, or write app = "module:object" in backburner.toml'


@dataclass(frozen=True, slots=True)
class Call:
    """The options of the group `backburner`."""

    app: str | None = None
    verbose: bool = False

    def spec(self) -> str | None:
        """Where the app is: `--app`, else the environment, else a file; None when nobody says.

        Raises `SettingsError`.
        """
        if self.app is not None:
            return self.app
        said = [(value, source) for name, value, source in settings.found() if name == settings.APP]
        if not said:
            return None
        value, source = said[-1]
        if not isinstance(value, str) or not value:
            raise SettingsError("app", value, "names no object", "Write it like shop.tasks:jobs", source)
        return value

    def needed_spec(self) -> str:
        """As `spec`, when there must be one. Raises `SettingsError`."""
        spec = self.spec()
        if spec is None:
            raise SettingsError("app", None, "is not set", _REMEDY, "command line")
        return spec


def call_of(context: click.Context) -> Call:
    """The call a command belongs to; a plain one where another program mounts our commands."""
    found = context.find_object(Call)
    return replace(found) if found is not None else Call()
