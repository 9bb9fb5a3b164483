"""`Operating`: the part of `Backburner` that finds jobs, waits for them and steers them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Unpack, overload

from backburner.control import Control
from backburner.coroutines import in_thread
from backburner.database import Database
from backburner.enqueue import JobEnqueuer, again
from backburner.errors import InvalidOption
from backburner.ids import Ids
from backburner.job import Job, JobFilter
from backburner.selection import Selection, checked_limit, filter_of, one_of
from backburner.task import stored_items
from backburner.waiting import JobWatch

if TYPE_CHECKING:
    from backburner.store.store import Store


class Operating:
    """Knows jobs by their id, and by what `Selection` says of them."""

    ids: Ids
    control: Control
    _database: Database
    _enqueuer: JobEnqueuer
    _watch: JobWatch

    @property
    def store(self) -> Store:
        """The database, opened at first use. Raises `InvalidUrl` and `MissingExtra`."""
        return self._database.store

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
        return await in_thread(self.get, job_id)

    async def afind(self, *, limit: int = 50, **chosen: Unpack[Selection]) -> list[Job]:
        """`find` in a thread."""
        return await in_thread(lambda: self.find(limit=limit, **chosen))

    async def await_done(self, job: Job | str, seconds: float) -> bool:
        """`wait` for a coroutine; holds no thread while it waits."""
        return await self._watch.await_done(await in_thread(self._job, job), seconds)

    async def acancel(self, job: Job | str) -> Job:
        """`cancel` of one job in a thread."""
        return await in_thread(self.control.cancel, one_of(job, {}))

    async def aretry(self, job: Job | str) -> Job:
        """`retry` of one job in a thread."""
        return await in_thread(self.control.retry, one_of(job, {}))

    async def adelete(self, job: Job | str) -> None:
        """`delete` of one job in a thread."""
        await in_thread(self.control.delete, one_of(job, {}))

    def _filter(self, chosen: Selection) -> JobFilter:
        return filter_of(chosen, lambda: self.store.clock.now())  # noqa: PLW0108 (opens the store only when asked)

    def _some(self, verb: str, chosen: Selection) -> JobFilter:
        if not chosen:
            remedy = "Say which: a job, an id, or keywords such as state="
            raise InvalidOption(verb, None, "would mean every job there is", remedy)
        return self._filter(chosen)

    def _job(self, job: Job | str) -> Job:
        return job if isinstance(job, Job) else self.get(job)
