"""The component and the pages in a real browser, against a real server and a real worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from backburner import JobState
from backburner.web.words import duration
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.web.browsing import Host, Watched, serving
from tests.web.shop import Shop, store_output

expect.set_options(timeout=20_000)


@pytest.fixture
def host(shop: Shop) -> Iterator[Host]:
    with serving(shop) as made:
        yield made


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1000, "height": 700}, reduced_motion="reduce")
    seen = Watched(context.new_page())
    yield seen
    context.close()
    assert seen.troubles == []


def value(page: Page) -> float:
    return float(page.locator("progress").first.evaluate("bar => bar.hasAttribute('value') ? bar.value : -1"))


def test_a_bar_moves_and_ends_with_the_result(shop: Shop, worker: Worker, host: Host, watched: Watched) -> None:
    job = shop.export.enqueue("October")
    page = watched.page
    watched.collect("progress", "state", "complete", "done", "failed")
    page.goto(f"{host.url}/?ids={job.id}")
    expect(page.locator(".bb-title")).to_have_text("Export orders of October")
    expect(page.locator(".bb-figure")).to_have_text("50%")
    expect(page.locator(".bb-message")).to_have_text("Half is done, 50 of 100 orders")
    assert 0.5 <= value(page) < 0.6
    # Reloaded in the middle it shows no less.
    page.reload()
    expect(page.locator(".bb-figure")).to_have_text("50%")
    assert value(page) >= 0.5
    shop.gate.set()
    expect(page.locator(".bb-figure")).to_have_text("Succeeded")
    assert value(page) == 1
    result = page.get_by_role("link", name="Download CSV")
    expect(result).to_have_attribute("href", "/orders.csv")
    expect(result).to_have_class("bb-button bb-main")
    expect(page.get_by_role("status")).to_contain_text("Succeeded")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download Orders").click()
    assert Path(downloading.value.path()).read_bytes() == b"id,total\n1,2\n"
    heard = page.evaluate("heard")
    assert ["complete", "succeeded"] in heard
    assert heard[-1] == ["done", "succeeded"]
    assert "failed" not in [kind for kind, _ in heard]


def test_cancel(shop: Shop, worker: Worker, host: Host, watched: Watched) -> None:
    job = shop.patient.enqueue()
    page = watched.page
    watched.collect("cancelled")
    page.goto(f"{host.url}/?ids={job.id}")
    expect(page.locator(".bb-figure")).to_have_text("40%")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".bb-figure")).to_have_text("Cancelled")
    expect(page.locator(".bb-message")).to_have_text("Stopped at 4 of 10 steps.")
    assert job.refresh().state is JobState.CANCELLED
    assert page.evaluate("heard") == [["cancelled", "cancelled"]]


def test_a_failure_is_an_alert_without_private_text(shop: Shop, worker: Worker, host: Host, watched: Watched) -> None:
    job, crash = shop.refuse.enqueue(), shop.crash.enqueue()
    page = watched.page
    page.goto(f"{host.url}/?ids={job.id},{crash.id}")
    cards = page.locator("backburner-progress")
    expect(cards.nth(0).get_by_role("alert")).to_contain_text("Row 1,204 has no price.")
    expect(cards.nth(1).locator(".bb-message")).to_have_text("It stopped with an error.")
    expect(cards.nth(1)).to_contain_text(f"…{crash.id[-4:]}")
    assert "hunter2" not in page.content()
    cards.nth(0).get_by_role("button", name="Try again").click()
    wait_until(lambda: job.refresh().attempt == 2 and job.refresh().done, "it ran again")
    expect(cards.nth(0).locator(".bb-figure")).to_have_text("Failed")


def test_several_share_one_connection(shop: Shop, host: Host, watched: Watched) -> None:
    ids = [shop.add.enqueue(1, n).id for n in range(8)]
    streams: list[str] = []
    page = watched.page
    page.on(
        "request",
        lambda request: streams.append(request.url) if "/events" in request.url or "/feed" in request.url else None,
    )
    page.goto(f"{host.url}/?ids={','.join(ids)}")
    for place, card in enumerate(page.locator("backburner-progress").all(), 1):
        expect(card.locator(".bb-message")).to_contain_text(
            f"{place}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(place, 'th') } in line"
        )
    assert len(streams) == 1
    # The address can be set later, and to something else.
    page.evaluate("id => { document.querySelector('backburner-progress').src = '/bb/jobs/' + id }", ids[5])
    expect(page.locator("backburner-progress").first.locator(".bb-message")).to_contain_text("6th in line")


def test_it_polls_where_streams_do_not_pass(shop: Shop, worker: Worker, host: Host, watched: Watched) -> None:
    job = shop.export.enqueue("October")
    page = watched.page
    page.route("**/events**", lambda route: route.fulfill(status=503, body="no"))
    page.goto(f"{host.url}/?ids={job.id}")
    expect(page.locator(".bb-figure")).to_have_text("50%")
    shop.gate.set()
    expect(page.locator(".bb-figure")).to_have_text("Succeeded")


def test_a_lost_connection_keeps_the_last_snapshot(shop: Shop, worker: Worker, host: Host, watched: Watched) -> None:
    job = shop.export.enqueue("October")
    page = watched.page
    page.goto(f"{host.url}/?ids={job.id}")
    expect(page.locator(".bb-figure")).to_have_text("50%")
    page.route("**/bb/jobs/**", lambda route: route.abort())
    host.backburner.state.shutdown.ask()
    expect(page.locator(".bb-message")).to_have_text("Reconnecting")
    expect(page.locator(".bb-message .bb-icon")).to_have_count(1)
    expect(page.locator(".bb-figure")).to_have_text("50%")
    assert value(page) >= 0.5
    host.backburner.state.shutdown._asked = False
    page.unroute("**/bb/jobs/**")
    shop.gate.set()
    expect(page.locator(".bb-figure")).to_have_text("Succeeded", timeout=60_000)


def test_an_unknown_job_is_said_to_be_unknown(shop: Shop, host: Host, watched: Watched) -> None:
    shop.jobs.store.ready()
    watched.page.goto(f"{host.url}/?ids=01a1fe3d-8c27-72b1-84a0-4f9b196f4b46")
    expect(watched.page.locator(".bb-message")).to_have_text("There is no such job here, or it was cleaned away.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(shop: Shop, worker: Worker, host: Host, browser: Browser, scheme: str) -> None:
    shop.gate.set()
    long = shop.export.options(title="W" * 300, owner="o" * 200, tags=["t" * 200], identifier="i" * 200)
    ids = [long.enqueue("x").id, shop.refuse.options(title="Price list " * 20).enqueue().id, shop.crash.enqueue().id]
    for job in ids:
        assert shop.jobs.wait(job, 30)
    context = browser.new_context(viewport={"width": 360, "height": 700}, color_scheme=scheme, has_touch=True)  # type: ignore[arg-type]
    page = Watched(context.new_page())
    for path in (
        f"/?log=1&ids={','.join(ids)}",
        *("/bb/dashboard/jobs", "/bb/dashboard/jobs?queue=none", "/bb/dashboard/jobs/nothing"),
        *(f"/bb/dashboard/jobs/{job}" for job in ids),
    ):
        page.page.goto(host.url + path)
        if path.startswith("/?"):
            expect(page.page.locator("backburner-progress .bb-title").last).to_be_visible()
        assert page.overflow() <= 0, path
    assert page.troubles == []
    context.close()


def test_pages_work_without_scripts(shop: Shop, host: Host, browser: Browser) -> None:
    job = shop.add.options(title="Add numbers").enqueue(1, 2)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(host.url + "/bb/")
    expect(page.locator("h1")).to_have_text("Overview")
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    expect(page.locator("h1")).to_have_text("Jobs")
    page.locator("#q").fill("task:shop.add")
    page.locator("#q").press("Enter")
    assert page.url.endswith("?q=task%3Ashop.add")
    page.get_by_role("link", name="Add numbers").click()
    expect(page.locator(".why")).to_contain_text("No worker is running")
    page.get_by_role("button", name="Cancel job").click()
    expect(page.locator("h1 + .chip")).to_have_text("Cancelled")
    assert job.refresh().state is JobState.CANCELLED
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("h1 + .chip")).to_have_text("Queued")
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete this job").click()
    expect(page.locator(".empty")).to_contain_text("There are no jobs yet")
    context.close()


def test_the_job_page_follows_its_job(shop: Shop, worker: Worker, host: Host, watched: Watched) -> None:
    job = shop.export.enqueue("October")
    assert shop.reached.wait(30)
    page = watched.page
    page.goto(f"{host.url}/bb/dashboard/jobs/{job.id}")
    expect(page.locator("[data-log]")).to_contain_text("order 50")
    expect(page.locator("h1 + .chip")).to_have_text("Running")
    expect(page.locator(".figure")).to_have_text("50%")
    shop.gate.set()
    expect(page.locator("[data-log]")).to_contain_text("order 90")
    expect(page.locator("h1 + .chip")).to_have_text("Succeeded")
    expect(page.locator(".figure")).to_have_text("100%")
    expect(page.get_by_role("link", name="Download CSV")).to_be_visible()
    lines = page.locator("[data-log]").inner_text().split("order ")
    assert len(lines) == 11, "each line once"
    expect(page.locator("[data-messages] li")).to_have_text(["Half is done"])


def test_the_job_page_shows_what_changed_before_it_began_to_follow(shop: Shop, host: Host, watched: Watched) -> None:
    job, page = shop.add.options(delay=3600).enqueue(1, 2), watched.page

    def meanwhile(route: Route) -> None:
        shop.jobs.retry(job.cancel())
        route.continue_()

    page.route("**/events**", meanwhile, times=1)
    page.goto(f"{host.url}/bb/dashboard/jobs/{job.id}")
    expect(page.locator("h1 + .chip")).to_have_text("Queued")
    expect(page.locator(".why")).to_contain_text("No worker is running")


def test_other_sites_can_do_nothing(shop: Shop, host: Host, browser: Browser) -> None:
    """A form on another origin: the browser itself says where it comes from."""
    job = shop.add.enqueue(1, 2)
    page = browser.new_page()
    foreign = host.url.replace("localhost", "127.0.0.1")
    form = f'<form method="post" action="{host.url}/bb/jobs/{job.id}/cancel"><button>Go</button></form>'
    page.route(f"{foreign}/evil", lambda route: route.fulfill(content_type="text/html", body=form))
    page.goto(f"{foreign}/evil")
    with page.expect_response("**/cancel") as answering:
        page.get_by_role("button").click()
    assert answering.value.status == 403
    assert job.refresh().state is JobState.QUEUED
    page.close()


# Offsets count characters as Python does; in a browser each of these counts as two.
WIDE = ("\U0001f525" * 3 + "\n", "behind them\n")


def test_a_bar_shows_the_output_behind_wide_characters(shop: Shop, host: Host, watched: Watched) -> None:
    job = shop.add.enqueue(1, 2)
    store_output(shop.jobs, job, WIDE)
    watched.page.goto(f"{host.url}/?log=1&ids={job.id}")
    expect(watched.page.locator(".bb-log")).to_contain_text("behind them")


def test_the_job_page_shows_the_output_behind_wide_characters(shop: Shop, host: Host, watched: Watched) -> None:
    job = shop.add.enqueue(1, 2)
    watched.page.goto(f"{host.url}/bb/dashboard/jobs/{job.id}")
    store_output(shop.jobs, job, WIDE)
    job.cancel()
    expect(watched.page.locator("[data-log]")).to_contain_text("behind them")


def test_whoever_listens_hears_that_a_bar_is_dismissed(
    shop: Shop, worker: Worker, host: Host, watched: Watched
) -> None:
    job = shop.add.enqueue(1, 2)
    page = watched.page
    watched.collect("dismiss")
    page.goto(f"{host.url}/?ids={job.id}")
    expect(page.locator(".bb-figure")).to_have_text("Succeeded")
    page.locator("backburner-progress").evaluate("bar => bar.toggleAttribute('dismiss')")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("backburner-progress")).to_have_count(0)
    assert page.evaluate("heard") == [["dismiss", "succeeded"]]


def test_scripts_and_pages_say_durations_alike(host: Host, watched: Watched) -> None:
    seconds = [0.0, 0.32, 1.0, 9.96, 12.84, 59.99, 69.0, 3599.0, 7560.0, 172_799.0, 300_000.0]
    watched.page.goto(host.url + "/bb/dashboard/jobs")
    script = "async (seconds) => seconds.map((await import('/bb/static/words.js')).duration)"
    assert watched.page.evaluate(script, seconds) == [duration(each) for each in seconds]
