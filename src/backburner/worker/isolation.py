"""A job in a process of its own: it may be killed without harm to others, and a crash is surely its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec

from backburner.blame import Death, Limits, Orphan, judge
from backburner.clock import Clock, boot_seconds
from backburner.errors import LeaseLost
from backburner.outcome import Settlement
from backburner.secrets import launch_secrets
from backburner.worker.app import IMPORT_SECONDS
from backburner.worker.reporter import Running

ALIVE = b"."
"""A line the process sends while its job gives signs of life."""
SILENT = b","
"""A line the process sends while its job gives none."""
BEGIN = b"!"
"""The line that it waits for before the body begins."""
_LOOK_SECONDS = 0.1

_verdict = msgspec.json.Decoder(Settlement | bool)
"""How it ended; or, where there is nothing to write, whether it ended with a transaction of its own."""


class Isolation:
    """Starts `python -m backburner.worker.isolated` for one job and waits for its verdict."""

    def __init__(
        self, app: str, worker: Callable[[], str], limits: Limits, clock: Clock, host: str, stop_grace: float
    ) -> None:
        self._app, self._worker, self._limits, self._clock = app, worker, limits, clock
        self._host, self._stop_grace = host, stop_grace

    def run(self, running: Running, begins: Callable[[], bool]) -> Settlement | BaseException | None:
        """How the job ended: its own verdict, what stopped it, or a proven crash; None when there is nothing to
        write any more. `begins()` is asked when the process is up: False when the body must not begin.

        Raises only when nothing has begun: no process could be started, none came up, or that could not be asked.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "backburner.worker.isolated",
                    self._app,
                    str(theirs.fileno()),
                    self._worker(),
                ],
                pass_fds=[theirs.fileno()],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
            theirs.close()
            try:
                ours.sendall(msgspec.json.encode((running.job, dict(launch_secrets()))) + b"\n")
                verdict = self._listen(ours, running, process, begins)
            except OSError:
                verdict = None
            except BaseException:
                process.kill()
                raise
            finally:
                if process.poll() is None and not _ended(process, 5.0):
                    process.kill()
                    process.wait()
        if verdict == BEGIN:
            return LeaseLost(running.job.id, running.job.attempt)
        if verdict is not None:
            with suppress(msgspec.MsgspecError):
                ended: Settlement | bool = _verdict.decode(verdict)
                if not isinstance(ended, bool):
                    return ended
                running.context._finished = ended
                return None if ended else LeaseLost(running.job.id, running.job.attempt)
        why = running.context._stop
        if why is not None:
            return why
        code = process.returncode
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        if running.limits_from is None:
            raise RuntimeError(f"its process ended with {cause} before it could begin")
        return self._crash(running, cause)

    def _listen(
        self, ours: socket.socket, running: Running, process: subprocess.Popen[bytes], begins: Callable[[], bool]
    ) -> bytes | None:
        """Lines until the verdict; kills the process when it was told to stop and does not.

        The first line says that it is up; it waits for `BEGIN`, which is also the answer when the body must not begin.
        Raises `RuntimeError` when that line does not come.
        """
        ours.settimeout(_LOOK_SECONDS)
        buffer, stopped_at = b"", None
        while True:
            # Asked before the look at what it said. Its own children may keep the line open when it is gone.
            gone = process.poll() is not None
            try:
                piece = ours.recv(65_536)
                if not piece:
                    return None
                buffer += piece
                *lines, buffer = buffer.split(b"\n")
                if lines and running.limits_from is None:
                    if not begins():
                        process.kill()
                        return BEGIN
                    running.limits_from = boot_seconds()
                    ours.sendall(BEGIN + b"\n")
                for line in lines:
                    if line == ALIVE:
                        running.context._alive = True
                    elif line != SILENT:
                        return line
            except TimeoutError:
                if gone:
                    return None
            if running.limits_from is None and boot_seconds() - running.started > IMPORT_SECONDS:
                process.kill()
                process.wait()
                # Nothing of the job has begun: it is not to blame.
                raise RuntimeError(f"its process did not come up within {IMPORT_SECONDS:g} s")
            if running.context._stop is not None:
                stopped_at = stopped_at or boot_seconds()
                if boot_seconds() - stopped_at > self._stop_grace:
                    process.kill()
                    process.wait()
                    return None

    def _crash(self, running: Running, cause: str) -> Settlement:
        job, now = running.job, self._clock.now()
        orphan = Orphan(
            job.id, job.position, job.attempt, job.task, job.crashes, job.losses, job.repeatable,
            began_at=now, started_at=now, cancel_requested=False, queue=job.queue,
        )  # fmt: skip
        death = Death(cause, frozenset({job.id}), crashed=True, host=self._host)
        return judge(orphan, death, self._limits, now)


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
