"""The shop on Flask: under gunicorn and behind ASGI, with a worker of `flask backburner worker`."""

import re
import sqlite3
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser
from werkzeug.security import generate_password_hash

from tests.browser import story
from tests.browser.serving import Shop
from tests.route_jobs.test_secrets import dump, processes
from tests.waiting import wait_until
from tests.web.shop import events_of

APP = "examples.flask_shop.app:create_app()"
WORKER = ("flask", "--app", APP, "backburner", "worker", "--grace", "2")
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, WORKER, SHOP_WAIT="30")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_day_in_the_shop(shop: Shop, browser: Browser) -> None:
    """By gunicorn with threads, which has loaded the app before it forks."""
    with (
        shop.serving(*GUNICORN, "--threads", "8", "--preload", "--workers", "2", APP),
        story.visiting(shop, browser, "ada") as ada,
        story.visiting(shop, browser, "bob") as bob,
        story.visiting(shop, browser, "boss") as boss,
    ):
        page = story.wait_on_a_page_of_the_shop(ada)
        shop.start_worker()
        story.see_the_bar_and_the_result(ada)
        story.go_on_at_once_when_it_is_quick(ada)
        story.cancel(ada)
        story.count_the_stock(ada, flashed=True)
        story.the_dashboard_is_for_the_boss(ada, boss)
        story.others_see_nothing(bob, page)


BRIDGE = """
from a2wsgi import WSGIMiddleware

from examples.flask_shop.app import create_app

app = WSGIMiddleware(create_app())
"""
ONE_AT_A_TIME = (*GUNICORN, "--worker-class", "sync", APP)
BRIDGED = ("uvicorn", "--port", "{port}", "--log-level", "warning", "bridged:app")
PASSWORD = "canary-password-c4d8"


class Person:
    """Somebody without a browser; the tokens of forms are read from the pages."""

    def __init__(self, shop: Shop) -> None:
        self.client = httpx.Client(base_url=shop.url, timeout=40, headers={"Sec-Fetch-Site": "same-origin"})
        self.tokens: list[str] = []

    def post(self, page: str, path: str, **fields: str) -> httpx.Response:
        """Send a form that is on a page."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(page).text)
        assert found is not None
        self.tokens.append(found[1])
        return self.client.post(path, data={"csrf_token": found[1], **fields})


@pytest.mark.parametrize("server", [ONE_AT_A_TIME, pytest.param(BRIDGED, marks=pytest.mark.long)])
def test_no_server_is_held_up_and_no_login_is_left_behind(shop: Shop, server: tuple[str, ...]) -> None:
    """A stream or a wait that held the one thread would keep every other request away."""
    (shop.folder / "bridged.py").write_text(BRIDGE)
    with shop.serving(*server):
        with sqlite3.connect(shop.folder / "shop" / "shop.db") as database:
            row = ("eve", generate_password_hash(PASSWORD, method="pbkdf2:sha256:1000"), False)
            database.execute("INSERT INTO person (name, password_hash, is_boss) VALUES (?, ?, ?)", row)
        database.close()
        eve = Person(shop)
        assert eve.post("/login", "/login", name="eve", password=PASSWORD).headers["location"] == "/"
        page = eve.post("/", "/export", orders="300").headers["location"]
        address = page.removesuffix("/wait")
        asked = {"Prefer": "wait=30", "If-None-Match": eve.client.get(address).headers["etag"]}
        assert eve.client.get(address, headers=asked).status_code == 304
        kinds = [kind for kind, _, _ in events_of(eve.client.get(f"{address}/events").text)]
        assert kinds == ["snapshot"]
        assert eve.post("/", "/stock", shelves="3").headers["location"] == "/"
        shop.start_worker()
        wait_until(lambda: eve.client.get(page).headers.get("location") == "/exports/1", "the page leads on", 90)
        (counted,) = (job for job in eve.client.get("/backburner/jobs").json()["jobs"] if job["title"] == "Count stock")
        wait_until(lambda: eve.client.get(counted["href"]).json()["done"], "the stock is counted", 60)
        during = processes()
        output = eve.client.get(f"{counted['href']}/log").text
    assert output.splitlines() == [
        line for n in (1, 2, 3) for line in (f"shelf {n}: {31 * n % 70} items", f"eve counted shelf {n}")
    ]
    everything = "\n".join([during, processes(), dump(shop.folder), shop.said()])
    assert "Count stock" in everything, "the dump shows what there is"
    cookie = eve.client.cookies["session"]
    for canary in (PASSWORD, cookie, *eve.tokens):
        assert canary not in everything
