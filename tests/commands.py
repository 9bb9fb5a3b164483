"""The command line and scripts in processes of their own, forked from one that has imported them already."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from backburner.cli import main
from tests.forked import Forked
from tests.waiting import NeverHappened

ROOT = Path(__file__).parents[1]
BACKBURNER = Path(sys.executable).with_name("backburner")

Ran = subprocess.CompletedProcess[str]


def environment(**more: str) -> dict[str, str]:
    """This process's own without settings of Backburner, with `more`; `PYTHONPATH` of `more` comes first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BACKBURNER_")}
    path = os.pathsep.join(filter(None, (more.get("PYTHONPATH"), kept.get("PYTHONPATH"), str(ROOT))))
    return {**kept, **more, "PYTHONPATH": path}


def run(arguments: tuple[str, ...], folder: Path, environ: Mapping[str, str]) -> Ran:
    """`backburner ARGUMENTS` to its end."""
    return _to_its_end(_backburner, arguments, folder, environ)


def run_afresh(arguments: tuple[str, ...], folder: Path, environ: Mapping[str, str]) -> Ran:
    """The same as a shell starts it."""
    return subprocess.run(
        [BACKBURNER, *arguments],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def run_python(code: str, folder: Path, environ: Mapping[str, str]) -> str:
    """What a script prints, which may import what is in `folder`."""
    ran = _to_its_end(_python, (code,), folder, environ)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@contextmanager
def started(arguments: tuple[str, ...], folder: Path, environ: Mapping[str, str], said: Path) -> Iterator[Forked]:
    """`backburner ARGUMENTS` in the background, told to stop at the end of the block. What it says goes to `said`."""
    forked = Forked(_backburner, arguments, folder=folder, environ=environ, output=said)
    try:
        yield forked
        if forked.poll() is None:
            forked.send_signal(signal.SIGTERM)
            forked.wait(40)
    finally:
        if forked.poll() is None:
            forked.send_signal_to_all(signal.SIGKILL)


def _to_its_end(main: Callable[..., int], arguments: tuple[str, ...], folder: Path, environ: Mapping[str, str]) -> Ran:
    with TemporaryDirectory() as place:
        output, errors = Path(place, "output"), Path(place, "errors")
        forked = Forked(main, arguments, folder=folder, environ=environ, output=output, errors=errors)
        try:
            code = forked.wait(200)
        except NeverHappened:
            forked.send_signal_to_all(signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(arguments, code, output.read_text(), errors.read_text())


def _backburner(*arguments: str) -> int:
    sys.argv = [str(BACKBURNER), *arguments]
    main()
    return 0


def _python(code: str) -> int:
    sys.path.insert(0, os.getcwd())
    exec(code, {"__name__": "__main__"})
    return 0
