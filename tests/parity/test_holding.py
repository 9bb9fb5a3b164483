"""The page that people wait on, and the wait that makes it unnecessary."""

import threading
from pathlib import Path

import httpx
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backburner import Backburner, Task, current_job
from backburner.web import Holding, User, respond, web_app
from tests.parity.conftest import StartWorker
from tests.web.browsing import Watched, browsing
from tests.web.listening import Listener


def shop(jobs: Backburner, task: Task[[], None], wait: float) -> Listener:
    """A small shop: a form, what it leads to, and pages of Backburner in its own layout."""

    def layout(request: Request, holding: Holding) -> str:
        return (
            f'<!doctype html><html lang="en"><title>{holding.title}</title>{holding.head}'
            f"<p>Kestrel Outdoor</p>{holding.body}"
        )

    app, inside = FastAPI(), web_app(jobs, resolve_user=lambda request: User("ada"), holding_page=layout)

    def start(request: Request) -> Response:
        job = task.options(owner="ada").enqueue()
        return RedirectResponse(respond(job, wait=wait, then="/thanks", at="/backburner").location, 303)

    def text(body: str) -> Response:
        return Response(f'<!doctype html><html lang="en">{body}', media_type="text/html")

    app.mount("/backburner", inside)
    app.add_api_route("/", lambda: text('<form method="post" action="/start"><button>Go</button></form>'))
    app.add_api_route("/thanks", lambda: text("<h1>Thank you</h1>"))
    app.add_api_route("/start", start, methods=["POST"])
    return Listener(app, inside)


def test_see_07_a_page_of_the_app_holds_people_until_the_job_leads_them_on(
    jobs: Backburner, start_worker: StartWorker, chromium: Path
) -> None:
    gate = threading.Event()

    @jobs.task
    def pay() -> None:
        current_job().progress(60, "Asking the bank")
        assert gate.wait(60)

    start_worker()
    listener = shop(jobs, pay, wait=0)
    listener.start()
    try:
        with browsing(chromium) as browser:
            watched = Watched(browser.new_page())
            watched.collect("complete")
            page = watched.page
            page.goto(listener.url)
            page.get_by_role("button", name="Go").click()
            page.get_by_text("Kestrel Outdoor").wait_for()
            page.get_by_text("Asking the bank").wait_for()
            page.wait_for_function("document.title === '60% · Pay'")
            gate.set()
            page.get_by_role("heading", name="Thank you").wait_for()
            page.go_back()
            page.get_by_role("button", name="Go").wait_for()
            assert watched.troubles == []
    finally:
        gate.set()
        listener.stop()


def test_see_08_what_ends_within_the_acceptable_wait_has_no_page_in_between(
    jobs: Backburner, start_worker: StartWorker
) -> None:
    @jobs.task
    def pay() -> None: ...

    listener = shop(jobs, pay, wait=30)
    listener.start()
    try:
        start_worker()
        with httpx.Client(base_url=listener.url, timeout=25) as browser:
            # Had it slept its whole time, this client would have given up.
            answer = browser.post("/start")
        assert (answer.status_code, answer.headers["location"]) == (303, "/thanks")
    finally:
        listener.stop()
