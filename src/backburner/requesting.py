"""`Requesting`: the part of `Backburner` that is about routes of the app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, Unpack

from backburner.coroutines import in_thread
from backburner.errors import InvalidOption
from backburner.job import Job
from backburner.options import CallOptions
from backburner.surroundings import Surroundings
from backburner.target import Pairs


class RouteOptions(CallOptions, total=False):
    """What `jobs.route(...)` takes beside the options of every job.

    `form` and `json` exclude each other. `files` are binary files by field, or `(name, file)`, or
    `(name, file, media type)`. `as_user` is what the app's `Identity` takes, a request or a user; without it
    the job runs as nobody. `with_cookies` is a request whose named cookies go along, where that is allowed.
    """

    query: Pairs | None
    form: Pairs | None
    json: Any
    files: Mapping[str, Any] | None
    headers: Mapping[str, str] | None
    as_user: Any
    with_cookies: Any
    keep_headers: Iterable[str]


class RouteDoor(Protocol):
    """What stores requests: the `RouteJobs` of the app."""

    def enqueue(self, method: str, path: str, **options: Unpack[RouteOptions]) -> Job: ...


class Requesting:
    """Knows the app's `RouteJobs`, once there is one."""

    surroundings: Surroundings
    _routes: RouteDoor | None = None

    def route(self, method: str, path: str, **options: Unpack[RouteOptions]) -> Job:
        """Have a marked route of this app run in the background, as `as_user` or as nobody.

        Durable when it returns. Raises `InvalidOption`, and what `task.enqueue` raises; then nothing is stored.

            jobs.route("POST", "/reports/build", form={"month": "2026-10"}, as_user=user)
        """
        if self._routes is None:
            raise InvalidOption("route", path, "this app has no RouteJobs", "Make one: see the guide on route jobs")
        return self._routes.enqueue(method, path, **options)

    async def aroute(self, method: str, path: str, **options: Unpack[RouteOptions]) -> Job:
        """`route` in a thread."""
        await self.surroundings.loaded()
        return await in_thread(lambda: self.route(method, path, **options))
