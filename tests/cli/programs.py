"""The command line in real processes, with an app of its own in a folder of its own."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from backburner.cli import main
from tests.forked import Forked

ROOT = Path(__file__).parents[2]
BACKBURNER = Path(sys.executable).with_name("backburner")

APP = """
import os
from pathlib import Path

from backburner import Backburner, PermanentError, current_job
from tests.waiting import wait_until

jobs = Backburner(os.environ["SHOP_URL"])


@jobs.task
def add(a: int, b: int) -> int:
    return a + b


@jobs.task
def perm() -> None:
    raise PermanentError("Row 3 is bad.\\x1b[2J")


@jobs.task
def hold(name: str) -> None:
    Path(f"{name}.started").touch()
    wait_until(Path(f"{name}.go").exists, "somebody lets go", 60)
"""


@dataclass(frozen=True)
class Shop:
    """An app called shop in `folder`, with its database at `url`."""

    folder: Path
    url: str

    def environment(self, app: str | None, more: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BACKBURNER_")}
        named = {} if app is None else {"BACKBURNER_APP": app}
        path = os.pathsep.join(filter(None, (more.get("PYTHONPATH"), kept.get("PYTHONPATH"), str(ROOT))))
        return {**kept, "SHOP_URL": self.url, **named, **more, "PYTHONPATH": path}

    def run(self, *arguments: str, app: str | None = "shop:jobs", **environ: str) -> subprocess.CompletedProcess[str]:
        """The command to its end, in a process that has imported it already."""
        with TemporaryDirectory() as place:
            output, errors = Path(place, "output"), Path(place, "errors")
            forked = Forked(
                _backburner,
                arguments,
                folder=self.folder,
                environ=self.environment(app, environ),
                output=output,
                errors=errors,
            )
            try:
                code = forked.wait(90)
            finally:
                forked.send_signal_to_all(signal.SIGKILL)
            return subprocess.CompletedProcess(arguments, code, output.read_text(), errors.read_text())

    def run_afresh(
        self, *arguments: str, app: str | None = "shop:jobs", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """The command to its end, as a shell starts it."""
        return subprocess.run(
            [BACKBURNER, *arguments],
            cwd=self.folder,
            env=self.environment(app, environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command in the background; what it says goes to the file `stderr`."""
        with (self.folder / "stderr").open("wb") as said:
            environment = self.environment("shop:jobs", {})
            return subprocess.Popen(
                [BACKBURNER, *arguments], cwd=self.folder, env=environment, stdout=said, stderr=said
            )

    def said(self) -> str:
        """What the command in the background has said so far."""
        return (self.folder / "stderr").read_text()


def _backburner(*arguments: str) -> int:
    sys.argv = [str(BACKBURNER), *arguments]
    main()
    return 0


def make_shop(folder: Path, url: str) -> Shop:
    (folder / "shop.py").write_text(APP)
    return Shop(folder, url)
