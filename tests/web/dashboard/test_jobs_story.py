"""The list of jobs and the page of one, in a browser: one operator's way through them."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from backburner import Backburner, JobState
from backburner.web.dashboard import frame
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.web.browsing import Host, Watched, checked, serving
from tests.web.shop import Shop

expect.set_options(timeout=20_000)


@pytest.fixture
def host(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(frame, "LIVE_SECONDS", 1)
    with serving(shop) as made:
        yield made


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    seen = Watched(context.new_page())
    yield seen
    context.close()
    assert seen.troubles == []


def ready(page: Page) -> None:
    """The scripts of the page are there."""
    expect(page.locator(".pulse")).to_be_visible()


def rows(page: Page) -> list[str]:
    return page.locator(".grid td.c-job a").all_inner_texts()


def test_the_list(jobs: Backburner, shop: Shop, worker: Worker, host: Host, watched: Watched) -> None:
    refused = [shop.refuse.options(title=f"Price list {n}", tags=["spring"]).enqueue() for n in range(3)]
    for job in refused:
        assert job.wait(30)
    running = shop.export.options(title="Export of October", owner="lena").enqueue("October")
    assert shop.reached.wait(30)
    page = watched.page
    page.goto(f"{host.url}/bb/dashboard/jobs")
    ready(page)
    assert rows(page) == ["Export of October", "Price list 2", "Price list 1", "Price list 0"]
    checked(watched)
    # The filter bar: a word is completed, becomes a token, and the address says it.
    page.keyboard.press("/")
    page.keyboard.type("tag:sp")
    expect(page.locator("#completions [role=option]").first).to_contain_text("tag:spring")
    page.keyboard.press("Tab")
    expect(page.locator("#q")).to_have_value("tag:spring ")
    page.keyboard.press("Enter")
    expect(page.locator(".token")).to_have_text("tag:spring")
    assert page.url.endswith("?q=tag%3Aspring")
    expect(page.locator(".filters a").first).to_have_text("All 3")
    page.get_by_role("link", name="Failed 3").click()
    expect(page.locator(".token")).to_have_count(2)
    page.get_by_role("link", name="Remove the filter tag:spring").click()
    expect(page.locator(".token")).to_have_text("state:failed")
    # Rows by the keyboard, and what is selected.
    ready(page)
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("[data-selected]")).to_have_text("2 selected")
    expect(page.get_by_role("button", name="Cancel 0")).to_be_disabled()
    checked(watched)
    page.get_by_role("button", name="Retry 2").click()
    expect(page.get_by_role("dialog")).to_contain_text("Retry 2 jobs?")
    checked(watched)
    page.get_by_role("dialog").get_by_role("button", name="Retry 2 jobs").click()
    expect(page.locator("[data-toast]")).to_contain_text("2 jobs are in line again.")
    for job in refused[1:]:
        wait_until(lambda job=job: job.refresh().attempt == 2 and job.refresh().done, "it ran again")  # type: ignore[misc]
    assert refused[0].refresh().attempt == 1
    # Everything that matches, with its number.
    page.goto(f"{host.url}/bb/dashboard/jobs?q=tag:spring")
    ready(page)
    page.locator("tbody .pick").first.check()
    page.get_by_label("More for all matching jobs").click()
    page.get_by_role("link", name="Delete all 3 matching").click()
    page.get_by_role("dialog").get_by_label("Type 3 to go on").fill("3")
    page.get_by_role("dialog").get_by_role("button", name="Delete 3 jobs").click()
    expect(page.locator("[data-toast]")).to_contain_text("The deletion of 3 jobs has begun")
    expect(page.locator("h1 + .chip")).to_have_text("Succeeded")
    page.goto(f"{host.url}/bb/dashboard/jobs?q=tag:spring")
    expect(page.locator(".empty")).to_contain_text("No job matches.")
    # A view of one's own.
    page.get_by_text("Save as view").click()
    page.get_by_label("Name").fill("Spring")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="Spring", exact=True)).to_have_attribute("aria-current", "true")
    # What is new comes by itself; not while something is selected.
    page.goto(f"{host.url}/bb/dashboard/jobs")
    assert rows(page)[1:] == ["Export of October"]
    shop.add.options(title="Add up").enqueue(1, 2)
    expect(page.get_by_role("link", name="Add up")).to_be_visible()
    page.locator("tbody .pick").first.check()
    shop.add.options(title="Once more").enqueue(1, 2)
    expect(page.get_by_role("link", name="1 new, show")).to_be_visible()
    assert "Once more" not in rows(page)
    page.get_by_role("link", name="1 new, show").click()
    expect(page.get_by_role("link", name="Once more")).to_be_visible()
    # A finished job stays where it is until the next reload.
    page.goto(f"{host.url}/bb/dashboard/jobs?q=state:running")
    shop.gate.set()
    expect(page.locator("tbody .c-state")).to_have_text("Succeeded")
    assert running.refresh().state is JobState.SUCCEEDED
    # Columns are chosen in the address.
    page.goto(f"{host.url}/bb/dashboard/jobs")
    page.get_by_text("Columns", exact=True).first.click()
    page.get_by_label("Priority").check()
    page.get_by_label("Link").uncheck()
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_role("columnheader", name="Priority")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Link")).to_have_count(0)
    # The menu of a row, and the keys.
    ready(page)
    page.get_by_label("Actions for Once more").click()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("[data-toast]")).to_contain_text("The job is in line again.")
    ready(page)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next and previous row")


def tab_to(page: Page, name: str) -> None:
    """Go on by the Tab key until a control of that name has the focus."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()") == name:
            return
    raise AssertionError(f"Tab does not come to {name}")


