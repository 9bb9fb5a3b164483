"""`JobContexts`: each attempt of a job runs in an application context of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context

from flask import Flask
from flask.ctx import AppContext

from backburner.hooks import Attempt, Hook, JobProcess
from backburner.seal import ROUTE_TASK
from backburner.worker.loop import adopt


class JobContexts(Hook):
    """Pushes a context before the body, and pops it after it: teardown functions run, `db.session` is removed.

    Route jobs are left out: their request has a context, and what belongs to it must end with it.
    """

    def __init__(self, app: Callable[[], Flask]) -> None:
        self._app = app

    def on_start(self, process: JobProcess) -> None:
        self._app()

    def before(self, attempt: Attempt) -> None:
        if attempt.task == ROUTE_TASK:
            return
        # Hooks of an async task run in several contexts, and what one has pushed only the same one can pop.
        context, pushed = copy_context(), self._app().app_context()
        context.run(pushed.push)
        adopt(context)
        attempt.notes[self] = (context, pushed)

    def after(self, attempt: Attempt) -> None:
        found: tuple[Context, AppContext] | None = attempt.notes.pop(self, None)
        if found is not None:
            context, pushed = found
            context.run(pushed.pop, attempt.error)
