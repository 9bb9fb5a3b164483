"""`Configuration`: what the project says in its setting BACKBURNER."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from django.conf import settings as project
from django.utils.crypto import salted_hmac

from backburner.errors import SettingsError
from backburner.settings import Settings, found

NAME = "BACKBURNER"
_OWN = ("DATABASE", "SITE", "HOLDING_TEMPLATE", "ROUTE_JOBS")
_KNOWN = (*_OWN, *(knob.name.upper() for knob in fields(Settings)))


@dataclass(frozen=True, slots=True)
class Configuration:
    """`alias` is that of the database with the jobs, None when URL names one that Django does not know.

    `site` is how people address the project, `holding_template` the template around the holding page, `route_jobs`
    are options of `DjangoRoutes`, and `settings` those of `Backburner`, by their lower-case names.
    """

    alias: str | None
    site: str
    holding_template: str | None
    route_jobs: Mapping[str, Any]
    settings: Mapping[str, Any]


def configuration() -> Configuration:
    """What the settings say now. Raises `SettingsError`."""
    said = getattr(project, NAME, {})
    if not isinstance(said, Mapping):
        raise SettingsError(NAME, said, "is no dict", 'Write BACKBURNER = {"DATABASE": "default"}')
    for key, value in said.items():
        if key not in _KNOWN:
            close = difflib.get_close_matches(str(key).upper(), _KNOWN, 1)
            remedy = f"Did you mean {close[0]!r}?" if close else f"Keys are: {', '.join(_KNOWN)}"
            raise SettingsError(f"{NAME}[{key!r}]", type(value).__name__, "there is no such setting", remedy)
    if "URL" in said and "DATABASE" in said:
        raise SettingsError(
            f"{NAME}['URL']", "...", "and 'DATABASE' both say where the jobs are", "Give one of the two"
        )
    given = {key.lower(): value for key, value in said.items() if key not in _OWN}
    return Configuration(
        alias=None if "URL" in said else _alias(said.get("DATABASE", "default")),
        site=said.get("SITE", "http://localhost"),
        holding_template=said.get("HOLDING_TEMPLATE"),
        route_jobs=said.get("ROUTE_JOBS", {}),
        settings=_usual(given) | given,
    )


def _alias(alias: object) -> str:
    if not isinstance(alias, str) or alias not in project.DATABASES:
        known = ", ".join(project.DATABASES) or "none"
        raise SettingsError(f"{NAME}['DATABASE']", alias, "is no alias in DATABASES", f"Use one of: {known}")
    return alias


def _usual(given: Mapping[str, Any]) -> dict[str, Any]:
    """What holds in a project where neither it nor the environment says otherwise."""
    # Tables are made by `manage.py migrate`, as all others are.
    usual: dict[str, Any] = {"auto_migrate": False}
    base = getattr(project, "BASE_DIR", None)
    if base is not None:
        usual["files"] = str(Path(base) / "backburner-files")
    usual = {name: value for name, value in usual.items() if name not in {known for known, _, _ in found()}}
    if "secret" not in given and all(name != "secret" for name, _, _ in found()):
        usual["secret"] = _derived(project.SECRET_KEY)
        usual["former_secrets"] = [_derived(key) for key in project.SECRET_KEY_FALLBACKS] or None
    return usual


def _derived(key: str) -> str:
    """A key of our own from the project's: what is signed with one says nothing about the other."""
    return str(salted_hmac("backburner.contrib.django", "secret", secret=key, algorithm="sha256").hexdigest())
