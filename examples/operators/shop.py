"""`Shop`: a shop in the middle of a working day: jobs in every state, workers, pauses, in one database file."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

import uvicorn

from backburner.action import Action
from backburner.histogram import BUCKETS, Histogram
from backburner.ids import Ids
from backburner.insight.marks import KIND, NOTE, RELEASE, TARGET
from backburner.rollup import Rollup
from backburner.states import JobState
from backburner.web import web_app
from backburner.web.passwords import hash_password
from backburner.worker import Worker
from backburner.worker.options import WorkerOptions
from examples.shop.listening import listener

_SECOND = 1_000_000
_LONGEST_WAIT = 60.0
_QUEUES = ("orders", "webhooks", "mail", "exports", "imports", "catalog", "media")


class Shop:
    """On entering it is filled and served; `address` is where its pages are."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "jobs.db"
        # The module reads its settings when it is imported, as an app's would.
        os.environ["BACKBURNER_URL"] = f"sqlite:///{self._file}"
        os.environ["BACKBURNER_SECRET"] = "a secret for pictures, long enough"  # noqa: S105 (it protects nothing)
        os.environ["BACKBURNER_FILES"] = str(folder / "files")
        os.environ["BACKBURNER_ENVIRONMENT"] = "production"
        os.environ["BACKBURNER_OPERATORS"] = f"marta={hash_password('for pictures')}"
        self._socket = listener()
        self.address = f"http://localhost:{self._socket.getsockname()[1]}"
        self._stop: list[Callable[[], object]] = []

    def __enter__(self) -> Shop:
        from examples.operators import people, tasks  # after the environment is set

        self.tasks, self.jobs = tasks, tasks.jobs
        self._interrupt()
        worker = Worker(self.jobs, WorkerOptions(queues=_QUEUES, concurrency=12, label="kestrel"))
        worker.start()
        # Left in reverse: what stands is let go before the worker stops.
        self._stop.append(lambda: worker.stop(5))
        self._stop.append(tasks.go_on.set)
        self._fill()
        self._age()
        self._history()
        app = web_app(self.jobs, resolve_user=people.user_of)
        app.mount("/stand-alone", web_app(self.jobs, login=True))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [self._socket]})
        thread.start()
        _until(lambda: server.started)

        def stop() -> None:
            app.state.shutdown.ask()
            server.should_exit = True
            thread.join(10)

        self._stop.append(stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stop in reversed(self._stop):
            stop()
        self.jobs.close()

    def paths(self) -> dict[str, str]:
        """Where the pages are, by the names of their pictures."""
        return {
            "jobs": "/dashboard/jobs?q=tag:black-friday",
            "bulk": "/dashboard/jobs?q=tag:black-friday",
            "job": f"/dashboard/jobs/{self.running.id}",
            "job-failed": f"/dashboard/jobs/{self.failed.id}",
            "job-blocked": f"/dashboard/jobs/{self.blocked.id}",
            "filter": "/dashboard/jobs?q=tag:black-friday",
            "overview": "/dashboard/overview",
            "failures": f"/dashboard/failures?open={self.fingerprint}",
            "audit": "/dashboard/audit",
            "settings": "/dashboard/settings",
            "queues": "/dashboard/queues",
            "schedules": "/dashboard/schedules",
            "workers": "/dashboard/workers",
            "tasks": "/dashboard/tasks",
            "task": "/dashboard/tasks/orders.export_orders",
            "edit": f"/dashboard/jobs/{self.failed.id}/edit",
            "sign-in": "/stand-alone/dashboard/login",
        }

    def _interrupt(self) -> None:
        """One job whose process is killed, by a worker of its own."""
        job = self.tasks.charge_batch.options(owner="Julius Okafor", tags=["black-friday"]).enqueue(14)
        command = [sys.executable, "-m", "backburner", "--app", "examples.operators.tasks:jobs"]
        worker = subprocess.Popen(
            [*command, "worker", "-q", "payments", "--grace", "1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _until(lambda: job.refresh().done)
        finally:
            worker.terminate()
            worker.wait(30)

    def _fill(self) -> None:
        t, tags = self.tasks, ["black-friday"]
        enqueue_many = self.jobs.enqueue_many
        enqueue_many(t.set_status.options(tags=tags, owner="Marta Kral"), [("Shipped", 1 + n % 40) for n in range(180)])
        enqueue_many(t.check_vat.options(tags=tags), [(f"CZ{2_000 + n * 7}",) for n in range(60)])
        enqueue_many(t.push_offer.options(tags=tags), [(f"KO-{11_000 + n}",) for n in range(140)])
        enqueue_many(t.deliver.options(tags=tags), [("Nordvik", 8_000 + n) for n in range(18)])
        for campaign in ("BF-teaser", "BF-reminder", "BF-last-call"):
            enqueue_many(t.send_newsletter.options(tags=tags), [(campaign, 48_210)] * 9)
        self.jobs.queues.pause("newsletter", by="Lena Vogt")
        enqueue_many(t.daily_report, [(f"shop {n}",) for n in range(24)])
        t.send_newsletter.options(owner="Lena Vogt", delay=150_000, tags=tags).enqueue("BF-teaser", 48_210)
        rebuilt = t.rebuild_sitemap.options(tags=tags).enqueue()
        cancelled = t.send_newsletter.options(owner="Julius Okafor", tags=tags).enqueue("Autumn sale", 31_004)
        cancelled.cancel()
        running = [
            t.set_price_list.options(owner="Marta Kral", tags=tags).enqueue("BF-2026", 5_000),
            t.export_orders.options(owner="Dan Reyes", tags=tags, identifier="orders-2026-10").enqueue(
                "October 2026", ["id", "paid_at", "total", "carrier"], None, "correct horse"
            ),
            t.render_banners.options(owner="Lena Vogt", tags=tags).enqueue("Winter boots"),
            t.recalculate.options(group="stock-brno", title="Import stock of warehouse Brno").enqueue("brno"),
        ]
        _until(lambda: running[-1].refresh().state is JobState.RUNNING)
        group = t.recalculate.options(group="stock-brno")
        group.options(title="Correct stock of 38 tents by hand", owner="Marta Kral").enqueue("brno")
        self.blocked = group.enqueue("brno", full=True)
        group.options(title="Export stock of Brno to Parcelfox").enqueue("brno")
        compared = t.compare.options(owner="Lena Vogt", tags=tags).enqueue("tents")
        running.append(t.import_feed.options(tags=tags).enqueue("Alpstock"))
        late = [t.push_offer.options(tags=tags).enqueue(f"KO-{n}") for n in (11_866, 11_870, 11_873)]
        _until(lambda: all(job.refresh().progress is not None for job in running))
        _until(lambda: all(job.refresh().done for job in (*late, compared, rebuilt)))
        _until(lambda: self.blocked.refresh().state is JobState.BLOCKED)
        self.running, self.failed = running[1], late[-1]
        insight = self.jobs.insight
        _until(lambda: len(insight.failures.list()) > 2 and insight.charts.series("1h").whole.failed > 100)
        self.fingerprint = insight.failures.list()[0].group.fingerprint
        self._operate()

    def _operate(self) -> None:
        """What operators did today."""
        lena, marta = self.jobs.insight.operator("Lena Vogt"), self.jobs.insight.operator("Marta Kral", "dashboard")
        lena.pause("newsletter", reason="checking the template")
        marta.limit("exports", 4)
        marta.save_view("Black Friday", "tag:black-friday", shared=True)
        marta.save_view("Long running", "state:running created:>1h")
        marta.say("keep_succeeded", 14 * 86_400.0)
        for job in self.jobs.find(state="failed", task="invoices.check_vat", limit=2):
            marta.retry(job.id)

    def _age(self) -> None:
        """What runs has run for a while: a picture of a bar says how long it will take."""
        with closing(sqlite3.connect(self._file)) as database, database:
            database.execute("PRAGMA busy_timeout = 10000")
            for back, state in ((151 * _SECOND, "running"), (58 * _SECOND, "blocked")):
                database.execute(
                    "UPDATE backburner_jobs SET started_at = started_at - :back, created_at = created_at - :back,"
                    " run_at = run_at - :back"
                    " WHERE state = :state",
                    {"back": back, "state": state},
                )
            database.execute("UPDATE backburner_progress SET began_at = began_at - ?", (151 * _SECOND,))

    def _history(self) -> None:
        """What workers have counted since the morning, minute by minute: here it is made up."""
        rollups, now = self.jobs.store.rollups, int(time.time() // 60)
        for back, by, action, text in (
            (40, "deploy@ci", RELEASE, "2026.11.30-2"),
            (24, "M. Kral", NOTE, "Parcelfox is slow"),
        ):
            at = datetime.now(UTC) - timedelta(minutes=back)
            self.jobs.store.audit.add(Action(Ids().new(), at, by, "cli", action, KIND, TARGET, reason=text))
        quick, slow = Histogram(_spread(7, 400)), Histogram(_spread(11, 300))
        for back in range(6 * 60, 0, -1):
            minute, wave = now - back, 120 + 40 * math.sin(back / 9) + 15 * math.sin(back / 2.3)
            trouble = max(0, 24 - back) * 5 if back < 24 else back % 3
            made = [Rollup(minute, "orders", "orders.set_status", (int(12 * wave), 0, 0, 0, 0, 0), quick, slow)]
            made.append(
                Rollup(minute, "webhooks", "webhooks.deliver", (int(4 * wave), 0, trouble, 0, 0, 0), quick, quick)
            )
            made.append(
                Rollup(minute, "webhooks", "marketplace.push_offer", (0, trouble // 2, 0, 0, 0, 0), quick, slow)
            )
            rollups.write(made, None)
            if back < 60:
                rollups.write_depths(minute, {name: depth(back) for name, depth in _DEPTHS.items()})


def _spread(middle: int, count: int) -> tuple[int, ...]:
    """Durations around a bucket."""
    return tuple(max(0, count - 90 * abs(bucket - middle)) for bucket in range(BUCKETS))


_DEPTHS: dict[str, Callable[[int], int]] = {
    "newsletter": lambda back: 27 if back < 40 else 0,
    "reports": lambda back: max(0, 26 - back // 2),
    "webhooks": lambda back: max(0, int(30 + 20 * math.sin(back / 4) - back / 3)),
    "orders": lambda back: int(20 + 12 * math.sin(back / 7)),
    "exports": lambda back: int(4 + 3 * math.sin(back / 3)),
}


def _until(said: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONGEST_WAIT
    while not said():
        if time.monotonic() > end:
            raise TimeoutError("the shop does not come to where it should be")
        time.sleep(0.05)
