"""What the shop does not let in."""

import asyncio
import errno
import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from starlette.requests import Request

from backburner import Backburner
from examples.shop import upload
from examples.shop.folder import Folder
from examples.shop.processes import CannotStart, Processes


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def shop(place: Folder) -> Iterator[Processes]:
    """One for all: nothing that is refused leaves anything behind."""
    with Processes(place) as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[broken"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "elsewhere.example"}, 400),
    ],
)
def test_forms_come_from_the_shops_own_pages(shop: Processes, headers: dict[str, str], status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=30)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/export", b"q=", kind | headers)
    assert connection.getresponse().status == status
    connection.close()


async def received(folder: Folder, body: bytes, kind: str = "multipart/form-data; boundary=b") -> tuple[str, str]:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind.encode())]}
    return await upload.take_upload(Request(scope, receive), folder)


def form(content: bytes, name: str) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (form(b"x" * 2_000, "a.csv"), "multipart/form-data; boundary=b", 413),
        (form(b"x", ""), "multipart/form-data; boundary=b", 400),
        (b"garbage", "multipart/form-data; boundary=b", 400),
        (b"id\n1\n", "text/csv", 415),
    ],
)
def test_uploads_are_bounded_and_checked(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, body: bytes, kind: str, status: int
) -> None:
    folder.make()
    monkeypatch.setattr(upload, "MOST_BYTES", 1_000)
    with pytest.raises(upload.Refused) as refused:
        asyncio.run(received(folder, body, kind))
    assert refused.value.status == status
    assert list((folder.path / "uploads").iterdir()) == []


def test_the_browsers_file_name_becomes_no_path(folder: Folder) -> None:
    folder.make()
    kept, name = asyncio.run(received(folder, form(b"id\n1\n", "../../etc/pass\x07wd.csv")))
    assert name == "passwd.csv"
    assert "/" not in kept
    assert folder.upload(kept).read_bytes() == b"id\n1\n"


def test_a_disk_that_is_full_keeps_no_half_of_a_file(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(source: IO[bytes], target: IO[bytes], length: int) -> None:
        target.write(source.read(2))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder.make()
    monkeypatch.setattr("shutil.copyfileobj", half)
    with pytest.raises(upload.Refused, match="no room") as refused:
        asyncio.run(received(folder, form(b"id\n1\n", "a.csv")))
    assert refused.value.status == 507
    assert list((folder.path / "uploads").iterdir()) == []


def test_a_search_is_as_short_in_a_form_as_in_an_address(shop: Processes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=30)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/export", b"q=" + b"x" * 300_000, kind)
    assert connection.getresponse().status == 303
    connection.close()


@pytest.mark.parametrize("verb", ["cancel", "retry-items"])
def test_unknown_and_foreign_jobs_are_answered_alike(shop: Processes, place: Folder, verb: str) -> None:
    jobs = Backburner(place.url)

    @jobs.task(name="examples.shop.tasks.set_status")
    def set_status() -> None: ...

    foreign = set_status.options(owner="somebody else", delay=3600).enqueue()
    answers = []
    for job in (foreign.id, "01a1fe3d-8c27-72b1-84a0-4f9b196f4b46"):
        connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=30)
        connection.request("POST", f"/jobs/{job}/{verb}")
        answer = connection.getresponse()
        answers.append((answer.status, b"There is no such job." in answer.read()))
        connection.close()
    jobs.close()
    assert answers == [(404, True)] * 2


def test_a_port_that_is_taken_is_said_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"port {port}"):
            Processes(Folder(tmp_path), port)
    with pytest.raises(CannotStart, match="port 65536"):
        Processes(Folder(tmp_path), 65536)
