"""The command line in real processes, with an app of its own."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests import commands
from tests.forked import Forked


@dataclass(frozen=True)
class Program:
    """An app in the file app.py of `folder`, whose source is `app`, on the database at `url`."""

    folder: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        return commands.environment(PYTHONPATH=str(self.folder), BACKBURNER_APP="app:jobs", APP_URL=self.url)

    def write(self, app: str) -> None:
        (self.folder / "app.py").write_text(app)

    def run(self, *arguments: str) -> commands.Ran:
        """A command to its end."""
        return commands.run(arguments, self.folder, self.environment)

    def python(self, code: str) -> str:
        """What a script prints that uses the app."""
        return commands.run_python(code, self.folder, self.environment)

    def started(self, *arguments: str) -> AbstractContextManager[Forked]:
        """A command in the background, told to stop at the end of the block."""
        return commands.started(arguments, self.folder, self.environment, self.folder / "said")

    def said(self) -> str:
        """What the commands in the background have said so far."""
        return (self.folder / "said").read_text()
