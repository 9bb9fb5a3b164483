"""A small Django project: its settings, made once per process, its views, and the way to a fresh database."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from backburner import current_job
from backburner.route_jobs import background_route

PASSWORDS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def configure() -> None:
    """Make this process one of the project."""
    if settings.configured:
        return
    settings.configure(
        SECRET_KEY="a secret of the project itself",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["localhost", "testserver"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "backburner.contrib.django.RouteJobMiddleware",
        ],
        PASSWORD_HASHERS=PASSWORDS,
        USE_TZ=True,
        LOGIN_URL="/login/",
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()


configure()

# What needs the settings comes behind them.
from django.contrib.auth.decorators import login_required, permission_required  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.views.decorators.http import require_POST  # noqa: E402


def use_database(folder: Path) -> None:
    """A fresh database with its tables."""
    connections.close_all()
    connections["default"].settings_dict["NAME"] = str(folder / "project.db")
    call_command("migrate", verbosity=0)


def counted(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def inner(request: Any, *args: Any, **kwargs: Any) -> Any:
        return view(request, *args, **kwargs)

    return inner


@require_POST
@login_required
@counted
@background_route
def build(request: Any) -> StreamingHttpResponse:
    print(f"building for {request.user.get_username()}")
    request.session["last"] = request.POST["month"]

    def lines() -> Any:
        for number in current_job().track(range(3)):
            yield f"row {number} of {request.POST['month']}, {len(request.FILES)} files\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


@background_route
def who(request: Any) -> HttpResponse:
    return HttpResponse(request.user.get_username() or "nobody", content_type="text/plain")


@background_route
@permission_required("auth.add_user", raise_exception=True)
def powers(request: Any) -> HttpResponse:
    return HttpResponse("may", content_type="text/plain")


def unmarked(request: Any) -> HttpResponse:
    return HttpResponse("unmarked")


class Report(View):
    @background_route
    def get(self, request: Any, number: int) -> HttpResponse:
        return HttpResponse(f"report {number}", content_type="text/plain")

    def post(self, request: Any, number: int) -> HttpResponse:
        return HttpResponse("not marked")


@method_decorator(background_route, name="dispatch")
class Whole(View):
    def post(self, request: Any) -> HttpResponse:
        return HttpResponse("whole", content_type="text/plain")


urlpatterns = [
    path("build/", build),
    path("who/", who, name="who"),
    path("powers/", powers),
    path("unmarked/", unmarked),
    path("report/<int:number>/", Report.as_view(), name="report"),
    path("whole/", Whole.as_view()),
]
