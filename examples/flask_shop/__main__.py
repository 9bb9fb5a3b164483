"""`python -m examples.flask_shop`: gunicorn and a worker beside it, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys

from examples.beside import Beside
from examples.flask_shop.app import create_app

_SPEC = "examples.flask_shop.app:create_app()"


def main() -> int:
    """Run both; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.flask_shop", description="A shop on Flask.")
    parser.add_argument("--port", type=int, default=8000, help="where it listens, 8000 unless said")
    port = str(parser.parse_args().port)
    # The tables and people are there before two processes look for them at the same time.
    create_app()
    print(f"The shop is at http://127.0.0.1:{port} (sign in as ada or boss, the name is the password)", flush=True)
    return Beside(
        [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "8", _SPEC],
        [sys.executable, "-m", "flask", "--app", _SPEC, "backburner", "worker"],
    ).run()


if __name__ == "__main__":
    sys.exit(main())
