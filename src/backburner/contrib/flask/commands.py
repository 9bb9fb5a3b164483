"""`flask backburner ...`: the commands of `backburner`, with the app that `flask` has found."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click
from flask.cli import ScriptInfo

from backburner.cli import COMMANDS, EPILOG
from backburner.cli.call import Call
from backburner.cli.lazy import LazyGroup
from backburner.contrib.flask.program import FLASK_APP, SPEC
from backburner.errors import SettingsError

_SUPERVISORS = frozenset({"worker", "process"})


class FlaskCommands(LazyGroup):
    """As `backburner`; what runs jobs begins as a program of its own.

    Its processes are started anew with the app's present code. This process has imported that already.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _SUPERVISORS:
            return _program(cmd_name)
        return super().get_command(ctx, cmd_name)


def _program(name: str) -> click.Command:
    @click.command(name, add_help_option=False, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    @click.pass_context
    def command(context: click.Context, arguments: tuple[str, ...]) -> NoReturn:
        info = context.find_object(ScriptInfo)
        if info is not None and info.create_app is not None and info.app_import_path is None:
            raise SettingsError(
                "app", None, "comes from a function that other processes cannot name", "Give flask --app module:name"
            )
        environ = dict(os.environ)
        if info is not None and info.app_import_path:
            environ[FLASK_APP] = info.app_import_path
        sys.stdout.flush()
        sys.stderr.flush()
        call = context.find_object(Call)
        verbose = ["-v"] if call is not None and call.verbose else []
        program = [sys.executable, "-m", "backburner", "--app", SPEC, *verbose, name, *arguments]
        os.execve(sys.executable, program, environ)  # noqa: S606 - there is no shell in between

    return command


@click.group(
    "backburner",
    cls=FlaskCommands,
    commands_by_name=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("-v", "--verbose", is_flag=True, help="Say more; show tracebacks of errors.")
@click.pass_context
def commands(context: click.Context, verbose: bool) -> None:
    """Long jobs of this app: run them, look at them, steer them.

    \b
    Examples:
      flask --app shop backburner worker
      flask --app shop backburner jobs list --state failed
    """
    context.obj = Call(SPEC, verbose)
