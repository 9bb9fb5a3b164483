"""`Block`: a `with` block that says where goes what is enqueued inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Protocol

from backburner.errors import InvalidOption
from backburner.job import NewJob

STATEMENT_ROWS = 1_000
"""Rows of one INSERT: what the driver holds in memory beside the jobs themselves is bounded by it."""


class Destination(Protocol):
    """Where new jobs go. `put` says which others stand for those that were not stored, by id."""

    def put(self, jobs: Sequence[NewJob], size: int = STATEMENT_ROWS) -> Mapping[str, str]: ...


class Block:
    """What is enqueued inside goes to `destination`, by this thread or asyncio task and those that copy its context.

    A copied context may outlive the block: then it is `over`, and counts no more. `named`: the block itself names a
    transaction. Else it holds for what is enqueued beside `connection`, the transaction that was open around it; one
    that began inside has what is enqueued in it. `outside` is the block around it.
    """

    def __init__(self, destination: Destination, connection: object | None, *, named: bool) -> None:
        self.destination, self.named, self._connection = destination, named, connection
        self.over = False
        self.outside: Block | None = None
        self._token: Token[Block | None] | None = None

    def enter(self, current: ContextVar[Block | None]) -> None:
        """Begin, inside the block that is current. Raises `InvalidOption` where it has begun already."""
        if self._token is not None:
            # It would be around itself.
            raise InvalidOption("block", self.destination, "is entered already", "Make one for each `with`")
        self.outside, self.over = around(current), False
        self._token = current.set(self)

    def leave(self, current: ContextVar[Block | None]) -> None:
        """End, for whoever has a copy of the context too."""
        token, self._token = self._token, None
        self.over = True
        if token is not None:
            current.reset(token)

    def holds(self, connection: object | None) -> bool:
        """Whether it holds for what is enqueued while this transaction is open, None where there is none."""
        return self.named or connection is None or connection == self._connection


def around(current: ContextVar[Block | None]) -> Block | None:
    """The innermost block that is not over."""
    block = current.get()
    while block is not None and block.over:
        block = block.outside
    return block
