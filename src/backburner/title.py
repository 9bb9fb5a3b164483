"""`TitleTemplate`: what people see instead of the task's name, "Export orders of {month}"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Any

from backburner.errors import InvalidOption

MAX_TITLE = 500
"""Characters; a rendered title is cut there, a literal one that is longer is refused."""


def readable(task: str) -> str:
    """The name of a task as a title: shop.export_orders as "Export orders"."""
    words = task.rpartition(".")[2].replace("_", " ").strip()
    return words[:1].upper() + words[1:] or task


class TitleTemplate:
    """A title with fields that are plain names of arguments.

    Attributes, indexes, conversions and format specs are refused: a title shows arguments, it runs no code of
    theirs but `str`. Raises `InvalidOption`.
    """

    def __init__(self, text: str, known: Iterable[str]) -> None:
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TITLE:
            raise InvalidOption("title", text, "is no title", f"Use text of 1 to {MAX_TITLE} characters")
        self.text: str = text
        names = tuple(known)
        try:
            pieces = list(Formatter().parse(text))
        except ValueError as error:
            raise InvalidOption("title", text, str(error), "Write {{ and }} for braces") from error
        self._pieces: list[tuple[str, str | None]] = []
        for literal, field, spec, conversion in pieces:
            if field is not None and (field not in names or spec or conversion):
                raise InvalidOption(
                    "title",
                    text,
                    f"the field {field!r} is no plain parameter name",
                    f"Use fields among: {', '.join(names) or 'none, the task has no parameters'}",
                )
            self._pieces.append((literal, field))
        self.fixed: str | None = None if any(field for _, field in self._pieces) else self.render({})
        """The title when it does not depend on the arguments, else None."""

    def render(self, arguments: Mapping[str, Any]) -> str:
        """The title of one call, storable: at most 500 characters, NUL replaced by U+FFFD."""
        parts = []
        for literal, field in self._pieces:
            parts.append(literal)
            if field is not None:
                parts.append(str(arguments[field]))
        text = "".join(parts).replace("\0", "\ufffd")
        text = text.encode("utf-8", "replace").decode() if not text.isascii() else text
        return text if len(text) <= MAX_TITLE else text[: MAX_TITLE - 1] + "…"
