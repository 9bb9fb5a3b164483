"""What views answer and what templates say: respond, notice, and the tags."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner
from backburner.errors import InvalidOption, WaitInsideTransaction
from backburner.worker import Worker
from tests.contrib.django_project import use_database

# Behind the settings, which that module makes.
from django.contrib.messages import get_messages  # isort: skip
from django.contrib.messages.storage.cookie import CookieStorage  # isort: skip
from django.db import connections, transaction  # isort: skip
from django.template import Context, Engine  # isort: skip
from django.test import RequestFactory  # isort: skip

from backburner.contrib.django.project import project_jobs  # isort: skip
from backburner.contrib.django.shortcuts import anotice, arespond, notice, respond  # isort: skip


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Backburner]:
    use_database(tmp_path)
    made = project_jobs()
    yield made
    made.close()
    connections.close_all()


@pytest.fixture
def job(jobs: Backburner) -> Any:
    return jobs.task(name="add", title="Add <b>")(lambda: 3).enqueue()


def test_a_view_leads_on_or_to_the_holding_page(jobs: Backburner, job: Any) -> None:
    held = respond(job, wait=0, then="/thanks", failed="/sorry")
    assert (held.status_code, held.headers["location"]) == (302, f"/backburner/jobs/{job.id}/wait")
    with Worker(jobs):
        assert respond(job, wait=20, then="/thanks").headers["location"] == "/thanks"
    assert asyncio.run(arespond(job, wait=0, then="/thanks")).headers["location"] == "/thanks"
    with pytest.raises(InvalidOption, match="'then'"):
        respond(job, then="https://evil.example")


def test_a_view_cannot_wait_for_what_is_not_committed(job: Any) -> None:
    add = project_jobs().registry.require("add")
    with transaction.atomic(), pytest.raises(WaitInsideTransaction):
        respond(add.enqueue(), wait=1)


def test_the_notice_is_escaped_and_leads_to_the_job(job: Any) -> None:
    request: Any = RequestFactory().get("/")
    request._messages = CookieStorage(request)
    notice(request, job)
    asyncio.run(anotice(request, job, "<i>"))
    first, second = (str(message) for message in get_messages(request))
    link = f'<a href="/backburner/jobs/{job.id}/wait">Show progress</a>'
    assert first == f"Add &lt;b&gt; runs in the background. {link}"
    assert second == f"&lt;i&gt; {link}"


def shown(template: str, **values: Any) -> str:
    engine = Engine(libraries={"backburner": "backburner.contrib.django.templatetags.backburner"})
    return str(engine.from_string("{% load backburner %}" + template).render(Context(values)))


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    ("template", "markup"),
    [
        ("{% job_head %}", '<script type="module" src="/backburner/static/backburner.js"></script>'),
        (
            "{% job_bar job %}",
            (
                '<backburner-progress src="/backburner/jobs/7" cancel>'
                '<a href="/backburner/jobs/7/wait">Show progress</a></backburner-progress>'
            ),
        ),
        (
            "{% job_bar job cancel=False log=True label='\"x' token='a&b' %}",
            (
                '<backburner-progress src="/backburner/jobs/7?token=a%26b" log label="&quot;x">'
                '<a href="/backburner/jobs/7/wait?token=a%26b">Show progress</a></backburner-progress>'
            ),
        ),
        ("{% job_tray opened=True %}", '<backburner-tray src="/backburner" open></backburner-tray>'),
        (
            "{% job_bar job log='open' dismiss=True %}",
            (
                '<backburner-progress src="/backburner/jobs/7" cancel dismiss log="open">'
                '<a href="/backburner/jobs/7/wait">Show progress</a></backburner-progress>'
            ),
        ),
        (
            "{% job_log job %}",
            (
                '<backburner-log src="/backburner/jobs/7" lines="1000">'
                '<a href="/backburner/jobs/7/wait">Show the output</a></backburner-log>'
            ),
        ),
        (
            "{% job_wait job then='/thanks' cancel=False %}",
            (
                '<backburner-wait src="/backburner/jobs/7" then="/thanks">'
                '<a href="/backburner/jobs/7/wait">Check again</a></backburner-wait>'
            ),
        ),
        (
            "{% job_notice job text %}",
            '<p class="backburner-notice">&lt;b&gt; <a href="/backburner/jobs/7/wait">Show progress</a></p>',
        ),
    ],
)
def test_template_tags(template: str, markup: str) -> None:
    assert shown(template, job="7", text="<b>") == markup


def test_a_job_itself_does_in_a_template(job: Any) -> None:
    assert f'src="/backburner/jobs/{job.id}"' in shown("{% job_bar job %}", job=job)


def test_the_holding_page_in_the_projects_own_layout(jobs: Backburner, tmp_path: Path) -> None:
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import override_settings

    from backburner.contrib.django import site

    (tmp_path / "held.html").write_text("{{ holding.head }}<h1>Kestrel of {{ request.user }}</h1>{{ holding.body }}")
    ada = User.objects.create_user("ada")
    job = jobs.task(name="sum")(lambda: 3).options(owner=str(ada.pk)).enqueue()
    engine = {
        "BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [str(tmp_path)],
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }  # fmt: skip
    site._app.cache_clear()
    site._bridge.cache_clear()
    with override_settings(BACKBURNER={"HOLDING_TEMPLATE": "held.html"}, TEMPLATES=[engine]):
        browser = Client()
        browser.force_login(ada)
        page = browser.get(f"/backburner/jobs/{job.id}/wait").content.decode()
        site._app.cache_clear()
    site._bridge.cache_clear()
    assert "<h1>Kestrel of ada</h1>" in page
    assert "<backburner-wait" in page
    assert f"/backburner/jobs/{job.id}" in page


def test_what_is_enqueued_during_a_request_belongs_to_its_user(jobs: Backburner) -> None:
    from django.contrib.auth.models import AnonymousUser, User

    from backburner.contrib.django import BackburnerMiddleware

    add = jobs.task(name="sum")(lambda: 3)
    request: Any = RequestFactory().get("/")

    async def answer(request: Any) -> Any:
        return await add.aenqueue()

    def owner_for(user: Any) -> list[str | None]:
        request.user = user
        made = [
            BackburnerMiddleware(lambda _: add.enqueue())(request), asyncio.run(BackburnerMiddleware(answer)(request)),
        ]  # fmt: skip
        return [jobs.get(job.id).owner for job in made]

    assert owner_for(User(pk=7)) == ["7", "7"]
    assert owner_for(AnonymousUser()) == [None, None]
    assert jobs.get(add.enqueue().id).owner is None, "outside of requests nobody is known"
