"""`Launcher`: starts a process of its own for one job, at once, with no worker running."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from backburner.errors import LaunchFailed, TooManyLaunched
from backburner.settings import Settings


class Launched:
    """A process that waits to be told its job; it ends when it is told none."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: int) -> None:
        self._process, self._pipe = process, pipe

    def run(self, job_id: str, options: Mapping[str, float], secrets: Mapping[str, str]) -> None:
        """Tell it. Its death is no error here: the job is stored, and others find it."""
        order = {"job": job_id, "options": dict(options), "secrets": dict(secrets)}
        with suppress(BrokenPipeError):
            os.write(self._pipe, json.dumps(order).encode())
        self.forget()

    def forget(self) -> None:
        """Let go of it: it goes its own way from here, and leaves no zombie while this process lives."""
        os.close(self._pipe)
        threading.Thread(target=self._process.wait, name="backburner-launched", daemon=True).start()


class Launcher:
    """`spec()` says where the app is. At most `max_launched` at once, for all apps of this user on this machine."""

    def __init__(self, settings: Settings, spec: Callable[[], str | None]) -> None:
        self.settings, self._spec = settings, spec

    @property
    def options(self) -> dict[str, float]:
        """What the launched worker is told of the settings."""
        return {name: getattr(self.settings, name) for name in ("lease", "beat", "poll", "grace")}

    def start(self) -> Launched:
        """Start a process that waits for its job. Raises `TooManyLaunched` and `LaunchFailed`; nothing is left then."""
        spec = self._spec()
        if spec is None:
            raise LaunchFailed("the app is no attribute of a module, so no other process can find it")
        try:
            folder = runtime_folder()
            number, place = self._place(folder)
            try:
                return self._started(spec, place, folder / f"launched-{number}.log")
            finally:
                # The process holds it from here on: for as long as it lives, however it ends.
                os.close(place)
        except OSError as error:
            raise LaunchFailed(str(error)) from error

    def _place(self, folder: Path) -> tuple[int, int]:
        """A locked file: its number and descriptor."""
        for number in range(1, self.settings.max_launched + 1):
            path = folder / f"launched-{number}.lock"
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
            else:
                return number, file
        raise TooManyLaunched(self.settings.max_launched)

    def _started(self, spec: str, place: int, log: Path) -> Launched:
        reading, writing = os.pipe()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            said = os.open(log, flags, 0o600)
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "backburner.worker.launched", spec, str(reading), str(place)],
                    pass_fds=(reading, place),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    # It outlives this process, and no Ctrl-C of its terminal reaches it.
                    start_new_session=True,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                )
            finally:
                os.close(said)
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return Launched(process, writing)


def runtime_folder() -> Path:
    """A folder of this user alone, the same for all processes of a machine. Raises `LaunchFailed` and `OSError`."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and Path(given).is_dir():
        folder = Path(given) / "backburner"
    else:
        folder = Path(tempfile.gettempdir()) / f"backburner-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise LaunchFailed(f"the folder {folder} is not this user's alone; remove it, or say: chmod 700 {folder}")
    return folder
