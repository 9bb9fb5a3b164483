"""The Django shop of the examples, in a real browser, behind gunicorn (WSGI) and uvicorn (ASGI)."""

import os
import re
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from backburner import Backburner, JobState
from examples.django_shop.__main__ import ROOT, server
from tests.route_jobs.test_secrets import dump, processes
from tests.servers import free_port
from tests.waiting import wait_until
from tests.web.browsing import browsing

MANAGE = [sys.executable, "-m", "examples.django_shop.manage"]
SECONDS = 30_000


class DjangoShop:
    """Its folder with a database, and a worker."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.database = folder, folder / "shop.sqlite3"
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        self.environ = os.environ | {
            "DJANGO_SHOP_FOLDER": str(folder), "DJANGO_SHOP_WAIT": "4", "PYTHONPATH": path, "COLUMNS": "200",
            "DJANGO_SETTINGS_MODULE": "examples.django_shop.settings",
        }  # fmt: skip
        self.jobs = Backburner(f"sqlite:///{self.database}")

    def manage(self, *words: str) -> str:
        run = subprocess.run([*MANAGE, *words], env=self.environ, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        return run.stdout

    @contextmanager
    def running(self, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / f"{len(list(self.folder.glob('*.log')))}.log").open("wb") as log:
            process = subprocess.Popen(command, env=self.environ, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(30) in (0, -15), f"it did not end well: {self.said()}"

    def said(self) -> list[str]:
        """What its processes have said."""
        return [log.read_text(errors="replace") for log in sorted(self.folder.glob("*.log"))]

    def hide(self) -> None:
        with closing(sqlite3.connect(self.database, timeout=20)) as connection:
            connection.execute("UPDATE catalog_product SET published = 0")
            connection.commit()

    def published(self) -> int:
        with closing(sqlite3.connect(self.database, timeout=20)) as connection:
            found: int = connection.execute("SELECT count(*) FROM catalog_product WHERE published").fetchone()[0]
            return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjangoShop]:
    made = DjangoShop(tmp_path_factory.mktemp("django-shop"))
    made.manage("migrate", "--verbosity", "0")
    made.manage("fill")
    with made.running([*MANAGE, "backburner", "worker", "--grace", "1s"]):
        wait_until(made.jobs.workers.list, "a worker is there", 110)
        yield made
    made.jobs.close()


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with browsing(chromium) as made:
        yield made


@pytest.fixture(params=["gunicorn", pytest.param("uvicorn", marks=pytest.mark.long)])
def address(request: pytest.FixtureRequest, shop: DjangoShop) -> Iterator[str]:
    port = free_port()
    with shop.running(server(port, asgi=request.param == "uvicorn")):
        found = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{found}/backburner/livez"), "the server answers")
        yield found


def answers(url: str) -> int | None:
    """The status without any cookie."""
    with suppress(OSError):
        try:
            return int(urllib.request.urlopen(url, timeout=10).status)
        except HTTPError as error:
            return error.code
    return None


def signed_in(browser: Browser, address: str, name: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(SECONDS)
    page.goto(f"{address}/login/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", name)
    page.click("main button")
    page.wait_for_url(f"{address}/")
    return page


def ask_for(page: Page, address: str, rows: int) -> None:
    page.goto(address)
    page.fill("[name=rows]", str(rows))
    page.get_by_role("button", name="Export").click()


def test_a_day_in_the_shop(shop: DjangoShop, browser: Browser, address: str) -> None:
    ada = signed_in(browser, address, "ada")
    exports(shop, ada, address)
    report(browser, ada, address)
    products(shop, browser, address)
    assert answers(f"{address}/backburner/dashboard/jobs") == 200, "a page to sign in"
    assert ada.goto(f"{address}/backburner/dashboard/jobs").status == 403  # type: ignore[union-attr]
    assert ada.goto(f"{address}/admin/backburner/job/").url.startswith(f"{address}/admin/login/")  # type: ignore[union-attr]


def exports(shop: DjangoShop, ada: Page, address: str) -> None:
    seen: list[str] = []
    ada.on("framenavigated", lambda frame: seen.append(frame.url))
    ask_for(ada, address, 3)
    ada.wait_for_url("**/exports/done/")
    assert not any(url.endswith("/wait") for url in seen), "done in time: no page in between"
    shop.jobs.queues.pause("default")
    ask_for(ada, address, 40)
    ada.wait_for_url("**/wait")
    expect(ada.locator("backburner-wait")).to_contain_text("1st in line", timeout=SECONDS)
    shop.jobs.queues.resume("default")
    ada.wait_for_url("**/exports/done/")
    ada.goto(address)
    bar = ada.locator("backburner-progress").first
    expect(bar).to_contain_text("Succeeded", timeout=SECONDS)
    with ada.expect_download() as download:
        bar.get_by_role("link", name="products.csv").click()
    assert download.value.path().read_text().startswith("name;price")
    shop.jobs.queues.pause("default")
    ask_for(ada, address, 1000)
    ada.wait_for_url("**/wait")
    ada.get_by_role("button", name="Cancel").click()
    ada.wait_for_url(f"{address}/")
    expect(ada.locator("backburner-progress").first).to_contain_text("Cancelled", timeout=SECONDS)
    shop.jobs.queues.resume("default")


def report(browser: Browser, ada: Page, address: str) -> None:
    ada.goto(address)
    ada.get_by_role("button", name="Build it in the background").click()
    expect(ada.locator(".messages")).to_contain_text("Yearly report runs in the background. Show progress")
    output = ada.locator("backburner-progress")
    expect(output).to_contain_text("Month 12 for ada", timeout=SECONDS)
    expect(output).to_contain_text("The report is ready.", timeout=SECONDS)
    job = ada.url.rstrip("/").rpartition("/")[2]
    sam = signed_in(browser, address, "sam")
    assert sam.goto(f"{address}/backburner/jobs/{job}").status == 404  # type: ignore[union-attr]
    ada.goto(address)
    assert "Sign ada out" in ada.content(), "the session is as it was"


def products(shop: DjangoShop, browser: Browser, address: str) -> None:
    shop.hide()
    sam = signed_in(browser, address, "sam")
    sam.goto(f"{address}/admin/catalog/product/")
    assert "Publish selected" not in sam.content()
    assert sam.goto(f"{address}/admin/backburner/job/").status == 403  # type: ignore[union-attr]
    olga = signed_in(browser, address, "olga")
    olga.goto(f"{address}/admin/catalog/product/")
    olga.check("#action-toggle")
    olga.click("text=Select all 1000 products")
    olga.select_option("[name=action]", "publish")
    olga.click("[name=index]")
    notice = olga.locator(".messagelist")
    expect(notice).to_contain_text("Publish selected products (1,000 products) runs in the background")
    link = notice.get_by_role("link").first.get_attribute("href")
    olga.goto(f"{address}{link}")
    expect(olga.locator("backburner-wait")).to_contain_text("Done for 1,000 products.", timeout=SECONDS)
    assert shop.published() == 1000
    olga.goto(f"{address}/admin/backburner/job/?state=succeeded")
    olga.get_by_role("link", name="Publish selected products (1,000 products)").first.click()
    expect(olga.locator(".backburner-log")).to_contain_text("100 products are published.")
    olga.set_viewport_size({"width": 360, "height": 740})
    olga.goto(f"{address}/admin/backburner/job/?state=succeeded")
    olga.get_by_role("link", name="Yearly report").first.click()
    expect(olga.get_by_role("heading", name="Attempts")).to_be_visible()
    assert olga.evaluate("document.documentElement.scrollWidth") == 360
    assert olga.goto(f"{address}/backburner/dashboard/jobs").status == 200  # type: ignore[union-attr]


def test_the_commands_of_the_project(shop: DjangoShop) -> None:
    assert "examples.django_shop.catalog.tasks.export" in shop.manage("backburner", "jobs", "list", "--json")
    assert "no problems" in shop.manage("backburner", "doctor")
    assert "no issues" in shop.manage("check", "--database", "default")


SETTINGS = """
from examples.django_shop.settings import *

