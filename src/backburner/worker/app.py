"""Finds the app's Backburner object: by `module:name`, or by `file.py:name`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from backburner.backburner import Backburner
from backburner.errors import BackburnerError, SettingsError

IMPORT_SECONDS = 60.0
"""How long a process may take to import the app."""

_EXAMPLE = "Write it like shop.tasks:jobs"


def load_app(spec: str) -> Backburner:
    """The Backburner object that `spec` names. Raises `SettingsError`; errors of the app's own import pass."""
    found = load_object("app", spec, _EXAMPLE)
    if not isinstance(found, Backburner):
        raise SettingsError("app", spec, f"names a {type(found).__name__}, no Backburner", _EXAMPLE)
    return found


def load_object(setting: str, spec: str, example: str) -> object:
    """What `spec`, the value of `setting`, names in the app. Raises `SettingsError` when it is not there."""
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise SettingsError(setting, spec, "names no object", example)
    if place.endswith(".py"):
        found: object = _from_file(Path(place), setting, spec, example)
    else:
        found = _from_path(place, setting, spec, example)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise SettingsError(setting, spec, f"{name!r} in {place} is not there", example)
    return found


def problem_of(error: BaseException) -> str:
    """What stopped an app from being used, for people: our own errors explain themselves, others say where."""
    if isinstance(error, BackburnerError):
        return str(error)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    ours = (str(Path(__file__).parents[1]), str(importlib.__file__), "<frozen")
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if not frame.filename.startswith(ours)]
    return f"{text} ({places[-1].filename}, line {places[-1].lineno})" if places else text


def _from_path(place: str, setting: str, spec: str, example: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(error.name + ".")):
            raise SettingsError(setting, spec, f"there is no module {place!r} here", example) from error
        raise


def _from_file(path: Path, setting: str, spec: str, example: str) -> ModuleType:
    if not path.is_file():
        raise SettingsError(setting, spec, f"there is no file {path}", example)
    # The name the file would have if it were imported: so tasks are called the same everywhere.
    sys.path.insert(0, str(path.absolute().parent))
    return importlib.import_module(path.stem)
