"""`DjangoRoutes`: marked views of a Django project as jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.http import HttpRequest
from django.urls import Resolver404, resolve

from backburner.route_jobs import Identity, RouteJobs, is_marked

if TYPE_CHECKING:
    from backburner.backburner import Backburner


class DjangoRoutes(RouteJobs):
    """The project's views that are marked with `@background_route`, as jobs. Options are those of `RouteJobs`.

    `as_user` takes a request or a user. When the job runs, the user is loaded anew: he must be active, and his
    password the same. `permitted(user, method, path)` may say more. `site` must be among ALLOWED_HOSTS. Needs
    `BackburnerMiddleware`.

        routes = DjangoRoutes(jobs, site="https://shop.example.org")
    """

    def __init__(
        self, jobs: Backburner, *, permitted: Callable[[Any, str, str], bool] | None = None, **options: Any
    ) -> None:
        identity = Identity(
            load_user=_load,
            id_of=lambda user: str(user.pk),
            epoch_of=lambda user: str(user.get_session_auth_hash()),
            user_of=_signed_in,
            permitted=permitted,
        )
        super().__init__(jobs, marked=_leads_to_a_mark, identity=identity, **options)
        self._application: Any = None
        self.wsgi(self._call)

    def _call(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # Made at the first request: this object may be made while the project is still being read.
        if self._application is None:
            self._application = get_wsgi_application()
        found: Iterable[bytes] = self._application(environ, start_response)
        return found


def _leads_to_a_mark(method: str, path: str) -> bool:
    try:
        found = resolve(path)
    except Resolver404:
        return False
    return is_marked(found.func, method)


def _load(user_id: str) -> Any:
    # As at the start of a request, which comes behind this: a connection that has died would stay dead.
    close_old_connections()
    users = get_user_model()
    try:
        user = users._default_manager.get(pk=user_id)
    except (users.DoesNotExist, ValueError):
        return None
    return user if user.is_active else None


def _signed_in(source: Any) -> Any:
    user = getattr(source, "user", None) if isinstance(source, HttpRequest) else source
    return user if getattr(user, "is_authenticated", False) else None
