"""The programs that the tests need from the machine: where they are, and which are missing.

`python -m tests.programs` prints the missing ones, one name per line.
"""

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from examples.shop.browser import find_chromium


def find_postgresql() -> Path | None:
    """Return the folder with PostgreSQL's own programs, the newest version first, or None.

    The distribution's folder comes before PATH: what PATH finds may be a wrapper for the system's own
    cluster.
    """
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    folders += [
        *Path("/opt/homebrew/opt").glob("postgresql@*/bin"),
        *Path("/usr/local/opt").glob("postgresql@*/bin"),
    ]
    folders.sort(key=_version_in, reverse=True)
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def find_mariadb() -> Path | None:
    """Return the folder with MariaDB's server, or None; its installer must be there too."""
    if shutil.which("mariadb-install-db") is None:
        return None
    # The server's folder is on the PATH of administrators only.
    folders = [Path(found).parent for found in [shutil.which("mariadbd")] if found]
    folders += [Path("/usr/sbin"), Path("/usr/libexec"), Path("/usr/local/sbin")]
    return next((folder for folder in folders if (folder / "mariadbd").exists()), None)


def _version_in(folder: Path) -> int:
    digits = "".join(letter for letter in str(folder.parent.name) if letter.isdigit())
    return int(digits or 0)


def find_rabbitmq() -> Path | None:
    """Return RabbitMQ's own start script, the newest version first, or None.

    Not the one on PATH: the distribution's wrapper changes to an account and into folders of the system's node.
    """
    folders = (Path("/usr/lib/rabbitmq/lib"), Path("/opt/homebrew/opt/rabbitmq"), Path("/usr/local/opt/rabbitmq"))
    found = [script for folder in folders for script in folder.glob("**/sbin/rabbitmq-server")]
    return max(found, default=None, key=lambda script: _version_in(script.parent)) if shutil.which("epmd") else None


def find_redis() -> Path | None:
    """Return the Redis server, or None."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


def find_mariadb_client() -> Path | None:
    """Return the program that says how to build against MariaDB's client library, or None: for `--long` alone."""
    found = shutil.which("mariadb_config") or shutil.which("mysql_config")
    return Path(found) if found else None


NEEDED: Mapping[str, Callable[[], Path | None]] = {
    "postgresql": find_postgresql,
    "mariadb-server-core": find_mariadb,
    "chromium": find_chromium,
    "rabbitmq-server": find_rabbitmq,
    "redis-server": find_redis,
    "libmariadb-dev": find_mariadb_client,
}


def missing_programs() -> list[str]:
    """Return the names of the programs that the tests need and this machine lacks."""
    return [name for name, find in NEEDED.items() if find() is None]


if __name__ == "__main__":
    sys.stdout.writelines(f"{name}\n" for name in missing_programs())
