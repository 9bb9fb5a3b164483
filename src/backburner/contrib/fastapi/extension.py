"""`FastAPIBackburner`: everything of Backburner in a FastAPI app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any, Unpack

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.params import Depends as Dependency
from starlette.templating import Jinja2Templates

from backburner.backburner import Backburner
from backburner.contrib.fastapi.asking import Asked
from backburner.contrib.fastapi.taking import take
from backburner.contrib.starlette.background import DurableTasks
from backburner.contrib.starlette.extension import StarletteBackburner
from backburner.contrib.starlette.surroundings import at_hand
from backburner.errors import InvalidOption
from backburner.options import CallOptions
from backburner.route_jobs import Identity, granted
from backburner.route_jobs.taking import WRITES
from backburner.worker import WorkerOptions


class FastAPIBackburner(StarletteBackburner):
    """Attaches `jobs` to a FastAPI app, with its web side at `at`. Make it before the app has served anything.

    `user` is a dependency of the app's own that gives who asks; None, or its 401, is nobody. All else is as of
    `StarletteBackburner`.

        backburner = FastAPIBackburner(jobs, app, user=current_user, id_of=lambda user: user.id)

        @app.post("/export")
        async def export(tasks: Annotated[DurableTasks, backburner.background]): ...
    """

    def __init__(
        self, jobs: Backburner, app: FastAPI, *, user: Callable[..., Any] | None = None,
        id_of: Callable[[Any], object] | None = None, operator: Callable[[Any], object] | None = None,
        access: Callable[[Any], object] | None = None, at: str = "/backburner", worker: bool | WorkerOptions = False,
        templates: Jinja2Templates | None = None, holding_template: str | None = None,
        identity: Identity | None = None, routes: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        if user is not None and not callable(user):
            raise InvalidOption("user", user, "cannot be called", "Pass a dependency")
        super().__init__(
            jobs, app, user=None if user is None else Asked(app, user), id_of=id_of, operator=operator, access=access,
            at=at, worker=worker, templates=templates, holding_template=holding_template, identity=identity,
            routes=routes,
        )  # fmt: skip
        self._dependency = user
        self._signed_in = f"backburner.owner.{id(self):x}"
        jobs.surroundings.add(owner=self._found_owner)

    @property
    def owner(self) -> Any:
        """A dependency: who is signed in owns what the endpoint enqueues. It gives the `User`, or None.

        It is for the app that Backburner is attached to, and for routers and apps in it.

        app = FastAPI(dependencies=[backburner.owner])      # or of a router, or of one endpoint
        """
        if self._dependency is None:
            raise InvalidOption("user", None, "is not given, so nobody knows who is signed in", "Give user=")

        asked = Depends(self._dependency)

        async def owner(person: Any = asked) -> Any:
            user, here = self._people.user(person), at_hand()
            if here is None:
                raise InvalidOption("owner", self._app, "is not the app of this request", "Attach to the outermost app")
            here.scope[self._signed_in] = None if user is None else user.id
            return user

        return Depends(owner)

    @property
    def background(self) -> Any:
        """A dependency: `DurableTasks`, stored when the endpoint has returned, before its response is sent.

        What an endpoint added that raises is not stored.
        """

        async def background() -> AsyncIterator[DurableTasks]:
            tasks = DurableTasks(self.jobs)
            yield tasks
            await tasks.store()

        return Depends(background, scope="function")

    def in_background(
        self, *, wait: float = 0.5, then: str | None = None, failed: str | None = None,
        methods: Collection[str] = WRITES, **options: Unpack[CallOptions],
    ) -> Any:  # fmt: skip
        """A dependency: a marked endpoint runs as a job of who asks, and `respond` answers, as a redirect.

        Requests by other methods than `methods` are answered by the endpoint at once. `options` are those of every
        job. Dependencies before it hold for the first request too, those behind it and parameters only for the job.

            @app.post("/reports/build", dependencies=[Depends(current_user), backburner.in_background(then="/reports")])
            @background_route
            def build(...): ...
        """

        async def in_background(request: Request) -> None:
            if request.method not in methods or granted(request.scope) is not None:
                return
            job = await take(self.jobs, request, await self.person(request), options)
            reply = await self.respond(job, wait=wait, then=then, failed=failed)
            # An endpoint that shall not run is not told so in another way.
            raise HTTPException(reply.status_code, headers={"Location": reply.headers["location"]})

        return Depends(in_background)

    def enlisted(self, session: Callable[..., Any] | Dependency) -> Any:
        """A dependency: the session of a dependency of the app's own, and in its transaction what is enqueued.

        That is there when the session commits, and not when it rolls back. Enqueue with `await task.aenqueue(...)`
        on an `AsyncSession`.

            Session = Annotated[AsyncSession, backburner.enlisted(get_session)]
        """
        inner = session if isinstance(session, Dependency) else Depends(session)

        async def enlisted(opened: Any = inner) -> AsyncIterator[Any]:
            if self.jobs.settings.migrates_itself:
                # Before its transaction has begun: on SQLite that would be in the way.
                await asyncio.to_thread(self.jobs.store.ready)
            async with self.jobs.transaction(opened):
                yield opened

        return Depends(enlisted)

    def _found_owner(self) -> str | None:
        here = at_hand()
        return None if here is None else here.scope.get(self._signed_in)
