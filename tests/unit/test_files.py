"""Files of jobs: whole or not at all, readable by nobody else, and never outside their root."""

import io
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backburner.errors import InvalidOption, MissingExtra
from backburner.files import FileStore, FolderFiles, RemoteFiles, open_files, shown_name
from backburner.ids import Ids

JOB = "01a00000-0000-7000-8000-000000000001"


@pytest.fixture(params=["folder", "file", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    where = {
        "folder": str(tmp_path / "files"),
        "file": f"file://{tmp_path}/files",
        "memory": f"memory://backburner-{os.getpid()}-{tmp_path.name}",
    }
    return open_files(where[request.param])


def read(files: FileStore, place: str) -> bytes:
    with files.open(place) as file:
        return file.read()


def test_what_was_saved_is_read_and_deleted(files: FileStore, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_bytes(b"x" * 3_000_000)
    place, size = files.save(JOB, "a.csv", source)
    other, small = files.save(JOB, "b", io.BytesIO(b"1;2"))
    assert (size, small) == (3_000_000, 3)
    assert read(files, place) == source.read_bytes()
    assert read(files, other) == b"1;2"
    files.delete(place)
    files.delete(place)
    with pytest.raises(FileNotFoundError):
        files.open(place)
    assert read(files, other) == b"1;2"
    files.delete(other)


@pytest.mark.parametrize(
    "place",
    ["../x", "/etc/passwd", f"{JOB}/../../x", f"{JOB}/a", JOB, "", f"{JOB}/{'.' * 36}", f"{JOB}/{JOB}\n"],
)
def test_no_place_leads_out_of_the_root(files: FileStore, place: str) -> None:
    for act in (files.open, files.delete):
        with pytest.raises(InvalidOption, match="place"):
            act(place)


def test_a_job_id_that_is_none_saves_nothing(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path / "files", Ids())
    with pytest.raises(InvalidOption):
        files.save("../../x", "a", io.BytesIO(b"1"))
    assert list(tmp_path.rglob("*")) == []


class Breaks(io.BytesIO):
    """Fails after its first part."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError("the source is gone")
        return super().read(1)


def test_a_source_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path / "files", Ids())
    with pytest.raises(OSError, match="gone"):
        files.save(JOB, "a", Breaks(b"123"))
    text: Any = io.StringIO("text")
    with pytest.raises(InvalidOption, match="binary"):
        files.save(JOB, "a", text)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_files_are_their_owner_s_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    if umask == 0o777 and os.geteuid() != 0:
        umask = 0o077
    files = FolderFiles(tmp_path / "files", Ids())
    before = os.umask(umask)
    try:
        place, _ = files.save(JOB, "a", io.BytesIO(b"1"))
    finally:
        os.umask(before)
    path = tmp_path / "files" / place
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(p.stat().st_mode) for p in (path.parent, path.parent.parent)] == [0o700, 0o700]


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path / "files", Ids())
    place, _ = files.save(JOB, "a", io.BytesIO(b"1"))
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = tmp_path / "files" / place
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(FileNotFoundError):
        files.open(place)


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtra, match=r"backburner\[files\]"):
        open_files("s3://bucket/jobs")


def test_a_kept_file_gets_a_name_people_may_see(files: FileStore, tmp_path: Path) -> None:
    source = tmp_path / "Größe 1.csv"
    source.write_bytes(b"1")
    now = datetime.now(UTC)
    by_path = files.keep(JOB, "", source, None, now)
    assert (by_path.name, by_path.media_type, by_path.size, by_path.job) == (
        "Größe 1.csv",
        "text/csv",
        1,
        JOB,
    )
    assert by_path.place == f"{JOB}/{by_path.id}"
    nameless = files.keep(JOB, "", io.BytesIO(b"1"), "text/x-odd; charset=utf-8", now)
    assert (nameless.name, nameless.media_type) == ("file", "text/x-odd; charset=utf-8")
    with pytest.raises(InvalidOption, match="media_type"):
        files.keep(JOB, "a", io.BytesIO(b"1"), "text/html\r\nX-Evil: 1", now)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.txt", "y.txt"),
        ("a\r\nb", "a__b"),
        ("..", "file"),
        ("x" * 400, "x" * 300),
    ],
)
def test_names_lose_folders_and_what_cannot_be_printed(given: str, shown: str) -> None:
    assert shown_name(given) == shown


def test_a_url_of_another_system_goes_through_fsspec() -> None:
    assert isinstance(open_files("memory://x"), RemoteFiles)
    assert isinstance(open_files("folder"), FolderFiles)
