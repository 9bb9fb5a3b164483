"""`JobContext`: what a running job may say and ask; `current_job()` and `track()` find it by themselves.

Reporting is cheap: a call changes attributes in memory, a thread of the worker looks at them four times a
second. Outside a job everything works as well: the bar goes to the console, or nowhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from backburner.checkpoint import Checkpoint, check_cursor
from backburner.console import ConsoleBar
from backburner.desk import Desk
from backburner.errors import InvalidArgument
from backburner.link import Link, Params, checked_link
from backburner.meeting import Meeting
from backburner.progress import FailedItem, Message, Progress, storable
from backburner.secrets import Secrets, launch_secrets
from backburner.tracking import Guard, TrackOptions, tracked

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from backburner.attachment import Attachment
    from backburner.job import ClaimedJob

T = TypeVar("T")
Level = Literal["info", "success", "warning", "error"]

MAX_TEXT = 4096
"""Characters of a message or of one line of output; longer ones are cut."""
MAX_MESSAGES = 200
MAX_LINKS = 20

_current: ContextVar[JobContext | None] = ContextVar("backburner_job", default=None)


class JobContext(Meeting):
    """One running attempt, as its own code sees it. Do not make one: ask `current_job()`.

    Every method raises `Cancelled` or `TimedOut` when the job was asked to stop: that is how a task notices.
    """

    def __init__(
        self,
        claimed: ClaimedJob | None = None,
        desk: Desk | None = None,
        *,
        only_items: frozenset[str] | None = None,
        began_at: datetime | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._claimed, self._desk = claimed, desk
        self._now, self._began_at = now, began_at
        self.only_items = only_items
        self._done: float = 0
        self._total: float | None = None
        self._unit: str | None = None
        self._stage: str | None = None
        self._text: str | None = None
        self._failed = 0
        self._links: tuple[Link, ...] = ()
        self._output: deque[tuple[str, datetime]] = deque()
        self._messages: deque[Message] = deque()
        self._message_count = 0
        self._failed_items: deque[FailedItem] = deque()
        self._checkpoint: Checkpoint | None = None
        self._resumable = False
        self._track_count = 0
        self._stop: BaseException | None = None
        self._alive = True
        self._finished = False
        self._in_transaction = False
        self._result: Any = None
        self._console = ConsoleBar() if claimed is None else None

    @property
    def id(self) -> str | None:
        """The job's id; None when the task was simply called."""
        return self._claimed.id if self._claimed is not None else None

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1 on; 0 when the task was simply called."""
        return self._claimed.attempt if self._claimed is not None else 0

    @property
    def task(self) -> str | None:
        """The name of the task."""
        return self._claimed.task if self._claimed is not None else None

    @property
    def secrets(self) -> Secrets:
        """What the process was launched with; empty in every other one."""
        return launch_secrets()

    def secret(self, name: str) -> str:
        """One of the secrets. Raises `SecretMissing`."""
        return launch_secrets()[name]

    @property
    def cancel_requested(self) -> bool:
        """True when someone asked this job to stop; reading it raises nothing."""
        self._alive = True
        return self._stop is not None

    def check(self) -> None:
        """Raise `Cancelled` or `TimedOut` when the job should stop; else give a sign of life."""
        self._alive = True
        if self._stop is not None:
            raise self._stop

    def progress(self, percent: float, text: str | None = None) -> None:
        """Say how far it is in percent (clamped to 0..100), and what is going on."""
        self.check()
        self._done, self._total, self._unit = min(max(float(percent), 0.0), 100.0), 100.0, "%"
        if text is not None:
            self._text = storable(text, MAX_TEXT)
        self._show()

    def advance(self, n: float = 1, text: str | None = None) -> None:
        """Count `n` more as done."""
        self.check()
        self._done += n
        if text is not None:
            self._text = storable(text, MAX_TEXT)
        self._show()

    def expect(self, total: float | None, unit: str | None = None) -> None:
        """Say how many there are to do; None when nobody knows."""
        self.check()
        self._total = total
        if unit is not None:
            self._unit = storable(unit, 40)
        self._show()

    def stage(self, name: str, total: float | None = None, unit: str | None = None) -> None:
        """Begin a new stage: its own count from 0."""
        self.check()
        self._stage, self._done, self._total = storable(name, 200), 0, total
        self._unit = storable(unit, 40) if unit else None
        self._text = None
        self._urgent()

    def log(self, text: str) -> None:
        """Add a line to the live output."""
        self.check()
        if text:
            self._output.append((storable(text, MAX_TEXT).rstrip("\n") + "\n", self._moment()))
            if self._console is not None:
                self._console.line(text)

    def message(self, text: str, level: Level = "info") -> None:
        """Tell the people who wait: shown at once, and kept in the job's list (its first 200)."""
        self.check()
        self._text = storable(text, MAX_TEXT)
        self._message_count += 1
        if self._message_count <= MAX_MESSAGES:
            self._messages.append(Message(level, self._text, self._moment(), self._message_count))
        self._urgent()

    def link(
        self, text: str, href: str | None = None, *, route: str | None = None, params: Params | None = None,
        target: str | None = None,
    ) -> None:  # fmt: skip
        """Offer a link to the people who wait: to `href`, an http(s) address or a path, or to a `route` of the app
        with `params`, whose address is made when it is shown. Raises `InvalidArgument`.
        """
        self.check()
        made = checked_link(self.task or "", storable(text, 200), href, route, params, target)
        self._links = (*self._links, made)[-MAX_LINKS:]
        self._urgent()

    def attach(self, source: str | IO[bytes], name: str | None = None, media_type: str | None = None) -> Attachment:
        """Keep a file (a path or a binary file object) with the job, for people to download."""
        self.check()
        if self._desk is None:
            raise InvalidArgument("", "source", source, "files are kept for stored jobs only", "Enqueue the task")
        return self._desk.attach(self, name or "", source, media_type)

    def item_failed(self, key: object, error: object) -> None:
        """Say that one item of a mass action could not be done, and why; the job goes on."""
        self.check()
        self._failed += 1
        text = f"{error}" if not isinstance(error, BaseException) else f"{error}" or type(error).__name__
        self._failed_items.append(FailedItem(storable(str(key), 200), storable(text, MAX_TEXT), self._moment()))

    def checkpoint(self, cursor: Any) -> None:
        """Remember where the work stands (any JSON value): the next attempt finds it in `last_checkpoint`.

        Stored at the next flush; inside `transaction()` together with the writes there.
        """
        self.check()
        check_cursor(self.task or "", cursor)
        saved = self._saved()
        saved.values["cursor"] = cursor
        saved.changed = True

    @property
    def last_checkpoint(self) -> Any:
        """What `checkpoint` was last given, in this attempt or an earlier one; None when nothing was."""
        return self._saved().values.get("cursor")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A SQLAlchemy connection to the jobs' database: what is written on it and a `checkpoint` or
        `finish` said inside commit together, exactly once, or not at all.

        Raises `LeaseLost`, with nothing written, when the job was taken over meanwhile.
        """
        self.check()
        if self._desk is None:
            raise InvalidArgument("", "transaction", None, "needs a stored job", "Enqueue the task")
        with self._desk.transaction(self) as connection:
            yield connection

    def finish(self, result: Any = None) -> None:
        """Inside `transaction()`: end the job as succeeded with that transaction, whatever is returned later.

        Raises `InvalidArgument` outside of one: there is nothing that it could end together with.
        """
        self.check()
        if not self._in_transaction:
            raise InvalidArgument(
                self.task or "", "finish", result, "is said outside of job.transaction()", "Return the result instead"
            )
        self._finished, self._result = True, result

    @overload
    def track(
        self,
        items: Iterable[T],
        *,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[TrackOptions[T]],
    ) -> Iterator[T]: ...

    @overload
    def track(
        self,
        items: Iterable[T],
        *,
        on_error: Literal["collect"],
        **options: Unpack[TrackOptions[T]],
    ) -> Iterator[Guard[T]]: ...

    def track(
        self,
        items: Iterable[T],
        *,
        total: float | None = None,
        unit: str | None = None,
        resume: bool = False,
        key: Callable[[T], object] | None = None,
        on_error: Literal["raise", "collect"] = "raise",
    ) -> Iterator[T] | Iterator[Guard[T]]:
        """Go through `items` and count: bar, rate, time left, cancel.

        `resume=True` goes on behind the items the last attempt had done (those since its last flush are done
        again). `on_error="collect"` yields guards: `with guard as item:` turns an exception into a failed item
        and goes on. `key` names an item for that, and for a retry of just those.
        """
        if on_error not in ("raise", "collect"):
            raise InvalidArgument(self.task or "", "on_error", on_error, "is unknown", "Use 'raise' or 'collect'")
        if total is None and isinstance(items, Sized):
            total = len(items)
        self.check()
        self._done, self._total = 0, total
        if unit is not None:
            self._unit = storable(unit, 40)
        self._track_count += 1
        return tracked(self, items, f"track-{self._track_count}" if resume else None, key, on_error == "collect")

    def __repr__(self) -> str:
        return (
            f"<JobContext {self.task} {self.id} attempt {self.attempt}>" if self._claimed else "<JobContext (no job)>"
        )

    def _saved(self) -> Checkpoint:
        """The checkpoint, read from the database when it is first asked for."""
        saved = self._checkpoint
        if saved is None:
            saved = Checkpoint(self._desk.stored_checkpoint(self) if self._desk is not None else None)
            self._checkpoint = saved
            # Items that had failed before it are not looked at again: they count on.
            self._failed += saved.failed
        return saved

    def _moment(self) -> datetime:
        return self._now() if self._now is not None else datetime.now().astimezone()

    def _urgent(self) -> None:
        if self._desk is not None:
            self._desk.urgent(self)
        self._show()

    def _show(self) -> None:
        if self._console is not None:
            self._console.show(self._reported)

    @property
    def _reported(self) -> Progress:
        """What this attempt has reported so far."""
        return Progress(
            self._done, self._total, self._unit, self._stage, self._text, self._failed, self._links, self._began_at
        )

    @property
    def _silent(self) -> bool:
        """True while nothing at all was reported: then there is nothing to store."""
        if self._done or self._output or self._messages or self._failed_items or self._links:
            return False
        if self._total is not None or self._text is not None or self._stage is not None:
            return False
        return self._checkpoint is None or not self._checkpoint.changed


def current_job() -> JobContext | Any:
    """The job this code runs in; None outside any task.

    Typed so that a task need not prove to a type checker that it runs in a task.
    """
    return _current.get()


class Entered:
    """`with Entered(context):` makes `context` the current job for a while. A class: every job enters one."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: JobContext) -> None:
        self._context = context

    def __enter__(self) -> JobContext:
        self._token = _current.set(self._context)
        return self._context

    def __exit__(self, *error: object) -> None:
        _current.reset(self._token)
