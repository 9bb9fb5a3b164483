"""`Cipher`: encrypts for one purpose with the secrets of the settings. Needs the package cryptography."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import os
from collections.abc import Sequence
from typing import Any

from backburner.errors import MissingExtra

_NONCE = 12


class Cipher:
    """AES-256-GCM; the first secret encrypts, and what any of them has encrypted is opened.

    Each subject, such as a job, has a key of its own, derived from the secret and the purpose: what was encrypted for
    one opens for no other, and no key is used so often that two nonces might meet. `place` is bound likewise: where
    within the subject it stands. Raises `MissingExtra`.
    """

    def __init__(self, secrets: Sequence[str], purpose: bytes, extra: str, needed_for: str) -> None:
        try:
            ciphers = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
            self._invalid: type[Exception] = importlib.import_module("cryptography.exceptions").InvalidTag
        except ImportError as error:
            raise MissingExtra("cryptography", extra, needed_for) from error
        self._made: Any = ciphers.AESGCM
        self._keys = [hmac.digest(secret.encode(), purpose, hashlib.sha256) for secret in secrets]

    def close(self, text: bytes, subject: str, place: str = "") -> str:
        """The encrypted text, base64."""
        nonce = os.urandom(_NONCE)
        sealed: bytes = self._of(self._keys[0], subject).encrypt(nonce, text, _bytes(place))
        return base64.b64encode(nonce + sealed).decode()

    def open(self, closed: str, subject: str, place: str = "") -> bytes | None:
        """What was encrypted; None where it was for another subject or place, with another secret, or is damaged."""
        try:
            sealed = base64.b64decode(closed, validate=True)
        except ValueError:
            return None
        for key in self._keys:
            try:
                opened: bytes = self._of(key, subject).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bytes(place))
            except (self._invalid, ValueError):
                # A nonce that is cut off is no tag that does not fit, but no more than that either.
                continue
            return opened
        return None

    def _of(self, key: bytes, subject: str) -> Any:
        return self._made(hmac.digest(key, _bytes(subject), hashlib.sha256))


def _bytes(text: str) -> bytes:
    """As UTF-8, also what is no character: whoever stores such a text says so by an error of their own."""
    return text.encode("utf-8", "surrogatepass")
