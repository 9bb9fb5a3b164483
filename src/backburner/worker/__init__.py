"""Workers: `Worker(jobs).start()` inside a process of the app's own, `Supervisor` for processes of their own."""

from __future__ import annotations

from backburner.worker.embedded import Worker
from backburner.worker.options import WorkerOptions
from backburner.worker.supervisor import Supervisor

__all__ = ["Supervisor", "Worker", "WorkerOptions"]
