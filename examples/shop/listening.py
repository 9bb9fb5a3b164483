"""`listener`: a socket for a server of asyncio's that is to answer at once."""

from __future__ import annotations

import socket


def listener(port: int = 0) -> socket.socket:
    """A socket that listens on `port` of this machine, a free one unless said. Raises OSError and OverflowError.

    It names its protocol, as `socket.create_server` does not: asyncio sets TCP_NODELAY for the connections of such a
    socket only, and without that the body of an answer waits 40 ms until the other side has confirmed the head.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", port))
        found.listen(128)
    except BaseException:
        found.close()
        raise
    return found