def test_without_a_mouse(jobs: Backburner, shop: Shop, worker: Worker, host: Host, watched: Watched) -> None:
    failed = shop.refuse.options(title="Price list").enqueue()
    waiting = shop.add.options(title="Add up", delay=3600).enqueue(1, 2)
    assert failed.wait(30)
    page = watched.page
    page.goto(f"{host.url}/bb/dashboard/overview")
    tab_to(page, "Skip to the content")
    page.keyboard.press("Enter")
    page.goto(f"{host.url}/bb/dashboard/jobs?q=state:failed")
    ready(page)
    tab_to(page, "Select Price list")
    page.keyboard.press("Space")
    tab_to(page, "Retry 1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Retry 1 job?")
    # Away with it by Escape, and the focus is where it was.
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Retry 1 job?")
    tab_to(page, "Retry 1 job")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text("1 job is in line again.")
    wait_until(lambda: failed.refresh().attempt == 2 and failed.refresh().done, "it ran again")
    page.goto(f"{host.url}/bb/dashboard/jobs/{waiting.id}")
    tab_to(page, "Cancel job")
    page.keyboard.press("Enter")
    wait_until(lambda: waiting.refresh().state is JobState.CANCELLED, "it is cancelled")
    page.goto(f"{host.url}/bb/dashboard/queues")
    tab_to(page, "Pause everything")
    page.keyboard.press("Enter")
    tab_to(page, "Pause")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Resume everything")).to_be_visible()
    assert [queue.paused for queue in jobs.queues.list() if queue.name == "*"] == [True]


def test_one_job(jobs: Backburner, shop: Shop, host: Host, watched: Watched) -> None:
    @jobs.task(name="shop.careful", max_attempts=2)
    def careful(text: str, password: str) -> None:
        raise ValueError(text)

    first, second, third = (
        shop.patient.options(group="stock", title=title).enqueue() for title in ("Import", "Correct", "Recalculate")
    )
    page = watched.page
    with Worker(jobs) as worker:
        failing = careful.options(title="Careful one").enqueue("no price", password="hunter2")
        wait_until(lambda: failing.refresh().state is JobState.RETRYING, "it failed once")
        wait_until(lambda: third.refresh().state is JobState.BLOCKED, "it is parked")
        # Why it does not run, what was checked, and the line it stands in.
        page.goto(f"{host.url}/bb/dashboard/jobs/{third.id}")
        expect(page.get_by_role("heading", name="Not running: behind 2 jobs of serial group stock")).to_be_visible()
        expect(page.locator(".checks .unmet")).to_have_count(1)
        expect(page.locator(".checks .unmet")).to_contain_text("Import, running")
        expect(page.locator(".checks .met")).to_have_count(5)
        expect(page.locator(".own")).to_contain_text("Recalculate")
        checked(watched)
        jobs.queues.pause("default", by="Lena", reason="checking")
        expect(page.locator(".checks .unmet")).to_have_count(2)
        expect(page.locator(".checks")).to_contain_text("by Lena: checking")
        page.get_by_role("link", name="Show the job it waits for").click()
        expect(page.locator("h1")).to_have_text("Import")
        # A failure: folded frames, the app's own in bold, secrets hidden.
        page.goto(f"{host.url}/bb/dashboard/jobs/{failing.id}")
        expect(page.locator(".trace summary")).to_have_text("1 frame of Backburner hidden")
        expect(page.locator(".trace code.app")).to_contain_text("test_jobs_story.py")
        expect(page.locator(".trace code.error")).to_have_text("ValueError: no price")
        expect(page.locator("dl.values")).to_contain_text('"no price"')
        assert "hunter2" not in page.content()
        expect(page.locator(".timeline li.expected")).to_contain_text("Queued again")
        checked(watched)
        page.get_by_role("button", name="Cancel job").click()
        expect(page.locator("h1 + .chip")).to_have_text("Cancelled")
        expect(page.locator("[data-toast]")).to_contain_text("The job is cancelled.")
        # What cannot be done now says why.
        page.goto(f"{host.url}/bb/dashboard/jobs/{first.id}")
        expect(page.get_by_role("button", name=re.compile("Delete.*It is running. Cancel it first"))).to_be_disabled()
        shop.gate.set()
        expect(page.locator("h1 + .chip")).to_have_text("Succeeded")
        page.get_by_text("Delete", exact=True).click()
        page.get_by_role("button", name="Delete this job").click()
        expect(page.locator("[data-toast]")).to_contain_text("The job is deleted.")
        worker.stop()
    jobs.queues.resume("default")
    assert second.refresh().state in (JobState.QUEUED, JobState.BLOCKED, JobState.SUCCEEDED)
