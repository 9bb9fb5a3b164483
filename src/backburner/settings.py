"""`Settings`: every knob of the engine, where its value came from, and what contradicts what.

Durations are seconds, sizes are bytes of UTF-8. A value is looked for in this order: arguments, the
environment (`BACKBURNER_LEASE=60`), `backburner.toml` or `[tool.backburner]` in `pyproject.toml` (the nearest
folder upwards from the working directory that has one; `backburner.toml` wins), the default.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backburner.contradictions import contradictions
from backburner.errors import SettingsError
from backburner.routes import Routes, fitting
from backburner.routes import parsed as parsed_routes

PREFIX = "BACKBURNER_"
APP = "app"
"""Stands beside the settings in files and environment: where the command line finds the app."""
_DAY = 86_400.0
# Greedy up to the last @: a password may hold one, and hiding too much does no harm.
_PASSWORD = re.compile(r"(://[^:/@]*:).*(?=@)")
_PASSWORD_OPTION = re.compile(r"([?&](?:[\w-]*(?:password|secret|token|key))=)[^&#]*", re.IGNORECASE)
_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _knob(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"help": text, "low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """The settings of one `Backburner`, checked. Raises `SettingsError`.

    `Settings(...)` takes only its arguments; `Settings.resolve(...)` looks in all places.
    """

    url: str = _knob("sqlite:///jobs.db", "Database URL, as SQLAlchemy writes it")
    schema: str | None = _knob(None, "Database schema of the tables; none: the connection's own")
    table_prefix: str = _knob("backburner_", "What the names of all tables begin with")
    auto_migrate: bool | None = _knob(None, "Make and update the tables at first use; none: only on SQLite")
    pooled: bool = _knob(default=False, text="A pooler such as PgBouncer hands connections around between transactions")
    queues: tuple[str, ...] | None = _knob(None, "The queue names that may be used; none: any")
    default_queue: str = _knob("default", "The queue of tasks that name none")
    routes: tuple[tuple[str, str], ...] | None = _knob(
        None, "Queues by patterns of task names, for tasks that name none"
    )
    priorities: tuple[int, ...] | None = _knob(None, "The priorities that may be used; none: -32768 to 32767")
    default_priority: int = _knob(50, "The priority of tasks that name none; lower runs first")
    max_args_bytes: int = _knob(262_144, "Limit of the stored arguments of one job, bytes", 2)
    max_result_bytes: int = _knob(1_048_576, "Limit of the stored result of one job, bytes", 4)
    max_log_bytes: int = _knob(1_048_576, "How much of the end of one job's log is kept, bytes", 0)
    max_per_owner: int = _knob(1_000, "How many unfinished jobs of one owner the HTTP API takes; 0: any number", 0)
    lease: float = _knob(30.0, "How long a worker owns its jobs without a beat, seconds", 0.001)
    beat: float = _knob(5.0, "How often a worker renews its lease, seconds; at most a third of it", 0.001)
    poll: float = _knob(1.0, "How often an idle worker looks for jobs when nothing wakes it, seconds", 0.001)
    concurrency: int = _knob(10, "How many jobs one worker process runs at once", 1)
    max_launched: int = _knob(8, "How many launched jobs may run on one machine at once", 1)
    grace: float = _knob(25.0, "How long running jobs may go on after a stop was asked for, seconds", 0)
    max_crashes: int = _knob(3, "How often a job may kill its process before it fails", 1)
    max_losses: int = _knob(10, "How often a job may lose its worker before it fails", 1)
    cleaning: bool = _knob(default=True, text="Workers delete jobs that have been kept long enough")
    keep_succeeded: float = _knob(30 * _DAY, "How long succeeded jobs are kept, seconds; 0: for ever", 0)
    keep_skipped: float = _knob(30 * _DAY, "How long skipped jobs are kept, seconds; 0: for ever", 0)
    keep_failed: float = _knob(60 * _DAY, "How long failed jobs are kept, seconds; 0: for ever", 0)
    keep_cancelled: float = _knob(60 * _DAY, "How long cancelled jobs are kept, seconds; 0: for ever", 0)
    keep_interrupted: float = _knob(60 * _DAY, "How long interrupted jobs are kept, seconds; 0: for ever", 0)
    keep_audit: float = _knob(365 * _DAY, "How long it is kept what operators did, seconds; 0: for ever", 0)
    clean_cron: str | None = _knob(None, "When workers delete, a cron expression; none: all the time")
    run_cron: str | None = _knob(None, "When backburner process works, a cron expression; none: whenever it is started")
    cron_zone: str = _knob("UTC", "The time zone of clean_cron and run_cron")
    files: str = _knob("backburner-files", "Folder or fsspec URL of attached files")
    environment: str | None = _knob(None, "What the operators' pages call this installation, such as production")
    operators: tuple[str, ...] | None = _knob(
        None, "Who may sign in at `backburner web`: NAME=HASH, see its --hash-password"
    )
    broker: str | None = _knob(None, "URL of a broker that wakes workers, as kombu writes it; none: the database does")
    secret: str | None = _knob(None, "Key that signs tokens and encrypts secret arguments, 16 characters or more")
    former_secrets: tuple[str, ...] | None = _knob(
        None, "Earlier values of secret: what they signed is still taken, and what they encrypted opened"
    )
    signed: bool = _knob(default=False, text="Sign each job with secret, and run none that was changed by others")

    def __post_init__(self) -> None:
        """Check types, ranges and contradictions."""
        values = {name: getattr(self, name) for name in _names()}
        for name, value in _checked(values, {}).items():
            object.__setattr__(self, name, value)

    @classmethod
    def resolve(
        cls,
        arguments: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Settings:
        """Settings from all places; `environ` and `folder` default to the process's own.

        Raises `SettingsError`, which names the setting, its value, where it came from, and the remedy.
        """
        defaults = {knob.name: knob.default for knob in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        sources = dict.fromkeys(defaults, "default")
        outside = [one for one in found(environ, folder) if one[0] != APP]
        for name, value, source in (*outside, *_from_arguments(arguments or {})):
            _refuse_unknown(name, value, source)
            values[name], sources[name] = value, source
        return cls(**_checked({**defaults, **values}, sources))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secret, which signs, and behind it the former ones, which only verify; empty without a secret."""
        return () if self.secret is None else (self.secret, *(self.former_secrets or ()))

    @property
    def migrates_itself(self) -> bool:
        """Whether the tables are made and updated at first use."""
        return self.url.startswith("sqlite") if self.auto_migrate is None else self.auto_migrate

    def __repr__(self) -> str:
        """All settings that are not the default, without secrets."""
        changed = [knob.name for knob in dataclasses.fields(self) if getattr(self, knob.name) != knob.default]
        return f"Settings({', '.join(f'{name}={masked(name, getattr(self, name))!r}' for name in changed)})"


