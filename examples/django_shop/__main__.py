"""`python -m examples.django_shop`: makes its database, and runs a web server and a worker until Ctrl-C."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from examples.beside import Beside

ROOT = Path(__file__).parents[2]
PEOPLE = "ada, a customer; olga, who runs the shop; sam, staff who may only see products. Each password is the name."


def main() -> int:
    """Run until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.django_shop", description="A small shop in Django.")
    parser.add_argument("--data", type=Path, default=Path("django-shop-data"), help="its folder")
    parser.add_argument("--port", type=int, default=8000, help="where it listens; 8000 unless said")
    parser.add_argument("--asgi", action="store_true", help="serve it by uvicorn, and not by gunicorn")
    given = parser.parse_args()
    given.data.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "DJANGO_SHOP_FOLDER": str(given.data.absolute()),
        "DJANGO_SETTINGS_MODULE": "examples.django_shop.settings",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    manage = [sys.executable, "-m", "examples.django_shop.manage"]
    for command in (["migrate", "--verbosity", "0"], ["fill"]):
        subprocess.run([*manage, *command], check=True)
    print(f"The shop is at http://127.0.0.1:{given.port}. Sign in as {PEOPLE} Ctrl-C stops it.", flush=True)
    worker = [*manage, "backburner", "worker", "--grace", "3s"]
    return Beside(server(given.port, asgi=given.asgi), worker).run()


def server(port: int, *, asgi: bool) -> list[str]:
    """The command of a server for it, of either kind."""
    if asgi:
        program = ["uvicorn", "examples.django_shop.asgi:application", "--port", str(port), "--log-level", "warning"]
        return [sys.executable, "-m", *program, "--lifespan", "off", "--timeout-graceful-shutdown", "5"]
    program = ["gunicorn", "examples.django_shop.wsgi:application", "--bind", f"127.0.0.1:{port}"]
    return [sys.executable, "-m", *program, "--threads", "4", "--log-level", "warning"]


if __name__ == "__main__":
    sys.exit(main())
