"""Operators who see little, or use no mouse: every page of a shop at work, by axe and by keyboard alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.browsing import Watched, checked
from tests.web.dashboard.test_login import app_of
from tests.web.listening import listening

ROOT = Path(__file__).parents[3]
MOST_STOPS = 400
"""More stops of the Tab key than any page has."""
REACHED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const seen = getComputedStyle(one), by = (one.labels && one.labels[0]) || one;
  const marked = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
    || style.boxShadow !== "none" || style.textDecorationLine.includes("underline");
  one.dataset.reached = "";
  return { name: one.getAttribute("aria-label") || by.innerText || one.value || one.id,
           tag: one.tagName, shown: marked(seen) || marked(getComputedStyle(one.parentElement)) };
}"""
MISSED = """() => {
  const found = [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary")];
  // Of radio buttons with one name the arrow keys choose.
  const met = new Set(found.filter((one) => one.type === "radio" && "reached" in one.dataset).map((one) => one.name));
  const seen = (one) => one.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
  return found.filter((one) => seen(one) && !one.disabled && one.tabIndex >= 0 && !("reached" in one.dataset)
    && !(one.type === "radio" && met.has(one.name))).map((one) => one.outerHTML.slice(0, 160));
}"""


class Place(NamedTuple):
    """Where the pages of the shop are."""

    address: str
    paths: dict[str, str]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A shop at work, in a process of its own: it reads its settings from the environment."""
    command = [sys.executable, "-m", "examples.operators"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shop:
        assert shop.stdout is not None
        said = json.loads(shop.stdout.readline())
        yield Place(said["address"], said["paths"])
        shop.communicate("\n", timeout=60)
    assert shop.returncode == 0


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    seen = Watched(context.new_page())
    yield seen
    context.close()
    assert seen.troubles == []


PAGES = (
    *("overview", "jobs", "job", "job-failed", "job-blocked", "edit", "failures"),
    *("queues", "schedules", "workers", "tasks", "task", "settings", "audit"),
)


def test_no_page_is_left_out(place: Place) -> None:
    assert set(place.paths) - {"bulk", "filter", "sign-in"} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_the_keyboard_reaches_everything(place: Place, watched: Watched, name: str) -> None:
    page = watched.page
    pause_live_updates(page)
    page.goto(place.address + place.paths[name])
    expect(page.locator("main")).to_be_visible()
    used_by_anybody(watched)


def test_nor_on_the_page_to_sign_in(sqlite_url: str, watched: Watched) -> None:
    page = watched.page
    with listening(app_of(sqlite_url)) as url:
        page.goto(f"{url}/dashboard/jobs")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        from_the_top(page)
        used_by_anybody(watched)
        page.get_by_label("Name").fill("boss")
        page.get_by_label("Password").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Name and password do not fit.")).to_be_visible()
        from_the_top(page)
        used_by_anybody(watched)


def used_by_anybody(watched: Watched) -> None:
    """By axe, on a phone, in both themes, and by keyboard alone."""
    page = watched.page
    checked(watched)
    assert page.evaluate(MISSED) != []
    stops = walk(page)
    assert [stop["name"] for stop in stops if not stop["shown"]] == [], "every stop shows that it has the focus"
    assert page.evaluate(MISSED) == []


def pause_live_updates(page: Page) -> None:
    """As its button does, from the next page on: what is drawn anew has not been visited."""
    page.add_init_script("sessionStorage.setItem('backburner paused', '1')")


def from_the_top(page: Page) -> None:
    """Leave the field that has the focus from the beginning: the next Tab is the first of the page."""
    walk(page)
    page.evaluate("for (const one of document.querySelectorAll('[data-reached]')) delete one.dataset.reached")


def walk(page: Page) -> list[dict[str, Any]]:
    """Every stop of the Tab key, from the top to the end of the page."""
    stops = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(REACHED)
        if stop is None:
            break
        stops.append(stop)
    return stops
