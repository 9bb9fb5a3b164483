"""`MailQueue`: sends an app's e-mails by way of a queue; to be used where `smtplib.SMTP` was."""

from __future__ import annotations

import email
import email.policy
import smtplib
from collections.abc import Iterable
from email.message import EmailMessage
from email.utils import formatdate, getaddresses, make_msgid
from typing import TYPE_CHECKING, Unpack

from backburner.context import current_job
from backburner.errors import InvalidOption
from backburner.job import Job
from backburner.mail_server import MailServer
from backburner.options import CallOptions, TaskOptions
from backburner.outcome import PermanentError
from backburner.progress import storable
from backburner.task import Task

if TYPE_CHECKING:
    from backburner.backburner import Backburner

SECONDS = 60.0
"""How long the mail server may take for each answer."""


class MailQueue:
    """`mails.send_message(message)` enqueues an `EmailMessage`; a worker hands it to the SMTP server.

    `starttls` encrypts before a login with `user` and `password`, which are never stored with jobs. `task` are
    options of the task, whose name is "backburner.mail", whose queue is "mail". It takes no more for one mail than
    the setting `max_args_bytes`.

        mails = MailQueue(jobs, "smtp.example.org", port=587, starttls=True)
        mails.send_message(message)
    """

    def __init__(
        self,
        jobs: Backburner,
        server: str,
        *,
        port: int = 25,
        starttls: bool = False,
        user: str | None = None,
        password: str | None = None,
        **task: Unpack[TaskOptions],
    ) -> None:
        self._server = MailServer(server, port, starttls, user, password, SECONDS)
        usual: TaskOptions = {"name": "backburner.mail", "queue": "mail"}
        usual.update(task)

        def send(message: bytes, sender: str | None, recipients: list[str] | None) -> None:
            self._hand_over(message, sender, recipients)

        self.task: Task[[bytes, str | None, list[str] | None], None] = jobs.task(**usual)(send)

    def send_message(
        self,
        message: EmailMessage,
        from_addr: str | None = None,
        to_addrs: str | Iterable[str] | None = None,
        **options: Unpack[CallOptions],
    ) -> Job:
        """Enqueue a mail, with the parameters of `smtplib.SMTP.send_message` and options as of `task.options`.

        Without addresses those of the message are used, Bcc included, which nobody gets to see. It gets its date
        and its Message-ID now, so that a mail that was sent twice can be told. Raises `InvalidOption` when it has
        no recipient or no sender, and what `task.enqueue` raises.
        """
        recipients = [to_addrs] if isinstance(to_addrs, str) else None if to_addrs is None else list(to_addrs)
        if not (_addresses(message, "To", "Cc", "Bcc") if recipients is None else any(recipients)):
            raise InvalidOption(
                "message", message["Subject"], "has no recipient", "Set To, Cc or Bcc, or pass to_addrs"
            )
        if not (from_addr or _addresses(message, "From", "Sender")):
            raise InvalidOption("message", message["Subject"], "has no sender", "Set From, or pass from_addr")
        kept = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
        if "Date" not in kept:
            kept["Date"] = formatdate()
        if "Message-ID" not in kept:
            kept["Message-ID"] = make_msgid()
        options.setdefault("title", f"Mail: {storable(str(message['Subject'] or 'without subject'), 200)}")
        return self.task.options(**options).enqueue(kept.as_bytes(), from_addr, recipients)

    def _hand_over(self, message: bytes, sender: str | None, recipients: list[str] | None) -> None:
        """Hand one mail over. Recipients that were refused for now are tried again, the others are not."""
        job = current_job()
        left = (job.last_checkpoint if job is not None else None) or recipients
        mail = email.message_from_bytes(message, policy=email.policy.default)
        try:
            refused = self._server.hand_over(mail, sender, left)
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
        except smtplib.SMTPResponseException as error:
            if error.smtp_code >= 500:
                raise PermanentError(f"The mail server refused it for good ({error.smtp_code}).") from error
            raise
        self._after_refusal(refused)

    def _after_refusal(self, refused: dict[str, tuple[int, bytes]]) -> None:
        if not refused:
            return
        job = current_job()
        later = [address for address, (code, _) in refused.items() if code < 500]
        never = [address for address in refused if address not in later]
        if never and job is not None:
            job.message(f"The mail server refused for good: {', '.join(never)}.", "warning")
        if later:
            if job is not None:
                job.checkpoint(later)
            raise smtplib.SMTPRecipientsRefused(refused)
        raise PermanentError(f"The mail server refused for good: {', '.join(never)}.")


def _addresses(message: EmailMessage, *headers: str) -> bool:
    """Whether there is an address in any of these headers."""
    lines = [str(line) for header in headers for line in message.get_all(header, ())]
    return any(address for _, address in getaddresses(lines))
