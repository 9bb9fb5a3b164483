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

_EXAMPLE = "Write it like shop.tasks:jobs"


def load_app(spec: str) -> Backburner:
    """The Backburner object that `spec` names. Raises `SettingsError`; errors of the app's own import pass."""
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise SettingsError("app", spec, "names no object", _EXAMPLE)
    module = _from_file(Path(place), spec) if place.endswith(".py") else _from_path(place, spec)
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Backburner):
        what = "is not there" if found is None else f"is a {type(found).__name__}, no Backburner"
        raise SettingsError("app", spec, f"{name!r} in {place} {what}", _EXAMPLE)
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


def spec_of(jobs: Backburner) -> str | None:
    """How another process can find this object; None when it is no module's attribute.

    An imported module is preferred to the script that runs: that one must bear being imported as well.
    """
    script = None
    for module in list(sys.modules.values()):
        names = vars(module).items() if isinstance(module, ModuleType) else ()
        name = next((name for name, value in list(names) if value is jobs), None)
        if name is None:
            continue
        if module.__name__ != "__main__":
            return f"{module.__name__}:{name}"
        file = getattr(module, "__file__", None)
        script = f"{Path(file).absolute()}:{name}" if file is not None else None
    return script


def _from_path(place: str, spec: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(error.name + ".")):
            raise SettingsError("app", spec, f"there is no module {place!r} here", _EXAMPLE) from error
        raise


def _from_file(path: Path, spec: str) -> ModuleType:
    if not path.is_file():
        raise SettingsError("app", spec, f"there is no file {path}", _EXAMPLE)
    # The name the file would have if it were imported: so tasks are called the same everywhere.
    sys.path.insert(0, str(path.absolute().parent))
    return importlib.import_module(path.stem)
