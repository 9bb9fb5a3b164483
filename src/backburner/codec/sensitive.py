"""Which values are secret, by the names they go by."""

from __future__ import annotations

import json
import re
from typing import Any

HIDDEN = "hidden"
"""What stands in the place of a secret."""

_SENSITIVE = re.compile(r"pass(word|wd|phrase)?$|secret|token|credential|api_?key|private_?key", re.IGNORECASE)


def is_sensitive(name: str) -> bool:
    """Whether the name of a parameter says that its values are secret."""
    return _SENSITIVE.search(name) is not None


def without_secrets(value: Any) -> Any:
    """A decoded JSON value with "hidden" for what is secret by its key, however deep."""
    if isinstance(value, dict):
        return {key: HIDDEN if is_sensitive(key) else without_secrets(item) for key, item in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value


def readable(text: str) -> str:
    """Stored JSON text without what is secret by its key; what is no JSON may hold anything: it is hidden."""
    try:
        return json.dumps(without_secrets(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return HIDDEN
