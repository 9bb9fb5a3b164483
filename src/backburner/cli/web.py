"""`backburner web`: serves the web side of an app."""

from __future__ import annotations

import signal
from types import FrameType
from typing import cast

import click

from backburner import web
from backburner.cli import codes
from backburner.cli.call import call_of
from backburner.cli.opening import open_app
from backburner.cli.text import note, say
from backburner.errors import SettingsError
from backburner.log_lines import log_to_stderr
from backburner.web.passwords import hash_password as hashed
from backburner.web.server import check_proxies, check_rule
from backburner.worker.app import load_object

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   it was told to stop
  {codes.FAILED}   something unexpected, such as an address in use
  {codes.USAGE}   the command line is wrong
  {codes.CONFIG}  the app, its settings, its tables or the extra web cannot be used"""


@click.command(epilog=_EPILOG)
@click.option("--host", default="127.0.0.1", help="Address to listen on, 127.0.0.1 unless said.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=8_000, metavar="N", help="Port to listen on, 8000 unless said."
)
@click.option(
    "--users",
    metavar="MODULE:FUNCTION",
    help="The app's rule: from a request to a backburner.web.User, or None for nobody.",
)
@click.option(
    "--links",
    metavar="MODULE:FUNCTION",
    help="The app's rule: from the name of a route and its parameters to a path, for links of jobs to routes.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Address or network of a reverse proxy whose X-Forwarded-For is believed; may be said several times.",
)
@click.option(
    "--hash-password", is_flag=True, help="Ask for a password, print what the setting operators takes, and end."
)
@click.option("--dev", is_flag=True, help="For development on this machine only: everybody may see and do everything.")
@click.pass_context
def command(
    context: click.Context, host: str, port: int, users: str | None, links: str | None, proxies: tuple[str, ...],
    hash_password: bool, dev: bool,
) -> None:  # fmt: skip
    """Serve the web pages and the HTTP API.

    Needs: pip install 'backburner[web]'. Operators sign in with the names and passwords of the setting operators
    (NAME=HASH, with the hash that --hash-password prints), which needs the setting secret. Or name the app's own rule
    with --users, or mount backburner.web.web_app(jobs, resolve_user=...) in the app itself. Without any of these
    everything stays closed; --dev opens it to this machine.

    \b
    Examples:
      backburner --app shop.tasks:jobs web --dev
      backburner --app shop.tasks:jobs web --users shop.access:user_of
    """
    if hash_password:
        say(hashed(click.prompt("Password", hide_input=True, confirmation_prompt=True)))
        return
    call = call_of(context)
    log_to_stderr(call.verbose)
    jobs = open_app(call)
    rule = cast("web.ResolveUser | None", _rule("users", users))
    paths = cast("web.ResolveLink | None", _rule("links", links))
    check_rule(host, development=dev, known=rule is not None or bool(jobs.settings.operators))
    check_proxies(proxies)
    note(f"Serving on http://{f'[{host}]' if ':' in host else host}:{port} (Ctrl-C stops)")
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server closes its streams first, and then raises the signal once more: here.
        signal.signal(number, _stopped)
    web.serve(
        jobs, host=host, port=port, development=dev, resolve_user=rule, resolve_link=paths, trusted_proxies=proxies
    )  # fmt: skip


def _rule(option: str, spec: str | None) -> object:
    """What an option names in the app; what it takes and gives shows when it is called."""
    if spec is None:
        return None
    example = "Write it like shop.access:user_of"
    found = load_object(option, spec, example)
    if not callable(found):
        raise SettingsError(option, spec, f"names a {type(found).__name__}, no function", example)
    return found


def _stopped(number: int, frame: FrameType | None) -> None:
    raise SystemExit(codes.OK)
