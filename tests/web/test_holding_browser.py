"""The holding page in a real browser: from a form to where the job leads."""

import re
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from backburner import Backburner, Task, current_job
from backburner.web import arespond
from backburner.worker import Worker
from tests.web.browsing import STRICT, Host, Watched, serving
from tests.web.shop import Shop

expect.set_options(timeout=20_000)


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1000, "height": 700}, reduced_motion="reduce")
    seen = Watched(context.new_page())
    yield seen
    context.close()
    assert seen.troubles == []


class Counter:
    """A shop with a form that starts a job. `steps` let it go on, one after the other."""

    def __init__(self, shop: Shop, host: Host) -> None:
        self.shop, self.host, self.steps = shop, host, (Event(), Event())
        steps = self.steps

        @shop.jobs.task(name="count", title="Export orders of October 2026")
        def count() -> None:
            job = current_job()
            assert job is not None
            for name, step in zip(("Load orders", "Write rows"), steps, strict=True):
                job.stage(name, 10, "orders")
                job.advance(4)
                while not step.wait(0.02):
                    job.check()

        self.count: Task[[], Any] = count
        self.paths: dict[str, Any] = {"wait": 0, "then": "/thanks"}
        self.task: Task[[], Any] = count
        for path, page in (("/form", self.form), ("/thanks", self.thanks)):
            host.app.add_api_route(path, page, methods=["GET"])
        host.app.add_api_route("/start", self.start, methods=["POST"])

    async def form(self) -> Response:
        return self._page("Shop", '<form method="post" action="/start"><button>Export</button></form>')

    async def thanks(self) -> Response:
        return self._page("Thanks", "<h1>Here it is</h1>")

    async def start(self, request: Request) -> Response:
        reply = await arespond(self.task.enqueue(), at="/bb", **self.paths)
        return RedirectResponse(reply.location, reply.status)

    def _page(self, title: str, body: str) -> Response:
        policy = {"content-security-policy": STRICT}
        return HTMLResponse(f'<!doctype html><html lang="en"><title>{title}</title>{body}', headers=policy)

    def export(self, page: Page) -> None:
        """Open the form and send it."""
        page.goto(f"{self.host.url}/form")
        page.get_by_role("button", name="Export").click()


@pytest.fixture
def counter(shop: Shop, worker: Worker) -> Iterator[Counter]:
    with serving(shop) as host:
        made = Counter(shop, host)
        yield made
        for step in made.steps:
            step.set()


def test_from_the_form_to_where_it_leads(counter: Counter, watched: Watched) -> None:
    page = watched.page
    counter.export(page)
    expect(page.locator(".bb-live")).to_contain_text("Live, updated")
    expect(page).to_have_url(re.compile(r"/bb/jobs/[0-9a-f-]+/wait$"))
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Export orders of October 2026")
    expect(heading).to_be_focused()
    expect(page.locator(".bb-figure")).to_have_text("40%")
    expect(page).to_have_title("40% · Export orders of October 2026")
    expect(page.locator(".bb-stages li")).to_have_count(1)
    expect(page.locator(".bb-promise")).to_have_text(
        "This page goes on by itself when it is done. You may also leave: the work goes on."
    )
    counter.steps[0].set()
    expect(page.locator(".bb-stages li").nth(0)).to_contain_text("Succeeded: Load orders")
    expect(page.locator(".bb-stages li").nth(1)).to_contain_text("Running: Write rows")
    expect(page.locator(".bb-message")).to_contain_text("4 of 10 orders")
    counter.steps[1].set()
    expect(page).to_have_url(f"{counter.host.url}/thanks")
    page.go_back()
    expect(page).to_have_url(f"{counter.host.url}/form")


def test_the_bar_moves(shop: Shop, counter: Counter, watched: Watched) -> None:
    counter.task = shop.patient
    counter.export(watched.page)
    expect(watched.page.locator(".bb-live")).to_be_visible()
    expect(watched.page.locator("progress")).to_have_attribute("value", "0.4")
    expect(watched.page.locator("progress")).to_be_visible()


def test_what_is_done_in_time_has_no_page_in_between(shop: Shop, counter: Counter, watched: Watched) -> None:
    seen: list[str] = []
    page = watched.page
    page.on("request", lambda request: seen.append(request.url) if request.is_navigation_request() else None)
    counter.task, counter.paths = quick(shop.jobs), {"wait": 30, "then": "/thanks"}
    counter.export(page)
    expect(page.get_by_role("heading")).to_have_text("Here it is")
    assert [url.rpartition("/")[2] for url in seen] == ["form", "start", "thanks"]


