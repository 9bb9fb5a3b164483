"""`Story`: a history with the rows that were found at the end, put in order for whoever asks questions about it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from backburner.states import JobState
from tests.chaos.history import Event

WAKING = 1.0
"""Seconds in which a process that was stopped may go on before it has seen that its lease is over. No system knows a
way around it: between the end of the stop and the first look at the clock there is code that runs."""


@dataclass(frozen=True, slots=True)
class Row:
    """A job as it stands at the end. `kind` is what it was enqueued as, the first word of its token."""

    id: str
    token: str
    state: JobState
    position: int = 0
    attempt: int = 0
    settled_attempt: int | None = None
    tries: int = 0
    crashes: int = 0
    losses: int = 0
    max_attempts: int | None = None
    repeatable: bool = True
    group: str | None = None
    keeps_slot: bool = False
    slot: str | None = None
    worker: str | None = None
    key: str | None = None
    after: str | None = None
    result: str | None = None
    reason: str | None = None

    @property
    def kind(self) -> str:
        return self.token.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Fired:
    """A fire time of a schedule, and the job that stands for it. `every` is the schedule's interval in seconds."""

    schedule: str
    at: datetime
    job: str | None
    every: float


@dataclass(slots=True)
class Body:
    """One run of a body: from when, and until when at least, it was seen at work."""

    job: str
    attempt: int
    pid: int
    began: float
    seen: float
    ended: bool = False


@dataclass(frozen=True)
class Story:
    """`effects` are (job, number) that bodies have written in their jobs' transactions, as often as they stand there;
    `alive` are workers that nobody marked dead although no process is left. `clock_moved`: fire times may be missing.
    """

    events: Sequence[Event]
    rows: Sequence[Row]
    fires: Sequence[Fired] = ()
    scheduled: Sequence[tuple[str, str]] = ()
    effects: Sequence[tuple[str, int]] = ()
    alive: Sequence[str] = ()
    clock_moved: bool = False
    _thaws: dict[int, list[float]] = field(default_factory=dict, init=False, repr=False)

    def of(self, *kinds: str) -> Iterable[Event]:
        """The events of these kinds."""
        return (event for event in self.events if event.kind in kinds)

    @cached_property
    def by_id(self) -> dict[str, Row]:
        return {row.id: row for row in self.rows}

    @cached_property
    def bodies(self) -> list[Body]:
        """Every body that began, in the order of their beginnings."""
        open_ones: dict[tuple[str, int, int], Body] = {}
        found = []
        for event in self.of("begin", "step", "end", "raise"):
            which = (event.job, event.attempt, event.pid)
            if event.kind == "begin":
                open_ones[which] = Body(event.job, event.attempt, event.pid, event.at, event.at)
                found.append(open_ones[which])
            elif which in open_ones:
                body = open_ones[which]
                body.ended = body.ended or event.kind != "step"
                if not self._waking(event):
                    body.seen = event.at
        return found

    @cached_property
    def bodies_of(self) -> dict[str, list[Body]]:
        """The bodies of each job."""
        found: dict[str, list[Body]] = defaultdict(list)
        for body in self.bodies:
            found[body.job].append(body)
        return found

    @cached_property
    def killed(self) -> dict[int, float]:
        """When processes were killed from outside, by process id."""
        return {event.pid: event.at for event in self.of("kill")}

    def cuts(self, job: str) -> int:
        """How many bodies of a job were cut off because somebody outside killed their process."""
        return sum(1 for body in self.bodies_of[job] if not body.ended and body.pid in self.killed)

    def _waking(self, event: Event) -> bool:
        if not self._thaws:
            for thaw in self.of("thaw"):
                self._thaws.setdefault(thaw.pid, []).append(thaw.at)
        return any(0 <= event.at - at < WAKING for at in self._thaws.get(event.pid, ()))
