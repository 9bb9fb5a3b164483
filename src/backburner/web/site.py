"""`Site`: what every route needs, made once per app."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from backburner.backburner import Backburner
from backburner.checked import MAX_WHO
from backburner.control import Control
from backburner.insight.operator import Operator
from backburner.progress import storable
from backburner.web.access import Access, Visitor
from backburner.web.feed import Feed
from backburner.web.links import Links
from backburner.web.login import Login
from backburner.web.sight import Wording


@dataclass(frozen=True, slots=True)
class Site:
    """The jobs, who may see them, and the one feed."""

    jobs: Backburner
    access: Access
    feed: Feed
    development: bool
    links: Links
    login: Login | None = None

    @property
    def control(self) -> Control:
        """The door to stored jobs."""
        return self.jobs.control

    def operator(self, visitor: Visitor, via: str = "dashboard") -> Operator:
        """Acts as this visitor: what is done so is in the audit."""
        return self.jobs.insight.operator(storable(visitor.name, MAX_WHO), via)

    def wording(self, request: Request, visitor: Visitor) -> Wording:
        """How jobs are put into JSON for this visitor."""
        token = request.query_params.get("token") if visitor.grant is not None else None
        return Wording(visitor, root_of(request), self.links, token, tells=bool(self.jobs.endings))


def root_of(request: Request) -> str:
    """The path under which the app is mounted, without a slash at its end."""
    return str(request.scope.get("root_path", "")).rstrip("/")
