"""Views of a Django project as jobs: with its login, permissions, sessions and CSRF check."""

import io
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner, JobState
from backburner.errors import InvalidOption
from backburner.testing import JobsTesting
from tests.contrib.conftest import output
from tests.contrib.django_project import use_database

# Behind the settings, which that module makes.
from django.contrib.auth.models import AnonymousUser, Permission, User  # isort: skip
from django.contrib.sessions.models import Session  # isort: skip
from django.db import connections  # isort: skip
from django.test import AsyncRequestFactory, Client, RequestFactory  # isort: skip
from django.urls import NoReverseMatch  # isort: skip

from backburner.contrib.django import DjangoRoutes, BackburnerMiddleware, path_of  # isort: skip


@pytest.fixture
def routes(jobs: Backburner, tmp_path: Path) -> DjangoRoutes:
    use_database(tmp_path)
    return DjangoRoutes(jobs)


@pytest.fixture
def ada(routes: DjangoRoutes) -> Any:
    return User.objects.create_user("ada", password="first")


def test_a_view_that_prints_runs_as_the_user(jobs: Backburner, ada: Any, testing: JobsTesting) -> None:
    form = {"month": "2026-10", "csrfmiddlewaretoken": "x"}
    job = jobs.route("POST", "/build/", form=form, files={"f": io.BytesIO(b"1")}, as_user=ada)
    testing.drain(raises=True)
    assert output(jobs, job) == ["building for ada", *(f"row {n} of 2026-10, 1 files" for n in range(3))]
    ended = job.refresh()
    assert (ended.owner, ended.progress.done if ended.progress else None) == (str(ada.pk), 3)


def test_the_session_of_the_user_stays_as_it_is(jobs: Backburner, ada: Any, testing: JobsTesting) -> None:
    browser = Client()
    browser.force_login(ada)
    key = browser.session.session_key
    kept = Session.objects.get(pk=key).session_data
    request = RequestFactory().post("/ask/")
    request.user = ada
    job = jobs.route("POST", "/build/", form={"month": "x"}, as_user=request)
    testing.drain(raises=True)
    assert job.refresh().state is JobState.SUCCEEDED
    assert Session.objects.get(pk=key).session_data == kept
    assert browser.get("/who/").content == b"ada"


def test_a_browser_still_needs_its_token(ada: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada)
    assert browser.post("/build/", {"month": "x"}).status_code == 403


def test_the_header_from_outside_is_refused(ada: Any) -> None:
    browser = Client()
    browser.force_login(ada)
    refused = browser.get("/unmarked/", headers={"Backburner-Grant": "1.a.b.c"})
    assert (refused.status_code, browser.get("/unmarked/").status_code) == (403, 200)


def test_a_connection_that_has_died_is_replaced(jobs: Backburner, ada: Any, testing: JobsTesting) -> None:
    """As a database that was restarted leaves it. Django looks at the start of a request; the user comes before."""
    job = jobs.route("GET", "/who/", as_user=ada)
    connections["default"].connection.close()
    testing.drain(raises=True)
    assert output(jobs, job) == ["ada"]


@pytest.mark.parametrize("who", [None, AnonymousUser()])
def test_anonymous_means_anonymous(jobs: Backburner, ada: Any, testing: JobsTesting, who: Any) -> None:
    nobody = jobs.route("GET", "/who/", as_user=who)
    login = jobs.route("POST", "/build/", form={"month": "x"}, as_user=who)
    testing.drain()
    assert output(jobs, nobody) == ["nobody"]
    assert login.refresh().result()["headers"]["location"].startswith("/login/"), "recorded, and not followed"


def test_it_fails_closed(jobs: Backburner, ada: Any, testing: JobsTesting) -> None:
    bob, eve = (User.objects.create_user(name, password="first") for name in ("bob", "eve"))
    made = [jobs.route("GET", "/who/", as_user=user) for user in (ada, bob, eve)]
    ada.set_password("second")
    ada.save()
    bob.is_active = False
    bob.save()
    eve.delete()
    testing.drain()
    assert [job.refresh().state for job in made] == [JobState.FAILED] * 3
    assert [output(jobs, job) for job in made] == [[job.refresh().reason] for job in made]


def test_permissions_are_those_of_the_moment_it_runs(jobs: Backburner, ada: Any, testing: JobsTesting) -> None:
    ada.user_permissions.add(Permission.objects.get(codename="add_user"))
    may, may_not = (jobs.route("GET", "/powers/", as_user=ada, delay=delay) for delay in (0, 60))
    testing.drain(raises=True)
    ada.user_permissions.clear()
    testing.drain(with_scheduled=True)
    assert (may.refresh().state, output(jobs, may)) == (JobState.SUCCEEDED, ["may"])
    assert (may_not.refresh().state, may_not.refresh().reason) == (
        JobState.FAILED, "The route answered 403 Forbidden."
    )  # fmt: skip


@pytest.mark.usefixtures("routes")
def test_marks_are_found_by_the_router(jobs: Backburner, testing: JobsTesting) -> None:
    found = [jobs.route("GET", "/report/7/"), jobs.route("POST", "/whole/")]
    for method, path in (("POST", "/report/7/"), ("GET", "/unmarked/"), ("GET", "/report/x/"), ("GET", "/none/")):
        with pytest.raises(InvalidOption, match="no marked route answers"):
            jobs.route(method, path)
    testing.drain(raises=True)
    assert [output(jobs, job) for job in found] == [["report 7"], ["whole"]]


def test_an_async_project_has_the_middleware_too(ada: Any) -> None:
    import asyncio

    from django.http import HttpResponse

    async def answer(request: Any) -> HttpResponse:
        return HttpResponse("in")

    middleware = BackburnerMiddleware(answer)
    made = AsyncRequestFactory()
    plain = asyncio.run(middleware(made.get("/who/")))
    refused = asyncio.run(middleware(made.get("/who/", headers={"Backburner-Grant": "1.a.b.c"})))
    assert (plain.status_code, refused.status_code) == (200, 403)


@pytest.mark.usefixtures("routes")
def test_links_to_views() -> None:
    assert path_of("report", {"number": 7}) == "/report/7/"
    assert path_of("who", {}) == "/who/"
    with pytest.raises(NoReverseMatch):
        path_of("gone", {})
