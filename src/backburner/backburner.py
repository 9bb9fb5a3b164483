"""`Backburner`: the object an app has one of. It declares tasks, enqueues, finds and steers jobs.

It builds neither worker nor web app: those take it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

from backburner.block import STATEMENT_ROWS
from backburner.bulk import Bulk
from backburner.captured import Captured, Restore
from backburner.configuring import Configuring
from backburner.control import Control
from backburner.database import Database
from backburner.endings import Endings
from backburner.enqueue import JobEnqueuer, again
from backburner.errors import InvalidOption
from backburner.files import FileStore, open_files
from backburner.hooks import Hooks
from backburner.ids import Ids
from backburner.insight import Insight
from backburner.intake import Intake
from backburner.job import Job, JobFilter
from backburner.launch import Launcher
from backburner.lock import LEASE_SECONDS, Lock, app_lock
from backburner.notice import Notifier
from backburner.notifiers import Notifiers
from backburner.options import TaskOptions
from backburner.queues import Queues
from backburner.recurrence import Missed
from backburner.registry import Registry
from backburner.schedule import Schedule
from backburner.schedules import Arguments, Schedules, declared
from backburner.seams import Seams
from backburner.selection import Selection, checked_limit, filter_of, one_of
from backburner.settings import Settings
from backburner.spec import spec_of
from backburner.surroundings import Surroundings
from backburner.task import Task, declare, stored_items
from backburner.transaction import TransactionBlock
from backburner.waiting import JobWatch
from backburner.workers import Workers

if TYPE_CHECKING:
    from backburner.notify import Bell
    from backburner.store.store import Store

P = ParamSpec("P")
R = TypeVar("R")
N = TypeVar("N", bound=Notifier)


class Backburner(Configuring):
    """Long jobs in the database at `url`, "sqlite:///jobs.db" by default.

    Making one connects to nothing. `settings` are those of `Settings`; what is not given comes from the
    environment, `backburner.toml` or `pyproject.toml`. Raises `SettingsError`.

        jobs = Backburner("sqlite:///jobs.db")

        @jobs.task
        def greet(name: str) -> str:
            return f"Hello {name}"

        job = greet.enqueue("Ada")
    """

    def __init__(self, url: str | None = None, **settings: Any) -> None:
        self._given = settings if url is None else {"url": url, **settings}
        self.settings: Settings = Settings.resolve(self._given)
        self.registry: Registry = Registry()
        self.hooks: Hooks = Hooks()
        self.ids: Ids = Ids()
        self._database = Database(self.settings)
        self._watch = JobWatch(self._database)
        self.control: Control = Control(self._database, self.registry, self._watch)
        self.queues: Queues = Queues(self._database)
        self.workers: Workers = Workers(self._database)
        self.captured: Captured = Captured()
        self.surroundings: Surroundings = Surroundings()
        launcher = Launcher(self.settings, self._spec)
        self._enqueuer = JobEnqueuer(self._database, self.ids, self.control, self.captured, self.surroundings, launcher)
        self.intake: Intake = Intake(self._database, self.registry, self._enqueuer)
        self.notifiers: Notifiers = Notifiers(self.registry, self._enqueuer)
        self.endings: Endings = Endings(self.registry, self._enqueuer, self.control)
        self.schedules: Schedules = Schedules(self._database, self.registry, self.ids, self.control)
        self.insight: Insight = Insight(
            self._database, self.registry, self.ids, self.control, self.queues, self.workers, self.schedules,
            self._enqueuer,
        )  # fmt: skip
        self._files: FileStore | None = None
        self.app: str | None = None
        """How another process finds this object, module:name; a worker that was told so says so here."""
        self.seams: Seams = Seams()

    @property
    def store(self) -> Store:
        """The database, opened at first use. Raises `InvalidUrl` and `MissingExtra`."""
        return self._database.store

    @property
    def bell(self) -> Bell:
        """What tells workers that there may be something to do."""
        return self._database.bell

    @property
    def files(self) -> FileStore:
        """Where files of jobs are kept. Raises `MissingExtra`."""
        if self._files is None:
            self._files = open_files(self.settings.files, self.ids)
        return self._files

    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...

    @overload
    def task(self, /, **options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...

    def task(
        self, function: Callable[..., Any] | None = None, /, **options: Unpack[TaskOptions]
    ) -> Task[..., Any] | Callable[[Callable[..., Any]], Task[..., Any]]:
        """Make a function, plain or async, a task; with or without options in parentheses.

        The name is module.function unless `name` says otherwise; a script is named as the module a worker
        would import. A task goes on answering to `aliases`. `title` may name parameters: "Export {month}".
        Raises `InvalidTask`, `DuplicateTask` and `InvalidOption`.
        """

        def register(function: Callable[..., Any]) -> Task[..., Any]:
            made = declare(function, self._enqueuer, options)
            self.registry.add(made)
            return made

        return register if function is None else register(function)

    def notifier(self, notifier: N, /, name: str | None = None) -> N:
        """Have this called with a `Notice` when the failures of a job reach its `notify_after`, once per job.

        A function, as a decorator, or a `Webhook` or an `Email`. `name` tells notifiers apart; a function has one.
        Each call is a job of its own, stored together with the failure: it survives what kills the worker, and a
        notifier that raises is called again. Without any notifier the log is told.
        """
        self.notifiers.add(notifier, name)
        return notifier

    def schedule(
        self,
        task: Task[..., Any],
        *,
        cron: str | None = None,
        every: float | timedelta | None = None,
        args: Arguments = (),
        name: str | None = None,
        zone: str = "UTC",
        missed: Missed = "skip",
        bound: int | None = None,
    ) -> Schedule:
        """Have a task enqueued again and again: at the times of `cron` in `zone`, or `every` so many seconds.

        Connects to nothing: workers store it when they start. `args` are a tuple or a dict, options come by
        `task.options(...)`, `name` is the task's unless said. `missed` says what becomes of times without a
        worker: "skip", "once" or "all", then the latest `bound` (100). Raises `InvalidOption`, `NeverFires`
        and what `task.enqueue` raises before it stores.
        """
        return self.schedules.declare(declared(task, name, cron, every, args, zone, missed, bound))

    def capture(self, name: str, source: Callable[[], Any] | ContextVar[Any], restore: Restore | None = None) -> None:
        """Store this value with each job that is enqueued, and bring it back around its run.

        `source` is a `ContextVar`, which is then set for the run, or a function; what it returns is stored as
        JSON, None is not stored. `restore(value)` is called before the body; a context manager that it returns
        is left after it. All values of a job together have at most 16 KiB.
        """
        self.captured.add(name, source, restore)

    def enqueue_many(self, task: Task[..., Any], calls: Iterable[tuple[Any, ...] | Mapping[str, Any]]) -> list[str]:
        """Store many calls of one task in one transaction: all or none. The ids, in order.

        Each call is a tuple of positional or a dict of named arguments. Raises what `task.enqueue` raises.
        """
        return self._enqueuer.enqueue_many(task, calls)

    def bulk(self, size: int = STATEMENT_ROWS) -> AbstractContextManager[Bulk]:
        """`with jobs.bulk():` stores what is enqueued inside, by this thread or asyncio task, at its end.

        All in one transaction, `size` rows per statement; nothing when the block raises. Ids are known at once.
        """
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= 100_000:
            raise InvalidOption("size", size, "is no number of rows per statement", "Use 1 to 100,000")
        return self._enqueuer.bulk(size)

    def transaction(self, connection: object) -> TransactionBlock:
        """`with jobs.transaction(connection):` enqueues inside the caller's own transaction.

        `connection` is a SQLAlchemy `Connection` or `Session`, `AsyncConnection` or `AsyncSession` (then
        `async with`, and `await task.aenqueue(...)`), or a plain DB-API connection to the jobs' database.
        The block neither commits nor rolls back. Enqueueing raises `ForeignTransaction` when the connection
        leads elsewhere, `TransactionMustRetry` when the database has ended the transaction.
        """
        return self._enqueuer.transaction(connection)

    def lock(self, name: str, *, wait: float | None = 0.0, lease: float = LEASE_SECONDS) -> Lock:
        """`with jobs.lock("nightly"):` runs once at a time, on all hosts together.

        Waits up to `wait` seconds, None for ever; then entering raises `AlreadyRunning`, which says who has it.
        The lock is prolonged meanwhile; a holder that dies loses it after `lease` seconds.
        """
        return app_lock(lambda: self.store, name, wait, lease)

    def get(self, job_id: str) -> Job:
        """One job. Raises `JobNotFound`."""
        return self.control.get(job_id)

    def find(self, *, limit: int = 50, **chosen: Unpack[Selection]) -> list[Job]:
        """Jobs that match, the newest first, at most `limit` (1000); the next page is `before=` the last.

        Keywords: state, task, queue, tag, identifier, owner, done, created_after, created_before, before, where.
        """
        return self.control.find(self._filter(chosen), checked_limit(limit))

    def wait(self, job: Job | str, seconds: float) -> bool:
        """True as soon as the job is done, False after `seconds` at most."""
        return self.control.wait(self._job(job), seconds)

    def milestones(self, job: Job | str) -> dict[str, datetime]:
        """The milestones a job has reached, and when (UTC), the first one first."""
        return self.control.milestones(job.id if isinstance(job, Job) else job)

    @overload
    def cancel(self, job: Job | str, /) -> Job: ...

    @overload
    def cancel(self, /, **chosen: Unpack[Selection]) -> int: ...

    def cancel(self, job: Job | str | None = None, /, **chosen: Unpack[Selection]) -> Job | int:
        """Cancel a job (by id: the job as it then is), or all that match (how many).

        Waiting jobs end at once; running ones are asked to stop. Raises `JobNotFound`, `WrongState` and `JobBusy`.
        """
        if job is not None:
            return self.control.cancel(one_of(job, chosen))
        return self.control.cancel_all(self._some("cancel", chosen))

    @overload
    def retry(self, job: Job | str, /) -> Job: ...

    @overload
    def retry(self, /, **chosen: Unpack[Selection]) -> int: ...

    def retry(self, job: Job | str | None = None, /, **chosen: Unpack[Selection]) -> Job | int:
        """Run a finished or held job again, or all that match (how many); succeeded ones only if named.

        Raises `JobNotFound` and `WrongState`.
        """
        if job is not None:
            return self.control.retry(one_of(job, chosen))
        return self.control.retry_all(self._some("retry", chosen))

    def edit(self, job: Job | str, args: str) -> Job:
        """Give a job that is not running other arguments, as JSON: an object by parameter name.

        They are checked against the task's signature; rows that are signed are signed anew. A held or finished
        job runs with them after a `retry`. Raises `JobNotFound`, `WrongState`, `UnknownTask`, `InvalidArgument`.
        """
        return self.control.edit(one_of(job, {}), args)

    def retry_items(self, job: Job | str) -> Job:
        """A new job that does again only the items of `job` that could not be done.

        Items are those of `track(..., key=...)`. Raises `WrongState` while the job is not finished and
        `InvalidOption` when no item failed.
        """
        old, keys = self.control.items_to_retry(one_of(job, {}))
        options = stored_items(old.options, keys, old.id)
        title = f"{old.name[:450]}, {len(keys):,} again"
        new = again(old, self.ids.new(), self.store.clock.now(), options)
        return self._enqueuer.put(new._replace(title=title), like=old.id)

    @overload
    def delete(self, job: Job | str, /) -> None: ...

    @overload
    def delete(self, /, **chosen: Unpack[Selection]) -> int: ...

    def delete(self, job: Job | str | None = None, /, **chosen: Unpack[Selection]) -> int | None:
        """Remove a job that is not running, or all such that match (how many), with all that is kept of them.

        Raises `JobNotFound`, `WrongState` and `JobBusy`.
        """
        if job is not None:
            self.control.delete(one_of(job, chosen))
            return None
        return self.control.delete_all(self._some("delete", chosen))

    def unfinished_identifiers(self, identifiers: Iterable[str], *, include_running: bool = True) -> set[str]:
        """Which of these identifiers belong to jobs that are not finished."""
        return self.control.unfinished_identifiers(list(identifiers), include_running=include_running)

    async def aget(self, job_id: str) -> Job:
        """`get` in a thread."""
        return await asyncio.to_thread(self.get, job_id)

    async def afind(self, *, limit: int = 50, **chosen: Unpack[Selection]) -> list[Job]:
        """`find` in a thread."""
        return await asyncio.to_thread(lambda: self.find(limit=limit, **chosen))

    async def await_done(self, job: Job | str, seconds: float) -> bool:
        """`wait` for a coroutine; holds no thread while it waits."""
        return await self._watch.await_done(await asyncio.to_thread(self._job, job), seconds)

    async def acancel(self, job: Job | str) -> Job:
        """`cancel` of one job in a thread."""
        return await asyncio.to_thread(self.control.cancel, one_of(job, {}))

    async def aretry(self, job: Job | str) -> Job:
        """`retry` of one job in a thread."""
        return await asyncio.to_thread(self.control.retry, one_of(job, {}))

    async def adelete(self, job: Job | str) -> None:
        """`delete` of one job in a thread."""
        await asyncio.to_thread(self.control.delete, one_of(job, {}))

    def close(self) -> None:
        """Close all connections. What is used again opens them again."""
        self._database.close()

    def __repr__(self) -> str:
        """The database, without its password, and how many tasks there are."""
        return f"<Backburner {self.settings!r}, {len(self.registry)} tasks>"

    def _filter(self, chosen: Selection) -> JobFilter:
        return filter_of(chosen, lambda: self.store.clock.now())  # noqa: PLW0108 (opens the store only when asked)

    def _some(self, verb: str, chosen: Selection) -> JobFilter:
        if not chosen:
            remedy = "Say which: a job, an id, or keywords such as state="
            raise InvalidOption(verb, None, "would mean every job there is", remedy)
        return self._filter(chosen)

    def _spec(self) -> str | None:
        return self.app or spec_of(self, (task.function.__module__ for task in self.registry))

    def _job(self, job: Job | str) -> Job:
        return job if isinstance(job, Job) else self.get(job)
