"""A real server and the system's Chromium for the tests of pages and components."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, Dialog, Page, sync_playwright
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from backburner.web import web_app
from examples.shop.browser import ARGUMENTS
from tests.web.listening import Listener
from tests.web.shop import Shop

# The policy of a host page that allows nothing but its own files.
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "require-trusted-types-for 'script'"
)


class Host:
    """The app of somebody else, with Backburner mounted under /bb and components on its page."""

    def __init__(self, shop: Shop, port: int = 0) -> None:
        self.backburner = web_app(shop.jobs, development=True)
        self.app = FastAPI()
        self.app.mount("/bb", self.backburner)
        self.app.add_api_route("/", self._page, methods=["GET"])
        self._listener = Listener(self.app, self.backburner, port)
        self.url, self.server = self._listener.url, self._listener.server

    async def _page(self, request: Request) -> Response:
        elements = "".join(
            f'<backburner-progress src="/bb/jobs/{job}" cancel log="open"></backburner-progress>'
            if request.query_params.get("log")
            else f'<backburner-progress src="/bb/jobs/{job}" cancel></backburner-progress>'
            for job in request.query_params.get("ids", "").split(",")
        )
        return HTMLResponse(
            '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">'
            f'<title>Shop</title><script type="module" src="/bb/static/backburner.js"></script>{elements}',
            headers={"content-security-policy": STRICT},
        )

    def start(self) -> None:
        self._listener.start()

    def stop(self) -> None:
        self._listener.stop()


@contextmanager
def serving(shop: Shop) -> Iterator[Host]:
    """The host app on a free port."""
    host = Host(shop)
    host.start()
    try:
        yield host
    finally:
        shop.gate.set()
        host.stop()


@contextmanager
def browsing(chromium: Path) -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def checked(watched: "Watched") -> None:
    """Look at the page as it is: axe finds nothing, in either theme, and a phone does not scroll it sideways."""
    page = watched.page
    size = page.viewport_size
    assert size is not None
    themes: tuple[Literal["dark", "light"], ...] = ("dark", "light")
    for scheme in themes:
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        said = [f"{scheme}: {one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]
        assert not said, "\n".join(said)
    page.set_viewport_size({"width": 360, "height": 740})
    assert watched.overflow() <= 0
    page.set_viewport_size(size)


class Watched:
    """A page whose errors, dialogs and violations of the policy are remembered."""

    def __init__(self, page: Page) -> None:
        self.page, self.troubles = page, list[str]()
        page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        page.on("dialog", self._dismiss)
        page.on("console", lambda message: self._hear(message.text))
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', (e) =>"
            " console.log('violation ' + e.violatedDirective + ' ' + e.blockedURI));"
        )

    def _dismiss(self, dialog: Dialog) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _hear(self, text: str) -> None:
        if "violation" in text or "Content Security Policy" in text or "TrustedHTML" in text:
            self.troubles.append(text)

    def collect(self, *kinds: str) -> None:
        """Remember what the elements say, in window.heard."""
        self.page.add_init_script(
            f"window.heard = []; for (const kind of {json.dumps(kinds)})"
            " addEventListener('backburner:' + kind, (e) => heard.push([kind, e.detail.job?.state]));"
        )

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
