"""A page of memory that a supervisor shares with one child: the lease goes in, what has begun comes out.

Writing to it costs less than a microsecond and no system call, so a child can note the begin and the end of
every body, and the supervisor still reads it when the child is dead.
"""

from __future__ import annotations

import mmap
import struct
import uuid
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = struct.Struct("=dddi")
_HEADER_SIZE = 64
_SLOT = struct.Struct("=B?2xi16sd")
_SLOT_SIZE = 32
_FREE, _BEGUN = 0, 1
_DOUBLE = struct.Struct("=d")
_INT = struct.Struct("=i")


class Begun(NamedTuple):
    """A body that has begun and not ended. `guarded`: it must not outlive the lease."""

    job: str
    attempt: int
    guarded: bool
    at: float


class Page:
    """Times in it are `boot_seconds`, the same for all processes of a machine."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._memory = mmap.mmap(-1, _HEADER_SIZE + slots * _SLOT_SIZE)
        self.good_since = float("inf")

    @property
    def lease_until(self) -> float:
        """Until when the owner is known to hold its lease."""
        value: float = _DOUBLE.unpack_from(self._memory, 0)[0]
        return value

    @lease_until.setter
    def lease_until(self, at: float) -> None:
        _DOUBLE.pack_into(self._memory, 0, at)

    @property
    def good_since(self) -> float:
        """Since when beats have been good without a gap; infinity when they are not."""
        value: float = _DOUBLE.unpack_from(self._memory, 8)[0]
        return value

    @good_since.setter
    def good_since(self, at: float) -> None:
        _DOUBLE.pack_into(self._memory, 8, at)

    @property
    def quiet(self) -> bool:
        """True when the owner should claim nothing more and end."""
        return bool(_INT.unpack_from(self._memory, 24)[0])

    @quiet.setter
    def quiet(self, value: bool) -> None:
        _INT.pack_into(self._memory, 24, int(value))

    @property
    def resting(self) -> bool:
        """True when the owner should claim nothing more, and stay."""
        return bool(_INT.unpack_from(self._memory, 28)[0])

    @resting.setter
    def resting(self, value: bool) -> None:
        _INT.pack_into(self._memory, 28, int(value))

    @property
    def replaced(self) -> bool:
        """True when the owner should claim nothing more and end when its jobs have, however long they take."""
        return bool(_INT.unpack_from(self._memory, 32)[0])

    @replaced.setter
    def replaced(self, value: bool) -> None:
        _INT.pack_into(self._memory, 32, int(value))

    def begin(self, slot: int, job: str, attempt: int, guarded: bool, at: float) -> None:
        """Note that a body begins. The mark is written last: a half-written slot counts as free."""
        offset = _HEADER_SIZE + slot * _SLOT_SIZE
        raw = bytes.fromhex(job.replace("-", ""))
        _SLOT.pack_into(self._memory, offset, _FREE, guarded, attempt, raw, at)
        self._memory[offset] = _BEGUN

    def end(self, slot: int) -> None:
        """Note that the body in this slot has ended."""
        self._memory[_HEADER_SIZE + slot * _SLOT_SIZE] = _FREE

    def begun(self) -> Iterator[Begun]:
        """Every body that has begun and not ended."""
        for slot in range(self.slots):
            mark, guarded, attempt, raw, at = _SLOT.unpack_from(self._memory, _HEADER_SIZE + slot * _SLOT_SIZE)
            if mark == _BEGUN:
                yield Begun(str(uuid.UUID(bytes=raw)), attempt, guarded, at)
