"""The wire that tests cut: what passes, what waits, what ends."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.proxy import Proxy
from tests.waiting import wait_until


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Leads to somebody who says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as echo:

        def answer(one: socket.socket) -> None:
            with closing(one), suppress(OSError):
                while piece := one.recv(4096):
                    one.sendall(piece)

        def listen() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(echo.accept()[0],), daemon=True).start()

        threading.Thread(target=listen, daemon=True).start()
        with Proxy(echo.getsockname()[1]) as proxy:
            yield proxy
        echo.shutdown(socket.SHUT_RDWR)


def connected(proxy: Proxy, seconds: float = 10.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=seconds)


def test_bytes_pass_both_ways(proxy: Proxy) -> None:
    with connected(proxy) as wire:
        wire.sendall(b"hello")
        assert wire.recv(100) == b"hello"
        assert proxy.wires == 1
    wait_until(lambda: proxy.wires == 0, "it has noticed the end")


def test_what_is_held_arrives_when_it_goes_on(proxy: Proxy) -> None:
    with connected(proxy, 0.05) as wire:
        wait_until(lambda: proxy.wires == 1, "it leads through")
        proxy.pause()
        wire.sendall(b"hello")
        with pytest.raises(TimeoutError):
            wire.recv(100)
        proxy.heal()
        wire.settimeout(10)
        assert wire.recv(100) == b"hello"


def test_after_a_cut_nothing_is_left_and_nobody_comes_in(proxy: Proxy) -> None:
    with connected(proxy) as wire:
        wait_until(lambda: proxy.wires == 1, "it leads through")
        proxy.cut()
        assert wire.recv(100) == b""
        with connected(proxy) as other:
            assert other.recv(100) == b""
        proxy.heal()
        with connected(proxy) as other:
            other.sendall(b"hello")
            assert other.recv(100) == b"hello"


def test_what_went_into_a_blackhole_is_gone(proxy: Proxy) -> None:
    with connected(proxy, 0.05) as wire:
        wait_until(lambda: proxy.wires == 1, "it leads through")
        proxy.blackhole()
        wire.sendall(b"hello")
        with pytest.raises(TimeoutError):
            wire.recv(100)
        wire.settimeout(10)
        proxy.heal()
        with suppress(ConnectionResetError):
            assert wire.recv(100) == b""
