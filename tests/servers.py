"""Private servers for a test run: PostgreSQL, MariaDB, and those of brokers."""

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg
import pymysql
from psycopg import sql

from tests.private_server import Account, PrivateServer, ServerFailed, ServerMissing, free_port, frozen
from tests.programs import find_mariadb, find_postgresql, find_rabbitmq
from tests.waiting import NeverHappened, wait_until

__all__ = [
    "MARIADB_DRIVER",
    "Account",
    "MariaDBServer",
    "PostgresServer",
    "RabbitServer",
    "RedisServer",
    "ServerFailed",
    "ServerMissing",
    "free_port",
]

MARIADB_DRIVER = os.environ.get("MARIADB_DRIVER", "pymysql")
"""What tests reach MariaDB with: `mysqldb` is mysqlclient, see `tests/contrib/test_mysqlclient.py`."""


@dataclass
class PostgresServer(PrivateServer):
    """A PostgreSQL server of one's own."""

    NAME = "PostgreSQL"
    PACKAGE = "postgresql"
    SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}  # noqa: RUF012

    @staticmethod
    def find() -> Path | None:
        return find_postgresql()

    def _install(self) -> None:
        self._run_to_end(
            "initdb",
            *("--pgdata", str(self.folder / "cluster"), "--username", "postgres", "--auth", "trust"),
            *("--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"),
        )

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

    def _order(self, order: sql.Composed) -> None:
        with psycopg.connect(self._conninfo(), autocommit=True) as connection:
            connection.execute(order)

    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres connect_timeout=5"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._conninfo()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _command(self) -> Sequence[str]:
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
            "postgres",
            "-D",
            str(self.folder / "cluster"),
            *(f"--{name}={value}" for name, value in settings.items()),
        ]


@dataclass
class MariaDBServer(PrivateServer):
    """A MariaDB server of one's own."""

    NAME = "MariaDB"
    PACKAGE = "mariadb-server-core"
    # It knows one way to stop in good order, and does not wait for its clients.
    SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGTERM, "immediate": signal.SIGKILL}  # noqa: RUF012

    @staticmethod
    def find() -> Path | None:
        return find_mariadb()

    def url(self, database: str = "") -> str:
        """Return the SQLAlchemy URL of a database on this server."""
        return f"mariadb+{MARIADB_DRIVER}://root@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str | None = None) -> str:
        """Create an empty database and return its URL (1 ms)."""
        if name is None:
            self._databases += 1
            name = f"test_{self._databases}"
        self._order(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def drop_database(self, name_or_url: str) -> None:
        """Drop a database by name or URL, ending the connections that are still open to it."""
        name = name_or_url.rpartition("/")[2]
        self.end_connections(name)
        self._order(f"DROP DATABASE IF EXISTS `{name}`")

    def end_connections(self, database: str) -> None:
        """End all connections to a database."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            end_others(cursor, database)

    def connect(self, database: str | None = None) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A plain connection of one's own, each statement a transaction."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, connect_timeout=5, autocommit=True
        )

    def _order(self, order: str) -> None:
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(order)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.Error:
            return False
        return True

    def _install(self) -> None:
        # A script that looks for its programs beside itself and for the server where the system keeps such.
        self._run_to_end(
            shutil.which("mariadb-install-db") or "mariadb-install-db",
            *("--no-defaults", f"--datadir={self.folder / 'cluster'}", "--auth-root-authentication-method=normal"),
            *("--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=16M"),
            # Each server removes, when it starts, what it takes for its own left-overs in that folder.
            f"--tmpdir={self.folder}",
        )

    def _command(self) -> Sequence[str]:
        settings = {
            "datadir": str(self.folder / "cluster"),
            "bind-address": "127.0.0.1",
            "port": str(self.port),
            "socket": str(self.folder / "socket"),
            "pid-file": str(self.folder / "pid"),
            "tmpdir": str(self.folder),
            "max-connections": "200",
            "innodb-buffer-pool-size": "128M",
            "innodb-log-file-size": "64M" if self.fsync else "16M",
            # 2: the end of the server loses nothing, the end of the machine would.
            "innodb-flush-log-at-trx-commit": "1" if self.fsync else "2",
            **({} if self.fsync else {"innodb-flush-method": "nosync", "innodb-doublewrite": "0"}),
            # What is not looked at need not be warm.
            "innodb-buffer-pool-dump-at-shutdown": "0",
            "innodb-buffer-pool-load-at-startup": "0",
            **self.settings,
        }
        return ["mariadbd", "--no-defaults", *(f"--{name}={value}" for name, value in settings.items())]


def end_others(cursor: pymysql.cursors.Cursor, database: str) -> None:
    """End all connections to a database but the cursor's own."""
    cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s AND id <> connection_id()", (database,))
    for (number,) in cursor.fetchall():
        # It may have gone by itself meanwhile.
        with suppress(pymysql.Error):
            cursor.execute("KILL %s", (number,))


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
        if self._process is not None:
            group = self._process.pid
            children = psutil.Process(group).children(recursive=True)
            family = [group, *(child.pid for child in children if os.getpgid(child.pid) == group)]
            wait_until(lambda: all(frozen(pid) for pid in family), "all of the broker is frozen")

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
