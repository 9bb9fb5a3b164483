"""A private PostgreSQL server for one measurement: its own folder, its own port, gone afterwards."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# A minute between autovacuum rounds is the default; 15 s lets several rounds fall into a drain of half a minute.
SETTINGS = (
    "fsync=on",
    "synchronous_commit=on",
    "shared_buffers=1GB",
    "max_wal_size=4GB",
    "maintenance_work_mem=512MB",
    "max_connections=50",
    "autovacuum_naptime=15s",
)


def postgresql_binaries() -> Path:
    """Return the folder that holds `initdb`: the newest installed one, or where PATH finds it.

    Raises SystemExit when there is none, with the line to type.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise SystemExit("no PostgreSQL server is installed; type: apt-get install postgresql")
    return Path(on_path).parent


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def private_postgresql(settings: Sequence[str] = SETTINGS) -> Iterator[str]:
    """Start a durable server (fsync on) in a temporary folder; yield its connection string without a dbname.

    As root the server runs as the user `postgres`, because PostgreSQL refuses to run as root.
    """
    binaries = postgresql_binaries()
    folder = Path(tempfile.mkdtemp(prefix="backburner-bench-"))
    as_user = "postgres" if os.geteuid() == 0 else None
    if as_user:
        account = pwd.getpwnam(as_user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    port = free_port()
    data = folder / "data"
    server: subprocess.Popen[bytes] | None = None
    try:
        initdb = [
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "bench",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(initdb, check=True, user=as_user, stdout=subprocess.DEVNULL, cwd=folder)
        command = [str(binaries / "postgres"), "-D", str(data), "-k", str(folder), "-p", str(port)]
        command += [part for line in ("listen_addresses=127.0.0.1", *settings) for part in ("-c", line)]
        with open(folder / "log", "wb") as log:
            server = subprocess.Popen(command, user=as_user, stdout=log, stderr=log, cwd=folder)
        ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
        while subprocess.run(ready, check=False).returncode != 0:
            if server.poll() is not None:
                raise SystemExit(f"PostgreSQL did not start: {(folder / 'log').read_text()[-2000:]}")
        yield f"host=127.0.0.1 port={port} user=bench"
    finally:
        if server is not None and server.poll() is None:
            server.terminate()
            try:
                server.wait(timeout=60)
            except subprocess.TimeoutExpired:
                server.kill()
        shutil.rmtree(folder, ignore_errors=True)
