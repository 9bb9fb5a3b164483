"""Job and worker ids: UUIDv7 as text, made by the client.

Layout of RFC 9562, section 5.7: 48 bits of Unix milliseconds, then 12 bits that count within the
millisecond (method 3, "replace left-most random bits with increased clock precision"), then 62 random bits.
Ids of one process therefore sort in the order they were made. The random part comes from the operating
system on every call, so a forked child cannot repeat its parent's ids.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable

_VERSION = 0x7 << 76
_VARIANT = 0x2 << 62
_RANDOM_MASK = (1 << 62) - 1


_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_id(text: str) -> bool:
    """True for a text that could be an id: a UUID in lower case, with dashes."""
    return _ID.fullmatch(text) is not None


def derived(job_id: str, noise: bytes) -> str:
    """An id that belongs to another and to eight or more bytes: always the same, with the time of the other."""
    number = int(job_id.replace("-", ""), 16)
    tick = (number >> 80) << 12 | (number >> 64) & 0xFFF
    return _format(tick, int.from_bytes(noise[:8], "big"))


class Ids:
    """A source of ids; `now_ns` gives Unix nanoseconds and `entropy` n random bytes."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._now_ns, self._entropy = now_ns, entropy
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> str:
        """One id, 36 characters, lower case."""
        return _format(self._ticks(1), int.from_bytes(self._entropy(8), "big"))

    def many(self, count: int) -> list[str]:
        """`count` ids in ascending order."""
        first, noise = self._ticks(count), self._entropy(8 * count)
        return [_format(first + i, int.from_bytes(noise[8 * i : 8 * i + 8], "big")) for i in range(count)]

    def _ticks(self, count: int) -> int:
        """Reserve `count` ticks of 1/4096 ms, later than all handed out before; the first of them."""
        milliseconds, rest = divmod(self._now_ns(), 1_000_000)
        tick = (milliseconds << 12) | (rest * 4096 // 1_000_000)
        with self._lock:
            first = max(tick, self._last + 1)
            self._last = first + count - 1
        return first


def _format(tick: int, noise: int) -> str:
    number = (tick >> 12) << 80 | _VERSION | (tick & 0xFFF) << 64 | _VARIANT | (noise & _RANDOM_MASK)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
