"""`respond`: what a view answers that has started a job: the end if it comes at once, else the holding page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

from backburner.destination import Destinations, checked_destinations
from backburner.errors import InvalidOption, JobNotFound
from backburner.job import Job, JobControl
from backburner.states import JobState
from backburner.target import checked_path
from backburner.web.prefer import LONGEST_WAIT


@dataclass(frozen=True, slots=True)
class Reply:
    """Where the browser goes next, by a redirect with `status`. `done` says that the job had ended in time."""

    location: str
    done: bool
    status: int = 303


def respond(
    job: Job,
    *,
    wait: float = 0.5,
    then: str | None = None,
    failed: str | None = None,
    at: str = "/backburner",
    token: str | None = None,
) -> Reply:
    """Wait for a job, at most `wait` seconds (30), and say where to send who started it.

    Done in time: to `then` when it has succeeded, to `failed` after any other end. Else to its holding page below
    `at`, where `web_app` is mounted; the two paths are stored with the job, and the page goes on to them. An end for
    which there is no path is shown on that page. A job that is not kept counts as succeeded. `token` is one
    of `job_token`, for people who are not signed in.

        return redirect(respond(export.enqueue("2026-10"), then="/thanks").location, 303)

    Raises `InvalidOption`, and `WaitInsideTransaction` for a job whose enqueue is not committed.
    """
    way = _Way.checked(job, wait, then, failed, at, token)
    way.control.wait(job, wait)
    return way.reply()


async def arespond(
    job: Job,
    *,
    wait: float = 0.5,
    then: str | None = None,
    failed: str | None = None,
    at: str = "/backburner",
    token: str | None = None,
) -> Reply:
    """`respond` for a coroutine: no thread is held while it waits."""
    way = _Way.checked(job, wait, then, failed, at, token)
    await way.control.await_done(job, wait)
    return await asyncio.to_thread(way.reply)


@dataclass(frozen=True, slots=True)
class _Way:
    job_id: str
    control: JobControl
    destinations: Destinations
    page: str

    @classmethod
    def checked(cls, job: Job, wait: object, then: object, failed: object, at: object, token: str | None) -> _Way:
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait <= LONGEST_WAIT:
            raise InvalidOption("wait", wait, "is no time to wait", f"Give 0 to {LONGEST_WAIT:g} seconds")
        if job.control is None:
            raise InvalidOption("job", job, "was made without a Backburner behind it", "Use jobs.get(id)")
        query = f"?token={quote(token, safe='')}" if token else ""
        page = f"{mounted_at(at)}/jobs/{job.id}/wait{query}"
        return cls(job.id, job.control, checked_destinations(then, failed), page)

    def reply(self) -> Reply:
        """Where to go, now that it was waited for."""
        try:
            state = self.control.get(self.job_id).state
        except JobNotFound:
            # Only what is done is cleaned away.
            return Reply(self.destinations.then or self.page, done=True)
        target = self.destinations.of(state)
        if target is None and self.destinations and not _settled(state):
            self.control.lead(self.job_id, self.destinations)
        return Reply(target or self.page, state.final)


def _settled(state: JobState) -> bool:
    """Whether the job can come to no other end any more; one that failed may be tried again."""
    return state is JobState.SUCCEEDED


def mounted_at(at: object) -> str:
    """The path where the web app is mounted, without a slash at its end. Raises `InvalidOption`."""
    if at in ("", "/"):
        return ""
    try:
        return checked_path(at.rstrip("/") if isinstance(at, str) else at)
    except InvalidOption as error:
        raise InvalidOption("at", at, error.problem, error.remedy) from error
