"""Errors as the command line shows them: one line on stderr, and an exit code that says whose turn it is."""

from __future__ import annotations

from typing import IO, Any

import click

from backburner.cli import codes
from backburner.cli.text import one_line
from backburner.errors import (
    AlreadyRunning,
    BackburnerError,
    DuplicateTask,
    InvalidOption,
    InvalidTask,
    MissingExtra,
    SchemaMissing,
    SchemaTooNew,
    SettingsError,
)

_CONFIG = (SettingsError, MissingExtra, SchemaMissing, SchemaTooNew, InvalidTask, DuplicateTask)


class Failure(click.ClickException):
    """Ends the command with `Error: message` and `code`."""

    def __init__(self, message: str, code: int = codes.FAILED) -> None:
        super().__init__(one_line(message))
        # Click reads it from the instance, as its own errors do.
        self.exit_code = code  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {self.message}", file=file, err=file is None)


def failure_of(error: Exception) -> Failure:
    """What an error means for the person at the terminal."""
    if isinstance(error, AlreadyRunning):
        return Failure(str(error), codes.BUSY)
    if isinstance(error, InvalidOption):
        return Failure(str(error), codes.USAGE)
    if isinstance(error, BackburnerError):
        return Failure(str(error), codes.CONFIG if isinstance(error, _CONFIG) else codes.FAILED)
    first = (str(error).strip().splitlines() or [""])[0]
    return Failure(f"{type(error).__name__}: {first} (backburner -v shows the traceback)")
