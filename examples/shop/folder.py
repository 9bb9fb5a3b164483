"""`Folder`: where the shop keeps everything it has: one database, uploads, and files for download."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SHOP_FOLDER"
"""How the processes of one shop tell each other their folder."""
_UPLOAD_DAYS = 7


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder. `path` is absolute."""

    path: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Folder:
        """The folder that the environment names, ./shop-data otherwise."""
        return cls(Path(environ.get(VARIABLE, "shop-data")).absolute())

    @property
    def url(self) -> str:
        """The one database: products and jobs in the same file can change in the same transaction."""
        return f"sqlite:///{self.path / 'shop.db'}"

    @property
    def downloads(self) -> str:
        """Where files of jobs are kept."""
        return str(self.path / "downloads")

    def upload(self, name: str) -> Path:
        """Where an uploaded file is kept while it is imported. `name` is one that the shop gave."""
        return self.path / "uploads" / name

    def make(self) -> None:
        """Make the folder, and clear away uploads that nobody has asked for in a week."""
        uploads = self.path / "uploads"
        uploads.mkdir(parents=True, exist_ok=True)
        for path in uploads.iterdir():
            if time.time() - path.stat().st_mtime > _UPLOAD_DAYS * 86_400:
                path.unlink(missing_ok=True)

    def environ(self) -> dict[str, str]:
        """The environment for another process of this shop."""
        return {**os.environ, VARIABLE: str(self.path)}
