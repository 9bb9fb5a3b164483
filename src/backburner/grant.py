"""`Grant`: the signed permission of one attempt to make one request. Pure: it knows no store and no clock."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

VERSION = "1"
SECONDS = 30.0
"""How far the times of both sides may be apart."""
HEADER = "Backburner-Grant"
MAX_TOKEN = 4_000

_PURPOSE = b"backburner.grant.1"


class Request(NamedTuple):
    """What a grant is good for, as both sides see it; `path` and `query` as they stand in the address."""

    method: str
    path: str
    query: str
    content_type: str


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a grant says. `user` and `epoch` are those of the principal, None for nobody; `at` is in Unix seconds.

    `cookies` says that the request has cookies of its own and is nobody else's. `length` and `digest` (SHA-256)
    are those of the body.
    """

    job: str
    attempt: int
    nonce: str
    at: float
    length: int
    digest: str
    user: str | None = None
    epoch: str | None = None
    cookies: bool = False


class Refused(Exception):
    """A request did not pass; the text is for people. Nothing of the app has run."""


class GrantKeys:
    """Signs with the first secret, and reads what any of them has signed."""

    def __init__(self, secrets: Sequence[str]) -> None:
        keys = [hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256) for secret in secrets]
        self._keys = {_id_of(key): key for key in keys}
        self._current = _id_of(keys[0])

    def sign(self, grant: Grant, request: Request) -> str:
        """The token that goes along with the request."""
        payload = base64.urlsafe_b64encode(msgspec.json.encode(grant)).decode()
        return ".".join((VERSION, self._current, payload, _mac(self._keys[self._current], payload, request)))

    def read(self, token: str, request: Request, now: float) -> Grant:
        """What a token says, if it was signed here, for this request, and just now. Raises `Refused`."""
        parts = token.split(".")
        if len(token) > MAX_TOKEN or len(parts) != 4 or parts[0] != VERSION:
            raise Refused("The grant cannot be read.")
        _, key_id, payload, mac = parts
        key = self._keys.get(key_id)
        if key is None:
            raise Refused("The grant was signed with another key.")
        if not hmac.compare_digest(_mac(key, payload, request).encode(), mac.encode("utf-8", "replace")):
            raise Refused("The signature of the grant does not fit this request.")
        try:
            grant = msgspec.json.decode(base64.urlsafe_b64decode(payload), type=Grant)
        except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
            raise Refused("The grant cannot be read.") from error
        if abs(now - grant.at) > SECONDS:
            raise Refused("The grant is not of this moment; are the clocks of both machines right?")
        return grant


def _id_of(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:8]


def _mac(key: bytes, payload: str, request: Request) -> str:
    # JSON keeps the parts apart whatever they contain.
    covered = msgspec.json.encode([VERSION, _id_of(key), payload, *request])
    return hmac.new(key, covered, hashlib.sha256).hexdigest()
