"""Taking a file from a browser: in pieces, to the disk, and not more than allowed."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from examples.shop.folder import Folder

MOST_BYTES = 2_000_000_000
_LONGEST_NAME = 80


class Refused(Exception):
    """The upload cannot be taken; the text says why. `status` is that of the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def take_upload(request: Request, folder: Folder) -> tuple[str, str]:
    """Keep the file of a form: the name we gave it, and the one people know it by. Raises `Refused`."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refused(415, "Send the file with the form of this page.")
    try:
        form = await MultiPartParser(request.headers, _bounded(request), max_files=1, max_fields=4).parse()
    except MultiPartException as error:
        raise Refused(400, "The upload was cut off. Send it again.") from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise Refused(400, "No file was chosen. Choose one, then import.")
        upload = new_upload()
        await run_in_threadpool(_copy, file, folder.upload(upload))
        return upload, shown_name(file.filename)
    finally:
        await form.close()


def new_upload() -> str:
    """A name of ours for an upload: nothing a browser says becomes a path."""
    return f"{uuid.uuid4()}.csv"


def shown_name(name: str) -> str:
    """A file name as a title may show it."""
    last = name.replace("\\", "/").rpartition("/")[2]
    clean = "".join(c for c in last if c.isprintable()).strip()
    return clean[:_LONGEST_NAME] or "file.csv"


async def _bounded(request: Request) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MOST_BYTES:
            raise Refused(413, f"The file is larger than {MOST_BYTES / 1e9:g} GB. Split it.")
        yield chunk


@contextmanager
def kept(path: Path) -> Iterator[IO[bytes]]:
    """A new file to write. Raises `Refused` when the disk is full, and nothing of it stays."""
    try:
        with path.open("xb") as file:
            yield file
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Refused(507, f"The shop has no room for the file: {error.strerror}.") from error


def _copy(file: UploadFile, path: Path) -> None:
    with kept(path) as target:
        shutil.copyfileobj(file.file, target, 1_048_576)
