"""The other side of `isolation`: runs one job in this process and sends back how it ended."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
import threading
from contextlib import suppress

import msgspec

from backburner.errors import StoreError
from backburner.job import ClaimedJob
from backburner.log_lines import LineFormatter
from backburner.outcome import Settlement
from backburner.secrets import keep_secrets
from backburner.worker.app import load_app
from backburner.worker.bench import Bench
from backburner.worker.hooked import ProcessHooks
from backburner.worker.isolation import ALIVE, SILENT
from backburner.worker.page import Page
from backburner.worker.verdict import not_started

_ALIVE_SECONDS = 0.25
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """`python -m backburner.worker.isolated APP FD WORKER`."""
    app, number, worker = sys.argv[1:4]
    if logging.lastResort is not None:
        # For as long as the app has said nothing else.
        logging.lastResort.setFormatter(LineFormatter())
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line = socket.socket(fileno=int(number))
    job, secrets = msgspec.json.decode(_read_line(line), type=tuple[ClaimedJob, dict[str, str]])
    keep_secrets(secrets)
    try:
        jobs = load_app(app)
    except Exception:
        logging.getLogger(__name__).exception("the app %s cannot be loaded for job %s", app, job.id)
        # At once: who waits for its end is not to wait for an interpreter that winds down.
        os._exit(1)
    ended: list[Settlement | None] = []
    # No isolation in here: this is the process of its own.
    bench = Bench(jobs, Page(4), lambda: worker, isolation=None, done=lambda _, settlement: ended.append(settlement))
    hooks = ProcessHooks.of(jobs, worker, bench.executor.loop, isolated=True)
    try:
        hooks.start()
    except BaseException as error:
        logging.getLogger(__name__).exception("a hook kept job %s from starting", job.id)
        lost = not_started(job, error, jobs.store.clock.now(), jobs.settings.max_losses)
        line.sendall(msgspec.json.encode(lost) + b"\n")
        os._exit(0)
    bench.reporter.start()
    _wait_to_begin(line)
    # A long verdict is sent in pieces: no sign of life may come in between.
    speaking = threading.Lock()
    threading.Thread(target=_tell_alive, args=(line, bench, speaking), daemon=True).start()
    # In this thread, a coroutine as well: the verdict is there when it returns.
    bench.executor.run(job, 0)
    # What is counted in here is an end that the body has written itself.
    verdict = bench.executor.ledger.take() is not None if ended[0] is None else ended[0]
    with speaking:
        line.sendall(msgspec.json.encode(verdict) + b"\n")
        line.shutdown(socket.SHUT_WR)
    hooks.end()
    sys.stdout.flush()
    # Without atexit and without waiting for threads the task may have left behind.
    os._exit(0)


def _wait_to_begin(line: socket.socket) -> None:
    """Say that it is up: whatever ends this process from the answer on, the body did."""
    try:
        line.sendall(SILENT + b"\n")
        _read_line(line)
    except OSError:
        # Whoever started it has died before it could be told to die with him.
        os._exit(1)


def _read_line(line: socket.socket) -> bytes:
    buffer = b""
    while not buffer.endswith(b"\n"):
        piece = line.recv(65_536)
        if not piece:
            os._exit(1)
        buffer += piece
    return buffer


def _tell_alive(line: socket.socket, bench: Bench, speaking: threading.Lock) -> None:
    pause, seen = threading.Event(), 0.0
    with suppress(OSError, StoreError):
        while True:
            latest = max((one.alive_at for one in list(bench.reporter.running.values())), default=0.0)
            with speaking:
                # Sent in any case: it fails when nobody listens any more.
                line.sendall((ALIVE if latest > seen else SILENT) + b"\n")
            seen = latest
            pause.wait(_ALIVE_SECONDS)
    os._exit(1)


def _die_with_parent() -> None:
    """Linux ends this process with the one that started it, however that ends."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
