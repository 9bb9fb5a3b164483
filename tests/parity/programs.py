"""The command line in real processes, with an app of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BACKBURNER = Path(sys.executable).with_name("backburner")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Program:
    """An app in the file app.py of `folder`, whose source is `app`, on the database at `url`."""

    folder: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BACKBURNER_")}
        path = os.pathsep.join(filter(None, (kept.get("PYTHONPATH"), str(ROOT), str(self.folder))))
        return {**kept, "PYTHONPATH": path, "BACKBURNER_APP": "app:jobs", "APP_URL": self.url}

    def write(self, app: str) -> None:
        (self.folder / "app.py").write_text(app)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command to its end."""
        return subprocess.run(
            [BACKBURNER, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def python(self, code: str) -> str:
        """What a script prints that uses the app."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
        return done.stdout.strip()

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command in the background; it is killed at the end, if it still runs."""
        with (self.folder / "said").open("ab") as said:
            process = subprocess.Popen(
                [BACKBURNER, *arguments], cwd=self.folder, env=self.environment, stdout=said, stderr=said
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(40)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def said(self) -> str:
        """What the commands in the background have said so far."""
        return (self.folder / "said").read_text()
