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


class _Refused(Exception):
    """The body must not begin: how the attempt ends instead."""

    def __init__(self, outcome: Settlement | BaseException) -> None:
        super().__init__()
        self.outcome = outcome


class Isolation:
    """Starts `python -m backburner.worker.isolated` for one job and waits for its verdict."""

    def __init__(
        self, app: str, worker: Callable[[], str], limits: Limits, clock: Clock, host: str, stop_grace: float
    ) -> None:
        self._app, self._worker, self._limits, self._clock = app, worker, limits, clock
        self._host, self._stop_grace = host, stop_grace

    def run(
        self, running: Running, refused: Callable[[], Settlement | BaseException | None]
    ) -> Settlement | BaseException | None:
        """How the job ended: its own verdict, what stopped it, or a proven crash; None when there is nothing to
        write any more. `refused()` is asked when the process is up: how it ends that must not begin, else None.

        Raises only when nothing has begun: no process could be started, none came up, or that could not be asked.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            # With a default time-out, which the app or a library may have set, both would be non-blocking. That goes
            # with the socket to the other process, where nobody knows of it.
            ours.settimeout(None)
            theirs.settimeout(None)
            process = self._started(theirs.fileno())
            theirs.close()
            try:
                ours.sendall(msgspec.json.encode((running.job, dict(launch_secrets()))) + b"\n")
                verdict = self._listen(ours, running, process, refused)
            except OSError:
                verdict = None
            except _Refused as refusal:
                process.kill()
                return refusal.outcome
            except BaseException:
                process.kill()
                raise
            finally:
                if process.poll() is None and not _ended(process, 5.0):
                    process.kill()
                    process.wait()
        return self._outcome(running, verdict, process.returncode)

    def _started(self, line: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "backburner.worker.isolated", self._app, str(line), self._worker()],
            pass_fds=[line],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def _outcome(self, running: Running, verdict: bytes | None, code: int) -> Settlement | BaseException | None:
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
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        if running.limits_from is None:
            raise RuntimeError(f"its process ended with {cause} before it could begin")
        return self._crash(running, cause)

    def _listen(
        self, ours: socket.socket, running: Running, process: subprocess.Popen[bytes],
        refused: Callable[[], Settlement | BaseException | None],
    ) -> bytes | None:  # fmt: skip
        """Lines until the verdict; kills the process when it was told to stop and does not.

        A first line that is no verdict says that it is up: it waits for `BEGIN`. Raises `RuntimeError` when none comes,
        and `_Refused`.
        """
        ours.settimeout(_LOOK_SECONDS)
        buffer, stopped_at = b"", None
        while True:
            # Asked before the look at what it said. Its own children may keep the line open when it is gone.
            gone, lines = process.poll() is not None, list[bytes]()
            try:
                piece = ours.recv(65_536)
                if not piece:
                    return None
                *lines, buffer = (buffer + piece).split(b"\n")
            except TimeoutError:
                if gone:
                    return None
            for line in lines:
                if line not in (ALIVE, SILENT):
                    return line
                if running.limits_from is None:
                    self._let_begin(ours, running, refused)
                running.context._alive = running.context._alive or line == ALIVE
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

    def _let_begin(
        self, ours: socket.socket, running: Running, refused: Callable[[], Settlement | BaseException | None]
    ) -> None:
        # Whoever was cancelled in the meantime has done nothing yet, and never will.
        outcome = running.context._stop or refused()
        if outcome is not None:
            raise _Refused(outcome)
        ours.sendall(BEGIN + b"\n")
        running.limits_from = boot_seconds()

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
