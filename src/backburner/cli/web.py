"""`backburner web`: serves the web side of an app."""

from __future__ import annotations

import click

from backburner import web
from backburner.cli import codes
from backburner.cli.call import call_of
from backburner.cli.log import log_to_stderr
from backburner.cli.opening import open_app

_EPILOG = f"""\b
Exit codes:
  {codes.OK}   it was told to stop
  {codes.FAILED}   something unexpected, such as an address in use
  {codes.USAGE}   the command line is wrong
  {codes.CONFIG}  the app, its settings or its tables cannot be used, or the extra is missing"""


@click.command(epilog=_EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8_000, show_default=True, help="Port to listen on.")
@click.option("--dev", is_flag=True, help="For development on this machine only: everybody may see and do everything.")
@click.pass_context
def command(context: click.Context, host: str, port: int, dev: bool) -> None:
    """Serve the web pages and the HTTP API.

    Needs: pip install 'backburner[web]'. Without --dev nobody sees anything but with a signed link, until
    the app says who may.

    \b
    Examples:
      backburner --app shop.tasks:jobs web --dev
      backburner web --host 0.0.0.0 --port 8080
    """
    call = call_of(context)
    log_to_stderr(call.verbose)
    web.serve(open_app(call), host=host, port=port, development=dev)
