"""What private servers for a test run have in common: own folder, own port, gone afterwards, whatever happens.

Nothing here ever touches a server that happens to run on the machine.
"""

import atexit
import fcntl
import grp
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Literal, Self

import psutil

from tests.waiting import NeverHappened, wait_until

StopMode = Literal["smart", "fast", "immediate"]

# Shell, not Python: it must cost nothing. Its standard input is a pipe from the test run; when the run ends,
# however it ends, the pipe closes, and the guard takes the server and its folder away.
GUARD = """
read -r farewell
[ "$farewell" = dismissed ] && exit 0
kill -CONT "$1" 2>/dev/null
kill -QUIT "$1" 2>/dev/null
attempts=50
while kill -0 "$1" 2>/dev/null && [ "$attempts" -gt 0 ]; do sleep 0.2; attempts=$((attempts - 1)); done
kill -KILL "$1" 2>/dev/null
rm -rf "$2"
"""


class ServerMissing(RuntimeError):
    """A server program that a test needs is not installed on this machine."""


class ServerFailed(RuntimeError):
    """A private server did not start or did not stop; the message carries the end of its log."""


@dataclass(frozen=True)
class Account:
    """The unprivileged account a server runs as when the tests run as root: servers refuse root."""

    uid: int
    gid: int

    @classmethod
    def for_servers(cls) -> Self | None:
        """Return the account to change to, or None when the tests are not root and stay who they are."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, grp.getgrgid(entry.pw_gid).gr_gid)
        raise ServerMissing("no account 'postgres' or 'nobody' to run servers as. Run the tests as a normal user")


_OWN_PORTS: dict[int, IO[bytes]] = {}
"""The marks of this process's ports: locked as long as it lives."""


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on.

    It lies below the range that outgoing connections take theirs from, so that a stopped server finds it free
    again. It is this process's alone as long as that lives: other processes of a run take other ones, though it may
    be seconds until somebody listens there.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        if port in _OWN_PORTS or not _reserved(port):
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _reserved(port: int) -> bool:
    """True when no process of ours has this port; from now on this one has."""
    folder = Path(tempfile.gettempdir()) / f"backburner-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    mark = (folder / str(port)).open("wb")
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        mark.close()
        return False
    _OWN_PORTS[port] = mark
    return True