def quick(jobs: Backburner) -> Task[[], Any]:
    """A task that is done at once."""

    @jobs.task(name="quick")
    def run() -> None: ...

    return run


def check_until(page: Page, text: str) -> None:
    """Click "Check again" until the page has this text."""
    for _ in range(1_000):
        if page.get_by_text(text).count():
            return
        with page.expect_navigation():
            page.get_by_role("link", name="Check again").click()
    raise AssertionError(f"{text!r} never came")


def test_without_scripts(counter: Counter, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    counter.export(page)
    counter.steps[0].set()
    check_until(page, "Write rows, 4 of 10 orders")
    expect(page.get_by_text("40%")).to_be_visible()
    expect(page).to_have_title("40% · Export orders of October 2026")
    with page.expect_navigation():
        page.get_by_role("button", name="Cancel").click()
    check_until(page, "Try again")
    expect(page).to_have_title("Cancelled · Export orders of October 2026")
    counter.steps[1].set()
    with page.expect_navigation():
        page.get_by_role("button", name="Try again").click()
    check_until(page, "Here it is")
    expect(page).to_have_url(f"{counter.host.url}/thanks")
    context.close()


def test_a_failure_stays_where_it_is_read(shop: Shop, counter: Counter, watched: Watched) -> None:
    page = watched.page
    counter.task = shop.refuse
    watched.collect("leave")
    counter.export(page)
    expect(page.get_by_role("alert")).to_contain_text("Row 1,204 has no price.")
    expect(page.locator(".bb-standing")).to_have_text("Failed")
    expect(page).to_have_title("Failed · Refuse")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.locator(".bb-promise")).to_be_hidden()
    assert page.evaluate("heard") == [["leave", "failed"]]


def test_whoever_listens_can_keep_the_page(counter: Counter, watched: Watched) -> None:
    page = watched.page
    watched.collect("leave")
    page.add_init_script("addEventListener('backburner:leave', (event) => event.preventDefault());")
    counter.export(page)
    expect(page.locator(".bb-live")).to_be_visible()
    expect(page.locator(".bb-figure")).to_have_text("40%")
    for step in counter.steps:
        step.set()
    expect(page.locator(".bb-standing")).to_have_text("Succeeded")
    assert page.evaluate("heard") == [["leave", "succeeded"]]
    assert page.url.endswith("/wait")


def test_a_form_of_the_page_can_be_sent_instead(shop: Shop, counter: Counter, watched: Watched) -> None:
    job, page, host = counter.count.enqueue(), watched.page, counter.host

    async def own() -> Response:
        return counter._page(
            "Own",
            '<script type="module" src="/bb/static/backburner.js"></script>'
            '<form id="on" method="post" action="/paid"><input name="order" value="7"><button>Go on</button></form>'
            f'<backburner-wait src="/bb/jobs/{job.id}" form="on" then="//evil.example/"></backburner-wait>',
        )

    async def paid(request: Request) -> Response:
        return counter._page("Paid", f"<h1>Paid: {(await request.body()).decode()}</h1>")

    host.app.add_api_route("/own", own, methods=["GET"])
    host.app.add_api_route("/paid", paid, methods=["POST"])
    page.goto(f"{host.url}/own")
    expect(page.locator(".bb-live")).to_be_visible()
    for step in counter.steps:
        step.set()
    expect(page.get_by_role("heading")).to_have_text("Paid: order=7")


def test_what_is_not_kept_leads_on_as_well(counter: Counter, watched: Watched) -> None:
    page = watched.page
    counter.task = counter.count.options(keep=0)
    counter.export(page)
    expect(page.locator(".bb-live")).to_be_visible()
    for step in counter.steps:
        step.set()
    expect(page).to_have_url(f"{counter.host.url}/thanks")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(counter: Counter, browser: Browser, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 700}, color_scheme=scheme, has_touch=True)
    page = Watched(context.new_page())
    counter.task = counter.count.options(title="W" * 200 + " of October")
    counter.export(page.page)
    expect(page.page.locator(".bb-stages")).to_be_visible()
    assert page.overflow() <= 0
    assert page.troubles == []
    context.close()
