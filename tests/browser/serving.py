"""An example app under its framework's real server, and a worker beside it when the test says so."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.servers import free_port
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Running:
    """A process, and what it has said."""

    def __init__(self, command: Sequence[str], folder: Path, environ: dict[str, str]) -> None:
        self._log = folder / f"{len(list(folder.glob('*.log')))}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """As a service is stopped; it has to end well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise


def environ_of(folder: Path) -> dict[str, str]:
    """What is around processes of an example whose data is below `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BACKBURNER_", "FLASK_"))}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src"), str(folder)])
    return kept | {"SHOP_FOLDER": str(folder / "shop"), "PYTHONPATH": paths}


class Shop:
    """One of the example apps. `folder` has its database and all that its processes say."""

    def __init__(self, folder: Path, worker: Sequence[str], **environ: str) -> None:
        self.folder, self._worker, self.port = folder, worker, free_port()
        self.url = f"http://localhost:{self.port}"
        self._environ = environ_of(folder) | environ
        self._started: list[Running] = []

    @contextmanager
    def serving(self, *command: str) -> Iterator["Shop"]:
        """Serve it by a program of Python's; `{port}` in the command is where."""
        server = self._start([part.format(port=self.port) for part in command])
        try:
            wait_until(lambda: server.process.poll() is not None or self._answers(), "the server answers", 60)
            assert server.process.poll() is None, server.said()
            yield self
        finally:
            while self._started:
                self._started.pop().stop()

    def start_worker(self) -> None:
        """Let jobs run from here on: it is ready when this returns."""
        worker = self._start(self._worker)
        wait_until(lambda: worker.process.poll() is not None or "is ready" in worker.said(), "the worker is ready", 90)
        assert worker.process.poll() is None, worker.said()

    def said(self) -> str:
        """What all its processes have said."""
        return "\n".join(log.read_text(errors="replace") for log in sorted(self.folder.glob("*.log")))

    def _start(self, command: Sequence[str]) -> Running:
        self._started.append(Running([sys.executable, "-m", *command], self.folder, self._environ))
        return self._started[-1]

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/backburner/livez", timeout=5).status_code == 200
        except (httpx.TransportError, socket.gaierror):
            return False
