"""Ready-made notifiers and tellers: `Webhook` and `Email`, to be given to `jobs.notifier` and `jobs.teller`."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import asdict
from email.message import EmailMessage
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from backburner.ending import Ending
from backburner.errors import InvalidOption
from backburner.mail_server import MailServer
from backburner.notice import Notice

News: TypeAlias = Notice | Ending
"""A job keeps failing, or is done."""
Recipients: TypeAlias = Iterable[str] | Callable[[News], Iterable[str] | None]
SECONDS = 20.0
"""How long a webhook or a mail server may take."""


class Webhook:
    """POSTs a notice, or an ending, as JSON to `url`.

    It follows no redirect, and takes any status of 400 or more as a failure.
    With a `secret` the header `Backburner-Signature: t=<Unix seconds>,v1=<hex>` holds the HMAC-SHA256 of the
    seconds, a dot, and the body. `Idempotency-Key` is the same when it comes again.
    """

    def __init__(self, url: str, secret: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidOption("url", url, "is no address of the web", "For example https://example.org/hooks/jobs")
        self._url, self._secret = url, secret
        self._opener = urllib.request.build_opener(_NoRedirect)

    def __call__(self, news: News) -> None:
        """Send it. Raises `OSError` (`urllib.error.HTTPError` among them)."""
        body = json.dumps({**asdict(news), "at": news.at.isoformat()}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": news.key}
        if self._secret is not None:
            headers["Backburner-Signature"] = signature(self._secret, int(time.time()), body)
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 (checked above)
        with self._opener.open(request, timeout=SECONDS):
            pass

    def __repr__(self) -> str:
        """Without query and secret."""
        return f"<Webhook {self._url.partition('?')[0]}>"


def signature(secret: str, seconds: int, body: bytes) -> str:
    """The signature of a webhook's body, for both sides."""
    mac = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    return f"t={seconds},v1={mac.hexdigest()}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Whoever can redirect could send the notice anywhere."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        return None


class Email:
    """Mails a notice, or an ending, through an SMTP server. `starttls` before a login with `user` and `password`.

    `recipients` may be a function of what is to be told: the address of its `owner`, None for nobody. `text` makes the
    body; without it a notice is told with all that operators want to know, an ending in a sentence.
    """

    def __init__(
        self,
        server: str,
        sender: str,
        recipients: Recipients,
        *,
        port: int = 25,
        starttls: bool = False,
        user: str | None = None,
        password: str | None = None,
        text: Callable[[Any], str] | None = None,
    ) -> None:
        self._recipients = recipients if callable(recipients) else _addresses(recipients)
        if not self._recipients:
            raise InvalidOption("recipients", recipients, "names nobody", "Give one address or more")
        self._text = text or _plain
        self._server, self._sender = MailServer(server, port, starttls, user, password, SECONDS), sender

    def __call__(self, news: News) -> None:
        """Send it. Raises `OSError` (`smtplib.SMTPException` among them)."""
        found = self._recipients(news) if callable(self._recipients) else self._recipients
        recipients = _addresses(found or ())
        if not recipients:
            return
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = news.headline, self._sender, ", ".join(recipients)
        mail.set_content(self._text(news))
        self._server.hand_over(mail)

    def __repr__(self) -> str:
        """Without the password."""
        to = "each" if callable(self._recipients) else len(self._recipients)
        return f"<Email {self._server.host}:{self._server.port} to {to}>"


def _addresses(found: Iterable[str]) -> list[str]:
    return [found] if isinstance(found, str) else list(found)


def _plain(news: News) -> str:
    if isinstance(news, Ending):
        return "\n\n".join(filter(None, (f"{news.title}: {news.state}.", news.reason)))
    return "\n".join(f"{name}: {value}" for name, value in {**asdict(news), "at": news.at.isoformat()}.items())
