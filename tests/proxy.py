"""`Proxy`: a port on loopback that leads to another one, and a hand on the wire between them."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Passes bytes on until it is told otherwise. `pause`, `blackhole` and `cut` hold until `heal`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._flows = threading.Event()
        self._flows.set()
        self._refuses = self._closed = False
        self._forgets = False
        self._wires: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def pause(self) -> None:
        """Hold all bytes back; they arrive when it goes on."""
        self._flows.clear()

    def blackhole(self) -> None:
        """Hold all bytes back; at the end nobody knows these connections any more."""
        self._forgets = True
        self._flows.clear()

    def cut(self) -> None:
        """End every connection, and every new one."""
        self._refuses = True
        self._end_all()

    def heal(self) -> None:
        """Pass bytes on again."""
        self._refuses = False
        if self._forgets:
            self._forgets = False
            self._end_all()
        self._flows.set()

    def close(self) -> None:
        """End it all."""
        self._closed = True
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._end_all()
        self._flows.set()

    @property
    def wires(self) -> int:
        """How many connections lead through it."""
        with self._lock:
            return len(self._wires) // 2

    def _accept(self) -> None:
        while not self._closed:
            try:
                ours, _ = self._listening.accept()
            except OSError:
                return
            try:
                theirs = None if self._refuses else socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                theirs = None
            if theirs is None:
                ours.close()
                continue
            theirs.settimeout(None)
            for one in (ours, theirs):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._wires.update((ours, theirs))
            for source, sink in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                self._flows.wait()
                sink.sendall(piece)
        self._end(source, sink)

    def _end(self, *ends: socket.socket) -> None:
        with self._lock:
            self._wires.difference_update(ends)
        for one in ends:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _end_all(self) -> None:
        with self._lock:
            wires = list(self._wires)
        self._end(*wires)
