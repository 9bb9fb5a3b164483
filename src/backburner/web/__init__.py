"""The web side: the HTTP API, its live streams, the component for the page, and a jobs page.

    from backburner.web import User, web_app

    app.mount("/backburner", web_app(jobs, resolve_user=who_is_signed_in))

Needs the extra `web`.
"""

from __future__ import annotations

from importlib.util import find_spec

from backburner.errors import MissingExtra

for _package in ("fastapi", "jinja2", "itsdangerous"):
    if find_spec(_package) is None:
        raise MissingExtra(_package, "web", "backburner.web")

from backburner.web.app import web_app as web_app  # noqa: E402 - behind the check of the extra
from backburner.web.bearers import api_token as api_token  # noqa: E402
from backburner.web.holding import Holding as Holding  # noqa: E402
from backburner.web.holding import HoldingPage as HoldingPage  # noqa: E402
from backburner.web.links import ResolveLink as ResolveLink  # noqa: E402
from backburner.web.mine import Mine as Mine  # noqa: E402
from backburner.web.mine import MinePage as MinePage  # noqa: E402
from backburner.web.notice import notice as notice  # noqa: E402
from backburner.web.respond import Reply as Reply  # noqa: E402
from backburner.web.respond import arespond as arespond  # noqa: E402
from backburner.web.respond import respond as respond  # noqa: E402
from backburner.web.rights import Allow as Allow  # noqa: E402
from backburner.web.rights import Permission as Permission  # noqa: E402
from backburner.web.rights import ResolveAccess as ResolveAccess  # noqa: E402
from backburner.web.server import serve as serve  # noqa: E402
from backburner.web.tokens import job_token as job_token  # noqa: E402
from backburner.web.user import ResolveUser as ResolveUser  # noqa: E402
from backburner.web.user import User as User  # noqa: E402

__all__ = [
    "Allow",
    "Permission",
    "ResolveAccess",
    "Holding",
    "HoldingPage",
    "Mine",
    "MinePage",
    "Reply",
    "ResolveLink",
    "ResolveUser",
    "User",
    "api_token",
    "arespond",
    "job_token",
    "notice",
    "respond",
    "serve",
    "web_app",
]
