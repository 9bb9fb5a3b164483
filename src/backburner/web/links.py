"""`Links`: the links of a job as they are shown; one to a route becomes an address here, by the app's own rule."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from backburner.link import Link
from backburner.progress import Progress
from backburner.web.bodies import LinkBody

log = logging.getLogger(__name__)

ResolveLink: TypeAlias = Callable[[str, Mapping[str, Any]], str]
"""The app's own rule: from the name of a route and its parameters to a path. Whatever it raises: there is none."""


@dataclass(frozen=True, slots=True)
class ShownLink:
    """A link as a visitor gets it; without `href` it is a text that leads nowhere any more."""

    text: str
    href: str | None
    target: str | None = None

    @property
    def body(self) -> LinkBody:
        """The link as JSON."""
        return {"text": self.text, "href": self.href, "target": self.target}


class Links:
    """Made once per app; without a rule links to routes are shown as texts."""

    def __init__(self, resolve: ResolveLink | None) -> None:
        self._resolve = resolve

    def of(self, progress: Progress | None) -> tuple[ShownLink, ...]:
        """The links to http, https, a path or a route of this site; others are not shown to anybody."""
        if progress is None:
            return ()
        return tuple(self._shown(link) for link in progress.links if link.route is not None or is_safe(link.href))

    def _shown(self, link: Link) -> ShownLink:
        return ShownLink(link.text, link.href if link.route is None else self._path(link), link.target)

    def _path(self, link: Link) -> str | None:
        if self._resolve is None or link.route is None:
            return None
        try:
            found = self._resolve(link.route, link.params or {})
        except Exception as error:  # noqa: BLE001 (the app's rule: a route that is gone raises what its framework raises)
            log.info("the route %r of a link has no address: %s", link.route, type(error).__name__)
            return None
        # Not elsewhere: what a route says may come from its parameters.
        return found if isinstance(found, str) and found.startswith("/") and is_safe(found) else None


def is_safe(href: str) -> bool:
    """Whether an address may be made a link: it cannot run code, nor pass for one of this site."""
    if any(ord(c) < 33 or ord(c) == 127 or c == "\\" for c in href) or href.startswith("//"):
        return False
    return href.startswith(("/", "?", "#")) or href.lower().startswith(("http://", "https://"))
