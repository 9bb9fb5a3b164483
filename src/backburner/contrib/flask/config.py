"""`BACKBURNER_*` keys of a Flask app's config: the settings of the engine, and those of the extension itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from backburner.backburner import Backburner
from backburner.errors import InvalidOption, SettingsError
from backburner.settings import PREFIX
from backburner.target import checked_path

AT = "at"
"""Where the web side is mounted; the one key that is no setting of the engine."""


class Config(NamedTuple):
    """What the config says: settings by name, and the path of the web side if it names one."""

    settings: Mapping[str, Any]
    at: str | None


def read(config: Mapping[str, Any]) -> Config:
    """What an app's config says. Raises `SettingsError`."""
    found = {key.removeprefix(PREFIX).lower(): value for key, value in config.items() if key.startswith(PREFIX)}
    at = found.pop(AT, None)
    return Config(found, None if at is None else checked_at(at, "app.config['BACKBURNER_AT']"))


def apply(jobs: Backburner, settings: Mapping[str, Any]) -> None:
    """Give the engine these settings. Raises `SettingsError`, which names the key."""
    try:
        jobs.configure(**settings)
    except SettingsError as error:
        if error.setting not in settings:
            raise
        source = f"app.config['{PREFIX}{error.setting.upper()}']"
        raise SettingsError(error.setting, error.value, error.problem, error.remedy, source) from error


def checked_at(at: object, source: str = "argument") -> str:
    """A path to mount at, without a slash at its end. Raises `SettingsError`."""
    try:
        path = checked_path(at.rstrip("/") if isinstance(at, str) else at)
    except InvalidOption as error:
        raise SettingsError(AT, at, error.problem, "Write it like /backburner", source) from error
    if "%" in path or "<" in path:
        raise SettingsError(AT, at, "is no plain path", "Write it like /backburner", source)
    return path