@dataclass
class PrivateServer(ABC):
    """A database server of one's own, on loopback and on a socket in its folder.

    `fsync=False` is for tests: a killed server keeps its data, a killed machine would not. Benchmarks say
    True. `settings` are added to the command line and win. Usable as a context manager; `close` ends it for
    good.
    """

    fsync: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    folder: Path = field(init=False)
    port: int = field(init=False)
    _programs: Path = field(init=False)
    _account: Account | None = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)
    _guard: subprocess.Popen[bytes] | None = field(init=False, default=None)
    _owner: int = field(init=False, default_factory=os.getpid)
    _databases: int = field(init=False, default=0)

    NAME: ClassVar[str]
    PACKAGE: ClassVar[str]
    SIGNALS: ClassVar[Mapping[StopMode, signal.Signals]]

    def __post_init__(self) -> None:
        programs = self.find()
        if programs is None:
            raise ServerMissing(f"{self.NAME} is not installed. Type: sudo apt-get install {self.PACKAGE}")
        self._programs, self._account, self.port = programs, Account.for_servers(), free_port()
        self.folder = self._make_folder()
        atexit.register(self.close)
        self._install()

    @staticmethod
    @abstractmethod
    def find() -> Path | None:
        """The folder of the server's programs; None when it is not installed."""

    @abstractmethod
    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database on this server."""

    @abstractmethod
    def _install(self) -> None: ...

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The server's program and all it is given."""

    @abstractmethod
    def _answers(self) -> bool: ...

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """True while the server's first process lives, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the server's first process. Raises ServerFailed while it is stopped."""
        if self._process is None or not self.running:
            raise ServerFailed(f"the {self.NAME} server is stopped; call start() first")
        return self._process.pid

    def start(self) -> None:
        """Start the server and return when it answers. Starting a running server does nothing.

        Raises ServerFailed with the end of its log when it does not come up within 30 s.
        """
        if self.running:
            return
        with (self.folder / "log").open("ab") as log:
            self._process = self._popen(*self._command(), stdout=log, stderr=log)
        self._guard = self._post_guard(self._process.pid)
        try:
            wait_until(self._answers_or_ended, f"{self.NAME} answers")
        except NeverHappened as error:
            raise ServerFailed(f"{self.NAME} did not answer within 30 s\n{self.log_end()}") from error
        if not self.running:
            raise ServerFailed(f"{self.NAME} ended with code {self._process.returncode}\n{self.log_end()}")

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and return when it is gone. Stopping a stopped server does nothing.

        "smart" waits for all clients, "fast" ends their connections, "immediate" ends the server as a crash
        would: it recovers at its next start.
        """
        if self._process is not None and self.running:
            self.resume()
            self._process.send_signal(self.SIGNALS[mode])
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired as error:
                raise ServerFailed(f"{self.NAME} did not stop ({mode}) within 30 s\n{self.log_end()}") from error
        self._dismiss_guard()

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start again: same port, same data."""
        self.stop(mode)
        self.start()

    def pause(self) -> None:
        """Freeze all processes of the server: clients stay connected and get no answer until `resume`."""
        first = psutil.Process(self.pid)
        first.suspend()
        # Only a first process that is frozen for sure starts no further ones behind our back.
        wait_until(lambda: first.status() == psutil.STATUS_STOPPED, f"the first process of {self.NAME} is frozen")
        children = first.children(recursive=True)
        for child in children:
            _tell(child, signal.SIGSTOP)
        wait_until(lambda: all(frozen(child.pid) for child in children), f"all of {self.NAME} is frozen")

    def resume(self) -> None:
        """Let a paused server go on. Resuming one that was not paused does nothing."""
        try:
            first = psutil.Process(self.pid)
            family = (*first.children(recursive=True), first)
        except psutil.NoSuchProcess:
            return
        for process in family:
            _tell(process, signal.SIGCONT)

    def close(self) -> None:
        """Stop the server and remove its folder. May be called any number of times."""
        if os.getpid() != self._owner:
            return  # a fork of the test run: the server is not its to stop
        atexit.unregister(self.close)
        try:
            self.stop("immediate")
        finally:
            if self._process is not None and self.running:
                self._process.kill()
                self._process.wait()
            self._dismiss_guard()
            shutil.rmtree(self.folder, ignore_errors=True)

    def log_end(self, lines: int = 20) -> str:
        """Return the last lines of the server's log."""
        log = self.folder / "log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def _answers_or_ended(self) -> bool:
        return not self.running or self._answers()

    def _make_folder(self) -> Path:
        """Make the server's folder in a place that the server's account can reach; sockets need it short."""
        place = next(p for p in (tempfile.gettempdir(), "/tmp", "/var/tmp") if self._can_reach(Path(p)))
        folder = Path(tempfile.mkdtemp(prefix=f"backburner-{self.NAME.lower()}-", dir=place))
        if self._account is not None:
            os.chown(folder, self._account.uid, self._account.gid)
        return folder

    def _can_reach(self, place: Path) -> bool:
        if not place.is_dir():
            return False
        return self._account is None or all(p.stat().st_mode & 0o001 for p in (place, *place.resolve().parents))

    def _popen(
        self, program: str, *arguments: str, stdout: int | IO[bytes], stderr: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        account = self._account
        return subprocess.Popen(
            [str(self._programs / program), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            # Ctrl-C in the terminal is for the tests; they stop the server themselves.
            start_new_session=True,
        )

    def _run_to_end(self, program: str, *arguments: str) -> None:
        process = self._popen(program, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _ = process.communicate(timeout=120)
        if process.returncode != 0:
            raise ServerFailed(f"{program} ended with code {process.returncode}\n{output.decode(errors='replace')}")

    def _post_guard(self, pid: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(pid), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _dismiss_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None and guard.stdin is not None:
            guard.communicate(b"dismissed\n", timeout=30)


def frozen(pid: int) -> bool:
    """True when no thread of a process runs any more: a stop reaches them one by one, when each is next to run.

    A process that ended beside a frozen parent runs no more either; nobody fetches it until its parent goes on.
    """
    tasks = list(Path(f"/proc/{pid}/task").glob("*/stat"))
    try:
        return all(task.read_text().rpartition(")")[2].split()[0] in "TtZX" for task in tasks)
    except OSError:
        return not Path(f"/proc/{pid}").exists()


def _tell(process: psutil.Process, order: signal.Signals) -> None:
    try:
        process.send_signal(order)
    except psutil.NoSuchProcess:
        return
