"""`BackburnerMiddleware`: jobs belong to who is signed in, and route jobs have their user where Django has it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpResponseForbidden

from backburner.grant import HEADER
from backburner.route_jobs import granted

_NO_GATE = "Requests of jobs do not come from outside here."
_request: ContextVar[Any] = ContextVar("backburner_django_request", default=None)


class BackburnerMiddleware:
    """Place it behind `AuthenticationMiddleware`, when there is one.

    What is enqueued during a request belongs to its user. A request of a route job has the job's user, and needs
    no CSRF token: it has proof of its own. Any other one that pretends to be of a job gets 403.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response, self._is_async = get_response, iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """One request; for an async app what it answers is to be awaited."""
        refused = _enter(request)
        if self._is_async:
            return self._awaited(request, refused)
        token = _request.set(request)
        try:
            return refused or self._get_response(request)
        finally:
            _request.reset(token)

    async def _awaited(self, request: Any, refused: Any) -> Any:
        token = _request.set(request)
        try:
            return refused or await self._get_response(request)
        finally:
            _request.reset(token)


def signed_in() -> str | None:
    """The key of who is signed in where this is called from; None outside of requests, and for nobody."""
    person: Any = getattr(_request.get(), "user", None)
    return str(person.pk) if getattr(person, "is_authenticated", False) else None


async def load_signed_in() -> None:
    """Have Django load who is signed in, in its own thread for what is sync in an async view.

    It does when it is asked first, with a connection of the thread that asks; those of others nobody looks after.
    """
    if _request.get() is not None:
        await sync_to_async(signed_in)()


def _enter(request: Any) -> Any:
    proof = granted(getattr(request, "scope", None) or request.META)
    if proof is None:
        return HttpResponseForbidden(_NO_GATE.encode()) if HEADER in request.headers else None
    # What Django's own test client sets: the check of a token in the form is for browsers.
    request._dont_enforce_csrf_checks = True
    if not proof.cookies:
        # Models are not there yet when this module is imported: the package around it is an app.
        from django.contrib.auth.models import AnonymousUser

        user = proof.user if proof.user is not None else AnonymousUser()

        async def auser() -> Any:
            return user

        request.user, request.auser = user, auser
    return None
