"""`StoredRequest`: what a route job stores of its request; nothing in it says who somebody is but a name."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any, NamedTuple
from urllib.parse import parse_qsl

from backburner.errors import InvalidOption
from backburner.files import UNKNOWN_TYPE, FileStore, is_media_type, shown_name
from backburner.outcome import PermanentError
from backburner.route_jobs.gate import SPOOLED
from backburner.route_jobs.outgoing import PIECE, Body
from backburner.target import encoded_fields, no_fields

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
CSRF_FIELDS = frozenset(
    {"csrfmiddlewaretoken", "csrf_token", "csrftoken", "_csrf", "_csrf_token", "authenticity_token"}
)
"""Fields of a form that are a secret of its sender's session: they are not stored."""
HEADERS = frozenset({"accept", "accept-language", "x-request-id"})
"""Headers that may be given along."""
MAX_FILES = 50
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,1000}\Z")


class GivenFile(NamedTuple):
    """A file of a form, before it is stored."""

    field: str
    name: str
    file: IO[bytes]
    media_type: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a form; its bytes are at `place` in the file store."""

    field: str
    name: str
    media_type: str
    place: str


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request that is to be made. `epoch` is the keyed hash of the user's; `keep` are names of headers."""

    method: str
    path: str
    query: str
    content_type: str
    body: str
    files: list[StoredFile]
    headers: dict[str, str]
    keep: list[str]
    user: str | None
    epoch: str | None
    cookies: bool

    def written(self, files: FileStore) -> Body:
        """The body, whole. Raises `PermanentError` when a file is gone."""
        file: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115 (the caller reads and closes it)
        digest, length = hashlib.sha256(), 0
        for piece in self._pieces(files):
            digest.update(piece)
            length += file.write(piece)
        file.seek(0)
        return Body(file, length, digest.hexdigest())

    def identifier(self, files: FileStore, key: str) -> str:
        """What equal requests have in common, files included: a text without anything of their content."""
        boundless = replace(self, content_type=self.content_type.partition(";")[0], files=[])
        digest = hmac.new(key.encode(), repr(boundless).encode("utf-8", "surrogatepass"), hashlib.sha256)
        for one in self.files:
            digest.update(repr((one.field, one.name, one.media_type)).encode())
            for piece in _read(files, one):
                digest.update(piece)
        return f"{self.method} {self.path[:120]} {digest.hexdigest()[:32]}"

    def _pieces(self, files: FileStore) -> Iterable[bytes]:
        if not self.content_type.startswith(MULTIPART):
            yield self.body.encode()
            return
        border = f"--{self.content_type.partition('boundary=')[2]}".encode()
        for name, value in parse_qsl(self.body, keep_blank_values=True):
            yield border + f'\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'.encode()
        for one in self.files:
            about = f'form-data; name="{_quoted(one.field)}"; filename="{_quoted(one.name)}"'
            yield border + f"\r\nContent-Disposition: {about}\r\nContent-Type: {one.media_type}\r\n\r\n".encode()
            yield from _read(files, one)
            yield b"\r\n"
        yield border + b"--\r\n"


def content_of(form: Any, json_value: Any, has_json: bool, has_files: bool) -> tuple[str, str]:
    """Content type and body. Raises `InvalidOption`."""
    if has_json and (form is not None or has_files):
        raise InvalidOption("json", None, "is given beside a form or files", "Give one of them")
    if has_json:
        try:
            return "application/json", json.dumps(json_value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            kind = type(json_value).__name__
            raise InvalidOption("json", kind, f"is no JSON: {error}", "Use text, numbers, lists, dicts") from error
    body = encoded_fields("form", [pair for pair in fields_of("form", form) if pair[0] not in CSRF_FIELDS])
    if has_files:
        return f"{MULTIPART}; boundary={secrets.token_hex(16)}", body
    return (FORM, body) if form is not None else ("", "")


def fields_of(option: str, given: Any) -> Any:
    """The pairs of a mapping, or of what frameworks give for a form: there a field may come several times."""
    for name, arguments in (("multi_items", {}), ("lists", {}), ("items", {"multi": True}), ("items", {})):
        method: Any = getattr(given, name, None)
        if callable(method):
            try:
                found: Any = method(**arguments)
                return list(found)
            except TypeError:
                continue
    try:
        return [(name, value) for name, value in given or ()]
    except (TypeError, ValueError):
        raise no_fields(option, given) from None


def checked_headers(given: Mapping[str, str] | None) -> dict[str, str]:
    """Headers that go along. Raises `InvalidOption` for those that could say who somebody is, or where to go."""
    found = {str(name).lower(): value for name, value in (given or {}).items()}
    for name, value in found.items():
        if name not in HEADERS:
            raise InvalidOption("headers", name, "does not go along", f"Use {', '.join(sorted(HEADERS))}; see as_user=")
        if not isinstance(value, str) or not is_header_value(value):
            raise InvalidOption("headers", value, "is no value of a header", "Use ASCII in one line")
    return found


def is_header_value(text: str) -> bool:
    """Whether a header may have it."""
    return _HEADER_VALUE.match(text) is not None


def checked_keep(given: Iterable[str]) -> list[str]:
    """Names of headers of the answer that the result has. Raises `InvalidOption`."""
    names = [] if isinstance(given, str) else sorted({str(name).lower() for name in given})
    if isinstance(given, str) or {"set-cookie", "authorization"} & set(names):
        raise InvalidOption("keep_headers", given, "are no headers to keep", "For example ['etag']; never Set-Cookie")
    return names


def checked_files(given: Mapping[str, Any] | None) -> list[GivenFile]:
    """Field, name, file and media type of each. Raises `InvalidOption`."""
    found = []
    for field, value in [(f, v) for f, values in (given or {}).items() for v in _each(values)]:
        parts: tuple[Any, ...] = ("", value, "") if not isinstance(value, tuple) else (*value, "", "")
        name, file, media_type = parts[:3]
        if not isinstance(field, str) or not callable(getattr(file, "read", None)):
            raise InvalidOption("files", value, "is no file", "Give {'field': ('name.csv', open(path, 'rb'))}")
        if media_type and not is_media_type(media_type):
            raise InvalidOption("files", media_type, "is no media type", "For example text/csv")
        shown = shown_name(str(name or getattr(file, "name", "") or "file"))
        found.append(GivenFile(field, shown, file, media_type or UNKNOWN_TYPE))
    if len(found) > MAX_FILES:
        raise InvalidOption("files", len(found), "are too many files", f"Give at most {MAX_FILES}")
    return found


def _each(values: Any) -> list[Any]:
    return list(values) if isinstance(values, list) else [values]


def _read(files: FileStore, one: StoredFile) -> Iterable[bytes]:
    try:
        with files.open(one.place) as file:
            while piece := file.read(PIECE):
                yield piece
    except FileNotFoundError:
        raise PermanentError(f"Its file {one.name} is gone.") from None


def _quoted(text: str) -> str:
    """A name in a header of a part, as browsers write it."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
