"""`CookieBox`: named cookies of a request, encrypted for one job. Needs the extra `cookies`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from backburner.cipher import Cipher
from backburner.errors import InvalidOption
from backburner.outcome import PermanentError

_PURPOSE = b"backburner.cookies.2"
MAX_COOKIES = 16_384
_VALUE = re.compile(r"[\x20-\x3a\x3c-\x7e]*\Z")


class CookieBox:
    """Encrypts with the first secret, and opens what any of them has closed."""

    def __init__(self, secrets: Sequence[str], names: Sequence[str]) -> None:
        self._cipher = Cipher(secrets, _PURPOSE, "cookies", "RouteJobs(cookies=...)")
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
        return self._cipher.close(text, job_id)

    def opened(self, job_id: str, text: str) -> str:
        """The header `Cookie`. Raises `PermanentError`."""
        opened = self._cipher.open(text, job_id)
        if opened is None:
            raise PermanentError("Its cookies were encrypted with another key.")
        return "; ".join(f"{name}={value}" for name, value in json.loads(opened).items())
