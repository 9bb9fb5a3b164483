"""Who acts on the command line: the user of this machine, by name. What they do is in the audit."""

from __future__ import annotations

import getpass
import socket

import click

from backburner.backburner import Backburner
from backburner.checked import MAX_WHO
from backburner.cli.call import call_of
from backburner.cli.opening import open_app
from backburner.insight.operator import Operator


def operator_of(jobs: Backburner) -> Operator:
    """The person at the keyboard, `ada@web-1`."""
    return jobs.insight.operator(who(), "cli")


def acting(context: click.Context) -> Operator:
    """The person at the keyboard, on the jobs of the app that is named."""
    return operator_of(open_app(call_of(context)))


def who() -> str:
    """User and host; a user without a name is known by its number."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError) as error:
        name = str(error).rsplit(" ", 1)[-1] or "somebody"
    return f"{name}@{socket.gethostname()}"[:MAX_WHO]
