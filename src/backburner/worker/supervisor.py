"""The parent of worker processes: holds their leases and the kill switch, runs no code of the app.

It beats for its children from a thread and a connection of its own, so that a child that is busy, stopped or
stuck in C code keeps its jobs; and when a child dies it knows for certain, and has its jobs rescued at once.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
from collections import deque
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from backburner.blame import Death
from backburner.clock import boot_seconds
from backburner.errors import BackburnerError, StoreError
from backburner.ids import Ids
from backburner.seams import Seams
from backburner.store.workers import Order
from backburner.worker import child, exits
from backburner.worker.app import IMPORT_SECONDS
from backburner.worker.children import Child, Grave, cause_of, send
from backburner.worker.heartbeat import Beating
from backburner.worker.leases import Leases
from backburner.worker.options import WorkerOptions
from backburner.worker.page import Page
from backburner.worker.signals import Signals

log = logging.getLogger(__name__)

_SOON_SECONDS = 5.0
"""A child that dies within this time of its start is started again after a growing pause."""
_AWAY_SECONDS = 2.0
"""The longest such pause while it is the database that is away: work goes on soon after it is back."""


class Supervisor:
    """`run()` stays until it is told to stop; its answer is the exit code."""

    def __init__(self, app: str, options: WorkerOptions, seams: Seams | None = None) -> None:
        self._app, self._options, self._seams = app, options, seams or Seams()
        self._id = Ids().new()
        self._ids = Ids()
        self._children: dict[int, Child] = {}
        self._leases: Leases | None = None
        self._signals = Signals()
        self._stopping: float | None = None
        self._reloading: deque[int] = deque()
        self._restart_at: deque[tuple[float, int]] = deque()
        self._heard: deque[tuple[Child, str]] = deque()
        self._disowned: deque[Child] = deque()
        self._stays_down = False
        self._quick_deaths = 0
        self._exit_code = exits.STOPPED
        self._until = float("inf") if options.budget is None else boot_seconds() + options.budget

    def run(self) -> int:
        """Start the children and look after them."""
        with self._signals:
            try:
                for place in range(self._options.processes):
                    self._start_child(place)
                while self._children or self._restart_at:
                    self._look()
            finally:
                if self._leases is not None:
                    self._leases.close()
        only_told = self._stays_down and self._stopping is None
        return exits.STAY_DOWN if only_told and self._exit_code == exits.STOPPED else self._exit_code

    def _look(self) -> None:
        greetings = [one.greeting for one in self._children.values() if one.greeting >= 0]
        readable = self._signals.wait(greetings, 0.2)
        for one in list(self._children.values()):
            if one.greeting in readable:
                self._hear(one)
        for number in self._signals.noted():
            self._obey(number)
        self._heed()
        self._reap()
        self._enforce()
        if self._leases is not None:
            self._leases.abandon_hung_calls()
        self._restart()

    # What signals say

    def _obey(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            if self._stopping is not None and number == signal.SIGINT:
                log.warning("told to stop at once")
                for one in self._children.values():
                    self._kill(one)
            self._stop()
        elif number == signal.SIGHUP and self._stopping is None:
            log.info("starting all workers anew, one after the other")
            self._reloading = deque(self._children)
            self._reload_next()

    def _stop(self) -> None:
        if self._stopping is not None:
            return
        log.info("stopping; running jobs have %g s", self._options.grace)
        self._stopping = boot_seconds()
        self._restart_at.clear()
        for one in self._children.values():
            self._tell_to_stop(one)

    def _heed(self) -> None:
        """Act on what was asked of single workers: each time it is said anew at every beat, and done once."""
        while self._heard:
            told, word = self._heard.popleft()
            one: Child | None = told
            if self._children.get(told.pid) is not told:
                one = self._in_place_of(told) if word == Order.STOP else None
            if one is None or one.told == word:
                continue
            log.info("worker %s was told: %s", one.worker, word)
            one.told = word
            if word == Order.QUIET:
                one.page.resting = True
            elif word == Order.RELOAD:
                one.page.replaced = True
            elif word == Order.STOP:
                self._tell_to_stop(one)

    def _in_place_of(self, gone: Child) -> Child | None:
        """Who was started instead of a child that was to stop and had ended before it heard; else nobody will be."""
        found = next((one for one in self._children.values() if one.place == gone.place), None)
        if found is None:
            self._restart_at = deque(planned for planned in self._restart_at if planned[1] != gone.place)
            self._stays_down = True
        return found

    def _tell_to_stop(self, one: Child) -> None:
        one.stopping = one.stopping or boot_seconds()
        one.page.quiet = True
        send(one.pid, signal.SIGTERM)

    def _kill(self, one: Child) -> None:
        one.killed = True
        send(one.pid, signal.SIGKILL)

    def _reload_next(self) -> None:
        while self._reloading:
            pid = self._reloading.popleft()
            if pid in self._children:
                self._tell_to_stop(self._children[pid])
                return

    # Children

    def _start_child(self, place: int) -> None:
        page = Page(2 * self._options.concurrency)
        worker = self._ids.new()
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._become_child()
            options = self._options
            if options.budget is not None:
                options = replace(options, budget=max(0.0, self._until - boot_seconds()))
            child.main(self._app, options, page, worker, writing)
        os.close(writing)
        self._children[pid] = Child(place, worker, pid, page, boot_seconds(), reading)

    def _become_child(self) -> None:
        """Let go, in the forked process, of what is the parent's."""
        Signals.forget()
        for other in self._children.values():
            if other.greeting >= 0:
                os.close(other.greeting)
            if other.life is not None:
                other.life.forget()

    def _hear(self, one: Child) -> None:
        piece = os.read(one.greeting, 65_536)
        one.buffer += piece
        if piece and not one.buffer.endswith(b"\n"):
            return
        os.close(one.greeting)
        one.greeting = -1
        if not one.buffer.endswith(b"\n"):
            # It has died, in the middle of it or before: its end tells how.
            return
        said = json.loads(one.buffer)
        one.without_database = bool(said.get("again"))
        if "error" in said:
            log.error("the app %s cannot be used: %s", self._app, said["error"])
            log.debug("%s", said["trace"])
            if self._leases is None and not one.without_database:
                # It never worked: starting again will not help.
                self._exit_code = exits.CONFIG
                self._stop()
            return
        try:
            self._welcome(one, said["settings"])
        except (BackburnerError, OSError) as error:
            one.without_database = isinstance(error, StoreError)
            log.warning("worker %s cannot be registered: %s", one.worker, error)
            self._kill(one)

    def _welcome(self, one: Child, settings: dict[str, Any]) -> None:
        if self._leases is None:
            self._leases = Leases(settings, self._id, self._options, self._beating, self._seams)
        self._leases.begin(one)
        log.info("worker %s is ready (process %d)", one.worker, one.pid)

    def _beating(self) -> list[Beating]:
        children = [one for one in list(self._children.values()) if one.ready]
        return [
            Beating(one.worker, one.page, partial(self._disowned.append, one), partial(self._hear_of, one))
            for one in children
        ]

    def _hear_of(self, one: Child, word: str) -> None:
        # In the threads of the beats and the rescues.
        if one.told != word:
            self._heard.append((one, word))

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._ended(self._children.pop(pid), status)

    def _ended(self, one: Child, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        begun = frozenset(body.job for body in one.page.begun())
        if one.greeting >= 0:
            os.close(one.greeting)
        if one.ready:
            # A task may end the process with any code: no worker ends in good order in the middle of a job.
            orderly = code == exits.STOPPED and not begun
            told = one.killed or orderly or code in (exits.RECYCLE, exits.GRACE_OVER)
            death = Death(
                cause_of(code, killed=one.killed),
                begun,
                crashed=not told and code != exits.LEASE_OVER,
                stopped=(told and (self._stopping is not None or one.told == Order.STOP))
                or orderly
                or code == exits.GRACE_OVER,
                host=socket.gethostname(),
                pid=one.pid,
            )
            if not told:
                log.error("worker %s (process %d) ended: %s", one.worker, one.pid, death.cause)
            if self._leases is not None:
                self._leases.end(Grave(one.worker, death, partial(self._hear_of, one), one.life))
        over = (self._options.burst and code == exits.STOPPED and not begun) or boot_seconds() >= self._until
        self._stays_down = self._stays_down or one.told == Order.STOP
        if self._stopping is None and not over and one.told != Order.STOP:
            self._plan_restart(one, code)
        if self._reloading:
            self._reload_next()

    def _plan_restart(self, one: Child, code: int) -> None:
        quick = boot_seconds() - one.started < _SOON_SECONDS and code not in (exits.STOPPED, exits.RECYCLE)
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        # The first one may be chance and is started at once.
        longest = _AWAY_SECONDS if one.without_database else 30.0
        pause = 0.0 if self._quick_deaths <= 1 else min(longest, 0.5 * 2 ** (self._quick_deaths - 2))
        self._restart_at.append((boot_seconds() + pause, one.place))

    def _restart(self) -> None:
        while self._restart_at and self._restart_at[0][0] <= boot_seconds() and self._stopping is None:
            # A child must not inherit what SQLite remembers of locks: see `store.gate`.
            with nullcontext(enter_result=True) if self._leases is None else self._leases.apart(0.1) as alone:
                if not alone:
                    return
                self._start_child(self._restart_at.popleft()[1])

    def _enforce(self) -> None:
        """The kill switch: no greeting in time, guarded bodies past the lease, grace over."""
        now = boot_seconds()
        while self._disowned:
            one = self._disowned.popleft()
            # It may have died meanwhile, and been buried by us.
            if self._children.get(one.pid) is one:
                log.error("worker %s was marked dead by others; ending it", one.worker)
                self._kill(one)
        for one in list(self._children.values()):
            if not one.ready and now - one.started > IMPORT_SECONDS:
                log.error("process %d did not come up within %g s", one.pid, IMPORT_SECONDS)
                self._kill(one)
            elif self._guarded_past_lease(one):
                log.error("worker %s has lost its lease with jobs that must not run twice; ending it", one.worker)
                self._kill(one)
            elif one.stopping is not None and now - one.stopping > self._options.grace + 5.0:
                self._kill(one)

    def _guarded_past_lease(self, one: Child) -> bool:
        if self._leases is None or one.killed or not any(body.guarded for body in one.page.begun()):
            return False
        return self._leases.is_over(one)
