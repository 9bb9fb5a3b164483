"""The socket that the demo and the tests serve from."""

import asyncio
import socket

from examples.shop.listening import listener


def test_a_server_of_asyncio_sends_at_once() -> None:
    async def delayed() -> bool:
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.set_result(not writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listener() as listening:
            async with await asyncio.start_server(serve, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                answer = await told
                writer.close()
        return answer

    assert not asyncio.run(delayed())
