"""`Passwords`: who may sign in to the stand-alone server, each with a hash of scrypt."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

from backburner.errors import SettingsError

N, R, P = 2**14, 8, 1
"""16 MB and some 50 ms for each guess."""
_SALT_BYTES, _HASH_BYTES = 16, 32
_MOST_N = 2**20
MOST_CHARACTERS = 1_000
_REMEDY = "Write NAME=HASH, with the hash that `backburner web --hash-password` prints"


def hash_password(password: str) -> str:
    """The text that stands in the setting `operators`, behind the name and `=`."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"scrypt${N}${R}${P}${_text(salt)}${_text(_derived(password, salt, N, R, P))}"


class Passwords:
    """The names and hashes of the setting `operators`. Raises `SettingsError` for one that cannot be read."""

    def __init__(self, operators: Iterable[str]) -> None:
        self._hashes: dict[str, tuple[int, int, int, bytes, bytes]] = {}
        for entry in operators:
            name, _, text = entry.partition("=")
            found = _parsed(text)
            if not name or found is None:
                raise SettingsError("operators", f"{name}=...", "cannot be read", _REMEDY)
            self._hashes[name] = found
        # One for each cost that a hash has, in the place of those of other names: a guess takes as long for a name
        # that is unknown as for each that is there.
        self._nobodies = {
            (n, r, p): (secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_HASH_BYTES))
            for n, r, p in dict.fromkeys(found[:3] for found in self._hashes.values()) or ((N, R, P),)
        }

    def good(self, name: str, password: str) -> bool:
        """Whether that is the password of that name; takes as long whether the name is known or not."""
        found, good = self._hashes.get(name), False
        for cost, nobody in self._nobodies.items():
            own = found is not None and found[:3] == cost
            salt, stored = found[3:] if found is not None and own else nobody
            same = hmac.compare_digest(_derived(password[:MOST_CHARACTERS], salt, *cost), stored)
            good = good or (same and own)
        return good

    def mark(self, name: str) -> str | None:
        """What changes with the password of a name; None when the name may not sign in (any more)."""
        found = self._hashes.get(name)
        return None if found is None else hashlib.sha256(found[4]).hexdigest()[:16]


def _derived(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    given = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(given, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=_HASH_BYTES)


def _parsed(text: str) -> tuple[int, int, int, bytes, bytes] | None:
    parts = text.split("$")
    if len(parts) != 6 or parts[0] != "scrypt":
        return None
    try:
        n, r, p = (int(part) for part in parts[1:4])
        salt, stored = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts[4:])
    except ValueError:
        return None
    fits = 2**10 <= n <= _MOST_N and n & (n - 1) == 0 and 1 <= r <= 32 and 1 <= p <= 16
    return (n, r, p, salt, stored) if fits and len(salt) >= 8 and len(stored) == _HASH_BYTES else None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
