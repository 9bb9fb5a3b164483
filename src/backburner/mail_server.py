"""`MailServer`: hands e-mails over to an SMTP server."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where it is, and how to log in; `seconds` is how long each answer of it may take."""

    host: str
    port: int
    starttls: bool
    user: str | None
    password: str | None = field(repr=False)
    seconds: float

    def hand_over(
        self, mail: EmailMessage, sender: str | None = None, recipients: Sequence[str] | None = None
    ) -> dict[str, tuple[int, bytes]]:
        """Hand one mail over; the recipients that were refused, and why.

        Raises `OSError`, `smtplib.SMTPException` among them.
        """
        server = smtplib.SMTP(self.host, self.port, timeout=self.seconds)
        try:
            if self.starttls:
                server.starttls()
            if self.user is not None:
                server.login(self.user, self.password or "")
            refused: dict[str, tuple[int, bytes]] = server.send_message(mail, sender, recipients)
            return refused
        finally:
            # It has the mail by now, or has not: how it says goodbye changes nothing.
            with suppress(OSError):
                server.quit()
            server.close()
