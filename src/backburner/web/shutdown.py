"""`Shutdown`: whether the server around us is to stop, so that open streams do not hold it up."""

from __future__ import annotations

import signal


class Shutdown:
    """Says so when `ask` was called, or when the uvicorn that runs us has been told to stop.

    ASGI tells an app about it only after the last stream has ended, which is too late; and a mounted app is
    not told at all. So we ask whoever answers to SIGTERM: uvicorn's server does, and knows. Under other
    servers streams end by their own time limit.
    """

    def __init__(self) -> None:
        self._asked = False

    @property
    def asked(self) -> bool:
        """True when the server is to stop."""
        if self._asked:
            return True
        for number in (signal.SIGTERM, signal.SIGINT):
            server = getattr(signal.getsignal(number), "__self__", None)
            if getattr(server, "should_exit", False) is True:
                return True
        return False

    def ask(self) -> None:
        """End all streams now."""
        self._asked = True
