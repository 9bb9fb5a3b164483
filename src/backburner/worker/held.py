"""`Held`: the jobs that a worker process owns, from the claim to the stored end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from backburner.job import ClaimedJob

LONE = 4
"""Jobs that were lost or crashed before, and run at the same time in one worker process, whatever its slots."""


class Held:
    """Any thread may add and let go. `room()` is called when one has ended that needed a process of its own."""

    def __init__(self, room: Callable[[], None]) -> None:
        self._jobs: dict[str, ClaimedJob] = {}
        self._lone: set[str] = set()
        self._room = room

    def add(self, jobs: Iterable[ClaimedJob]) -> None:
        """These were claimed."""
        for job in jobs:
            self._jobs[job.id] = job
            if job.losses or job.crashes:
                self._lone.add(job.id)

    def get(self, job_id: str) -> ClaimedJob | None:
        """One of them; None when it is not held any more."""
        return self._jobs.get(job_id)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def ids(self) -> set[str]:
        """All of them, at this moment."""
        return set(self._jobs)

    def let_go(self, job_id: str, attempt: int) -> None:
        """This attempt has ended."""
        # A job that was given back may have been claimed again already: then it is held as a later attempt.
        held = self._jobs.get(job_id)
        if held is not None and held.attempt == attempt:
            del self._jobs[job_id]
            if job_id in self._lone:
                self._lone.discard(job_id)
                self._room()

    def clear(self) -> None:
        """None of them is this worker's any more."""
        self._jobs.clear()
        self._lone.clear()

    def room_for_lone(self) -> int:
        """How many more jobs may be taken that were lost or crashed before. Each has a process of its own, which
        loads the app anew: where a host has died with all that ran there, they come back a few at a time.
        """
        return max(0, LONE - len(self._lone))
