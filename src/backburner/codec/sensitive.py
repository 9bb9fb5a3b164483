"""Which values are secret: by the names they go by, and what is encrypted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from backburner.codec.concealed import is_closed

HIDDEN = "hidden"
"""What stands in the place of a secret."""
ENCRYPTED = "encrypted"
"""What stands in the place of one that is stored encrypted."""

_SENSITIVE = re.compile(r"pass(word|wd|phrase)?$|secret|token|credential|api_?key|private_?key", re.IGNORECASE)


def is_sensitive(name: str) -> bool:
    """Whether the name of a parameter says that its values are secret."""
    return _SENSITIVE.search(name) is not None


def without_secrets(value: Any) -> Any:
    """A decoded JSON value with "hidden" for what is secret by its key, however deep, "encrypted" for what is so."""
    if is_closed(value):
        return ENCRYPTED
    if isinstance(value, dict):
        return {key: HIDDEN if _hides(key, item) else without_secrets(item) for key, item in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value


def _hides(key: str, item: Any) -> bool:
    return is_sensitive(key) and not is_closed(item)


def readable(text: str, secrets: Iterable[str] = ()) -> str:
    """Stored JSON text without what is secret, by its key or because it is among `secrets`, keys of the whole.

    What is no JSON may hold anything: it is hidden.
    """
    try:
        found = json.loads(text)
        shown = without_secrets(found)
        if isinstance(shown, dict):
            shown |= {key: HIDDEN for key in secrets if key in shown and not is_closed(found[key])}
        return json.dumps(shown, ensure_ascii=False)
    except (ValueError, RecursionError):
        return HIDDEN
