"""`CookieBox`: named cookies of a request, encrypted for one job. Needs the extra `cookies`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from backburner.errors import InvalidOption, MissingExtra
from backburner.outcome import PermanentError

_PURPOSE = b"backburner.cookies.1"
_NONCE = 12
MAX_COOKIES = 16_384
_VALUE = re.compile(r"[\x20-\x3a\x3c-\x7e]*\Z")


class CookieBox:
    """Encrypts with the first secret, and opens what any of them has closed."""

    def __init__(self, secrets: Sequence[str], names: Sequence[str]) -> None:
        try:
            ciphers = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
            self._invalid: type[Exception] = importlib.import_module("cryptography.exceptions").InvalidTag
        except ImportError as error:
            raise MissingExtra("cryptography", "cookies", "RouteJobs(cookies=...)") from error
        keys = [hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256) for secret in secrets]
        self._ciphers: list[Any] = [ciphers.AESGCM(key) for key in keys]
        self._names = tuple(names)

    def closed(self, job_id: str, cookies: Mapping[str, str]) -> str:
        """The named ones of these cookies, for this job alone. Raises `InvalidOption`."""
        kept = {name: cookies[name] for name in self._names if name in cookies}
        if not kept:
            raise InvalidOption(
                "with_cookies", None, f"the request has none of the cookies {list(self._names)}",
                "Ask whoever is not signed in to sign in first",
            )  # fmt: skip
        if not all(isinstance(value, str) and _VALUE.match(value) for value in kept.values()):
            raise InvalidOption("with_cookies", None, "one of them is no value of a cookie", "Pass the request")
        text = json.dumps(kept).encode()
        if len(text) > MAX_COOKIES:
            raise InvalidOption("with_cookies", None, f"they have more than {MAX_COOKIES:,} bytes", "Name fewer")
        nonce = os.urandom(_NONCE)
        return base64.b64encode(nonce + self._ciphers[0].encrypt(nonce, text, job_id.encode())).decode()

    def opened(self, job_id: str, text: str) -> str:
        """The header `Cookie`. Raises `PermanentError`."""
        sealed = base64.b64decode(text)
        for cipher in self._ciphers:
            try:
                found = json.loads(cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], job_id.encode()))
            except self._invalid:
                continue
            return "; ".join(f"{name}={value}" for name, value in found.items())
        raise PermanentError("Its cookies were encrypted with another key.")
