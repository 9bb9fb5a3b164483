"""What callers take and give: a request that is ready to be made, and its answer as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, NamedTuple, Protocol

Headers = list[tuple[str, str]]
PIECE = 65_536


class Body(NamedTuple):
    """A request's body in a temporary file without a name, with its length and SHA-256."""

    file: IO[bytes]
    length: int
    digest: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to be made; `path` is the whole one as it stands in an address, `headers` have the grant."""

    method: str
    path: str
    query: str
    # Not shown: the grant is among them, and cookies may be.
    headers: Headers = field(repr=False)
    body: Body

    @property
    def pieces(self) -> Iterator[bytes]:
        """The body, from its start."""
        self.body.file.seek(0)
        while piece := self.body.file.read(PIECE):
            yield piece


class Answer(NamedTuple):
    """Status, headers with names in lower case, and the body as it comes."""

    status: int
    headers: Headers
    pieces: Iterator[bytes]

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for found, value in self.headers if found == name), None)


class Caller(Protocol):
    """How a request reaches the app. What is called raises what comes out of it, and what `stopped` raises."""

    def call(self, outgoing: Outgoing, stopped: Callable[[], None]) -> AbstractContextManager[Answer]: ...

    def close(self) -> None: ...
