"""A real HTTP server around an app, in a thread of the test's own process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from examples.shop.listening import listener
from tests.waiting import wait_until


class Listener:
    """Serves `app` on a port of this machine, a free one unless said. `backburner` is it, or is mounted in it."""

    def __init__(self, app: ASGIApp, backburner: FastAPI, port: int = 0) -> None:
        self._backburner = backburner
        self._socket = listener(port)
        self.address: tuple[str, int] = self._socket.getsockname()
        self.url = f"http://localhost:{self.address[1]}"
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self._socket]})

    def start(self) -> None:
        self._thread.start()
        wait_until(lambda: self.server.started, "the server listens")

    def stop(self) -> None:
        self._backburner.state.shutdown.ask()
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server did not stop"
        self._socket.close()


@contextmanager
def listening(backburner: FastAPI) -> Iterator[str]:
    """The address of a server for a web app that stands alone."""
    listener = Listener(backburner, backburner)
    listener.start()
    try:
        yield listener.url
    finally:
        listener.stop()
