"""`Processes`: the web server and the worker of one shop, each a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from examples.shop.folder import Folder
from examples.shop.listening import listener

ROOT = Path(__file__).parents[2]
_START_SECONDS = 60.0
_GRACE_SECONDS = 3


class CannotStart(Exception):
    """The port is taken, or a process ended before it was ready; the text says which."""


class Processes:
    """Started on entering, stopped on leaving, whatever happens between. `workers` is how many run jobs."""

    def __init__(self, folder: Folder, port: int = 0, workers: int = 1, batch: int | None = None) -> None:
        self._folder, self._workers = folder, workers
        self._environ = folder.environ() | ({"SHOP_BATCH": str(batch)} if batch else {})
        self._socket = _listening(port)
        self.port: int = self._socket.getsockname()[1]
        self._web: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where the shop is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def supervisor(self) -> int:
        """The process that watches over the ones that run jobs."""
        assert self._worker is not None
        return self._worker.pid

    def __enter__(self) -> Processes:
        try:
            self._folder.path.mkdir(parents=True, exist_ok=True)
            self._web = self._start("-m", "examples.shop.web", "--fd", str(self._socket.fileno()))
            self._await_answer()
            # After the web: it makes the tables.
            self._worker = self._start(
                *("-m", "backburner", "--app", "examples.shop.tasks:jobs"),
                *("worker", "--processes", str(self._workers), "--grace", str(_GRACE_SECONDS)),
            )
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ended(self) -> str | None:
        """Which process has ended by itself, if any."""
        for name, process in (("web server", self._web), ("worker", self._worker)):
            if process is not None and process.poll() is not None:
                return f"the {name} has ended with exit code {process.returncode}"
        return None

    def stop(self) -> None:
        """Ask both to end, and see that they do."""
        started = [process for process in (self._worker, self._web) if process is not None]
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in started:
            try:
                process.wait(_GRACE_SECONDS + 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._socket.close()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self._environ | {"PYTHONPATH": os.pathsep.join(paths)},
            pass_fds=[self._socket.fileno()],
        )

    def _await_answer(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            ended = self.ended()
            if ended is not None:
                raise CannotStart(ended)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/backburner/livez")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.1)
        raise CannotStart(f"the web server does not answer at {self.address}")


def _listening(port: int) -> socket.socket:
    try:
        return listener(port)
    except (OSError, OverflowError) as error:
        raise CannotStart(f"it cannot listen on port {port}: {error}") from error
