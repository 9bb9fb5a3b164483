"""From the app's name to its Backburner object, or, without importing it here, to its settings."""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import sys
import traceback
from dataclasses import asdict
from typing import Any

import click

from backburner import settings
from backburner.backburner import Backburner
from backburner.cli import codes
from backburner.cli.call import Call
from backburner.cli.failure import Failure, failure_of
from backburner.errors import BackburnerError, SettingsError
from backburner.settings import Settings
from backburner.worker.app import IMPORT_SECONDS, load_app, problem_of


def open_app(call: Call) -> Backburner:
    """The app's object, imported here; without an app a plain one, when the settings name a database.

    Raises `Failure` and `SettingsError`.
    """
    spec = call.spec()
    if spec is None and any(name == "url" for name, _, _ in settings.found()):
        return Backburner()
    spec = call.needed_spec()
    # An app may rely on it that what it leaves behind is finalized.
    atexit.unregister(gc.freeze)
    try:
        return load_app(spec)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Failure(_refusal(call, error), codes.CONFIG) from error


def ask_settings(call: Call) -> Settings:
    """The settings of the app, which a short-lived process imports: this one stays free of its code.

    Raises `Failure` and `SettingsError`.
    """
    spec = call.needed_spec()
    answer = _asked(call)
    if answer is None:
        raise Failure(
            f"the app {spec} cannot be imported: its import ended the process, or took over {IMPORT_SECONDS:g} s",
            codes.CONFIG,
        )
    if "error" in answer:
        if call.verbose:
            click.echo(answer["trace"], err=True, nl=False)
        raise Failure(answer["error"], codes.CONFIG)
    try:
        return Settings(**answer["settings"])
    except Exception as error:
        raise failure_of(error) from error


def _asked(call: Call) -> dict[str, Any] | None:
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _answer(call, writing)
    os.close(writing)
    said = b""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], IMPORT_SECONDS)[0]:
            piece = pipe.read(65_536)
            if not piece:
                break
            said += piece
        else:
            os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    found: dict[str, Any] | None = json.loads(said) if said.endswith(b"\n") else None
    return found


def _refusal(call: Call, error: BaseException) -> str:
    said = call.said()
    if isinstance(error, SettingsError) and said is not None and (error.setting, error.value) == ("app", said[0]):
        # Who looks for the app is not told who named it.
        return str(SettingsError("app", said[0], error.problem, error.remedy, said[1]))
    # Our own errors name what is wrong by themselves.
    ours = isinstance(error, BackburnerError)
    return str(error) if ours else f"the app {call.spec()} cannot be imported: {problem_of(error)}"


def _answer(call: Call, writing: int) -> None:
    """In the short-lived process: import the app, say its settings, end."""
    try:
        try:
            answer: dict[str, Any] = {"settings": asdict(load_app(call.needed_spec()).settings)}
        except BaseException as error:  # noqa: BLE001 (an app's import may raise anything)
            answer = {"error": _refusal(call, error), "trace": traceback.format_exc()}
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(answer).encode() + b"\n")
    finally:
        os._exit(0)
