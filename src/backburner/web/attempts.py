"""`Attempts`: how often one may try to sign in."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from backburner.clock import boot_seconds

FEW, MANY = 10, 100
SECONDS = 900.0
_MOST_KEYS = 10_000


class Tried(NamedTuple):
    """What an attempt counts for: `own` is one person's as far as can be known, what is `shared` may be everybody's."""

    own: str
    shared: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, address: str, browser: str | None) -> Tried:
        """`browser` is one in which that name has signed in before: so nobody else can lock its person out.

        Anybody else's failures count for name and address together, as several people may be behind one address; and
        in the wide for each of the two, so that neither many names nor many addresses open a way.
        """
        if browser is not None:
            return cls(f"browser {browser}")
        place = _place(address)
        return cls(f"both {place} {name}", (f"from {place}", f"name {name}"))


class Attempts:
    """Counts failures; whoever has failed too often waits. Of this process alone.

    So often is `few` for what is somebody's own, `many` for what is shared, within `seconds`.
    """

    def __init__(
        self, few: int = FEW, many: int = MANY, seconds: float = SECONDS, clock: Callable[[], float] = boot_seconds
    ) -> None:
        self._few, self._many, self._seconds, self._clock = few, many, seconds, clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, tried: Tried) -> int:
        """Seconds until such an attempt is taken; 0: this one is, and counts as a failure unless it has `passed`.

        Counted before the guess: many at the same moment must not all be taken.
        """
        now = self._clock()
        limits = {tried.own: self._few, **dict.fromkeys(tried.shared, self._many)}
        with self._lock:
            wait = max(self._wait(key, most, now) for key, most in limits.items())
            if wait <= 0:
                for key, most in limits.items():
                    self._failed.setdefault(key, []).append(now)
                    self._failed.move_to_end(key)
                    del self._failed[key][:-most]
                while len(self._failed) > _MOST_KEYS:
                    self._failed.popitem(last=False)
        return int(wait + 0.999)

    def passed(self, tried: Tried) -> None:
        """It was no failure, and those before it that were somebody's own are forgotten."""
        with self._lock:
            self._failed.pop(tried.own, None)
            for key in tried.shared:
                if times := self._failed.get(key):
                    times.pop()

    def _wait(self, key: str, most: int, now: float) -> float:
        recent = [then for then in self._failed.get(key, ()) if now - then < self._seconds]
        return recent[0] + self._seconds - now if len(recent) >= most else 0.0


def _place(address: str) -> str:
    """An address, or of IPv6 its network: whoever has one address there has all of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    return str(ipaddress.IPv6Network((found.packed, 64), strict=False))
