"""A small Django project: its settings, made once per process, its views, and the way to a fresh database."""

import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import pymysql
from asgiref.sync import SyncToAsync
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View

from backburner import current_job
from backburner.route_jobs import background_route
from tests.servers import MARIADB_DRIVER

PASSWORDS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

TASKS = "backburner.contrib.django.tasks.BackburnerBackend"


def configure() -> None:
    """Make this process one of the project."""
    if settings.configured:
        return
    settings.configure(
        SECRET_KEY="a secret of the project itself",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["localhost", "testserver"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere"}},
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.staticfiles",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "backburner.contrib.django",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "backburner.contrib.django.BackburnerMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        STATIC_URL="static/",
        PASSWORD_HASHERS=PASSWORDS,
        USE_TZ=True,
        TASKS={
            "default": {"BACKEND": TASKS, "QUEUES": ["default", "mail"]},
            "patient": {"BACKEND": TASKS, "OPTIONS": {"max_attempts": 5}},
        },
        LOGIN_URL="/login/",
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    if MARIADB_DRIVER == "pymysql":
        # As projects without mysqlclient do it.
        pymysql.install_as_MySQLdb()
    django.setup()


configure()

# What needs the settings comes behind them.
from django.contrib import admin, messages  # noqa: E402
from django.contrib.auth.admin import UserAdmin  # noqa: E402
from django.contrib.auth.decorators import login_required, permission_required  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.views.decorators.http import require_POST  # noqa: E402
from sqlalchemy import make_url  # noqa: E402

from backburner.contrib.django.background import BackgroundActions  # noqa: E402
from backburner.contrib.django.project import project_jobs  # noqa: E402
from backburner.contrib.django.shortcuts import in_background  # noqa: E402


def use_database(folder: Path) -> None:
    """A fresh database with all tables of the project, in a file of its own."""
    pattern = Path(_pattern().name) / "project.db"
    shutil.copyfile(pattern, folder / "project.db")
    use_databases(default=f"sqlite:///{folder / 'project.db'}")
    project_jobs.cache_clear()


@functools.cache
def _pattern() -> tempfile.TemporaryDirectory[str]:
    """Migrated once: copying it takes a hundredth of the time."""
    folder: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory()
    use_databases(default=f"sqlite:///{Path(folder.name) / 'project.db'}")
    project_jobs.cache_clear()
    call_command("migrate", verbosity=0)
    project_jobs().close()
    connections.close_all()
    return folder


def use_databases(**urls: str) -> None:
    """Let the project have these databases, by alias, in place of those it had."""
    _forget_connections()
    # Async views have theirs in the one thread that asgiref keeps for what is sync in them.
    SyncToAsync.single_thread_executor.submit(_forget_connections).result()
    settings.DATABASES = {alias: as_django_says(url) for alias, url in urls.items()}
    vars(connections)["settings"] = connections.configure_settings(settings.DATABASES)


def _forget_connections() -> None:
    """Of the thread that calls it."""
    connections.close_all()
    for alias in list(connections.settings):
        if hasattr(connections._connections, alias):
            del connections[alias]


def as_django_says(url: str) -> dict[str, Any]:
    """An entry of DATABASES."""
    at = make_url(url)
    if at.get_backend_name() == "sqlite":
        # So that a transaction which reads before it writes does not find the file changed under it.
        options = {"transaction_mode": "IMMEDIATE", "timeout": 20}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": at.database, "OPTIONS": options}
    kind = "postgresql" if at.get_backend_name() == "postgresql" else "mysql"
    host = at.host or at.query.get("host", "")
    entry = {"NAME": at.database, "USER": at.username, "PASSWORD": at.password, "HOST": host, "PORT": at.port or ""}
    return {"ENGINE": f"django.db.backends.{kind}"} | {key: value or "" for key, value in entry.items()}


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


def _slow(request: Any) -> HttpResponse:
    files = [file.read().decode() for file in request.FILES.getlist("rows")]
    said = request.body.decode() if request.content_type == "application/json" else dict(request.POST.lists())
    language = request.headers.get("Accept-Language")
    text = f"{request.user.get_username()}: {said} {files} {dict(request.GET.lists())} {language}"
    return HttpResponse(text, content_type="text/plain")


slow = login_required(in_background(wait=0, then="/who/", title="Slow report")(_slow))


@in_background(wait=0, methods=["GET"])
async def asynchronously(request: Any) -> HttpResponse:
    return HttpResponse(f"for {(await request.auser()).get_username()}", content_type="text/plain")


def unmarked(request: Any) -> HttpResponse:
    return HttpResponse("unmarked")


async def start(request: Any) -> HttpResponse:
    jobs = project_jobs()
    job = await jobs.registry.require("add").aenqueue()
    return HttpResponse(job.id)


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


admin.site.unregister(User)


@admin.register(User)
class PeopleAdmin(BackgroundActions, UserAdmin):
    actions = ("deactivate", "ask")
    background_actions = ("deactivate", "ask", "delete_selected")

    @admin.action(description="Deactivate selected %(verbose_name_plural)s", permissions=["change"])
    def deactivate(self, request: Any, queryset: Any) -> None:
        count = queryset.update(is_active=False)
        self.message_user(request, f"{count} users are <inactive>.", messages.SUCCESS)

    def ask(self, request: Any, queryset: Any) -> HttpResponse:
        return HttpResponse("Are you sure?")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("build/", build),
    path("who/", who, name="who"),
    path("start/", start),
    path("powers/", powers),
    path("unmarked/", unmarked),
    path("slow/", slow),
    path("asynchronously/", asynchronously),
    path("report/<int:number>/", Report.as_view(), name="report"),
    path("whole/", Whole.as_view()),
    path("backburner/", include("backburner.contrib.django.urls")),
]
