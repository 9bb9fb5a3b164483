"""Simulated deaths: the worker is gone at a named point of a job, as though killed or told to stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from backburner.context import JobContext
from backburner.errors import InvalidOption
from backburner.job import ClaimedJob
from backburner.relations import one_of
from backburner.seams import Gone
from backburner.task import RunOptions
from backburner.testing.result import Died
from backburner.worker.executor import Executor
from backburner.worker.reporter import Running

Point = Literal["before body", "item", "progress", "before checkpoint", "checkpoint", "after body"]
"""Where a worker may be gone: before and after the body; with the n-th item of `track` done; after the n-th
`progress` or `advance`; before the n-th `checkpoint`, so that it is not stored, or after it.
"""


@dataclass
class PlannedDeath:
    """At the `number`-th time that a job of `task` comes by `at`. `seen` counts how often one did."""

    task: str
    kind: Died
    at: str
    number: int
    seen: int = 0

    @property
    def happened(self) -> bool:
        return self.seen >= self.number


class Deaths:
    """What is planned for a test, and which jobs have met it."""

    def __init__(self) -> None:
        self._planned: list[PlannedDeath] = []
        self._met: dict[str, PlannedDeath] = {}

    def plan(self, task: str, kind: Died, at: Point, number: int) -> None:
        """Plan one. Raises `InvalidOption`."""
        point = one_of("at", at, Point)
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise InvalidOption("number", number, "is no count", "Say 1 for the first time it is reached")
        self._planned.append(PlannedDeath(task, kind, point, number))

    def reach(self, context: JobContext, point: Point) -> None:
        """A job comes by a point. Raises `Gone` where it is to die; what it reported so far is stored."""
        coming = [one for one in self._planned if not one.happened and (one.task, one.at) == (context.task, point)]
        for death in coming:
            death.seen += 1
        met = next((death for death in coming if death.happened), None)
        if met is not None:
            assert context._desk is not None
            context._desk.flush(context)
            self._met[context.id or ""] = met
            raise Gone

    def met_by(self, job: ClaimedJob) -> PlannedDeath | None:
        """The death that this job has met just now."""
        return self._met.pop(job.id, None)

    def never_met(self) -> list[PlannedDeath]:
        """What was planned and did not happen."""
        return [death for death in self._planned if not death.happened]


class WatchedContext(JobContext):
    """A job's context that says where the job is."""

    deaths: Deaths

    def progress(self, percent: float, text: str | None = None) -> None:
        super().progress(percent, text)
        self.deaths.reach(self, "progress")

    def advance(self, n: float = 1, text: str | None = None) -> None:
        super().advance(n, text)
        self.deaths.reach(self, "progress")

    def checkpoint(self, cursor: Any) -> None:
        self.deaths.reach(self, "before checkpoint")
        super().checkpoint(cursor)
        self.deaths.reach(self, "checkpoint")

    def track(self, items: Iterable[Any], **options: Any) -> Any:
        if options.get("total") is None and isinstance(items, Sized):
            options["total"] = len(items)
        # Numbered as the loop itself will be.
        name = f"track-{self._track_count + 1}"
        skipped = int(self._saved().values.get(name, 0)) if options.get("resume") else 0
        return super().track(self._counted(items, skipped), **options)

    def _counted(self, items: Iterable[Any], skipped: int) -> Iterator[Any]:
        """Whoever asks for the next item has done the one before, and counted it."""
        count = 0
        for item in items:
            if count > skipped:
                self.deaths.reach(self, "item")
            count += 1
            yield item
        if count > skipped:
            self.deaths.reach(self, "item")


class WatchedExecutor(Executor):
    """Runs jobs as every executor; keeps what they raised, and lets them die where that is planned."""

    deaths: Deaths

    def __init__(self, deaths: Deaths, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.deaths = deaths
        self.errors: dict[str, BaseException] = {}

    def short_tasks(self) -> list[str]:
        """None: nothing is claimed ahead, so that the order is exact."""
        return []

    def _context(self, job: ClaimedJob, options: RunOptions) -> JobContext:
        context = WatchedContext(job, self._reporter, only_items=options.items, now=self._clock.now)
        context.deaths = self.deaths
        return context

    @contextmanager
    def _around(self, running: Running, options: RunOptions) -> Iterator[None]:
        self.deaths.reach(running.context, "before body")
        with super()._around(running, options):
            yield
        self.deaths.reach(running.context, "after body")

    def _conclude(self, running: Any, task: Any, options: Any, value: Any, error: BaseException | None) -> None:
        if isinstance(error, Gone):
            # A process that is gone calls no hooks.
            running.hooked = None
        elif error is not None:
            self.errors[running.job.id] = error
        super()._conclude(running, task, options, value, error)
