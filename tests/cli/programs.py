"""The command line in real processes, with an app of its own in a folder of its own."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests import commands
from tests.forked import Forked

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
        named = {} if app is None else {"BACKBURNER_APP": app}
        return commands.environment(SHOP_URL=self.url, **named, **more)

    def run(self, *arguments: str, app: str | None = "shop:jobs", **environ: str) -> commands.Ran:
        """The command to its end, in a process that has imported it already."""
        return commands.run(arguments, self.folder, self.environment(app, environ))

    def run_afresh(self, *arguments: str, app: str | None = "shop:jobs", **environ: str) -> commands.Ran:
        """The command to its end, as a shell starts it."""
        return commands.run_afresh(arguments, self.folder, self.environment(app, environ))

    def started(self, *arguments: str, **environ: str) -> AbstractContextManager[Forked]:
        """The command in the background, told to stop at the end of the block; what it says goes to `stderr`."""
        environment = self.environment("shop:jobs", environ)
        return commands.started(arguments, self.folder, environment, self.folder / "stderr")

    def said(self) -> str:
        """What the command in the background has said so far."""
        return (self.folder / "stderr").read_text()


def make_shop(folder: Path, url: str) -> Shop:
    (folder / "shop.py").write_text(APP)
    return Shop(folder, url)
