"""An e-mail backend: EMAIL_BACKEND = "backburner.contrib.django.mail.EmailBackend"."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import parseaddr
from functools import cache
from typing import Any

from django.conf import settings as project
from django.core.mail.backends.base import BaseEmailBackend

from backburner.contrib.django.project import project_jobs
from backburner.errors import SettingsError
from backburner.mail import MailQueue

BACKEND = "backburner.contrib.django.mail.EmailBackend"


class EmailBackend(BaseEmailBackend):
    """Each mail becomes a job of the queue "mail"; workers hand it to the server that EMAIL_HOST names.

    Inside `atomic()` a mail goes out only when it is committed. When not all mails of one call can be enqueued, none
    is; with `fail_silently` nobody is told.
    """

    def send_messages(self, email_messages: Sequence[Any]) -> int:
        """Enqueue them, all or none; how many."""
        mails = project_mails()
        wanted = [message for message in email_messages if message.recipients()]
        try:
            with project_jobs().bulk():
                for message in wanted:
                    mails.send_message(_parsed(message), _plain(message.from_email), map(_plain, message.recipients()))
        except Exception:
            if not self.fail_silently:
                raise
            return 0
        return len(wanted)


@cache
def project_mails() -> MailQueue:
    """The queue of the project's mails, to the server that its settings name. Raises `SettingsError`."""
    if project.EMAIL_USE_SSL:
        raise SettingsError(
            "EMAIL_USE_SSL", True, "is not what mails of jobs are sent by",  # noqa: FBT003 (a value of a setting)
            "Use EMAIL_USE_TLS, and the port for it, 587 as a rule",
        )  # fmt: skip
    return MailQueue(
        project_jobs(),
        project.EMAIL_HOST,
        port=project.EMAIL_PORT,
        starttls=project.EMAIL_USE_TLS,
        user=project.EMAIL_HOST_USER or None,
        password=project.EMAIL_HOST_PASSWORD or None,
    )


def _parsed(message: Any) -> EmailMessage:
    """What Django made, whichever of Python's two kinds of messages it is."""
    return email.message_from_bytes(message.message().as_bytes(), policy=email.policy.default)


def _plain(address: str) -> str:
    """The address alone, its domain as mail servers take it."""
    name, _, domain = parseaddr(address)[1].rpartition("@")
    return f"{name}@{domain if domain.isascii() else domain.encode('idna').decode()}"