# Django keeps the key of a session in its own table, unless the cookie holds all of it.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
"""
PASSWORD = "canary-password-c4d8"


@pytest.mark.long
def test_no_login_is_left_behind(shop: DjangoShop, tmp_path: Path) -> None:
    """Neither the cookie of a route job's user, nor a form's token, nor a password: in no file, log or process."""
    (tmp_path / "canary_settings.py").write_text(SETTINGS)
    shop.manage(
        "shell",
        "-c",
        f"from django.contrib.auth.models import User; User.objects.create_user('eve', None, {PASSWORD!r})",
    )
    environ = {
        "DJANGO_SETTINGS_MODULE": "canary_settings",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{shop.environ['PYTHONPATH']}",
    }
    port = free_port()
    shop.environ, usual = shop.environ | environ, shop.environ
    eve = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=40)
    tokens = []

    def post(page: str, path: str, **fields: str) -> httpx.Response:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', eve.get(page).text)
        assert found is not None
        tokens.append(found[1])
        return eve.post(path, data={"csrfmiddlewaretoken": found[1], **fields})

    with shop.running(server(port, asgi=False)), shop.running([*MANAGE, "backburner", "worker", "--grace", "1s"]):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/backburner/livez"), "the server answers")
        assert post("/login/", "/login/", username="eve", password=PASSWORD).headers["location"] == "/"
        page = post("/", "/report/start/").headers["location"]
        job = shop.jobs.get(page.rstrip("/").rpartition("/")[2])
        assert job.wait(110), "the report is built"
        during = processes()
    shop.environ = usual
    everything = "\n".join([during, processes(), dump(shop.folder), "\n".join(shop.said())])
    assert job.refresh().state is JobState.SUCCEEDED
    assert all(part in everything for part in ("Month 12 for eve", job.id, "gunicorn")), "it shows what there is"
    for canary in (PASSWORD, eve.cookies["sessionid"], eve.cookies["csrftoken"], *tokens):
        assert canary not in everything
