"""Hooks: an app's own code around every attempt, and around each process that runs jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from backburner.checked import checked_text
from backburner.errors import InvalidOption
from backburner.states import JobState

MAX_QUEUE = 100


@dataclass(slots=True)
class Attempt:
    """One attempt, as hooks see it; the same object in `before`, `on_error` and `after`.

    `id` and `attempt` name it, `tries` is how many attempts failed before. `argument_names` are those that were
    passed; the values may be secret. `captured` are the values of `jobs.capture`, by name. Times are UTC, memory is
    resident bytes of the process. `ended_at`, `seconds`, `outcome`, `error` and `memory_after` are None until the
    body has ended. `outcome` is the state that the attempt leaves its job in; it stays None when the job was taken
    over. `notes` is for the hooks' own use: what `before` keeps there, `after` finds.
    """

    id: str
    attempt: int
    task: str
    queue: str
    title: str | None
    tries: int
    argument_names: tuple[str, ...]
    worker: str
    started_at: datetime
    memory_before: int | None
    ended_at: datetime | None = None
    seconds: float | None = None
    outcome: JobState | None = None
    error: BaseException | None = None
    memory_after: int | None = None
    captured: Mapping[str, Any] = field(default_factory=dict)
    notes: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobProcess:
    """A process that runs jobs; `isolated` when it was started for a single one."""

    worker: str
    host: str
    pid: int
    isolated: bool


class Hook:
    """Derive from it and write the methods you need, plain or `async def`.

    `before` runs before the body; what it raises ends the attempt as if the body had raised it, and the body
    does not run. `on_error` hears what the body or a `before` raised. `after` runs in any case, before the end
    is stored; what it raises is logged and kept with the attempt, and changes nothing. `on_start` and `on_end`
    run once in each process that runs jobs.

    Plain methods run in the thread of a plain task, and in a thread beside the loop for an async one; async
    methods run on the loop. Context variables that `before` sets are seen by the body.
    """

    def before(self, attempt: Attempt) -> Awaitable[None] | None:
        """The body is about to run."""
        return None

    def on_error(
        self, attempt: Attempt, error: BaseException
    ) -> Awaitable[BaseException | None] | BaseException | None:
        """The attempt failed with `error`.

        An exception that it returns takes the place of `error`; so does a raised `PermanentError`, `Retry`,
        `Wait`, `Skip`, `Cancelled` or `StopWorker`. Anything else that it raises is a failure of the hook.
        """
        return None

    def after(self, attempt: Attempt) -> Awaitable[None] | None:
        """The attempt has ended; see `attempt.outcome`."""
        return None

    def on_start(self, process: JobProcess) -> Awaitable[None] | None:
        """This process is about to take jobs. What it raises keeps the process from starting."""
        return None

    def on_end(self, process: JobProcess) -> Awaitable[None] | None:
        """This process has ended its jobs."""
        return None


H = TypeVar("H", bound=Hook)


class Hooks:
    """The hooks of an app: `jobs.hooks.add(hook)`. Those of single tasks are given to `@jobs.task(hooks=[...])`."""

    def __init__(self) -> None:
        self._everywhere: tuple[Hook, ...] = ()
        self._by_queue: dict[str, tuple[Hook, ...]] = {}

    def add(self, hook: H, *, queue: str | None = None) -> H:
        """Install a hook around all jobs, or around those of one queue. The same hook again. Raises `InvalidOption`."""
        (checked,) = checked_hooks([hook])
        if queue is None:
            self._everywhere += (checked,)
        else:
            name = checked_text("queue", queue, MAX_QUEUE)
            self._by_queue[name] = (*self._by_queue.get(name, ()), checked)
        return hook

    def around(self, queue: str, own: tuple[Hook, ...]) -> tuple[Hook, ...]:
        """The hooks of a job, the outermost first: the app's, its queue's, its task's `own`."""
        return self._everywhere + self._by_queue.get(queue, ()) + own

    def __iter__(self) -> Iterator[Hook]:
        """Every hook that is not a single task's."""
        yield from self._everywhere
        for hooks in self._by_queue.values():
            yield from hooks


def checked_hooks(given: Iterable[Hook]) -> tuple[Hook, ...]:
    """The hooks as a tuple. Raises `InvalidOption` for what is none."""
    hooks = tuple(given) if isinstance(given, Iterable) else (given,)
    for hook in hooks:
        if not isinstance(hook, Hook):
            raise InvalidOption("hooks", hook, "is no Hook", "Derive from backburner.hooks.Hook, and pass an object")
    return hooks
