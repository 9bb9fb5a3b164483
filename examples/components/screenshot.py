"""`python -m examples.components.screenshot [FOLDER]`: pictures of what end users see, from the page of components."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, Page

from backburner import Backburner
from backburner.worker import Worker
from examples.components.app import VISITOR, components_app
from examples.components.tasks import declare
from examples.pictures import FOLDER, browsing, take, told
from examples.shop.listening import listener

_TASKS = "export", "feed", "prices"


def main() -> int:
    """Start what there is to see, open each page in light and dark, wide and narrow, and take its picture."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="components-") as place:
        jobs = Backburner(f"sqlite:///{place}/jobs.db", files=str(Path(place) / "files"))
        declare(jobs)
        with Worker(jobs), _serving(jobs) as address, browsing() as browser:
            large = told(_pictures(browser, jobs, address, folder))
            jobs.cancel(state=("queued", "running"))
        jobs.close()
    return 1 if large else 0


def _pictures(browser: Browser, jobs: Backburner, address: str, folder: Path) -> Iterator[Path]:
    mine = {name: jobs.registry.require(f"components.{name}").options(owner=VISITOR) for name in _TASKS}
    export = mine["export"].enqueue("October 2026", 0.1)
    for job in (mine["prices"].enqueue(), mine["feed"].enqueue(0.0), mine["export"].enqueue("September 2026", 0.0)):
        job.wait(30)
    place = f"{address}/backburner"
    yield from take(browser, f"{place}/jobs/{export.id}/wait", folder / "wait.png", _bar_moves, settled="load")
    yield from take(browser, f"{place}/mine", folder / "mine.png", _bar_moves, settled="load")
    yield from take(browser, address, folder / "components.png", _at_work, settled="load")


def _at_work(page: Page) -> None:
    for name in ("Export orders", "Import a feed", "Import wrong prices", "Rebuild the index"):
        page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_function("document.querySelector('#one progress')?.value >= 0.3")
    page.wait_for_selector("#three .bb-failed")


def _bar_moves(page: Page) -> None:
    page.wait_for_function(
        "document.querySelector('backburner-progress progress, backburner-wait progress')?.value > 0"
    )


@contextmanager
def _serving(jobs: Backburner) -> Iterator[str]:
    app, listening = components_app(jobs), listener()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://localhost:{listening.getsockname()[1]}"
    finally:
        app.state.inside.state.shutdown.ask()
        server.should_exit = True
        thread.join(10)


if __name__ == "__main__":
    sys.exit(main())
