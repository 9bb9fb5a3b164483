"""`Feed`: one reader of the database per process, for all who watch jobs.

While anybody watches, one round after another looks at all watched jobs together and tells each viewer what
is new. While nobody watches, nothing is asked.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from backburner.clock import boot_seconds
from backburner.control import LOG_PIECES, Control
from backburner.errors import StoreError
from backburner.job import Job
from backburner.progress import LogLine, Message
from backburner.states import JobState
from backburner.web.shutdown import Shutdown
from backburner.web.sight import Sight, look, seen

log = logging.getLogger(__name__)

ROUND_SECONDS = 0.25
TROUBLE_SECONDS = 2.0
FRESH_SECONDS = 1.0
"""How old the look may be by which a stream begins; the next round tells it what is newer."""
PLACES_SECONDS = 2.0
"""How old a place in line may be: counting it costs more than a look."""
MOST_PLACES = 20
"""Places that one look counts again; those that were never counted come on top."""
MOST_VIEWERS = 500
"""Streams and long polls that one process holds open; whoever comes then is answered at once."""
MOST_LOG = 2_000
"""Pieces of output that may wait for one viewer; a slower one is cut off and comes back where it was."""


class Piece(NamedTuple):
    """One entry of live output of a job."""

    job: str
    line: LogLine


class Word(NamedTuple):
    """One message of a job, with its number."""

    job: str
    number: int
    message: Message


@dataclass(slots=True)
class News:
    """What one viewer has not been told yet. `gone` are jobs that are no longer there."""

    sights: dict[str, Sight] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    caught_up: bool = True
    """False while there is more output to be read than one look brings."""


class Viewer:
    """One who watches some jobs. `log_at` and `word_at`: how far it has been told output and messages."""

    def __init__(self, ids: Sequence[str], output: bool, log_at: int, word_at: int) -> None:
        self.ids = frozenset(ids)
        self.output = output
        self.log_at = dict.fromkeys(ids, log_at)
        self.word_at = dict.fromkeys(ids, word_at)
        self.pulses: dict[str, object] = {}
        self.behind = output
        self.overrun = False
        self._news, self._ring = News(), asyncio.Event()

    async def news(self, seconds: float) -> News | None:
        """What is new, as soon as anything is; None when nothing is for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._ring.wait()
        except TimeoutError:
            return None
        self._ring.clear()
        found, self._news = self._news, News()
        found.caught_up = not self.behind
        return found

    def wake(self) -> None:
        """Let `news` return."""
        self._ring.set()

    def tell(self, round_: Round) -> None:
        """Take from a round what concerns this viewer."""
        news, told = self._news, False
        for job_id in self.ids:
            sight = round_.sights.get(job_id)
            if sight is None:
                if job_id not in self.pulses or self.pulses[job_id] is not None:
                    self.pulses[job_id] = None
                    news.gone.add(job_id)
                    told = True
            elif self.pulses.get(job_id) != sight.pulse:
                self.pulses[job_id] = sight.pulse
                news.sights[job_id] = sight
                told = True
            if self.output:
                told = self._tell_output(round_, job_id) or told
        # What the look had no room for may be ours: asked for again until there is no more.
        behind = self.output and round_.more
        told = told or (self.behind and not behind)
        self.behind = behind
        if told:
            self._ring.set()

    def _tell_output(self, round_: Round, job_id: str) -> bool:
        before = len(self._news.pieces) + len(self._news.words)
        for line in round_.log.get(job_id, ()):
            if line.start >= self.log_at[job_id]:
                self.log_at[job_id] = line.start + len(line.text)
                self._news.pieces.append(Piece(job_id, line))
        for number, message in round_.words.get(job_id, ()):
            if number > self.word_at[job_id]:
                self.word_at[job_id] = number
                self._news.words.append(Word(job_id, number, message))
        self.overrun = self.overrun or len(self._news.pieces) > MOST_LOG
        return len(self._news.pieces) + len(self._news.words) > before


class Round(NamedTuple):
    """What one look at the database brought. `more`: there is output that it had no room for."""

    sights: dict[str, Sight]
    log: dict[str, list[LogLine]]
    words: dict[str, list[tuple[int, Message]]]
    more: bool


class Place(NamedTuple):
    """A place in line, None far behind, and when it was counted, in seconds since the epoch."""

    number: int | None
    counted_at: float


