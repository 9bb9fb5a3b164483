"""HTTP: the caller for apps that run elsewhere, at one configured address. Needs the extra `http`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from backburner.errors import MissingExtra
from backburner.route_jobs.loop import CallLoop, Send
from backburner.route_jobs.outgoing import Answer, Outgoing
from backburner.target import Site

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 3600.0
"""How long the app may keep silent; `timeout` and `stall_timeout` of the job end it sooner."""


class HttpCaller:
    """Goes to one address and nowhere else: no redirects, no proxies of the environment, no cookies kept."""

    def __init__(self, site: Site) -> None:
        try:
            self._httpx: Any = importlib.import_module("httpx2")
        except ImportError as error:
            raise MissingExtra("httpx2", "http", "RouteJobs(url=...)") from error
        self._site, self._loop = site, CallLoop()

    @contextmanager
    def call(self, outgoing: Outgoing, stopped: Callable[[], None]) -> Iterator[Answer]:
        """The answer as it comes."""
        httpx, query = self._httpx, f"?{outgoing.query}" if outgoing.query else ""
        address = f"{self._site.scheme}://{self._site.host}{outgoing.path}{query}"
        headers = [*outgoing.headers, ("Content-Length", str(outgoing.body.length)), ("Accept-Encoding", "identity")]

        async def pieces() -> Any:
            for piece in outgoing.pieces:
                yield piece

        async def produce(send: Send) -> None:
            limits = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
            # One client per request: nothing of a job is left for the next, and a restarted app is no broken pool.
            async with (
                httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=limits) as client,
                client.stream(outgoing.method, address, headers=headers, content=pieces()) as response,
            ):
                await send((response.status_code, [(name.lower(), value) for name, value in response.headers.items()]))
                async for piece in response.aiter_raw():
                    await send(piece)

        with self._loop.answer(produce, stopped) as answer:
            yield answer

    def close(self) -> None:
        """Stop the loop."""
        self._loop.close()