def masked(name: str, value: Any) -> Any:
    """The value of a setting as it may be shown: no secret, no password in a URL."""
    if name in ("secret", "former_secrets", "operators") and value is not None:
        return "***"
    if isinstance(value, str):
        return _PASSWORD_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1***", value))
    return value


def found(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Iterator[tuple[str, Any, str]]:
    """Name, value and source of all that is set outside of the code, `APP` included; what comes later wins."""
    yield from _from_files(folder or Path.cwd())
    yield from _from_environ(os.environ if environ is None else environ)


def source_of(name: str, value: object) -> str:
    """Who says this value of a setting: the last place outside of the code that does, else its argument."""
    return next((source for known, said, source in reversed([*found()]) if (known, said) == (name, value)), "argument")


def describe() -> Iterator[tuple[str, str, Any, str]]:
    """Name, environment variable, default and meaning of every setting, in order."""
    for knob in dataclasses.fields(Settings):
        yield knob.name, PREFIX + knob.name.upper(), knob.default, knob.metadata["help"]


def parsed(name: str, text: str, source: str) -> Any:
    """The value of a setting that was typed, as an environment variable is read. Raises `SettingsError`."""
    return _parse(name, text, typing.get_type_hints(Settings)[name], source)


def _names() -> tuple[str, ...]:
    return tuple(knob.name for knob in dataclasses.fields(Settings))


def _from_arguments(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    for name, value in arguments.items():
        yield name, value, "argument"


def _from_environ(environ: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    hints = typing.get_type_hints(Settings)
    for variable in sorted(environ):
        if variable.startswith(PREFIX):
            source, name = f"environment variable {variable}", variable.removeprefix(PREFIX).lower()
            if name != APP:
                _refuse_unknown(name, environ[variable], source)
            yield name, _parse(name, environ[variable], hints.get(name, str), source), source


def _from_files(folder: Path) -> Iterator[tuple[str, Any, str]]:
    for place in (folder.absolute(), *folder.absolute().parents):
        own, project = place / "backburner.toml", place / "pyproject.toml"
        if own.is_file():
            table, source = _toml(own), str(own)
        elif project.is_file():
            table, source = (
                _table(_table(_toml(project), "tool", project), "backburner", project),
                str(project),
            )
            if not table:
                continue
        else:
            continue
        for name, value in table.items():
            yield name.replace("-", "_"), value, source
        return


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {error}"
        raise SettingsError(path.name, str(path), problem, "Correct the file", str(path)) from error


def _table(parent: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = parent.get(name, {})
    if not isinstance(table, dict):
        raise SettingsError(name, table, "is no table", f"Write [tool.{name}]", str(path))
    return table


def _refuse_unknown(name: str, value: Any, source: str) -> None:
    names = _names()
    if name in names:
        return
    close = difflib.get_close_matches(name.lower(), names, 1)
    remedy = f"Did you mean {close[0]!r}?" if close else f"Settings are: {', '.join(names)}"
    # What is meant by an unknown name is unknown too: it may be a secret.
    raise SettingsError(name, _Untold(value), "there is no such setting", remedy, source)


class _Untold:
    def __init__(self, value: object) -> None:
        self._type = type(value).__name__

    def __repr__(self) -> str:
        return f"<{self._type}, not shown>"


def _parse(name: str, text: str, hint: Any, source: str) -> Any:
    """The value of an environment variable; lists are separated by commas."""
    text = text.strip()
    options = typing.get_args(hint) or (hint,)
    if type(None) in options and text.lower() in ("", "none"):
        return None
    if bool in options:
        if text.lower() not in _WORDS:
            raise SettingsError(name, text, "is neither yes nor no", "Write true or false", source)
        return _WORDS[text.lower()]
    try:
        if hint == Routes | None:
            return parsed_routes(text)
        if hint == tuple[int, ...] | None:
            return tuple(int(part) for part in text.split(","))
        if hint == tuple[str, ...] | None:
            return tuple(part.strip() for part in text.split(","))
        return hint(text) if hint in (int, float) else text
    except ValueError as error:
        raise SettingsError(name, text, f"is no {_wanted(hint)}", "Correct it", source) from error


def _checked(values: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    hints = typing.get_type_hints(Settings)
    knobs = {knob.name: knob for knob in dataclasses.fields(Settings)}
    checked: dict[str, Any] = {}

    def fail(name: str, problem: str, remedy: str) -> SettingsError:
        shown = masked(name, values[name])
        return SettingsError(name, shown, problem, remedy, sources.get(name, "argument"))

    for name, value in values.items():
        checked[name] = fitting = _fit(value, hints[name])
        if fitting is _WRONG:
            raise fail(name, f"is no {_wanted(hints[name])}", f"Pass {_wanted(hints[name])}")
        low = knobs[name].metadata["low"]
        if low is not None and not low <= fitting < math.inf:
            raise fail(name, "is out of range", f"Pass {low:g} or more")
    for name, problem, remedy in contradictions(checked):
        raise fail(name, problem, remedy)
    return checked


_WRONG = object()


def _fit(value: Any, hint: Any) -> Any:
    """The value as the setting's type, or `_WRONG`; only int for float and list for tuple are converted."""
    options = typing.get_args(hint)
    if hint is float:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else _WRONG
    if hint is int:
        return value if isinstance(value, int) and not isinstance(value, bool) else _WRONG
    if hint in (str, bool):
        return value if isinstance(value, hint) else _WRONG
    if value is None:
        return None
    if options[0] == Routes:
        return found if (found := fitting(value)) is not None else _WRONG
    if typing.get_origin(options[0]) is tuple:
        item = typing.get_args(options[0])[0]
        good = isinstance(value, list | tuple) and all(_fit(each, item) is not _WRONG for each in value)
        return tuple(value) if good else _WRONG
    return _fit(value, options[0])


def _wanted(hint: Any) -> str:
    words = {
        str: "text",
        int: "whole number",
        float: "number of seconds",
        bool: "true or false",
        type(None): "None",
    }
    options = typing.get_args(hint)
    if hint == Routes:
        return "mapping of patterns to queues, pattern=queue"
    if typing.get_origin(hint) is tuple:
        return f"list of {words[options[0]]}s"
    return " or ".join(_wanted(option) for option in options) if options else words[hint]
