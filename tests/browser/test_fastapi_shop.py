"""The shop on FastAPI: under uvicorn, with a worker of `backburner worker`."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser import story
from tests.browser.serving import Shop
from tests.route_jobs.test_secrets import dump, processes
from tests.waiting import wait_until

# A process that does not answer uvicorn within 5 s is killed by it, which says more of the machine than of the app.
UVICORN = "uvicorn", "--port", "{port}", "--log-level", "warning", "--timeout-worker-healthcheck", "60"
APP = "examples.fastapi_shop.app:app"
WORKER_CLASS = "uvicorn_worker.UvicornWorker"
WORKER = ("backburner", "--app", "examples.fastapi_shop.app:jobs", "worker", "--grace", "2")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, WORKER, SHOP_WAIT="30")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_day_in_the_shop(shop: Shop, browser: Browser) -> None:
    """By uvicorn with two processes."""
    with (
        shop.serving(*UVICORN, "--workers", "2", APP),
        story.visiting(shop, browser, "ada") as ada,
        story.visiting(shop, browser, "bob") as bob,
        story.visiting(shop, browser, "boss") as boss,
    ):
        page = story.wait_on_a_page_of_the_shop(ada)
        shop.start_worker()
        story.see_the_bar_and_the_result(ada)
        story.go_on_at_once_when_it_is_quick(ada)
        story.cancel(ada)
        story.count_the_stock(ada, flashed=False)
        story.the_dashboard_is_for_the_boss(ada, boss)
        story.others_see_nothing(bob, page)
        boss.page.goto(f"{shop.url}/backburner/dashboard/jobs?task=examples.fastapi_shop.tasks.write_to")
        expect(boss.page.get_by_text("Write to ada").first).to_be_visible()


@pytest.mark.long
def test_no_login_is_left_behind(shop: Shop) -> None:
    """By gunicorn with a worker of uvicorn's, which hands its streams out for as long as they take."""
    server = ("gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket", "--worker-class", WORKER_CLASS, APP)
    eve = httpx.Client(base_url=shop.url, timeout=40, headers={"Sec-Fetch-Site": "same-origin"})
    with shop.serving(*server):
        assert eve.post("/login", data={"name": "boss", "password": "boss"}).headers["location"] == "/"
        assert eve.post("/stock", data={"shelves": "3"}).headers["location"] == "/"
        (job,) = (one for one in eve.get("/backburner/jobs").json()["jobs"] if one["title"] == "Count stock")
        with eve.stream("GET", f"{job['href']}/events") as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event: ")) == "event: snapshot"
            shop.start_worker()
            assert "event: done" in lines, "it stays open until the end"
        wait_until(lambda: eve.get(job["href"]).json()["state"] == "succeeded", "the stock is counted", 60)
        during = processes()
        output = eve.get(f"{job['href']}/log").text
    # What it prints is there at once, what it answers piece by piece.
    assert {"shelf 1: 31 items", "boss counted shelf 3"} <= set(output.splitlines())
    everything = "\n".join([during, processes(), dump(shop.folder), shop.said()])
    assert "Count stock" in everything, "the dump shows what there is"
    assert eve.cookies["session"] not in everything
