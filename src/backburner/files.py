"""`FileStore`: the bytes of files that belong to jobs, in a folder or behind any fsspec URL.

Names on disk are ids of ours; the name a person gave is only in the table of files. So there is nothing to
escape from the root with.
"""

from __future__ import annotations

import errno
import importlib
import mimetypes
import os
import re
import shutil
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from backburner.attachment import Attachment
from backburner.errors import InvalidOption, MissingExtra
from backburner.ids import Ids

_PLACE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/[0-9a-f-]{36}\Z")
_CHUNK = 1_048_576
_MEDIA_TYPE = re.compile(r"(?=.{3,100}\Z)[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.\"-]+)*\Z", re.ASCII)
UNKNOWN_TYPE = "application/octet-stream"
MAX_FILE_NAME = 300

Source = str | os.PathLike[str] | IO[bytes]
"""A path, or a binary file object that is read from where it stands."""


class FileStore(ABC):
    """Where files are. A `place` is what `save` gave: the job's id and the file's own, `job/file`."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    @abstractmethod
    def save(self, job_id: str, name: str, source: Source) -> tuple[str, int]:
        """Store the bytes of `source`, streaming; (place, size in bytes). `name` is for error messages."""

    @abstractmethod
    def open(self, place: str) -> IO[bytes]:
        """The bytes, to be read and closed. Raises `FileNotFoundError`."""

    @abstractmethod
    def delete(self, place: str) -> None:
        """Remove the bytes; nothing happens when they are gone already."""

    def keep(self, job_id: str, name: str, source: Source, media_type: str | None, now: datetime) -> Attachment:
        """Store a file that belongs to a job; what the table of files is to say about it.

        Without a `name` it takes that of the source; without a `media_type` the one its name suggests.
        """
        shown = shown_name(name or _name_of(source))
        # Refused before the bytes are stored: nobody would know of them.
        kind = _checked_type(media_type or mimetypes.guess_type(shown)[0] or UNKNOWN_TYPE)
        place, size = self.save(job_id, shown, source)
        return Attachment(place.partition("/")[2], job_id, shown, kind, size, place, now, None)


def open_files(where: str, ids: Ids | None = None) -> FileStore:
    """The file store at a folder or an fsspec URL (`s3://bucket/prefix`; needs the extra `files`)."""
    made = ids or Ids()
    if "://" not in where:
        return FolderFiles(Path(where), made)
    scheme, _, rest = where.partition("://")
    if scheme == "file":
        return FolderFiles(Path(rest), made)
    return RemoteFiles(where, made)


class FolderFiles(FileStore):
    """Files in one folder, which is made at the first save: 0700 for folders, 0600 for files."""

    def __init__(self, root: Path, ids: Ids) -> None:
        super().__init__(ids)
        self._root = root.absolute()

    def save(self, job_id: str, name: str, source: Source) -> tuple[str, int]:
        place = _new_place(job_id, self._ids)
        path = self._root / place
        self._make_folder(self._root)
        self._make_folder(path.parent)
        # Opened with its rights from the start, whatever the umask; never through a link, never over a file.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o600)
                size = _copy(name, source, file)
                file.flush()
                os.fsync(descriptor)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return place, size

    def open(self, place: str) -> IO[bytes]:
        path = self._root / _checked(place)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            # A link where a file of ours was: that one is not here any more.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(place)
        return os.fdopen(descriptor, "rb")

    def delete(self, place: str) -> None:
        path = self._root / _checked(place)
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()  # the job's folder goes with its last file

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)  # a strict umask could have kept even us out


class RemoteFiles(FileStore):
    """Files behind an fsspec URL, for hosts that do not share a disk."""

    def __init__(self, url: str, ids: Ids) -> None:
        try:
            fsspec = importlib.import_module("fsspec")
        except ImportError as error:
            raise MissingExtra("fsspec", "files", f"a file store at {url.partition('://')[0]}://") from error
        super().__init__(ids)
        core: Callable[[str], tuple[Any, str]] = fsspec.core.url_to_fs
        self._system, self._root = core(url)

    def save(self, job_id: str, name: str, source: Source) -> tuple[str, int]:
        place = _new_place(job_id, self._ids)
        path = self._path(place)
        self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            with self._system.open(path, "wb") as file:
                size = _copy(name, source, file)
        except BaseException:
            with suppress(OSError):
                self._system.rm_file(path)
            raise
        return place, size

    def open(self, place: str) -> IO[bytes]:
        file: IO[bytes] = self._system.open(self._path(_checked(place)), "rb")
        return file

    def delete(self, place: str) -> None:
        with suppress(FileNotFoundError):
            self._system.rm_file(self._path(_checked(place)))

    def _path(self, place: str) -> str:
        return f"{self._root.rstrip('/')}/{place}"


def shown_name(name: str) -> str:
    """A file name as people may be shown it and browsers may save it: no folders, nothing unprintable."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = "".join(c if c.isprintable() else "_" for c in last).strip(". ")
    return clean[-MAX_FILE_NAME:] or "file"


def _name_of(source: Source) -> str:
    found = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "")
    return os.fspath(found) if isinstance(found, str | os.PathLike) else ""


def is_media_type(text: str) -> bool:
    """Whether a file may be kept under this media type."""
    return _MEDIA_TYPE.match(text) is not None


def _checked_type(text: str) -> str:
    if not is_media_type(text):
        raise InvalidOption("media_type", text, "is no media type", "For example text/csv; at most 100 characters")
    return text


def _new_place(job_id: str, ids: Ids) -> str:
    return _checked(f"{job_id}/{ids.new()}")


def _checked(place: str) -> str:
    if not _PLACE.match(place):
        raise InvalidOption("place", place, "is no place of this file store", "Use the one that save() gave")
    return place


def _copy(name: str, source: Source, target: IO[bytes]) -> int:
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            shutil.copyfileobj(file, target, _CHUNK)
            return file.tell()
    size = 0
    while chunk := source.read(_CHUNK):
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise InvalidOption("source", source, f"{name!r} was opened as text", "Open it in binary mode: 'rb'")
        target.write(chunk)
        size += len(chunk)
    return size
