"""`backburner demo`: the shop of the repository's examples."""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys

import click

from backburner.cli import codes
from backburner.cli.text import say

_DEMO = "examples.shop"
_EPILOG = f"""\b
Exit codes:
  {codes.OK}   it ended well, or said how to run it
  {codes.FAILED}   the demo failed"""


@click.command(epilog=_EPILOG)
def command() -> None:
    """Run the demo shop, or say how.

    The demo comes with the source, not with the package: a small product admin that imports, changes and
    exports products in the background, with bars to watch. Started in a clone, this runs it.
    """
    if not _is_here():
        say(
            "The demo is part of the source, not of the installed package. "
            "In a clone of it, start it with: ./scripts/demo"
        )
        return
    sys.argv = [_DEMO]
    runpy.run_module(_DEMO, run_name="__main__", alter_sys=True)


def _is_here() -> bool:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.util.find_spec(f"{_DEMO}.__main__") is not None
    except ModuleNotFoundError:
        return False
