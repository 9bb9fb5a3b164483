"""Private servers for a test run: own folder, own port, gone afterwards, whatever happens to the run.

Nothing here ever touches a server that happens to run on the machine.
"""

import atexit
import grp
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import psutil
import psycopg
from psycopg import sql

from tests.programs import find_postgresql, find_rabbitmq
from tests.waiting import NeverHappened, wait_until

StopMode = Literal["smart", "fast", "immediate"]

# What postgres understands each signal to mean.
STOP_SIGNALS: Mapping[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}

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
    """The unprivileged account a server runs as when the tests run as root (PostgreSQL refuses root)."""

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
        raise ServerMissing("no account 'postgres' or 'nobody' to run PostgreSQL as. Run the tests as a normal user")


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on.

    It lies below the range that outgoing connections take theirs from, so that a stopped server finds it free
    again.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass
class PostgresServer:
    """A PostgreSQL server of one's own, on loopback and on a socket in its folder.

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

    def __post_init__(self) -> None:
        programs = find_postgresql()
        if programs is None:
            raise ServerMissing("PostgreSQL is not installed. Type: sudo apt-get install postgresql")
        self._programs, self._account, self.port = programs, Account.for_servers(), free_port()
        self.folder = self._make_folder()
        atexit.register(self.close)
        self._run_to_end(
            "initdb",
            *("--pgdata", str(self.folder / "cluster"), "--username", "postgres", "--auth", "trust"),
            *("--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"),
        )

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
            raise ServerFailed("the PostgreSQL server is stopped; call start() first")
        return self._process.pid

    def start(self) -> None:
        """Start the server and return when it answers. Starting a running server does nothing.

        Raises ServerFailed with the end of its log when it does not come up within 30 s.
        """
        if self.running:
            return
        with (self.folder / "log").open("ab") as log:
            self._process = self._popen("postgres", *self._command_line(), stdout=log, stderr=log)
        self._guard = self._post_guard(self._process.pid)
        try:
            wait_until(self._answers_or_ended, "PostgreSQL answers")
        except NeverHappened as error:
            raise ServerFailed(f"PostgreSQL did not answer within 30 s\n{self.log_end()}") from error
        if not self.running:
            raise ServerFailed(f"PostgreSQL ended with code {self._process.returncode}\n{self.log_end()}")

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and return when it is gone. Stopping a stopped server does nothing.

        "smart" waits for all clients, "fast" ends their connections, "immediate" ends the server as a crash
        would: it recovers at its next start.
        """
        if self._process is not None and self.running:
            self.resume()
            self._process.send_signal(STOP_SIGNALS[mode])
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired as error:
                raise ServerFailed(f"PostgreSQL did not stop ({mode}) within 30 s\n{self.log_end()}") from error
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
        wait_until(lambda: first.status() == psutil.STATUS_STOPPED, "PostgreSQL's first process is frozen")
        for child in first.children(recursive=True):
            _tell(child, signal.SIGSTOP)

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

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database on this server."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str | None = None, template: str = "template0") -> str:
        """Create an empty database, or a copy of `template`, and return its URL (about 35 ms)."""
        if name is None:
            self._databases += 1
            name = f"test_{self._databases}"
        order = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._order(order.format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def drop_database(self, name_or_url: str) -> None:
        """Drop a database by name or URL, ending the connections that are still open to it."""
        name = name_or_url.rpartition("/")[2]
        self._order(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def log_end(self, lines: int = 20) -> str:
        """Return the last lines of the server's log."""
        log = self.folder / "log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def _order(self, order: sql.Composed) -> None:
        with psycopg.connect(self._conninfo(), autocommit=True) as connection:
            connection.execute(order)

    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres connect_timeout=5"

    def _answers_or_ended(self) -> bool:
        if not self.running:
            return True
        try:
            psycopg.connect(self._conninfo()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _command_line(self) -> list[str]:
        durable = "on" if self.fsync else "off"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "100",
            "shared_buffers": "64MB",
            "fsync": durable,
            "full_page_writes": durable,
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self.settings,
        }
        return [
            "-D",
            str(self.folder / "cluster"),
            *(f"--{name}={value}" for name, value in settings.items()),
        ]

    def _make_folder(self) -> Path:
        """Make the server's folder in a place that the server's account can reach; sockets need it short."""
        place = next(p for p in (tempfile.gettempdir(), "/tmp", "/var/tmp") if self._can_reach(Path(p)))
        folder = Path(tempfile.mkdtemp(prefix="backburner-pg-", dir=place))
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


def _tell(process: psutil.Process, order: signal.Signals) -> None:
    try:
        process.send_signal(order)
    except psutil.NoSuchProcess:
        return


# As `GUARD`, for servers that need no farewell: the whole process group goes.
GROUP_GUARD = """
read -r farewell
[ "$farewell" = dismissed ] && exit 0
kill -KILL "-$1" 2>/dev/null
rm -rf "$2"
"""


class _BrokerServer:
    """What servers of brokers share: a process group, a folder, an end. `_command` and `_answers` are theirs."""

    name = ""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"backburner-{self.name.lower()}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        atexit.register(self.close)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """True while the server's first process lives, paused or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and return when it answers. Raises ServerFailed after 60 s."""
        if self.running:
            return
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=self.folder, env=self._environ(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GROUP_GUARD, "guard", str(self._process.pid), str(self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            wait_until(lambda: not self.running or self._answers(), f"{self.name} answers", 60)
        except NeverHappened as error:
            raise ServerFailed(f"{self.name} did not answer within 60 s\n{self.log_end()}") from error
        if not self.running:
            raise ServerFailed(f"{self.name} ended with code {self._process.returncode}\n{self.log_end()}")

    def stop(self, *, crash: bool = False) -> None:
        """End the server, in good order or as a crash does, and return when it is gone."""
        if self._process is not None:
            self.resume()
            if not crash:
                self._tell_all(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(30)
            self._tell_all(signal.SIGKILL)
            self._process.wait(30)
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.communicate(b"dismissed\n", timeout=30)

    def restart(self) -> None:
        """Stop and start again: same port, and what it keeps over a crash."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze all its processes: clients stay connected and get no answer until `resume`."""
        self._tell_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._tell_all(signal.SIGCONT)

    def close(self) -> None:
        """Stop the server and remove its folder. May be called any number of times."""
        if os.getpid() != self._owner:
            return  # a fork of the test run: the server is not its to stop
        atexit.unregister(self.close)
        try:
            self.stop(crash=True)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log_end(self, lines: int = 20) -> str:
        """The last lines of what the server said."""
        log = self.folder / "log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def _tell_all(self, order: signal.Signals) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, order)
            except ProcessLookupError:
                return

    def _environ(self) -> dict[str, str]:
        return {"PATH": f"{os.defpath}:/usr/sbin:/sbin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError


class RabbitServer(_BrokerServer):
    """A RabbitMQ node of one's own with an epmd of its own, on loopback; user and password are `guest`."""

    name = "RabbitMQ"

    def __init__(self) -> None:
        program = find_rabbitmq()
        if program is None:
            raise ServerMissing("RabbitMQ is not installed. Type: sudo apt-get install rabbitmq-server")
        super().__init__()
        self._program, self._epmd_port, self._dist_port = program, free_port(), free_port()
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = true\nlog.console.level = warning\n"
        )
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)

    @property
    def url(self) -> str:
        """The URL as kombu writes it."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def _command(self) -> list[str]:
        epmd = f"epmd -port {self._epmd_port} -address 127.0.0.1"
        return ["/bin/sh", "-c", f'{epmd} & exec "$1"', "start", str(self._program)]

    def _environ(self) -> dict[str, str]:
        one_core = "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1"
        return super()._environ() | {
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_NODENAME": f"backburner{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": one_core,
        }

    def _answers(self) -> bool:
        """It opens its port before it can be logged in to: only a greeting counts."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
                client.sendall(b"AMQP\x00\x00\x09\x01")
                return client.recv(1) == b"\x01"
        except OSError:
            return False


class RedisServer(_BrokerServer):
    """A Redis of one's own, on loopback. It keeps nothing when it is stopped."""

    name = "Redis"

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise ServerMissing("Redis is not installed. Type: sudo apt-get install redis-server")
        super().__init__()
        self._program = program

    @property
    def url(self) -> str:
        """The URL as kombu writes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [self._program, *place, "--save", "", "--appendonly", "no"]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
                client.sendall(b"PING\r\n")
                return client.recv(5) == b"+PONG"
        except OSError:
            return False
