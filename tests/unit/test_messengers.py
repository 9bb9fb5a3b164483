"""What a webhook and a mail say, on the wire."""

import hashlib
import hmac
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.error import HTTPError

import pytest

from backburner.errors import InvalidOption
from backburner.messengers import Email, Webhook
from backburner.notice import Notice

NOTICE = Notice(
    "01a1", "shop.pay", "Pay\r\nBcc: eve@example.org", "mails", "failed", 3, 5, "The bank is closed.",
    "ConnectionError: reset\nby peer", datetime(2026, 11, 21, 16, 0, tzinfo=UTC),
)  # fmt: skip
SECRET = "a secret of some length"


class Hook(BaseHTTPRequestHandler):
    """Takes note of each request, and answers with the status that its path says."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(int(self.path.strip("/")))
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, *given: object) -> None:
        return


@pytest.fixture
def hook() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Hook)
    server.seen = []  # type: ignore[attr-defined]
    with running(server):
        yield server


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def address(server: HTTPServer, path: str) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


def test_a_webhook_is_signed(hook: HTTPServer) -> None:
    Webhook(address(hook, "/204"), SECRET)(NOTICE)
    ((_, headers, body),) = hook.seen  # type: ignore[attr-defined]
    found = json.loads(body)
    assert (found["job"], found["tries"], found["at"]) == ("01a1", 3, "2026-11-21T16:00:00+00:00")
    assert headers["Idempotency-Key"] == "01a1-3"
    seconds, mac = (part.partition("=")[2] for part in headers["Backburner-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(mac, expected)


def test_without_a_secret_there_is_no_signature(hook: HTTPServer) -> None:
    Webhook(address(hook, "/200"))(NOTICE)
    assert "Backburner-Signature" not in hook.seen[0][1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", ["302", "307", "404", "500"])
def test_a_refusal_is_an_error_and_no_redirect_is_followed(hook: HTTPServer, status: str) -> None:
    with pytest.raises(HTTPError):
        Webhook(address(hook, f"/{status}"), SECRET)(NOTICE)
    assert [path for path, *_ in hook.seen] == [f"/{status}"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "example.org", "", "ftp://example.org", "http://"])
def test_only_addresses_of_the_web_are_taken(url: str) -> None:
    with pytest.raises(InvalidOption, match="no address of the web"):
        Webhook(url)


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(Webhook(f"https://example.org/x?key={SECRET}", SECRET))
    assert SECRET not in repr(Email("mx", "a@b.c", ["d@e.f"], user="u", password=SECRET))


class Smtp(socketserver.StreamRequestHandler):
    """As much of SMTP as it takes to be given a mail."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    self.server.seen.append(part)  # type: ignore[attr-defined]
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.server.said.append(line)  # type: ignore[attr-defined]
            self.wfile.write(b"250 ok\r\n")


def test_a_mail_says_what_happened_and_a_title_adds_no_header() -> None:
    server = socketserver.TCPServer(("127.0.0.1", 0), Smtp)
    server.seen, server.said = [], []  # type: ignore[attr-defined]
    with running(server):
        Email("127.0.0.1", "jobs@example.org", ["ops@example.org"], port=server.server_address[1])(NOTICE)
    mail = b"".join(server.seen).decode()  # type: ignore[attr-defined]
    headers, _, body = mail.partition("\r\n\r\n")
    assert "Subject: Pay  Bcc: eve@example.org failed 3 times, now failed" in headers.replace("\r\n ", " ")
    assert not [line for line in headers.splitlines() if line.startswith("Bcc")]
    assert "reason: The bank is closed." in body
    asked = [line for line in server.said if line.upper().startswith(b"RCPT")]  # type: ignore[attr-defined]
    assert asked == [b"rcpt TO:<ops@example.org>\r\n"]


def test_a_mail_server_that_is_not_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(OSError, match=r"refused|111"):
        Email("127.0.0.1", "a@b.c", ["d@e.f"], port=port)(NOTICE)


def test_nobody_is_no_recipient() -> None:
    with pytest.raises(InvalidOption, match="names nobody"):
        Email("mx", "a@b.c", [])
