"""What people do in a small shop, whatever it is built with: in a real browser, the shop has no script of its own."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect

from tests.browser.serving import Shop
from tests.web.browsing import Watched

ORDERS = 600
"""So many that the bar is seen on its way."""
JOB = re.compile(r"/backburner/jobs/[0-9a-f-]{36}/wait$")


class Visitor:
    """Somebody in a browser of their own."""

    def __init__(self, shop: Shop, page: Page) -> None:
        self.shop, self.page = shop, page
        self.asked: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url) if request.is_navigation_request() else None)

    def sign_in(self, name: str, password: str | None = None) -> None:
        self.page.goto(f"{self.shop.url}/login")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password or name)
        self.page.get_by_role("button", name="Sign in").click()

    def export(self, orders: int) -> None:
        self.page.goto(self.shop.url)
        self.page.get_by_label("How many").fill(str(orders))
        self.page.get_by_role("button", name="Export").click()

    def count_stock(self, shelves: int) -> None:
        self.page.goto(self.shop.url)
        self.page.get_by_label("Shelves").fill(str(shelves))
        self.page.get_by_role("button", name="Count").click()


@contextmanager
def visiting(shop: Shop, browser: Browser, name: str) -> Iterator[Visitor]:
    """Signed in, in a context of their own; no page may report an error."""
    context = browser.new_context(viewport={"width": 1000, "height": 800}, reduced_motion="reduce")
    watched = Watched(context.new_page())
    visitor = Visitor(shop, watched.page)
    visitor.sign_in(name)
    expect(watched.page.get_by_role("heading", name="Office")).to_be_visible()
    yield visitor
    context.close()
    assert watched.troubles == []


def wait_on_a_page_of_the_shop(ada: Visitor) -> str:
    """Before there is a worker: the page says so, in the shop's own layout. Its address."""
    ada.export(ORDERS)
    expect(ada.page).to_have_url(JOB)
    expect(ada.page.get_by_role("link", name="Kestrel Outdoor")).to_be_visible()
    expect(ada.page.get_by_text(re.compile(r"^\d(st|nd|rd|th) in line$"))).to_be_visible()
    return ada.page.url


def see_the_figure(ada: Visitor) -> None:
    """For a moment the server's own page and the element that takes its place are both there: one is enough."""
    expect(ada.page.locator(".bb-figure").filter(has_text=re.compile(r"^\d+%$")).first).to_be_visible()


def see_the_bar_and_the_result(ada: Visitor) -> None:
    """The worker has started: the figure moves, and the page leads to the result by itself."""
    see_the_figure(ada)
    expect(ada.page.locator("progress").first).to_be_visible()
    expect(ada.page.get_by_role("heading", name="Your export is ready")).to_be_visible()
    with ada.page.expect_download() as download:
        ada.page.get_by_role("link", name="Download the CSV file").click()
    assert download.value.path().read_text().count("\n") == ORDERS
    ada.page.go_back()
    expect(ada.page).not_to_have_url(JOB)


def go_on_at_once_when_it_is_quick(ada: Visitor) -> None:
    """Done within the acceptable wait: there is no page in between."""
    ada.asked.clear()
    ada.export(5)
    expect(ada.page.get_by_role("heading", name="Your export is ready")).to_be_visible()
    assert [re.sub(r"\d+$", "N", url.removeprefix(ada.shop.url)) for url in ada.asked] == ["/", "/export", "/exports/N"]


def cancel(ada: Visitor) -> None:
    """What takes long is cancelled where it is waited for."""
    ada.export(100_000)
    see_the_figure(ada)
    ada.page.get_by_role("button", name="Cancel").click()
    expect(ada.page.locator(".bb-standing").filter(has_text="Cancelled").first).to_be_visible()
    expect(ada.page.get_by_role("button", name="Try again")).to_be_visible()


def count_the_stock(ada: Visitor, *, flashed: bool) -> None:
    """The old view prints, as ada, into the page, and she is signed in as before."""
    before = ada.page.context.cookies()
    ada.count_stock(12)
    notice = ada.page.get_by_text("“Count stock” runs in the background")
    expect(notice).to_have_count(1 if flashed else 0)
    first = ada.page.locator("backburner-progress").first
    expect(first).to_contain_text("Count stock")
    first.get_by_role("button", name="Show log").click()
    expect(first.get_by_role("log")).to_contain_text("shelf 1: 31 items")
    expect(first.get_by_role("log")).to_contain_text("ada counted shelf 12")
    expect(first).to_contain_text("Succeeded")
    ada.page.reload()
    expect(notice).to_have_count(0)
    expect(ada.page.get_by_role("button", name="Sign out ada")).to_be_visible()
    kept = {one["name"]: one["value"] for one in ada.page.context.cookies()}
    assert kept.keys() == {one["name"] for one in before}


def the_dashboard_is_for_the_boss(ada: Visitor, boss: Visitor) -> None:
    """With the permission, and without."""
    answer = ada.page.goto(f"{ada.shop.url}/backburner/dashboard/jobs")
    assert answer is not None
    assert answer.status == 403
    boss.page.get_by_role("link", name="Dashboard").click()
    expect(boss.page.get_by_text("Count stock").first).to_be_visible()


def others_see_nothing(bob: Visitor, address: str) -> None:
    """Not the page, not the output, not a word that it exists."""
    for path in (address, address.removesuffix("/wait"), address.removesuffix("wait") + "log"):
        answer = bob.page.request.get(path)
        assert answer.status == 404
    refused = bob.page.request.post(address.removesuffix("wait") + "cancel", headers={"Sec-Fetch-Site": "same-origin"})
    assert refused.status == 404
