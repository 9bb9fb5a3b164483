"""`manage.py backburner ...`: the commands of `backburner`, for this project's jobs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from backburner.cli import main
from backburner.contrib.django.project import PROGRAM

_SUPERVISORS = ("worker", "process")


class Command(BaseCommand):
    """Passes everything on: `manage.py backburner jobs list`, `manage.py backburner --help`."""

    help = "Runs and operates background jobs; says more with --help behind it."

    def run_from_argv(self, argv: list[str]) -> None:
        words, said = argv[2:], f"{Path(argv[0]).name} {argv[1]}"
        command = next((word for word in words if not word.startswith("-")), None)
        if command in _SUPERVISORS:
            _become_supervisor(words)
        main(["--app", PROGRAM, *words], prog_name=said)

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("words", nargs=argparse.REMAINDER, help="a command of backburner, and what belongs to it")

    def handle(self, *_: Any, **options: Any) -> None:
        main(["--app", PROGRAM, *options["words"]], prog_name="backburner", standalone_mode=False)


def _become_supervisor(words: list[str]) -> None:
    """Become a process that has imported nothing of the project: so its children, at each reload, import it anew."""
    sys.stdout.flush()
    sys.stderr.flush()
    path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path if place)
    program = [sys.executable, "-m", "backburner.cli", "--app", PROGRAM, *words]
    os.execve(sys.executable, program, os.environ | {"PYTHONPATH": path})  # noqa: S606 - a list, and no shell
