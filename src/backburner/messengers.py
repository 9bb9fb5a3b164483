"""Ready-made notifiers: `Webhook` and `Email`, to be given to `jobs.notifier`."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import asdict
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from backburner.errors import InvalidOption
from backburner.mail_server import MailServer
from backburner.notice import Notice

SECONDS = 20.0
"""How long a webhook or a mail server may take."""


class Webhook:
    """POSTs a notice as JSON to `url`; follows no redirect, and takes any status of 400 or more as a failure.

    With a `secret` the header `Backburner-Signature: t=<Unix seconds>,v1=<hex>` holds the HMAC-SHA256 of the
    seconds, a dot, and the body. `Idempotency-Key` is the same when a notice comes again.
    """

    def __init__(self, url: str, secret: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidOption("url", url, "is no address of the web", "For example https://example.org/hooks/jobs")
        self._url, self._secret = url, secret
        self._opener = urllib.request.build_opener(_NoRedirect)

    def __call__(self, notice: Notice) -> None:
        """Send it. Raises `OSError` (`urllib.error.HTTPError` among them)."""
        body = json.dumps({**asdict(notice), "at": notice.at.isoformat()}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{notice.job}-{notice.tries}"}
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
    """Mails a notice through an SMTP server. `starttls` before a login with `user` and `password`."""

    def __init__(
        self,
        server: str,
        sender: str,
        recipients: Iterable[str],
        *,
        port: int = 25,
        starttls: bool = False,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        self._recipients = [recipients] if isinstance(recipients, str) else list(recipients)
        if not self._recipients:
            raise InvalidOption("recipients", recipients, "names nobody", "Give one address or more")
        self._server, self._sender = MailServer(server, port, starttls, user, password, SECONDS), sender

    def __call__(self, notice: Notice) -> None:
        """Send it. Raises `OSError` (`smtplib.SMTPException` among them)."""
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = notice.headline, self._sender, ", ".join(self._recipients)
        facts = {**asdict(notice), "at": notice.at.isoformat()}
        mail.set_content("\n".join(f"{name}: {value}" for name, value in facts.items()))
        self._server.hand_over(mail)

    def __repr__(self) -> str:
        """Without the password."""
        return f"<Email {self._server.host}:{self._server.port} to {len(self._recipients)}>"
