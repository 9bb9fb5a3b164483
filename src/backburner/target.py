"""Which requests a route job may make: a path of the app, and nothing that could lead anywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote, unquote_to_bytes, urlencode, urlsplit

from backburner.errors import InvalidOption

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
MAX_TARGET = 8_000
"""Characters of a path, and of a query, as servers take them."""

# RFC 3986, without @: before a host it would be a login.
_PLAIN = "-._~!$&'()*+,;=:"
_PATH = re.compile(r"/[A-Za-z0-9/%" + re.escape(_PLAIN) + r"]*\Z")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")

Pairs: TypeAlias = Mapping[str, object] | Iterable[tuple[str, object]]
"""Fields of a query or a form; a field whose value is a list comes several times."""


class Site(NamedTuple):
    """Where the app says that it is: what its own requests carry as scheme, host and leading path."""

    scheme: str
    host: str
    prefix: str

    @property
    def name(self) -> str:
        """The host without its port."""
        return urlsplit(f"//{self.host}").hostname or ""

    @property
    def port(self) -> int:
        """The port, said or not."""
        return urlsplit(f"//{self.host}").port or (443 if self.scheme == "https" else 80)

    @property
    def address(self) -> str:
        """The address without a slash at its end."""
        return f"{self.scheme}://{self.host}{self.prefix}"


def checked_method(value: object) -> str:
    """The method in capitals. Raises `InvalidOption`."""
    if not isinstance(value, str) or value.upper() not in METHODS:
        raise InvalidOption("method", value, "is no method of a route job", f"Use one of: {', '.join(sorted(METHODS))}")
    return value.upper()


def checked_path(value: object) -> str:
    """The path of a route of the app, as it stands in an address. Raises `InvalidOption`."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise _no_path(value, "is no path of this app", "Begin with one slash; the host is never said")
    if len(value) > MAX_TARGET:
        raise _no_path(value, f"has {len(value):,} characters", f"Use at most {MAX_TARGET:,}")
    if "?" in value or "#" in value:
        raise _no_path(value, "has a query or a fragment", "Give the query as query={...}")
    # Others are written as in an address; what is plain text there stays as it is.
    encoded = value if value.isascii() else quote(value, safe="/%@\\" + _PLAIN, errors="surrogatepass")
    if not _PATH.match(encoded) or _BROKEN.search(encoded):
        raise _no_path(value, "has a character that is not written so in a path", "Write it as %xx, an @ as %40")
    decoded = unquote_to_bytes(encoded).decode("utf-8", "surrogateescape")
    if _ESCAPE.search(decoded):
        raise _no_path(value, "has an escape inside an escape", "Escape it once")
    if decoded.count("/") != encoded.count("/") or "\\" in decoded or not decoded.isprintable():
        raise _no_path(value, "hides a slash, a backslash or a control character", "Leave it out")
    if "//" in decoded or any(part in (".", "..") for part in decoded.split("/")):
        raise _no_path(value, "has an empty part, or . or ..", "Write the path of the route itself")
    return spelled(decoded)


def spelled(path: str) -> str:
    """The one spelling of a decoded path that both sides sign."""
    return quote(path.encode("utf-8", "surrogateescape"), safe="/@" + _PLAIN)


def encoded_fields(option: str, fields: Pairs | None) -> str:
    """Fields as they stand in a query or a form. Raises `InvalidOption`."""
    if fields is None:
        return ""
    try:
        pairs: list[tuple[Any, Any]] = list(fields.items() if isinstance(fields, Mapping) else fields)
        flat: list[tuple[Any, Any]] = [(name, value) for name, given in pairs for value in _values(given)]
    except (TypeError, ValueError):
        raise no_fields(option, fields) from None
    # Values are not repeated: one of them may be a password.
    for name, value in flat:
        if not isinstance(name, str) or not isinstance(value, str | int | float):
            raise InvalidOption(
                option, name, f"is the name of no field, or its value is {type(value).__name__}",
                "Names are text, values text or numbers",
            )  # fmt: skip
    try:
        return urlencode(flat)
    except UnicodeEncodeError:
        raise InvalidOption(option, [name for name, _ in flat], "hold a lone surrogate", "Remove it") from None


def no_fields(option: str, given: object) -> InvalidOption:
    """What is said of fields that are none."""
    kind = type(given).__name__
    return InvalidOption(option, kind, "is no type of fields", f"For example {option}={{'month': '2026-10'}}")


def checked_query(fields: Pairs | None) -> str:
    """The query. Raises `InvalidOption`."""
    text = encoded_fields("query", fields)
    if len(text) > MAX_TARGET:
        raise InvalidOption("query", None, f"has {len(text):,} characters", f"Use at most {MAX_TARGET:,}, or a form")
    return text


def checked_site(option: str, value: object) -> Site:
    """An address of the app: scheme, host, maybe a port and a leading path. Raises `InvalidOption`."""
    example = "For example https://shop.example.org"
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable or not str(value).isprintable() or " " in str(value) or "\\" in str(value):
        raise InvalidOption(option, value, "is no address of the web", example)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidOption(option, value, "has a login, a query or a fragment", example)
    prefix = parts.path.rstrip("/")
    try:
        return Site(parts.scheme, parts.netloc, checked_path(prefix) if prefix else "")
    except InvalidOption as error:
        raise InvalidOption(option, value, "its path cannot be", example) from error


def _values(given: object) -> list[object]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _no_path(value: object, problem: str, remedy: str) -> InvalidOption:
    return InvalidOption("path", value, problem, remedy)
