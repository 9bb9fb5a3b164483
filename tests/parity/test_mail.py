"""E-mails through a queue, taken by a real SMTP server."""

from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from backburner import Backburner, JobState, RetryPolicy
from backburner.errors import InvalidOption, TooLarge
from backburner.mail import MailQueue
from tests.parity.conftest import StartWorker
from tests.parity.running import done, in_state
from tests.servers import free_port


class Post:
    """Takes mails, but not for every recipient; `answers` says which address gets which answers, in order."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []
        self.answers: dict[str, list[str]] = {}
        self.goodbye = "221 Bye"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        answers = self.answers.get(address)
        if answers:
            return answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        return self.goodbye


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def port(post: Post) -> Iterator[int]:
    server = Controller(post, hostname="127.0.0.1", port=free_port())
    server.start()
    yield server.port
    server.stop()


def mail(*recipients: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"] = "Your order č. 7", "shop@example.org"
    message["To"] = ", ".join(recipients)
    message.set_content("Thank you, Ada. Žluťoučký kůň.\n")
    message.add_attachment(b"\x00\xff", maintype="application", subtype="octet-stream", filename="bill.bin")
    return message


def test_enq_19_every_mail_goes_through_the_queue(
    jobs: Backburner, start_worker: StartWorker, post: Post, port: int
) -> None:
    mails = MailQueue(jobs, "127.0.0.1", port=port)
    message = mail("ada@example.org")
    message["Bcc"] = "eve@example.org"
    job = mails.send_message(message)
    assert (job.queue, job.name, post.mails) == ("mail", "Mail: Your order č. 7", [])
    start_worker()
    assert done(job).state is JobState.SUCCEEDED
    [(recipients, text)] = post.mails
    assert recipients == ["ada@example.org", "eve@example.org"]
    assert "eve@" not in text
    assert "Message-ID: <" in text
    assert "bill.bin" in text


def test_enq_19_the_server_is_away_for_a_while(jobs: Backburner, start_worker: StartWorker, post: Post) -> None:
    port = free_port()
    mails = MailQueue(jobs, "127.0.0.1", port=port, retry=RetryPolicy.fixed(0.2))
    job = mails.send_message(mail("ada@example.org"))
    start_worker()
    in_state(job, JobState.RETRYING)
    server = Controller(post, hostname="127.0.0.1", port=port)
    server.start()
    try:
        assert done(job).state is JobState.SUCCEEDED
    finally:
        server.stop()
    assert len(post.mails) == 1


def test_enq_19_whoever_has_it_gets_it_once(jobs: Backburner, start_worker: StartWorker, post: Post, port: int) -> None:
    post.answers["bob@example.org"] = ["450 Mailbox busy"]
    mails = MailQueue(jobs, "127.0.0.1", port=port, retry=RetryPolicy.fixed(0.05))
    job = mails.send_message(mail("ada@example.org", "bob@example.org"))
    start_worker()
    assert done(job).state is JobState.SUCCEEDED
    assert [recipients for recipients, _ in post.mails] == [["ada@example.org"], ["bob@example.org"]]
    ids = {line for _, text in post.mails for line in text.splitlines() if line.startswith("Message-ID")}
    assert len(ids) == 1


def test_enq_19_a_rude_goodbye_sends_no_mail_twice(
    jobs: Backburner, start_worker: StartWorker, post: Post, port: int
) -> None:
    post.goodbye = "421 Shutting down"
    job = MailQueue(jobs, "127.0.0.1", port=port, max_attempts=3).send_message(mail("ada@example.org"))
    start_worker()
    ended = done(job)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)
    assert len(post.mails) == 1


def test_enq_19_a_refusal_for_good_is_kept_for_a_person(
    jobs: Backburner, start_worker: StartWorker, post: Post, port: int
) -> None:
    post.answers["nobody@example.org"] = ["550 No such user"] * 9
    job = MailQueue(jobs, "127.0.0.1", port=port).send_message(mail("nobody@example.org"))
    start_worker()
    ended = done(job)
    assert (ended.state, ended.tries) == (JobState.FAILED, 1)
    assert "nobody@example.org" in (ended.reason or "")


def test_enq_19_what_can_never_be_sent_is_refused_at_once(jobs: Backburner) -> None:
    mails = MailQueue(jobs, "127.0.0.1")
    message = EmailMessage()
    with pytest.raises(InvalidOption, match="recipient"):
        mails.send_message(message)
    with pytest.raises(InvalidOption, match="recipient"):
        mails.send_message(mail("ada@example.org"), to_addrs=[])
    with pytest.raises(InvalidOption, match="recipient"):
        mails.send_message(mail(""))
    nameless = mail("ada@example.org")
    del nameless["From"]
    with pytest.raises(InvalidOption, match="sender"):
        mails.send_message(nameless)
    large = mail("ada@example.org")
    large.add_attachment(b"x" * 300_000, maintype="application", subtype="octet-stream", filename="film.bin")
    with pytest.raises(TooLarge):
        mails.send_message(large)
    assert jobs.find() == []


def test_enq_19_the_password_is_not_stored(jobs: Backburner) -> None:
    mails = MailQueue(jobs, "127.0.0.1", user="shop", password="only-in-memory")
    job = mails.send_message(mail("ada@example.org"))
    assert "only-in-memory" not in repr(job) + repr(jobs.control.show(job.id))
