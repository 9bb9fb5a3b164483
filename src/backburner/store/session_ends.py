"""`SessionEnds`: hearing from a SQLAlchemy session that its transaction is over."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from backburner.job import NewJob

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Ended = Callable[[Sequence[NewJob]], None]


class SessionEnds:
    """What to tell when the transaction of a session ends, once for all that was enqueued in it."""

    def __init__(self) -> None:
        self._waiting: weakref.WeakKeyDictionary[Session, list[tuple[Sequence[NewJob], Ended]]]
        self._waiting = weakref.WeakKeyDictionary()

    def expect(self, session: Session, jobs: Sequence[NewJob], tell: Ended) -> None:
        """Call `tell(jobs)` when the outermost transaction of `session` is over, committed or not."""
        if session not in self._waiting:
            self._waiting[session] = []
            event.listen(session, "after_transaction_end", self._ended)
        self._waiting[session].append((jobs, tell))

    def _ended(self, session: Session, transaction: Any) -> None:
        if transaction.parent is not None:
            return
        entries = self._waiting.get(session, [])
        told, entries[:] = list(entries), []
        by_teller: dict[Ended, list[NewJob]] = {}
        for jobs, tell in told:
            by_teller.setdefault(tell, []).extend(jobs)
        for tell, all_jobs in by_teller.items():
            tell(all_jobs)
