"""Each example shop is there after one command, with its worker, and gone after one signal."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, expect

from backburner import Backburner
from examples.beside import Beside
from examples.flask_shop import __main__ as flask_shop
from tests.browser.serving import Running, environ_of
from tests.servers import free_port
from tests.waiting import wait_until

SHOPS = {
    "django_shop": ("What takes long", "shop/shop.sqlite3", ["--data", "shop"]),
    "fastapi_shop": ("Office", "shop/shop.db", []),
    "flask_shop": ("Office", "shop/shop.db", []),
}
"""Heading behind the login, database with the jobs, and more words of the command."""


@contextmanager
def started(name: str, folder: Path, port: int) -> Iterator[Running]:
    words = [sys.executable, "-m", f"examples.{name}", "--port", str(port), *SHOPS[name][2]]
    running = Running(words, folder, environ_of(folder))
    try:
        yield running
    finally:
        running.stop()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/backburner/livez", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_the_people_are_there_before_two_processes_look_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def people(_: object) -> int:
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
            return int(connection.execute("SELECT count(*) FROM person").fetchone()[0])

    monkeypatch.setenv("SHOP_FOLDER", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["flask_shop"])
    monkeypatch.setattr(Beside, "run", people)
    assert flask_shop.main() == 3


@pytest.mark.parametrize("name", SHOPS)
@pytest.mark.long
@pytest.mark.timeout(300)
def test_one_command_starts_a_shop_that_works(name: str, tmp_path: Path, browser: Browser) -> None:
    port = free_port()
    url, (heading, database, _) = f"http://localhost:{port}", SHOPS[name]
    with started(name, tmp_path, port) as running:
        wait_until(lambda: running.process.poll() is not None or answers(url), "the server answers", 90)
        assert running.process.poll() is None, running.said()
        page = browser.new_page()
        page.goto(f"{url}/login/" if name == "django_shop" else f"{url}/login")
        page.locator("[name=username], [name=name]").fill("ada")
        page.locator("[name=password]").fill("ada")
        page.locator("main button").click()
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        page.get_by_role("button", name="Export").click()
        expect(page.locator("main")).to_contain_text("ready", timeout=60_000)
        page.close()
        with closing(Backburner(f"sqlite:///{tmp_path / database}")) as jobs:
            assert [job.state for job in jobs.find() if "xport" in (job.title or "")] == ["succeeded"]
        family = psutil.Process(running.process.pid).children(recursive=True)
        assert len(family) >= 3, "a server, a supervisor, and a process that runs jobs"
    assert running.process.returncode == 0
    assert psutil.wait_procs(family, timeout=20)[1] == [], "nobody is left behind"
    assert not answers(url)
