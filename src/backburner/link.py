"""`Link`: where a job leads the people who wait: to an address, or to a route that is one only when it is shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from backburner.errors import InvalidArgument

Params: TypeAlias = Mapping[str, str | int | float | bool]
"""Parameters of a route, by name."""

MAX_PARAMS_BYTES = 2_000
_TARGETS = (None, "_blank")


@dataclass(frozen=True, slots=True)
class Link:
    """What it says and where it leads: `href`, or the `route` of that name with `params`, and then `href` is empty.

    `target` "_blank" opens it beside the page.
    """

    text: str
    href: str
    route: str | None = None
    params: Params | None = None
    target: str | None = None


def checked_link(
    task: str, text: str, href: str | None, route: str | None, params: Params | None, target: str | None
) -> Link:
    """A link as it may be stored. Raises `InvalidArgument`."""
    if (href is None) == (route is None):
        raise InvalidArgument(task, "href", href, "is given beside a route, or neither is", "Give one of the two")
    if href is not None and not is_safe_link(href):
        raise InvalidArgument(task, "href", href, "is no http(s) address and no path", "Begin with https:// or /")
    if route is not None and (not isinstance(route, str) or not 0 < len(route) <= 200 or not route.isprintable()):
        raise InvalidArgument(task, "route", route, "is no name of a route", "Use 1 to 200 characters")
    if params is not None and (route is None or not _plain(params)):
        raise InvalidArgument(
            task, "params", params, "are no parameters of a route", 'For example route="order", params={"id": 7}'
        )
    if target not in _TARGETS:
        raise InvalidArgument(task, "target", target, "is unknown", 'Use "_blank" or leave it out')
    return Link(text, href or "", route, dict(params) if params is not None else None, target)


def dumped(links: Iterable[Link]) -> str | None:
    """Links as they are stored; None for none."""
    found = [
        [link.text, link.href]
        if link.route is None and link.target is None
        else [link.text, link.href, link.route, link.params, link.target]
        for link in links
    ]
    return json.dumps(found) if found else None


def loaded(text: str | None) -> tuple[Link, ...]:
    """What `dumped` gave; none of a row that is damaged."""
    try:
        return tuple(Link(*parts) for parts in json.loads(text or "[]"))
    except (ValueError, TypeError, RecursionError):
        return ()


def is_safe_link(href: str) -> bool:
    """True for an http(s) address or a path; nothing that a browser would run or take for another host."""
    if not href or any(ord(c) < 33 or ord(c) == 127 for c in href):
        return False
    if href.startswith(("/", "?", "#")):
        return not href.startswith(("//", "/\\"))
    return href.lower().startswith(("http://", "https://"))


def _plain(params: Any) -> bool:
    if not isinstance(params, Mapping):
        return False
    plain = all(isinstance(name, str) and isinstance(value, str | int | float) for name, value in params.items())
    try:
        return plain and len(json.dumps(dict(params), allow_nan=False)) <= MAX_PARAMS_BYTES
    except ValueError:
        return False
