"""`RouteJobMiddleware`: brings the user of a route job to where Django has him."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpResponseForbidden

from backburner.grant import HEADER
from backburner.route_jobs import granted

_NO_GATE = "Requests of jobs do not come from outside here."


class RouteJobMiddleware:
    """Place it behind `AuthenticationMiddleware`, when there is one.

    A request of a route job has the job's user, and needs no CSRF token: it has proof of its own. Any other one
    that pretends to be of a job gets 403.
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
        return refused or self._get_response(request)

    async def _awaited(self, request: Any, refused: Any) -> Any:
        return refused or await self._get_response(request)


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
