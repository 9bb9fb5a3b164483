"""`LazyGroup`: a group that imports a command when it is used; its own help imports none of them."""

from __future__ import annotations

import gc
import importlib
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from backburner.cli.call import call_of
from backburner.cli.failure import Failure, failure_of
from backburner.errors import MissingExtra


class Entry(NamedTuple):
    """A command before it is imported: its module (with a `command` in it), one line, the extra it needs."""

    module: str
    help: str
    extra: str | None = None


class LazyGroup(click.Group):
    """Also turns every error into one line on stderr and an exit code."""

    def __init__(self, *args: Any, commands_by_name: Mapping[str, Entry], **options: Any) -> None:
        super().__init__(*args, **options)
        self.entries = commands_by_name
        self.collector_rests = False
        """Whether the garbage collector was turned off until a command has been loaded."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        try:
            found: click.Command = importlib.import_module(entry.module).command
        except ModuleNotFoundError as error:
            if entry.extra is None or (error.name or "").startswith("backburner"):
                raise
            raise failure_of(MissingExtra(error.name or "?", entry.extra, f"backburner {cmd_name}")) from error
        if self.collector_rests:
            # What is here by now stays, and need not be looked through again.
            self.collector_rests = False
            gc.freeze()
            gc.enable()
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError) as error:
            if isinstance(error, Failure):
                self._trace(ctx, error.__cause__)
            raise
        except Exception as error:
            self._trace(ctx, error)
            raise failure_of(error) from error

    def _trace(self, ctx: click.Context, error: BaseException | None) -> None:
        if error is not None and call_of(ctx).verbose:
            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
