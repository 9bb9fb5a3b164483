"""A child of the supervisor: imports the app, says hello, works, ends. Never returns to its parent's code."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import traceback
from dataclasses import asdict

from backburner.errors import StoreUnavailable
from backburner.worker import exits
from backburner.worker.app import load_app, problem_of
from backburner.worker.options import WorkerOptions
from backburner.worker.page import Page
from backburner.worker.process import WorkerProcess

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1


def main(app: str, options: WorkerOptions, page: Page, worker_id: str, hello: int) -> None:
    """Run as a worker and end the process. `hello` is the writing end of a pipe to the supervisor."""
    code = exits.FAILED
    try:
        code = _work(app, options, page, worker_id, hello)
    except BaseException:  # noqa: BLE001 (the process ends here, whatever it was)
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        # No atexit handlers of the parent, no waiting for threads that do not listen.
        os._exit(code)


def _work(app: str, options: WorkerOptions, page: Page, worker_id: str, hello: int) -> int:
    parent = os.getppid()
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    # Ctrl-C reaches the whole group: the supervisor decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        jobs = load_app(app)
        jobs.app = app
        jobs.store.ready()
        life = jobs.store.dialect.hold_life(worker_id)
        process = WorkerProcess(jobs, options, page, worker_id, may_exit=True)
        process.prepare()
    except StoreUnavailable as error:
        _say(hello, {"error": str(error), "trace": "", "again": True})
        return exits.FAILED
    except BaseException as error:  # noqa: BLE001 (the app's import may raise anything)
        _say(hello, {"error": problem_of(error), "trace": traceback.format_exc()})
        return exits.CONFIG
    _say(hello, {"settings": asdict(jobs.settings)})
    process.start()
    code = _watch(process, options, page, told, parent)
    life.forget()
    jobs.close()
    return code


def _watch(process: WorkerProcess, options: WorkerOptions, page: Page, told: threading.Event, parent: int) -> int:
    """Look around until there is a reason to end; the exit code."""
    while process.quiet is None:
        process.woken.wait(_LOOK_SECONDS)
        process.look_around()
        _end_guarded(process)
        if told.is_set() or page.quiet:
            process.become_quiet("it was told to stop")
        elif page.replaced:
            process.become_quiet("another takes its place")
        elif os.getppid() != parent:
            process.become_quiet("its supervisor is gone")
    asked = told.is_set() or page.quiet
    orphaned = os.getppid() != parent
    log.info("worker %s ends: %s", process.id, process.quiet)
    # Without a supervisor nobody beats: what runs may go on for as long as the lease.
    grace = min(options.grace, options.lease / 2) if orphaned else options.grace if asked else float("inf")

    def wait(seconds: float) -> None:
        told.wait(seconds) if not told.is_set() else threading.Event().wait(seconds)
        process.look_around()
        _end_guarded(process)

    ended = process.wind_down(grace, wait)
    if orphaned:
        return exits.ORPHANED
    if not ended:
        return exits.GRACE_OVER
    return exits.STOPPED if asked or process.over else exits.RECYCLE


def _end_guarded(process: WorkerProcess) -> None:
    if process.guarded_past_lease:
        # The job may be given to somebody else from now on; its body must not go on. No clean-up: it takes time.
        os._exit(exits.LEASE_OVER)


def _say(hello: int, what: object) -> None:
    os.write(hello, json.dumps(what).encode() + b"\n")
    os.close(hello)
