"""What the shop does not let in."""

import asyncio
import http.client

import pytest
from starlette.requests import Request

from examples.shop import upload
from examples.shop.folder import Folder
from examples.shop.processes import Processes


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Origin": "https://elsewhere.example"}, 403),
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