class Feed:
    """Looks for all viewers of this process. `seconds` is the pause between two rounds."""

    def __init__(
        self, control: Control, shutdown: Shutdown, seconds: float = ROUND_SECONDS,
        clock: Callable[[], float] = boot_seconds,
    ) -> None:  # fmt: skip
        self._control, self._shutdown, self._seconds, self._clock = control, shutdown, seconds, clock
        self._last: dict[str, Sight] = {}
        self._last_at = -math.inf
        self._viewers: set[Viewer] = set()
        self._pulses: dict[str, object] = {}
        self._places: dict[str, Place] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def viewers(self) -> int:
        """How many watch at present."""
        return len(self._viewers)

    @property
    def stopping(self) -> bool:
        """True when the server is to stop: streams and long polls end at once."""
        return self._shutdown.asked

    @contextmanager
    def watch(self, ids: Sequence[str], *, output: bool = False, log_at: int = 0, word_at: int = 0) -> Iterator[Viewer]:
        """Watch jobs; with `output` their live output and messages too, from these positions on."""
        viewer = Viewer(ids, output, log_at, word_at)
        self._viewers.add(viewer)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._rounds(), name="backburner-feed")
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)

    async def sights(self, ids: Sequence[str]) -> dict[str, Sight]:
        """What there is to see of these jobs, for whoever comes to watch them: what the last round saw, if just now.

        So many who come again to the same jobs, as streams do twice a minute, cost nothing.
        """
        fresh = self._clock() - self._last_at <= FRESH_SECONDS
        last = self._last if fresh else {}
        # Who is told of an end may stay away for good: not where somebody has just had the job run again.
        known = {job_id: last[job_id] for job_id in ids if job_id in last and not last[job_id].job.done}
        left = [job_id for job_id in ids if job_id not in known]
        return known | await run_in_threadpool(look, self._control, left) if left else known

    async def _rounds(self) -> None:
        while self._viewers and not self.stopping:
            pause = self._seconds
            viewers, begun = list(self._viewers), self._clock()
            try:
                found = await run_in_threadpool(self._look, viewers)
            except StoreError as error:
                log.warning("watching jobs waits for the database: %s", error)
                pause = TROUBLE_SECONDS
            except Exception:
                log.exception("a look at watched jobs failed")
                pause = TROUBLE_SECONDS
            else:
                self._last, self._last_at = found.sights, begun
                for viewer in viewers:
                    viewer.tell(found)
            await asyncio.sleep(pause)
        for viewer in self._viewers:
            viewer.wake()

    def _look(self, viewers: Sequence[Viewer]) -> Round:
        """One look, in a thread: one query for all jobs, and one each for output and files if needed."""
        ids = sorted({job_id for viewer in viewers for job_id in viewer.ids})
        jobs = self._control.glance(ids)
        self._places = self._counted(jobs)
        sights = seen(self._control, jobs, {job_id: place.number for job_id, place in self._places.items()})
        changed = {job_id for job_id, sight in sights.items() if self._pulses.get(job_id) != sight.pulse}
        log_from: dict[str, int] = {}
        words_from: dict[str, int] = {}
        for viewer in viewers:
            for job_id in viewer.ids if viewer.output else ():
                if job_id in sights and (viewer.behind or job_id in changed):
                    log_from[job_id] = min(log_from.get(job_id, viewer.log_at[job_id]), viewer.log_at[job_id])
                    words_from[job_id] = min(words_from.get(job_id, viewer.word_at[job_id]), viewer.word_at[job_id])
        lines = self._control.log_after(log_from)
        words = self._control.messages_after(words_from)
        # Last: a look that fails on its way has told nobody, and the next one must find the same changes.
        self._pulses = {job_id: sight.pulse for job_id, sight in sights.items()}
        return Round(sights, lines, words, sum(map(len, lines.values())) >= LOG_PIECES)

    def _counted(self, jobs: Mapping[str, Job]) -> dict[str, Place]:
        """The places of all queued jobs: the oldest are counted again, a few at a time; others stay as they were."""
        queued = {job_id: job for job_id, job in jobs.items() if job.state is JobState.QUEUED}
        places = {job_id: place for job_id, place in self._places.items() if job_id in queued}
        now = self._control.now().timestamp()
        old = [job_id for job_id, place in places.items() if now - place.counted_at >= PLACES_SECONDS]
        old.sort(key=lambda job_id: places[job_id].counted_at)
        for job_id in [*old[:MOST_PLACES], *(queued.keys() - places.keys())]:
            places[job_id] = Place(self._control.place_in_line(queued[job_id]), now)
        return places
