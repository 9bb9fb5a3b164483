"""`Steering`: one verb on many jobs, batch by batch; what no longer fits is counted and left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from backburner.database import Database
from backburner.errors import DuplicateJob, InvalidOption, JobBusy, KeyBusy, WrongState
from backburner.job import JobFilter
from backburner.states import FINAL, WAITING, JobState, allowed

BATCH = 200
"""Jobs per step of an action on many."""
CANCELLED = "Cancelled by request."
VERBS = ("retry", "cancel", "delete")


class Acted(NamedTuple):
    """How many jobs it was done to; of how many others have an equal job the key; how many had moved on or gone."""

    done: int = 0
    duplicate: int = 0
    moved: int = 0

    def plus(self, other: Acted) -> Acted:
        """Both together."""
        return Acted(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Steering:
    """What is done to single jobs, to a batch of them, or to all that match."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def act(self, verb: str, ids: Sequence[str], reason: str = CANCELLED) -> Acted:
        """Retry, cancel or delete these jobs. Raises `InvalidOption` for another verb."""
        jobs = self._database.store.jobs
        if verb == "delete":
            count, queues = jobs.delete_many(ids)
            self.ended(ids, queues)
            return Acted(count, moved=len(ids) - count)
        if verb == "cancel":
            return self._each(ids, lambda job_id: self.ended([job_id], jobs.cancel(job_id, reason)))
        if verb != "retry":
            raise InvalidOption("verb", verb, "is nothing that is done to many jobs", f"Use {', '.join(VERBS)}")
        done = self._each(ids, lambda job_id: jobs.retry(job_id, waiting=False))
        if done.done:
            self.ring_ready()
        return done

    def states(self, verb: str, which: JobFilter, *, interrupted: bool = True) -> frozenset[JobState]:
        """The states in which jobs that match can be acted on so.

        Nobody who says "retry what is done" means what went well: that has to be named.
        """
        if verb == "cancel":
            fitting = WAITING | {JobState.RUNNING}
        elif verb == "delete":
            fitting = frozenset(JobState) - {JobState.RUNNING}
        else:
            fitting = frozenset(state for state in JobState if allowed("retry", state))
            if which.states is None or which.states >= FINAL:
                fitting -= {JobState.SUCCEEDED, JobState.SKIPPED}
            if not interrupted:
                fitting -= {JobState.INTERRUPTED}
        return fitting if which.states is None else which.states & fitting

    def all(self, verb: str, which: JobFilter, reason: str = CANCELLED) -> int:
        """Act on every job that matches; to how many it was done."""
        pages = self.pages(replace(which, states=self.states(verb, which)))
        return sum(self.act(verb, ids, reason).done for ids, _ in pages)

    def pages(self, which: JobFilter) -> Iterator[tuple[Sequence[str], str | None]]:
        """The ids that match now, the newest first, page by page; with each, where the next page begins."""
        page: JobFilter | None = which
        while page is not None:
            found = self._database.store.search.page(page, BATCH)
            if found.ids:
                yield found.ids, found.next
            page = None if found.next is None else replace(page, before=found.next)

    def ended(self, ids: Sequence[str], queues: set[str]) -> None:
        """Jobs are at their end, and `queues` got work by it: let go on what waits for them."""
        queues = queues | self._database.store.dependencies.follow(ids)
        if queues:
            self._database.bell.ring(queues)

    def ring_ready(self) -> None:
        """Tell workers of every queue that has something to do."""
        store = self._database.store
        with store.borrowed_lane() as lane:
            queues = store.claims.ready_queues(lane)
        self._database.bell.ring(queues)

    def _each(self, ids: Sequence[str], act: Callable[[str], None]) -> Acted:
        store, done, duplicate = self._database.store, 0, 0
        ahead, held, again = list(reversed(ids)), list[str](), True
        while ahead:
            job_id = ahead.pop()
            # Others move jobs meanwhile: what no longer fits is left alone.
            try:
                act(job_id)
                done += 1
            except DuplicateJob:
                duplicate += 1
            except (JobBusy, KeyBusy):
                if store.dialect.single_writer:
                    # It has the whole file.
                    raise
                # A transaction of an app has it, or its key, and may have others: they are not waited for one by one.
                free = store.jobs.free(ahead)
                held += set(ahead).difference(free)
                ahead = free
            except (WrongState, LookupError):
                pass
            if not ahead and held and again:
                # Some were in hand for a moment only, as what runs is while it reports.
                ahead, again = store.jobs.free(held), False
        return Acted(done, duplicate, len(ids) - done - duplicate)
