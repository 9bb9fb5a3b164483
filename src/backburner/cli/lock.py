"""`backburner lock`: runs any command once at a time, on all hosts together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from backburner.cli import codes
from backburner.cli.call import call_of
from backburner.cli.failure import Failure
from backburner.cli.opening import open_app
from backburner.cli.text import one_line
from backburner.cli.values import DURATION
from backburner.errors import InvalidOption
from backburner.lock import app_lock

_PR_SET_PDEATHSIG = 1
_NOT_FOUND, _NOT_RUNNABLE = 127, 126

_EPILOG = f"""\b
In a crontab, on every host:
  0 3 * * * backburner lock nightly -- /srv/shop/nightly.sh --all

\b
Exit codes:
  the command's own, or 128 + the number of the signal that ended it
  {codes.FAILED}   the lock was lost meanwhile, and the command was stopped
  {codes.USAGE}   the command line is wrong
  {codes.BUSY}  somebody else has the lock; stderr says who
  {codes.CONFIG}  the app, its settings or its tables cannot be used
  {_NOT_RUNNABLE}, {_NOT_FOUND}  the command cannot be run, is not there"""


@click.command(epilog=_EPILOG, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--wait", type=DURATION, default=0.0, help="Wait so long for the lock, such as 5min. Else not at all.")
@click.argument("name")
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND [ARG]...", type=click.UNPROCESSED)
@click.pass_context
def command(context: click.Context, name: str, words: Sequence[str], wait: float) -> None:
    """Run a command once at a time.

    The lock is a row in the database, so it holds on all hosts together. It is kept while the command runs, and
    is free half a minute after its machine died. In Python: with jobs.lock("nightly").
    """
    jobs = open_app(call_of(context))
    running: list[subprocess.Popen[bytes]] = []
    try:
        lock = app_lock(lambda: jobs.store, name, wait, jobs.settings.lease)
    except InvalidOption as error:
        raise click.UsageError(f"{error}.") from error

    def stop() -> None:
        for one in running:
            one.terminate()

    lock.on_lost(stop)
    ends_with_us = _dies_with_parent()
    with lock:
        words = words[1:] if words[:1] == ("--",) else words
        try:
            running.append(subprocess.Popen(words, preexec_fn=ends_with_us))  # noqa: PLW1509 (it asks for no lock)
        except OSError as error:
            code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUNNABLE
            raise Failure(f"{one_line(words[0])}: {error.strerror}", code) from error
        with _passing_signals(running[0]):
            code = running[0].wait()
        if not lock.held:
            raise Failure(f"the lock {name!r} was lost while the command ran; it was stopped")
    context.exit(code if code >= 0 else 128 - code)


@contextmanager
def _passing_signals(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """What tells us to stop tells the command; a Ctrl-C reaches it from the terminal."""
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number)),
        signal.SIGHUP: signal.signal(signal.SIGHUP, lambda number, _: process.send_signal(number)),
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
    }
    try:
        yield
    finally:
        for number, taken in before.items():
            signal.signal(number, taken)


def _dies_with_parent() -> Callable[[], Any] | None:
    """On Linux the command is told to stop when we are killed: else it would run on without its lock."""
    with suppress(OSError, AttributeError):
        prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

        def ask() -> None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        return ask
    return None
