"""Mails of a Django project through the queue, taken by a real SMTP server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from backburner.errors import SettingsError, TooLarge
from backburner.testing import JobsTesting
from tests.contrib.django_project import use_databases
from tests.parity.test_mail import Post
from tests.servers import free_port

# Behind the settings, which that module makes.
import django.core.mail  # isort: skip
from django.apps import apps  # isort: skip
from django.core.mail import EmailMultiAlternatives, send_mail  # isort: skip
from django.db import connections, transaction  # isort: skip
from django.test.utils import override_settings  # isort: skip

from backburner.contrib.django.mail import BACKEND, EmailBackend, project_mails  # isort: skip
from backburner.contrib.django.project import project_jobs  # isort: skip


def as_settings(port: int) -> dict[str, Any]:
    return {"EMAIL_BACKEND": BACKEND, "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": port}


def as_mailers(port: int) -> dict[str, Any]:
    """From Django 6.1 on."""
    said = {"BACKEND": BACKEND, "OPTIONS": {"host": "127.0.0.1", "port": port}}
    others = {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}
    return {"MAILERS": {"default": said, "bills": said, "others": others}}


@pytest.fixture(params=[as_settings, *([as_mailers] if hasattr(django.core.mail, "mailers") else [])])
def post(request: pytest.FixtureRequest, sqlite_url: str) -> Iterator[Post]:
    post = Post()
    server = Controller(post, hostname="127.0.0.1", port=free_port())
    server.start()
    use_databases(default=sqlite_url)
    project_jobs.cache_clear()
    project_mails.cache_clear()
    with override_settings(**request.param(server.port)):
        yield post
    project_jobs().close()
    connections.close_all()
    server.stop()


def run(folder: Path) -> None:
    """Let a worker have the jobs that are there."""
    url = project_jobs().settings.url
    with JobsTesting(project_jobs(), folder, url=url) as testing:
        testing.drain(raises=True)


def test_mails_are_jobs_and_arrive(post: Post, tmp_path: Path) -> None:
    assert send_mail("Order č. 7", "Thank you.", "Shop <shop@example.org>", ["Ada <ada@example.org>"]) == 1
    mail = EmailMultiAlternatives("Bill", "plain", "shop@example.org", ["bob@bücher.example"], bcc=["eve@example.org"])
    mail.attach_alternative("<p>rich</p>", "text/html")
    mail.attach("bill.bin", b"\x00\xff", "application/octet-stream")
    assert mail.send() == 1
    assert ([job.queue for job in project_jobs().find()], post.mails) == (["mail", "mail"], [])
    run(tmp_path)
    (first, text), (second, rich) = post.mails
    assert (first, second) == (["ada@example.org"], ["bob@xn--bcher-kva.example", "eve@example.org"])
    assert "Thank you." in text
    assert "From: Shop <shop@example.org>" in text
    assert all(part in rich for part in ("<p>rich</p>", "AP8=", "Message-ID:"))
    assert "eve" not in rich


def test_a_mail_of_a_rolled_back_transaction_is_never_sent(post: Post, tmp_path: Path) -> None:
    with transaction.atomic():
        send_mail("Lost", "x", "shop@example.org", ["ada@example.org"])
        transaction.set_rollback(True)
    run(tmp_path)
    assert (project_jobs().find(), post.mails) == ([], [])


@pytest.mark.usefixtures("post")
def test_what_cannot_be_enqueued_is_an_error() -> None:
    with pytest.raises(TooLarge):
        send_mail("Large", "x" * 300_000, "shop@example.org", ["ada@example.org"])
    assert send_mail("Large", "x" * 300_000, "shop@example.org", ["ada@example.org"], fail_silently=True) == 0
    assert project_jobs().find() == []


@pytest.mark.usefixtures("sqlite_url")
def test_settings_that_no_worker_could_follow() -> None:
    project_mails.cache_clear()
    mail = ("Unsafe", "x", "shop@example.org", ["ada@example.org"])
    with override_settings(EMAIL_BACKEND=BACKEND, EMAIL_USE_SSL=True):
        with pytest.raises(SettingsError, match="Use EMAIL_USE_TLS"):
            send_mail(*mail)
        with pytest.raises(SettingsError, match="EMAIL_HOST_PASSWORD") as caught:
            send_mail(*mail, auth_password="canary")
        assert "canary" not in str(caught.value)


@pytest.fixture
def told(sqlite_url: str) -> Iterator[None]:
    """A project that says it as from Django 6.1 on, whatever Django there is."""
    use_databases(default=sqlite_url)
    project_jobs.cache_clear()
    project_mails.cache_clear()
    with override_settings(**as_mailers(25)):
        yield
    project_jobs().close()
    connections.close_all()


@pytest.mark.usefixtures("told")
def test_workers_know_the_mails_of_each_mailer() -> None:
    apps.get_app_config("backburner").ready()
    assert {"backburner.mail", "backburner.mail:bills"} <= set(project_jobs().registry.names())
    assert "backburner.mail:others" not in project_jobs().registry


@pytest.mark.usefixtures("told")
def test_a_mailer_of_one_alias() -> None:
    options: dict[str, Any] = {"host": "127.0.0.1", "port": 25}
    bills = EmailBackend(alias="bills", **options)
    assert bills.send_messages([EmailMultiAlternatives("Bill", "x", "a@example.org", ["b@example.org"])]) == 1
    (job,) = project_jobs().find()
    assert (job.task, job.queue) == ("backburner.mail:bills", "mail")
    with pytest.raises(SettingsError, match=r"MAILERS\['bills'\]\['OPTIONS'\]\['username'\]"):
        EmailBackend(alias="bills", username="eve", **options)
    with override_settings(MAILERS={"bills": {"BACKEND": BACKEND}}):
        project_mails.cache_clear()
        with pytest.raises(SettingsError, match="names no mail server"):
            project_mails("bills")
