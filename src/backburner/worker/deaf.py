"""Bodies that were told to stop and do not listen."""

from __future__ import annotations

import logging
from collections.abc import Callable

from backburner.clock import boot_seconds
from backburner.progress import printable
from backburner.worker.bench import Bench
from backburner.worker.finisher import Finisher
from backburner.worker.pool import Pool
from backburner.worker.reporter import Running

log = logging.getLogger(__name__)


class Deaf:
    """Where the process may end, such bodies end with it, after all others; elsewhere their threads are given up.

    `become_quiet(reason)` lets the process end when what else runs has ended.
    """

    def __init__(
        self, bench: Bench, pool: Pool, finisher: Finisher, *, may_exit: bool, become_quiet: Callable[[str], None]
    ) -> None:
        self._bench, self._pool, self._finisher = bench, pool, finisher
        self._may_exit, self._become_quiet = may_exit, become_quiet
        self._waiting: list[Running] = []

    def add(self, running: Running) -> None:
        """Take a body that had its time to stop."""
        job = running.job
        log.error("job %s does not stop (%s); giving up its thread", job.id, printable(str(running.context._stop)))
        if self._may_exit:
            # It is settled when its body surely has ended: with this process, after the others.
            self._waiting.append(running)
            self._become_quiet(f"job {job.id} does not stop")
            return
        self._pool.write_off(running.slot)
        self._settle(running)

    def left_alone(self) -> bool:
        """True when the process waits for such bodies and for nothing else."""
        if not self._waiting:
            return False
        slots = {one.slot for one in self._waiting}
        return set(self._bench.reporter.running) <= slots and self._pool.waiting == 0

    def settle(self) -> None:
        """Write how they ended: the process ends now."""
        for running in self._waiting:
            self._settle(running)

    def _settle(self, running: Running) -> None:
        if (settlement := self._bench.executor.verdict_of_stop(running)) is not None:
            self._bench.executor.ledger.ran(running, boot_seconds() - running.started)
            self._finisher.add(settlement)
