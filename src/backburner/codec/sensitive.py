"""Which values are secret, by the names they go by."""

from __future__ import annotations

import re
from typing import Any

_SENSITIVE = re.compile(r"pass(word|wd|phrase)?$|secret|token|credential|api_?key|private_?key", re.IGNORECASE)


def is_sensitive(name: str) -> bool:
    """Whether the name of a parameter says that its values are secret."""
    return _SENSITIVE.search(name) is not None


def without_secrets(value: Any) -> Any:
    """A decoded JSON value with "hidden" for what is secret by its key, however deep."""
    if isinstance(value, dict):
        return {key: "hidden" if is_sensitive(key) else without_secrets(item) for key, item in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value
