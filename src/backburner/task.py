"""`Task`: a registered function. Call it and it runs here; `enqueue` it and a worker runs it."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast

from backburner.checked import MAX_NAME, checked_text
from backburner.codec import CODEC, PICKLE, Parameters, Pickles, steady
from backburner.context import Entered, JobContext, current_job
from backburner.coroutines import in_thread
from backburner.decision import Decision
from backburner.declaring import (
    context_parameter_of,
    default_name,
    listed,
    pickles_of,
    plain_names,
    policy_of,
    refuse_secrets,
)
from backburner.errors import DecodeError, InvalidOption, InvalidTask
from backburner.hooks import Hook, checked_hooks
from backburner.job import ClaimedJob, Job, NewJob
from backburner.options import CallOptions, EnqueueOptions, SharedOptions, TaskOptions, refuse_unknown
from backburner.relations import PARENTS, parents
from backburner.routes import queue_for
from backburner.run_options import NOTIFIED, OVERRIDES, RunOptions, count_of, flag_of
from backburner.secret import MASK
from backburner.settings import Settings
from backburner.title import TitleTemplate
from backburner.vault import Box

__all__ = ["Enqueuer", "RunOptions", "Task", "declare"]

P = ParamSpec("P")
R = TypeVar("R")

_CACHED_OPTIONS = 256


class Enqueuer(Protocol):
    """What a task asks of the Backburner it belongs to."""

    @property
    def settings(self) -> Settings: ...
    def context(self) -> str | None: ...
    def owner(self) -> str | None: ...
    async def loaded(self) -> None: ...
    def sealed(self, job: NewJob) -> NewJob: ...
    def box(self, task: str, subject: str) -> Box: ...
    def enqueue(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Job: ...
    async def aenqueue(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Job: ...
    def launch(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Job: ...


class Task(Generic[P, R]):
    """A registered function with its options; made by `@jobs.task`.

    `name` and `aliases` are what rows call it. `parameters` binds and loads its arguments; the one named
    `context_parameter` is not stored, it receives the `JobContext`. `returns` is the return annotation, None
    when there is none. `defaults` says how its jobs run, `enqueue_options` with what they are enqueued, `hooks`
    what runs around them.
    """

    def __init__(
        self,
        function: Callable[P, R],
        enqueuer: Enqueuer,
        *,
        name: str,
        aliases: tuple[str, ...],
        parameters: Parameters,
        context_parameter: str | None,
        template: TitleTemplate | None,
        defaults: RunOptions,
        enqueue_options: EnqueueOptions,
        api: bool,
        pickles: Pickles | None = None,
        codec: str = CODEC,
        hooks: tuple[Hook, ...] = (),
    ) -> None:
        self.function: Callable[P, R] = function
        self.name: str = name
        self.aliases: tuple[str, ...] = aliases
        self.api: bool = api
        self.codec: str = codec
        self._pickles = pickles
        self.hooks: tuple[Hook, ...] = hooks
        self.parameters: Parameters = parameters
        self.context_parameter: str | None = context_parameter
        self.defaults: RunOptions = defaults
        self.enqueue_options: EnqueueOptions = enqueue_options
        self.is_async: bool = inspect.iscoroutinefunction(function)
        self.returns: Any = None if parameters.returns is Any else parameters.returns
        self._enqueuer, self._template = enqueuer, template
        self._positional, self._known = plain_names(function, self.context_parameter)
        self._merged: dict[str, RunOptions] = {}
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now. Its progress goes to the console, or to the job that calls it."""
        context = current_job() or JobContext()
        name = self.context_parameter
        injected: dict[str, Any] = {name: context} if name is not None and name not in kwargs else {}
        given, named = self.parameters.guarded(args, {**kwargs, **injected})
        call = functools.partial(cast("Callable[..., R]", self.function), *given, **named)
        if self.is_async:
            return cast("R", _awaited(context, call))
        with Entered(context):
            return call()

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job:
        """Store a call for a worker to run; it is durable when this returns.

        Inside a transaction of the caller's or a `bulk` block it is stored when that ends. Raises
        `InvalidArgument`, `NotSerializable`, `TooLarge`, `InvalidOption` before anything is stored,
        `StoreUnavailable` when the database does not answer.
        """
        return self._enqueuer.enqueue(self, args, kwargs)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job:
        """`enqueue` for a coroutine: the database is waited for in a thread."""
        return await self._enqueuer.aenqueue(self, args, kwargs)

    def enqueue_if(self, large: bool, /, *args: P.args, **kwargs: P.kwargs) -> Decision[R]:
        """`enqueue` when `large`, else run the function here and now; what it returns says which it was.

        Both ways the arguments are checked first, so that what works with few works with many. Raises what
        `enqueue` raises, or what the function raises.
        """
        if large:
            return Decision(job=self.enqueue(*args, **kwargs))
        self._bound(args, kwargs)
        return Decision(value=self(*args, **kwargs))

    async def aenqueue_if(self, large: bool, /, *args: P.args, **kwargs: P.kwargs) -> Decision[Any]:
        """`enqueue_if` for a coroutine: a plain function runs in a thread, an async one here."""
        if large:
            return Decision(job=await self.aenqueue(*args, **kwargs))
        self._bound(args, kwargs)
        if self.is_async:
            return Decision(value=await cast("Awaitable[Any]", self(*args, **kwargs)))
        return Decision(value=await in_thread(self, *args, **kwargs))

    def launch(self, *args: P.args, **kwargs: P.kwargs) -> Job:
        """Store a call and start a process for it at once, on this machine, with no worker running.

        Raises what `enqueue` raises, `TooManyLaunched` and `LaunchFailed`; then nothing is stored.
        """
        return self._enqueuer.launch(self, args, kwargs)

    async def alaunch(self, *args: P.args, **kwargs: P.kwargs) -> Job:
        """`launch` in a thread."""
        await self._enqueuer.loaded()
        return await in_thread(self.launch, *args, **kwargs)

    def options(self, **options: Unpack[CallOptions]) -> Task[P, R]:
        """This task with other options for what is enqueued through it; the task itself stays as it is.

        Times must be aware, durations are seconds or timedeltas. `title` is literal text here. Raises
        `InvalidOption`.
        """
        settings = self._enqueuer.settings
        return Task(
            self.function,
            self._enqueuer,
            name=self.name,
            aliases=self.aliases,
            parameters=self.parameters,
            context_parameter=self.context_parameter,
            template=self._template,
            defaults=self.defaults,
            enqueue_options=self.enqueue_options.changed(options, settings),
            api=self.api,
            pickles=self._pickles,
            codec=self.codec,
            hooks=self.hooks,
        )

    def run_options(self, stored: str | None) -> RunOptions:
        """How one job runs: the task's own options with what the job's `options` text changes.

        The row's columns `max_attempts` and `repeatable` hold beside it. Raises `DecodeError`.
        """
        if stored is None:
            return self.defaults
        found = self._merged.get(stored)
        if found is None:
            found = self.defaults.with_stored(stored)
            if len(self._merged) < _CACHED_OPTIONS and found.items is None:
                self._merged[stored] = found
        return found

    def new_job(
        self, job_id: str, now: datetime, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, captures: bool = True
    ) -> NewJob:
        """The row of one call, enqueued at `now`. Raises what `enqueue` raises before it stores.

        Without `captures` nothing of this moment is stored with it: for calls that no code of the app asked for.
        """
        options = self.enqueue_options
        run_at, expires_at = options.times(now)
        if self._pickles is not None and self.codec == PICKLE:
            arguments = self._pickles.dump(self.name, self.parameters.given(args, kwargs))
        else:
            arguments = self._bound(args, kwargs, job_id)
        owner = self._enqueuer.owner() if options.owner is None and captures else options.owner
        title = options.title
        if title is None and self._template is not None:
            title = self._template.fixed or self._rendered(args, kwargs)
        job = NewJob(
            job_id, self.name, arguments, self.codec, options.queue, options.priority,
            now, run_at, title, options.identifier, owner, options.visibility, options.tags_text,
            options.meta, self._enqueuer.context() if captures else None, options.stored, options.max_attempts,
            options.repeatable, expires_at,
        )  # fmt: skip
        return self._enqueuer.sealed(self._related(job) if options.related else job)

    def load(self, job: ClaimedJob | Job) -> tuple[list[Any], dict[str, Any]]:
        """What to call the function with, whatever form the row has. Raises `DecodeError`."""
        if job.codec == CODEC:
            return self.parameters.load(job.args, box=self.box(job.task, job.id))
        if job.codec == PICKLE and self._pickles is not None:
            return self.parameters.arranged(self._pickles.load(job.task, job.args))
        raise DecodeError("arguments", f"task {self.name!r} takes none of codec {job.codec!r}")

    def box(self, name: str, subject: str) -> Box | None:
        """What encrypts and opens the secrets of a job, by what its row calls the task, and its id."""
        return self._enqueuer.box(name, subject) if self.parameters.secret else None

    def steady(self, job: NewJob) -> str:
        """The arguments of a new row, the same for equal calls also where they are encrypted."""
        box = self.box(job.task, job.id) if job.codec == CODEC else None
        return job.args if box is None else steady(job.args, box)

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], job_id: str = "") -> str:
        return self.parameters.bind(args, kwargs, self.box(self.name, job_id))

    def _related(self, job: NewJob) -> NewJob:
        """The row with what relates it to other jobs."""
        options = self.enqueue_options
        keys = options.keys(self.name, self.steady(job) if options.keyed else job.args, job.created_at)
        waited = parents(options.after, options.after_failed)
        return job._replace(
            group_name=options.group,
            group_policy=options.group_policy if options.group is not None else None,
            threshold=options.coalesce,
            unique_key=keys[0].name if options.unique is not None else None,
            keys=keys,
            parents=waited,
            blocked_on=PARENTS if waited else None,
            parents_left=len(waited),
        )

    @property
    def pickles(self) -> bool:
        """Whether rows of this task may hold pickles, which are signed."""
        return self._pickles is not None

    @property
    def place(self) -> str:
        """Where the function is written, for error messages."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
        return f"{self.function.__module__}.{getattr(self.function, '__qualname__', '?')}{where}"

    def __repr__(self) -> str:
        """The task's name."""
        return f"<Task {self.name}>"

    def _rendered(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        assert self._template is not None
        masked = dict.fromkeys(self.parameters.secrets, MASK)
        if self._positional is None:
            return self._template.render(self.parameters.named(args, kwargs) | masked)
        # Binding by the signature takes as long as all the rest of an enqueue.
        named = {**self._known, **dict(zip(self._positional, args, strict=False)), **kwargs, **masked}
        return self._template.render(named)


async def _awaited(context: JobContext, call: Callable[[], Any]) -> Any:
    with Entered(context):
        return await call()


def declare(function: Callable[P, R], enqueuer: Enqueuer, options: TaskOptions) -> Task[P, R]:
    """A task from a function and the options of its decorator. Raises `InvalidTask` and `InvalidOption`."""
    if not callable(function):
        raise InvalidTask(str(function), "is no function", "Write @jobs.task above a def")
    refuse_unknown(options, TaskOptions.__annotations__, "@jobs.task")
    name = checked_text("name", options["name"], MAX_NAME) if "name" in options else default_name(function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidTask(name, "is a generator, a worker would run nothing of it", "Return a value, and use track()")
    settings = enqueuer.settings
    context_parameter = context_parameter_of(function)
    skip = frozenset({context_parameter} if context_parameter else ())
    codec, pickles = pickles_of(name, options, settings)
    former = frozenset(listed("former", options.get("former", ())))
    parameters = Parameters.of(
        function, task=name, skip=skip, max_bytes=settings.max_args_bytes, former=former, lenient=pickles is not None
    )
    refuse_secrets(name, function, parameters, pickles)
    shared = {key: options[key] for key in SharedOptions.__annotations__ if key in options}  # type: ignore[literal-required]
    if isinstance(shared.get("expires"), datetime):
        raise InvalidOption(
            "expires", shared["expires"], "is one moment for all jobs", "Give seconds, from the enqueue on"
        )
    title = shared.pop("title", None)
    queue = queue_for(name, settings.routes) or settings.default_queue
    base = EnqueueOptions(queue=queue, priority=settings.default_priority)
    enqueue_options = base.changed(shared, settings)
    defaults = RunOptions(
        retry=policy_of(options),
        max_attempts=enqueue_options.max_attempts,
        repeatable=enqueue_options.repeatable,
        capture_print=flag_of("capture_print", options.get("capture_print", False)),
        max_running=count_of("max_running", options.get("max_running")),
        **enqueue_options.run,
    )
    # What the task says of all its jobs is not written into each row: a new version may say otherwise.
    enqueue_options = base.changed({k: v for k, v in shared.items() if k not in (*OVERRIDES, "max_attempts")}, settings)
    return Task(
        function,
        enqueuer,
        name=name,
        aliases=listed("aliases", options.get("aliases", ())),
        parameters=parameters,
        context_parameter=context_parameter,
        template=TitleTemplate(title, parameters.names) if title is not None else None,
        defaults=defaults,
        enqueue_options=enqueue_options,
        api=flag_of("api", options.get("api", False)),
        pickles=pickles,
        codec=codec,
        hooks=checked_hooks(options.get("hooks", ())),
    )


def stored_items(options: str | None, keys: list[str], source: str) -> str:
    """The `options` text of a job that does only `keys` of what the job `source` did."""
    found = json.loads(options) if options else {}
    found.pop(NOTIFIED, None)
    return json.dumps(found | {"items": keys, "items_of": source})
