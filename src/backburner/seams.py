"""Named points in the life of an attempt, and in what is done for it, where tests may stop, delay or end a process.
Nothing happens there otherwise.
"""

from __future__ import annotations

from typing import Literal

SeamName = Literal[
    "before claim",
    "after claim",
    "before body",
    "after body",
    "before finish",
    "after finish",
    "before beat",
    "after beat",
    "before rescue",
    "after rescue",
    "before park",
    "after park",
    "before promote",
    "after promote",
]


class Gone(BaseException):
    """What a test raises where a process is to be gone: nothing of the attempt is written from there on."""


class Seams:
    """The production seams: reaching one does nothing. Tests pass a subclass."""

    def reach(self, name: SeamName) -> None:
        """Called at each point; runs in the thread that does the work."""
        return
