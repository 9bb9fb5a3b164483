"""Real processes in a fraction of a second: forked from one that has imported what they need, and done nothing else.

Importing takes longer than most of what such a process is for. The server that forks them is multiprocessing's: one
per pytest process, started at the first use; it ends by itself with the last process that could ask it.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.mutants import mark
from tests.waiting import NeverHappened, wait_until

PRELOADED = (
    "alembic.command",
    "backburner.cli.jobs",
    "backburner.cli.migrate",
    "backburner.cli.process",
    "backburner.cli.worker",
    "backburner.worker",
    "backburner.store.store",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "psycopg",
    "tests.worker.app",
)
"""No module that reads the environment when it is imported: the server has that of the first test."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(list(PRELOADED))


class Forked:
    """`main(*arguments)` in a process that leads a session of its own; what it answers or exits with is its code.

    It begins as after `python -m`: in `folder`, with `environ` and nothing else, signals as the system has them.
    What it says goes to the file `output`, and its errors to the file `errors` if that is another one.
    """

    def __init__(
        self,
        main: Callable[..., int],
        arguments: tuple[object, ...],
        *,
        folder: Path,
        environ: Mapping[str, str],
        output: Path,
        errors: Path | None = None,
    ) -> None:
        outputs = (output, errors or output)
        for path in outputs:
            path.touch()
        self._process = _FORKS.Process(target=_begin, args=(main, arguments, folder, dict(environ), outputs))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        wait_until(self._leads_or_ended, f"process {self.pid} leads a session")

    def send_signal(self, number: int) -> None:
        """Nothing happens when it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def send_signal_to_all(self, number: int) -> None:
        """To every process of its session's group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it lives."""
        return self._process.exitcode

    def wait(self, seconds: float) -> int:
        """Wait for its end; its exit code. Raises NeverHappened."""
        self._process.join(seconds)
        code = self.poll()
        if code is None:
            raise NeverHappened(f"waited {seconds:g} s, and it did not happen: process {self.pid} ends")
        return code

    def _leads_or_ended(self) -> bool:
        with suppress(ProcessLookupError):
            return os.getpgid(self.pid) == self.pid or self.poll() is not None
        return True


def _begin(
    main: Callable[..., int],
    arguments: tuple[object, ...],
    folder: Path,
    environ: dict[str, str],
    outputs: tuple[Path, Path],
) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    for standard, path in enumerate(outputs, 1):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, standard)
        os.close(file)
    mark.obey()
    sys.exit(main(*arguments))
