"""Values that a launched process was given through a pipe: in its memory alone, never stored, shown or logged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NoReturn

from backburner.errors import InvalidOption, SecretMissing

MAX_SECRETS_BYTES = 32_768
"""A pipe takes as much without anybody reading: launching never waits."""


class Secrets(Mapping[str, str]):
    """Values by name. Its text shows names alone, and it cannot be stored."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        """One value. Raises `SecretMissing`."""
        try:
            return self._values[name]
        except KeyError:
            raise SecretMissing(name, tuple(self._values)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        """The names."""
        return f"<Secrets {', '.join(self._values)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not written anywhere")


class _Held:
    """The process's own: they come before any object of the app is made, and are for the one job that it runs."""

    secrets = Secrets({})


def launch_secrets() -> Secrets:
    """What this process was launched with; empty in every other process. An app may read it while it is imported."""
    return _Held.secrets


def keep_secrets(values: Mapping[str, str]) -> None:
    """Remember what came through the pipe, for this process and those that it forks."""
    _Held.secrets = Secrets(values)


def checked_secrets(value: object) -> Secrets | None:
    """The value of the option `secrets`. Raises `InvalidOption`, which shows nothing of it."""
    if value is None:
        return None
    shown = _Untold()
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for pair in value.items() for each in pair):
        raise InvalidOption("secrets", shown, "is no mapping of texts to texts", "For example secrets={'key': '...'}")
    # As they go through the pipe.
    if len(json.dumps(dict(value))) > MAX_SECRETS_BYTES:
        raise InvalidOption("secrets", shown, f"has more than {MAX_SECRETS_BYTES:,} bytes", "Pass a key, not data")
    return Secrets(value)


class _Untold:
    def __repr__(self) -> str:
        return "<not shown>"
