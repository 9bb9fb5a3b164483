"""`python -m examples.components`: the page, and a worker, until Ctrl-C."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import uvicorn

from backburner import Backburner
from backburner.worker import Worker
from examples.components.app import components_app
from examples.components.tasks import declare


def main() -> None:
    """Serve on this machine alone. Nothing is kept when it ends."""
    parser = argparse.ArgumentParser(prog="python -m examples.components")
    parser.add_argument("--port", type=int, default=8020)
    port = parser.parse_args().port
    with tempfile.TemporaryDirectory() as folder:
        jobs = Backburner(f"sqlite:///{folder}/jobs.db", files=str(Path(folder) / "files"))
        declare(jobs)
        with Worker(jobs):
            print(f"http://localhost:{port}/")
            uvicorn.run(components_app(jobs), port=port, log_level="warning", timeout_graceful_shutdown=3)
        jobs.close()


if __name__ == "__main__":
    main()
