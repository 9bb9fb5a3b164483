"""The shop's web process: `python -m examples.shop.web`, listening on a socket that its parent opened."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from backburner.web import User, web_app
from examples.shop.pages import USER, Pages
from examples.shop.security import Security
from examples.shop.tasks import folder, jobs, products

HERE = Path(__file__).parent
STOP_SECONDS = 3


def shop_app() -> Starlette:
    """The whole shop as an ASGI app: its own pages, and Backburner's under /backburner."""
    templates = Jinja2Templates(HERE / "templates")
    pages = Pages(jobs, products, folder, templates)
    return Starlette(
        routes=[
            *pages.routes(),
            Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
            Mount("/backburner", web_app(jobs, resolve_user=lambda request: User(USER))),
        ],
        middleware=[
            # Everybody who gets here is Dana: so only this machine may, and only under its own name.
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(Security),
        ],
    )


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m examples.shop.web")
    parser.add_argument("--fd", type=int, required=True, help="the socket to listen on")
    given = parser.parse_args()
    folder.make()
    products.make_tables()
    config = uvicorn.Config(
        shop_app(),
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=given.fd)])


if __name__ == "__main__":
    main()
