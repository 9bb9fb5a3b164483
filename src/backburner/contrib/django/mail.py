"""An e-mail backend: EMAIL_BACKEND = "backburner.contrib.django.mail.EmailBackend", or the BACKEND in MAILERS."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Mapping, Sequence
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
TASK = "backburner.mail"

_OPTIONS = ("host", "port", "username", "password", "use_tls", "use_ssl")
"""Of MAILERS, named as those of Django's own backend."""


class EmailBackend(BaseEmailBackend):
    """Each mail becomes a job of the queue "mail"; workers hand it to the server that the settings name.

    Inside `atomic()` a mail goes out only when it is committed. When not all mails of one call can be enqueued, none
    is; with `fail_silently` nobody is told.
    """

    def __init__(self, fail_silently: bool = False, *, alias: str | None = None, **options: Any) -> None:
        """Raises what Django raises for an option that is none."""
        ours = {name: options.pop(name) for name in _OPTIONS if name in options}
        super().__init__(**({} if alias is None else {"alias": alias}), **options)
        self.alias, self.fail_silently = alias, fail_silently
        for name in ("username", "password"):
            # `send_mail(auth_user=...)`: a worker has no other login than that of the settings.
            if ours.get(name) is not None and ours[name] != _said_by(alias).get(name):
                raise SettingsError(
                    name, "...", "is not what the settings say, and nobody else's login is kept with a mail",
                    f"Leave it out, or set {_place(alias, name)}",
                )  # fmt: skip

    def send_messages(self, email_messages: Sequence[Any]) -> int:
        """Enqueue them, all or none; how many."""
        mails = project_mails(self.alias)
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


def own_mailers() -> list[str | None]:
    """The aliases in MAILERS that are this backend's, None for EMAIL_BACKEND."""
    named: Mapping[str, Any] | None = getattr(project, "MAILERS", None)
    if named is not None:
        return [alias for alias, said in named.items() if said.get("BACKEND") == BACKEND]
    # What is not set is not asked for: Django warns of settings that it is about to drop.
    return [None] if project.is_overridden("EMAIL_BACKEND") and project.EMAIL_BACKEND == BACKEND else []


@cache
def project_mails(alias: str | None = None) -> MailQueue:
    """The queue of the project's mails to the server that its settings name. Raises `SettingsError`.

    `alias` is one of MAILERS; without it EMAIL_HOST and its like count.
    """
    said = _said_by(alias)
    if said["use_ssl"]:
        raise SettingsError(
            _place(alias, "use_ssl"), True, "is not what mails of jobs are sent by",  # noqa: FBT003 (a value of a setting)
            f"Use {_place(alias, 'use_tls')}, and the port for it, 587 as a rule",
        )  # fmt: skip
    if not said["host"]:
        raise SettingsError(_place(alias, "host"), said["host"], "names no mail server", "Set it")
    return MailQueue(
        project_jobs(),
        said["host"],
        port=said["port"] or (587 if said["use_tls"] else 25),
        starttls=bool(said["use_tls"]),
        user=said["username"] or None,
        password=said["password"] or None,
        name=TASK if alias in (None, "default") else f"{TASK}:{alias}",
    )


_SETTINGS = {
    "host": "EMAIL_HOST",
    "port": "EMAIL_PORT",
    "username": "EMAIL_HOST_USER",
    "password": "EMAIL_HOST_PASSWORD",
    "use_tls": "EMAIL_USE_TLS",
    "use_ssl": "EMAIL_USE_SSL",
}


def _said_by(alias: str | None) -> dict[str, Any]:
    """What the settings say of the mail server, by the names of options."""
    if alias is None:
        return {name: getattr(project, setting) for name, setting in _SETTINGS.items()}
    options = project.MAILERS[alias].get("OPTIONS", {})
    return {name: options.get(name) for name in _OPTIONS}


def _place(alias: str | None, name: str) -> str:
    """Where that is said."""
    return _SETTINGS[name] if alias is None else f"MAILERS[{alias!r}]['OPTIONS'][{name!r}]"


def _parsed(message: Any) -> EmailMessage:
    """What Django made, whichever of Python's two kinds of messages it is."""
    return email.message_from_bytes(message.message().as_bytes(), policy=email.policy.default)


def _plain(address: str) -> str:
    """The address alone, its domain as mail servers take it."""
    name, _, domain = parseaddr(address)[1].rpartition("@")
    return f"{name}@{domain if domain.isascii() else domain.encode('idna').decode()}"
