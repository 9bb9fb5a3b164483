"""`Backburner`: the object an app has one of. It declares tasks, enqueues, finds and steers jobs.

It builds neither worker nor web app: those take it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import timedelta
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, cast, overload

from backburner.block import STATEMENT_ROWS
from backburner.bulk import Bulk
from backburner.captured import Captured, Restore
from backburner.configuring import Configuring
from backburner.control import Control
from backburner.database import Database
from backburner.endings import Endings
from backburner.enqueue import JobEnqueuer
from backburner.errors import InvalidOption
from backburner.files import FileStore, open_files
from backburner.hooks import Hooks
from backburner.ids import Ids
from backburner.insight.operations import Operations
from backburner.intake import Intake
from backburner.launch import Launcher
from backburner.lock import LEASE_SECONDS, Lock, app_lock
from backburner.notice import Notifier
from backburner.notifiers import Notifiers
from backburner.operating import Operating
from backburner.options import TaskOptions
from backburner.queues import Queues
from backburner.recurrence import Missed
from backburner.registry import Registry
from backburner.schedule import Schedule
from backburner.schedules import Arguments, Schedules, declared
from backburner.seams import Seams
from backburner.settings import Settings
from backburner.spec import spec_of
from backburner.surroundings import Surroundings
from backburner.task import Task, declare
from backburner.transaction import TransactionBlock
from backburner.waiting import JobWatch
from backburner.workers import Workers

if TYPE_CHECKING:
    from backburner.insight.insight import Insight
    from backburner.notify import Bell

P = ParamSpec("P")
R = TypeVar("R")
N = TypeVar("N", bound=Notifier)


class Backburner(Configuring, Operating):
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
        self._operations = Operations(self._database, self.registry, self.control, self._enqueuer)
        self._files: FileStore | None = None
        self.app: str | None = None
        """How another process finds this object, module:name; a worker that was told so says so here."""
        self.seams: Seams = Seams()

    @cached_property
    def insight(self) -> Insight:
        """What operators look at, and what they do."""
        # Nothing that only enqueues or runs jobs asks for it: `import backburner` does without.
        made = import_module("backburner.insight.insight").Insight(
            self._database, self.registry, self.ids, self.control, self.queues, self.workers, self.schedules,
            self._operations,
        )  # fmt: skip
        return cast("Insight", made)

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

    def close(self) -> None:
        """Close all connections. What is used again opens them again."""
        self._database.close()

    def __repr__(self) -> str:
        """The database, without its password, and how many tasks there are."""
        return f"<Backburner {self.settings!r}, {len(self.registry)} tasks>"

    def _spec(self) -> str | None:
        return self.app or spec_of(self, (task.function.__module__ for task in self.registry))
