"""`JobsTesting`: an app's jobs under a test's control."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from backburner.context import current_job
from backburner.job import Job, JobFilter
from backburner.settings import Settings
from backburner.states import JobState
from backburner.store.store import Store
from backburner.task import Task
from backburner.testing.bell import InlineBell
from backburner.testing.clock import FakeClock
from backburner.testing.deaths import Deaths, Point
from backburner.testing.result import Died, JobResult
from backburner.testing.stepped import SteppedWorker
from backburner.testing.stored import Search, Wanted, stored_jobs

if TYPE_CHECKING:
    from backburner.backburner import Backburner

T = TypeVar("T")
AnyTask = Task[..., Any] | str

MOST_RUNS = 1000
"""Runs of one `drain`, unless it says otherwise: a job that enqueues itself ends a test, not the machine."""

_USUAL_PREFIX = next(knob.default for knob in fields(Settings) if knob.name == "table_prefix")


class JobsTesting:
    """`with JobsTesting(jobs, folder):` puts the app's jobs into a fresh SQLite file in `folder` meanwhile.

    With `url` they are in that database instead: for apps that enqueue in transactions of their own. `inline`
    runs each job as soon as it is enqueued. `pattern` is an SQLite file with tables, to be copied.

        with JobsTesting(jobs, tmp_path) as testing:
            order("tea")
            testing.assert_enqueued(send_mail, {"to": "ada@example.org"})
            testing.drain()
    """

    def __init__(
        self, jobs: Backburner, folder: Path, *, url: str | None = None, inline: bool = False,
        pattern: Path | None = None,
    ) -> None:  # fmt: skip
        self.jobs, self.clock = jobs, FakeClock()
        self.results: list[JobResult] = []
        """Every run since the test began, in the order in which they ended."""
        self._folder, self._url, self._pattern = folder, url, pattern
        self._inline, self._raises = inline, True
        self._deaths, self._stepping = Deaths(), threading.local()
        self._open = ExitStack()

    def __enter__(self) -> JobsTesting:
        jobs, settings = self.jobs, self._settings()
        self._open.enter_context(jobs._database.replaced(settings, self._opened, self._with_bell))
        kept = jobs.settings, jobs._files
        self._open.callback(lambda: vars(jobs).update(settings=kept[0], _files=kept[1]))
        jobs.settings, jobs._files = settings, None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        """Give the app its own database back. Raises `AssertionError` when a planned death never happened."""
        self._open.close()
        missed = self._deaths.never_met()
        if kind is None and missed:
            first = missed[0]
            raise AssertionError(
                f"The {first.kind} that was planned for {first.task} never happened: it came by {first.at!r} "
                f"{first.seen} times, the plan says {first.number}."
            )

    def drain(
        self, *queues: str, with_scheduled: bool = False, with_retries: bool = False, raises: bool = False,
        limit: int = MOST_RUNS,
    ) -> list[JobResult]:  # fmt: skip
        """Run what is ready, here and in order, until nothing is; the results.

        Only of these queues, when some are named. `with_scheduled` and `with_retries` move the clock to what
        is scheduled or backs off, as often as it takes. `raises` raises the first error of a job afterwards.
        Raises `AssertionError` when there is no end after `limit` runs.
        """
        states = {JobState.SCHEDULED} if with_scheduled else set()
        states |= {JobState.RETRYING} if with_retries else set()
        done: list[JobResult] = []
        while True:
            done += _outside_of_loops(partial(self._run_ready, queues, limit - len(done)))
            due = self._next_due(frozenset(states), queues) if states else None
            if due is None:
                break
            self.clock.move_to(max(due, self.clock.now()))
        if raises:
            _raise_first(done)
        return done

    @contextmanager
    def inline(self, *, raises: bool = True) -> Iterator[list[JobResult]]:
        """Meanwhile every job runs as soon as it is enqueued; gives the list that their results go to.

        What a job raises comes out of the call that enqueued it, unless `raises` is false; it is stored too.
        """
        before, self._inline, self._raises = (self._inline, self._raises), True, raises
        results: list[JobResult] = []
        start = len(self.results)
        try:
            yield results
        finally:
            results += self.results[start:]
            self._inline, self._raises = before

    def enqueued(
        self, task: AnyTask | None = None, args: Mapping[str, Any] | None = None, **wanted: Unpack[Wanted]
    ) -> list[Job]:
        """Jobs enqueued since the test began, the oldest first, whatever has become of them.

        `args` are some of the arguments, by name. Keywords: queue, priority, state, run_at, title, identifier,
        group, owner. Raises `InvalidOption`.
        """
        return Search(self.jobs, task, args, wanted).found()

    def assert_enqueued(
        self, task: AnyTask, args: Mapping[str, Any] | None = None, *, times: int | None = None,
        **wanted: Unpack[Wanted],
    ) -> list[Job]:  # fmt: skip
        """What `enqueued` finds; raises `AssertionError` when that is nothing, or not `times` jobs."""
        __tracebackhide__ = True
        search = Search(self.jobs, task, args, wanted)
        found = search.found()
        if times is None and not found:
            raise AssertionError(search.complaint("Expected a job", found))
        if times is not None and len(found) != times:
            raise AssertionError(search.complaint(f"Expected {times} jobs", found))
        return found

    def assert_not_enqueued(
        self, task: AnyTask | None = None, args: Mapping[str, Any] | None = None, **wanted: Unpack[Wanted]
    ) -> None:
        """Raise `AssertionError` when `enqueued` finds something."""
        __tracebackhide__ = True
        search = Search(self.jobs, task, args, wanted)
        found = search.found()
        if found:
            raise AssertionError(search.complaint("Expected no job", found))

    def crash(self, task: AnyTask, at: Point = "after body", number: int = 1) -> None:
        """Let the process die with the job: the `number`-th time one of `task` comes by `at`. It counts against it.

        What the job reported until then is stored. The next attempt finds its checkpoint.
        """
        self._plan(task, "crash", at, number)

    def interrupt(self, task: AnyTask, at: Point = "after body", number: int = 1) -> None:
        """As `crash`, but the worker was stopped, as at a deploy: nobody is to blame."""
        self._plan(task, "interrupt", at, number)

    def _plan(self, task: AnyTask, kind: Died, at: Point, number: int) -> None:
        name = task.name if isinstance(task, Task) else self.jobs.registry.require(task).name
        self._deaths.plan(name, kind, at, number)

    def _settings(self) -> Settings:
        files = str(self._folder / "files")
        if self._url is not None:
            return replace(self.jobs.settings, url=self._url, auto_migrate=True, files=files, broker=None)
        file = self._folder / "backburner-test.db"
        if self._pattern is not None and self.jobs.settings.table_prefix == _USUAL_PREFIX:
            shutil.copyfile(self._pattern, file)
        return replace(
            self.jobs.settings,
            url=f"sqlite:///{file}",
            schema=None,
            pooled=False,
            auto_migrate=True,
            files=files,
            broker=None,
        )

    def _opened(self, settings: Settings) -> Store:
        store = Store.of(settings)
        store.clock = self.clock
        return store

    def _with_bell(self, bell: Any) -> InlineBell:
        return InlineBell(bell, self._rung)

    def _rung(self) -> None:
        """Something may be ready: a worker would look now."""
        if not self._inline or getattr(self._stepping, "busy", False):
            return
        inside = current_job() is not None
        done = _outside_of_loops(lambda: self._run_ready((), MOST_RUNS))
        if self._raises and not inside:
            _raise_first(done)

    def _run_ready(self, queues: Iterable[str], limit: int) -> list[JobResult]:
        worker = SteppedWorker(self.jobs, tuple(queues), self._deaths, self._stepping)
        start = len(self.results)
        try:
            for count, result in enumerate(worker.run_ready(), 1):
                self.results.append(result)
                if count >= limit:
                    often = Counter(one.task for one in self.results[start:]).most_common(3)
                    told = ", ".join(f"{task} {times} times" for task, times in often)
                    raise AssertionError(f"After {count} runs there is no end in sight: {told}.")
        finally:
            worker.close()
        return self.results[start:]

    def _next_due(self, states: frozenset[JobState], queues: tuple[str, ...]) -> Any:
        waiting = stored_jobs(self.jobs, JobFilter(states=states))
        return min((job.run_at for job in waiting if not queues or job.queue in queues), default=None)


def _raise_first(results: list[JobResult]) -> None:
    for result in results:
        if result.went_wrong:
            if result.error is not None:
                raise result.error
            raise AssertionError(f"{result.task} is {result.state}: {result.reason}")


def _outside_of_loops(work: Callable[[], T]) -> T:
    """Do it here, or, where an event loop runs, in another thread, for async jobs have a loop of their own."""
    if not _in_a_loop():
        return work()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, work).result()


def _in_a_loop() -> bool:
    """Apart, so that no job runs where an exception is handled, and finds it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
