"""`python -m examples.shop`: starts the shop, or with DEMO_ONCE=1 plays it through without a person."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from examples.shop.folder import Folder
from examples.shop.once import play
from examples.shop.processes import CannotStart, Processes

_PORT = 8000
_LOOK_SECONDS = 0.2
_YES = frozenset({"1", "true", "yes"})
_WELCOME = """
The shop is at {address}
Its data is in {folder}

Import a file, watch the bar, and end the worker in the middle of it: the page names its process for kill -9.
Ctrl-C stops the shop.
"""


def main() -> int:
    """Run until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description="The demo shop of Backburner.")
    parser.add_argument("--data", type=Path, default=Path("shop-data"), help="its folder; ./shop-data unless said")
    parser.add_argument("--port", type=int, help=f"where it listens; {_PORT} unless said, or any free port")
    parser.add_argument("--workers", type=int, default=1, help="how many processes run jobs; 1 unless said")
    given = parser.parse_args()
    if os.environ.get("DEMO_ONCE", "").lower() in _YES:
        return play()
    return serve(Folder(given.data.absolute()), given.port, given.workers)


def serve(folder: Folder, port: int | None, workers: int) -> int:
    """Run the shop for people."""
    # Both end it by way of `with`, which stops the others; a shell that starts it in the background has SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with _processes(folder, port, workers) as running:
            print(_WELCOME.format(address=running.address, folder=folder.path), flush=True)
            while running.ended() is None:
                time.sleep(_LOOK_SECONDS)
            print(f"The shop stops: {running.ended()}.", file=sys.stderr)
            return 1
    except CannotStart as error:
        print(f"The shop cannot start: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("The shop has stopped.")
        return 0


def _processes(folder: Folder, port: int | None, workers: int) -> Processes:
    if port is not None:
        return Processes(folder, port, workers)
    try:
        return Processes(folder, _PORT, workers)
    except CannotStart:
        print(f"Port {_PORT} is taken, another one is used.")
        return Processes(folder, 0, workers)


if __name__ == "__main__":
    sys.exit(main())
