"""`serve`: the web side under uvicorn, for the command line and for trying things out."""

from __future__ import annotations

import gc
import ipaddress
from collections.abc import Sequence
from socket import socket

from backburner.backburner import Backburner
from backburner.errors import MissingExtra, SettingsError
from backburner.web.app import web_app
from backburner.web.links import ResolveLink
from backburner.web.user import ResolveUser

try:
    import uvicorn
except ImportError as error:
    raise MissingExtra("uvicorn", "web", "backburner web") from error

STOP_SECONDS = 5
"""How long open requests may go on when the server is to stop."""


def serve(
    jobs: Backburner,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    development: bool = False,
    resolve_user: ResolveUser | None = None,
    resolve_link: ResolveLink | None = None,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve the web side until SIGINT or SIGTERM.

    `trusted_proxies` are addresses or networks of reverse proxies: what they say in `X-Forwarded-For` and
    `X-Forwarded-Proto` is believed, and by it the limit on attempts to sign in tells people apart.

    Raises `SettingsError` before it listens when an address is none, and when nothing says who may see what: neither
    `resolve_user`, nor the setting `operators`, nor `development`, which is for addresses of this machine only.
    """
    login = resolve_user is None and not development and bool(jobs.settings.operators)
    check_rule(host, development=development, known=login or resolve_user is not None)
    check_proxies(trusted_proxies)
    app = web_app(jobs, resolve_user=resolve_user, resolve_link=resolve_link, development=development, login=login)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        # Forwarded addresses are what a client makes them, where no proxy of ours does.
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    run(config)


def run(config: uvicorn.Config, sockets: list[socket] | None = None) -> None:
    """Run a server in a process of its own, at addresses that are open already where `sockets` are given."""
    # All that is there now stays: left out of full collections, they hold up requests for 25 ms and not for 130.
    gc.collect()
    gc.freeze()
    uvicorn.Server(config).run(sockets)


def check_rule(host: str, *, development: bool, known: bool) -> None:
    """Raise `SettingsError` unless there is an access rule that fits the address to listen at."""
    if development and not _is_local(host):
        raise SettingsError(
            "host",
            host,
            "is open to other machines, and under the development rule everything is open",
            "Use 127.0.0.1, or leave --dev out and give an access rule",
        )
    if not development and not known:
        raise SettingsError(
            "resolve_user",
            None,
            "no rule says who may see which job",
            "Set operators (backburner web --hash-password), name a rule with --users, or use --dev on this machine",
        )


def check_proxies(addresses: Sequence[str]) -> None:
    """Raise `SettingsError` unless each is an address or a network."""
    for one in addresses:
        try:
            ipaddress.ip_network(one)
        except ValueError as error:
            raise SettingsError(
                "trusted_proxy",
                one,
                "is no address of a proxy",
                "Give one like 10.0.0.7 or 10.0.0.0/24",
            ) from error


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
