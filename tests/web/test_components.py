"""The components together, in a real browser: what they share, what they survive, what they say to whom."""

import io
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from backburner import Backburner, Job, JobState, PermanentError, current_job
from backburner.ending import Ending
from backburner.web import notice
from backburner.worker import Worker
from examples.components.app import VISITOR, components_app
from examples.components.tasks import declare
from tests.proxy import Proxy
from tests.waiting import wait_until
from tests.web.browsing import Host, Watched, checked, serving
from tests.web.listening import Listener
from tests.web.shop import Shop

expect.set_options(timeout=20_000)


@pytest.fixture
def host(shop: Shop) -> Iterator[Host]:
    with serving(shop) as made:
        yield made


class Examples:
    """The page of all components, and what browsers reported of its policy."""

    def __init__(self, jobs: Backburner) -> None:
        declare(jobs)
        self.app = components_app(jobs)
        self.listener = Listener(self.app, self.app.state.inside)
        self.url = self.listener.url


@pytest.fixture
def examples(shop: Shop) -> Iterator[Examples]:
    made = Examples(shop.jobs)
    made.listener.start()
    yield made
    shop.gate.set()
    made.listener.stop()
    assert made.app.state.reports == []


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1000, "height": 800}, reduced_motion="reduce")
    yield made
    made.close()


@pytest.fixture
def watched(context: BrowserContext) -> Iterator[Watched]:
    seen = Watched(context.new_page())
    yield seen
    assert seen.troubles == []


def bars(page: Page) -> Any:
    return page.locator("backburner-progress .bb-figure")


# One connection


def test_two_tabs_and_ten_bars_use_one_connection(
    shop: Shop, worker: Worker, host: Host, context: BrowserContext
) -> None:
    jobs = [shop.export.enqueue("October"), *(shop.add.options(delay=3600).enqueue(1, n) for n in range(9))]
    address = f"{host.url}/?ids={','.join(job.id for job in jobs)}"
    feed, tabs = host.backburner.state.feed, [context.new_page() for _ in range(2)]
    for tab in tabs:
        tab.goto(address)
        expect(bars(tab).first).to_have_text("50%")
        expect(bars(tab)).to_have_count(10)
        expect(bars(tab).last).to_have_text("Scheduled")
    wait_until(lambda: feed.viewers == 1, "one stream is open")
    # Whoever joins with a job of its own is served by the same.
    third, own = context.new_page(), shop.add.options(delay=3600).enqueue(1, 10)
    third.goto(f"{host.url}/?ids={own.id}")
    expect(bars(third)).to_have_text("Scheduled")
    wait_until(lambda: feed.viewers == 1, "one stream is open")
    # The tab that leads goes: another one takes over.
    tabs.pop(0).close()
    shop.gate.set()
    expect(bars(tabs[0]).first).to_have_text("Succeeded")
    own.cancel()
    expect(bars(third)).to_have_text("Cancelled")
    wait_until(lambda: feed.viewers == 1, "one stream is open")


@pytest.mark.long
def test_without_locks_each_tab_has_a_connection_of_its_own(
    shop: Shop, worker: Worker, host: Host, context: BrowserContext
) -> None:
    """As in pages that are not secure."""
    context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined });")
    job, tabs = shop.export.enqueue("October"), [context.new_page() for _ in range(2)]
    for tab in tabs:
        tab.goto(f"{host.url}/?ids={job.id}")
        expect(bars(tab)).to_have_text("50%")
    wait_until(lambda: host.backburner.state.feed.viewers == 2, "two streams are open")
    shop.gate.set()
    for tab in tabs:
        expect(bars(tab)).to_have_text("Succeeded")


# What it survives


def test_the_server_is_started_anew(shop: Shop, worker: Worker, watched: Watched) -> None:
    job, page = shop.export.enqueue("October"), watched.page
    with ExitStack() as stack:
        host = stack.enter_context(serving(shop))
        page.goto(f"{host.url}/?ids={job.id}")
        expect(bars(page)).to_have_text("50%")
        shop.gate.clear()
        host.stop()
        expect(page.locator(".bb-message")).to_have_text("Reconnecting")
        expect(page.locator(".bb-note")).to_have_text("The work goes on. Only this display has lost its connection.")
        expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
        expect(bars(page)).to_have_text("50%")
        again = Host(shop, port=int(host.url.rpartition(":")[2]))
        stack.callback(again.stop)
        again.start()
        expect(page.locator(".bb-message")).to_have_text("Half is done, 50 of 100 orders")
        shop.gate.set()
        expect(bars(page)).to_have_text("Succeeded")
        stack.pop_all()
        again.stop()


@pytest.mark.parametrize(("fault", "milliseconds"), [("cut", 30_000), ("blackhole", 50_000)])
def test_the_network_is_away(
    shop: Shop, worker: Worker, host: Host, watched: Watched, fault: str, milliseconds: int
) -> None:
    """Connections end, or nothing comes through and nobody says so: that is noticed after 45 s of silence."""
    job, page = shop.export.enqueue("October"), watched.page
    with Proxy(int(host.url.rpartition(":")[2])) as wire:
        page.clock.install()
        page.goto(f"http://localhost:{wire.port}/?ids={job.id}")
        expect(bars(page)).to_have_text("50%")
        getattr(wire, fault)()
        page.clock.fast_forward(milliseconds)
        expect(page.locator(".bb-message")).to_have_text("Reconnecting")
        expect(page.locator(".bb-note")).to_have_text("The work goes on. Only this display has lost its connection.")
        expect(bars(page)).to_have_text("50%")
        wire.heal()
        page.clock.fast_forward(10_000)
        expect(page.locator(".bb-message")).to_have_text("Half is done, 50 of 100 orders")
        shop.gate.set()
        expect(bars(page)).to_have_text("Succeeded")


def test_the_laptop_was_asleep(shop: Shop, worker: Worker, host: Host, watched: Watched) -> None:
    """Its clock has gone on by an hour, and its connection went nowhere without a word."""
    job, page = shop.export.enqueue("October"), watched.page
    page.clock.install()
    page.goto(f"{host.url}/?ids={job.id}")
    expect(bars(page)).to_have_text("50%")
    streams: list[str] = []
    page.on("request", lambda request: streams.append(request.url) if "/events" in request.url else None)
    page.clock.fast_forward(3_600_000)
    shop.gate.set()
    wait_until(lambda: page.evaluate("1") and streams, "it has connected anew")
    expect(bars(page)).to_have_text("Succeeded")


# Languages


def test_it_speaks_the_language_of_the_page(shop: Shop, worker: Worker, host: Host, watched: Watched) -> None:
    job, page = shop.export.enqueue("October"), watched.page
    page.goto(f"{host.url}/?ids={job.id}")
    expect(page.locator(".bb-message")).to_have_text("Half is done, 50 of 100 orders")
    page.evaluate("document.documentElement.lang = 'cs-CZ'")
    expect(page.locator(".bb-message")).to_have_text("Half is done, 50 z 100 orders")
    expect(page.get_by_role("button", name="Zrušit")).to_be_visible()
    # An element of its own language, and one that the page brings.
    page.locator("backburner-progress").evaluate("bar => { bar.lang = 'de' }")
    expect(page.get_by_role("button", name="Abbrechen")).to_be_visible()
    french = "{ cancel: 'Annuler', of: '{done} sur {total}' }"
    page.evaluate(f"async () => (await import('/bb/static/backburner.js')).translate('fr', {french})")
    page.locator("backburner-progress").evaluate("bar => { bar.lang = 'fr' }")
    expect(page.get_by_role("button", name="Annuler")).to_be_visible()
    expect(page.locator(".bb-message")).to_have_text("Half is done, 50 sur 100 orders")
    shop.gate.set()
    expect(bars(page)).to_have_text("Succeeded")


# All of them


def test_a_day_in_the_shop(shop: Shop, worker: Worker, examples: Examples, watched: Watched) -> None:
    """A form is sent twice by mistake, the tray follows to the next page, and the list has the file."""
    page = watched.page
    watched.collect("start", "started", "complete")
    page.goto(examples.url)
    expect(page.locator("backburner-tray details")).to_be_hidden()
    form = page.locator("backburner-submit").first
    form.locator("form").evaluate(
        "form => { const pause = document.createElement('input'); pause.type = 'number'; pause.name = 'pause';"
        " pause.step = 'any'; pause.value = '0.01'; form.append(pause); }"
    )
    form.get_by_role("button", name="Export").dblclick()
    expect(form.locator(".bb-title")).to_have_text("Export orders of October 2026")
    expect(form.locator("form")).to_be_hidden()
    assert len(shop.jobs.find(task="components.export")) == 1
    # The element is told later which job it is; its live output opens.
    [export] = shop.jobs.find(task="components.export")
    page.evaluate("href => { document.getElementById('output').src = href }", f"/backburner/jobs/{export.id}")
    expect(page.locator("#output .bb-log")).to_contain_text("orders up to 20 written")
    # By keyboard alone: the tray opens, and Cancel is reached in it.
    summary = page.locator("backburner-tray summary")
    expect(summary).to_contain_text("1 job")
    summary.focus()
    page.keyboard.press("Enter")
    tray = page.locator("backburner-tray")
    expect(tray.locator(".bb-title")).to_have_text("Export orders of October 2026")
    page.keyboard.press("Tab")
    expect(tray.locator(".bb-tray-list")).to_be_visible()
    # On the next page it is there as well, and ends there.
    page.goto(f"{examples.url}/wait.html")
    page.goto(examples.url)
    expect(summary).to_contain_text("1 job")
    summary.click()
    expect(tray.get_by_role("link", name="Download orders October 2026.csv")).to_be_visible(timeout=60_000)
    tray.get_by_role("button", name="Dismiss").click()
    expect(page.locator("backburner-tray details")).to_be_hidden()
    page.goto(f"{examples.url}/backburner/mine")
    expect(page.get_by_text("Export orders of October 2026")).to_have_count(0)
    assert export.refresh().state is JobState.SUCCEEDED


def test_a_view_of_the_app_answers_the_form(shop: Shop, worker: Worker, examples: Examples, watched: Watched) -> None:
    """Not done in time it is the bar, done in time the page that it leads to; a lost answer doubles nothing."""
    page = watched.page
    page.goto(examples.url)
    form = page.locator("backburner-submit").nth(1)
    # The job is stored, and the answer is lost.
    page.route("**/start", lambda route: (route.fetch(max_redirects=0), route.abort()), times=1)
    form.get_by_role("button", name="Export").click()
    expect(form.get_by_role("alert")).to_have_text("The server could not be reached. Try again.")
    form.get_by_role("button", name="Export").click()
    expect(form.locator(".bb-title")).to_have_text("Export orders of November 2026")
    [job] = shop.jobs.find(task="components.export")
    form.get_by_role("button", name="Cancel").click()
    expect(form.locator(".bb-figure")).to_have_text("Cancelled")
    form.get_by_role("button", name="Dismiss").click()
    expect(form.get_by_role("button", name="Export")).to_be_focused()
    assert job.refresh().state is JobState.CANCELLED


def test_what_does_not_fit_is_said_beside_the_form(shop: Shop, examples: Examples, watched: Watched) -> None:
    page = watched.page
    page.goto(examples.url)
    form = page.locator("backburner-submit").first
    form.evaluate("form => form.setAttribute('task', 'components.feed')")
    form.get_by_role("button", name="Export").click()
    expect(form.get_by_role("alert")).to_have_text("month is no parameter")
    form.evaluate("form => form.setAttribute('task', 'unknown')")
    form.get_by_role("button", name="Export").click()
    expect(form.get_by_role("alert")).to_contain_text("It is unknown here")
    assert shop.jobs.find() == []


def test_it_is_an_ordinary_form_without_scripts(
    shop: Shop, worker: Worker, examples: Examples, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(examples.url)
    page.get_by_role("button", name="Export", exact=True).first.click()
    expect(page).to_have_url(re.compile(r"/backburner/jobs/[0-9a-f-]{36}/wait$"))
    page.goto(f"{examples.url}/backburner/mine")
    expect(page.get_by_text("Export orders of October 2026")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page).to_have_url(f"{examples.url}/backburner/mine")
    [job] = shop.jobs.find(task="components.export")
    assert job.wait(30)
    page.reload()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("You have started nothing")).to_be_visible()
    page.goto(examples.url)
    page.get_by_role("button", name="Import in the background").click()
    expect(page.get_by_role("status")).to_contain_text("runs in the background with the ID …")
    page.get_by_role("link", name="My jobs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My jobs")
    context.close()
    shop.jobs.cancel(done=False)


def test_what_concerns_everybody_and_no_more(shop: Shop, worker: Worker, examples: Examples, watched: Watched) -> None:
    def shared(**options: Any) -> Job:
        return shop.patient.options(**options).enqueue()

    page = watched.page
    shared(owner="other", title="A secret of others", tags=["search"])
    shared(owner="other", title="The search index is being rebuilt", tags=["search"], visibility="users")
    page.goto(examples.url)
    bar = page.locator("backburner-global")
    expect(bar.locator(".bb-title")).to_have_text("The search index is being rebuilt")
    expect(bar.get_by_role("button")).to_have_count(0)
    assert "A secret" not in page.content()
    shop.gate.set()
    expect(bar.locator(".bb-figure")).to_have_text("Succeeded")


def test_my_jobs_go_on_by_themselves(shop: Shop, worker: Worker, examples: Examples, watched: Watched) -> None:
    page = watched.page
    shop.refuse.options(owner=VISITOR).enqueue().wait(30)
    shop.export.options(owner=VISITOR).enqueue("October")
    page.goto(f"{examples.url}/backburner/mine")
    expect(page.locator("backburner-tray .bb-figure")).to_have_text("50%")
    expect(page.locator(".bb-ended")).to_contain_text("Row 1,204 has no price.")
    shop.gate.set()
    expect(page.locator("backburner-tray").get_by_role("link", name="Download CSV")).to_be_visible()
    page.locator("backburner-tray").get_by_role("button", name="Dismiss").click()
    expect(page.locator("backburner-tray .bb-card")).to_have_count(0)
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("link", name="Finished").click()
    expect(page.locator(".bb-ended li")).to_have_count(1)


def test_a_job_that_ends_while_my_jobs_loads_stays_on_it(
    shop: Shop, worker: Worker, examples: Examples, watched: Watched
) -> None:
    job = shop.export.options(owner=VISITOR).enqueue("October")
    assert shop.reached.wait(30)

    def late(route: Route) -> None:
        shop.gate.set()
        job.wait(30)
        route.continue_()

    page = watched.page
    page.route("**/jobs?mine=true&done=false*", late)
    page.goto(f"{examples.url}/backburner/mine")
    expect(page.locator("backburner-tray").get_by_role("link", name="Download CSV")).to_be_visible()
    expect(page.locator("backburner-tray .bb-figure")).to_have_text("Succeeded")


# Whatever the texts, and whoever looks


CORPUS = (
    "<script>window.hit=1</script>",
    '"><img src=x onerror=window.hit=1>',
    "<svg onload=window.hit=1>",
    "'-window.hit=1-'",
    "{{ 7*7 }}{n}${1}",
    "</textarea></title></style><iframe srcdoc='<script>parent.hit=1</script>'>",
    "javascript:window.hit=1",
)
EVIL = " ".join(CORPUS)


def test_nothing_in_a_job_runs(shop: Shop, worker: Worker, examples: Examples, watched: Watched) -> None:
    """In none of the fields that a job, a worker or a user can fill, in no element and on no page for end users."""
    gate, reached = threading.Event(), threading.Event()

    @shop.jobs.task(name="evil", max_attempts=1)
    def evil(end: str) -> str:
        job = current_job()
        assert job is not None
        job.stage(EVIL[:200], 10, EVIL[:40])
        job.advance(5, EVIL)
        job.log(EVIL)
        job.message(EVIL, "warning")
        job.link(EVIL[:200], "/x?" + quote(EVIL))
        job.link(EVIL[:200], route="gone")
        job.item_failed(EVIL[:200], EVIL)
        job.attach(io.BytesIO(b"x"), name=EVIL[:100], media_type="text/html")
        reached.set()
        assert gate.wait(60)
        if end == "fail":
            raise PermanentError(EVIL)
        return EVIL

    tags = ["search", EVIL.replace('"', "'")[:90]]
    said: Any = {"title": EVIL, "tags": tags, "identifier": EVIL[:200], "meta": {EVIL: EVIL}}
    task = evil.options(owner=VISITOR, visibility="users", **said)
    made, page = [task.enqueue(end) for end in ("well", "fail")], watched.page
    assert reached.wait(30)
    page.goto(examples.url)
    page.evaluate(
        "([first, second]) => { for (const [id, job] of [['one', first], ['two', second], ['output', first]])"
        " document.getElementById(id).src = '/backburner/jobs/' + job }",
        [job.id for job in made],
    )
    page.get_by_role("button", name="Show log").click()
    for place in ("#one", "#two", "backburner-tray", "backburner-global"):
        expect(page.locator(f"{place} .bb-title").first).to_have_text(EVIL)
    expect(page.locator("#output .bb-log")).to_contain_text(EVIL)
    page.goto(f"{examples.url}/backburner/mine")
    expect(page.locator(".bb-title").first).to_have_text(EVIL)
    page.goto(f"{examples.url}/backburner/jobs/{made[0].id}/wait")
    expect(page.get_by_role("heading", level=1)).to_have_text(EVIL)
    gate.set()
    assert all(job.wait(30) for job in made)
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    assert page.evaluate("window.hit") is None
    page.goto(f"{examples.url}/backburner/mine")
    expect(page.locator(".bb-ended li")).to_have_count(2)
    expect(page.locator(".bb-ended")).to_contain_text(f"Failed 0 s ago. {EVIL}"[:6])
    assert page.evaluate("window.hit") is None
    said_of = notice(made[0].refresh())
    page.goto("about:blank")
    page.set_content(f"<p>{said_of}</p>")
    assert page.evaluate("[window.hit, document.querySelectorAll('script, img, svg, iframe').length]") == [None, 0]


def test_anybody_can_use_it(shop: Shop, worker: Worker, examples: Examples, watched: Watched) -> None:
    """axe finds nothing in either theme, a phone scrolls nothing sideways, and the keyboard is enough."""
    page, own = watched.page, {"owner": VISITOR}
    shop.refuse.options(**own).enqueue().wait(30)  # type: ignore[arg-type]
    shop.add.options(title="Add later", delay=86_400, **own).enqueue(1, 2)  # type: ignore[arg-type]
    job = shop.export.options(visibility="users", tags=["search"], **own).enqueue("October")  # type: ignore[arg-type]
    assert shop.reached.wait(30)
    page.goto(examples.url)
    page.evaluate(
        "id => { for (const name of ['one', 'output']) document.getElementById(name).src = '/backburner/jobs/' + id }",
        job.id,
    )
    page.locator("backburner-tray summary").click()
    expect(page.locator("backburner-tray .bb-title").first).to_be_visible()
    expect(page.locator("#output .bb-log")).to_contain_text("order 50")
    checked(watched)
    page.goto(f"{examples.url}/backburner/mine")
    expect(page.locator("backburner-tray .bb-figure").first).to_be_visible()
    checked(watched)
    # From the top of the page by keyboard alone: to Cancel of a job, and it is cancelled.
    page.locator("body").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Cancel":
            break
    page.keyboard.press("Enter")
    expect(page.locator("backburner-tray .bb-figure").get_by_text("Cancelled")).to_have_count(1)
    page.goto(f"{examples.url}/backburner/jobs/{job.id}/wait")
    # Until the first answer is there, what the server wrote stands beside the element's own parts.
    expect(page.locator(".bb-standing")).to_have_count(1)
    checked(watched)


def test_whoever_leaves_is_told_when_it_is_done(
    shop: Shop, worker: Worker, examples: Examples, watched: Watched
) -> None:
    told: list[Ending] = []
    shop.jobs.endings.add(told.append, "list")
    job, page = shop.export.options(owner=VISITOR).enqueue("October"), watched.page
    page.goto(f"{examples.url}/backburner/jobs/{job.id}/wait")
    # Before that, the button is that of a form.
    expect(page.locator(".bb-live")).to_be_visible()
    page.get_by_role("button", name="Tell me when it is done").click()
    expect(page.locator(".bb-note")).to_have_text("You will be told when it is done.")
    page.goto(f"{examples.url}/backburner/mine")
    expect(page.locator("backburner-tray .bb-title")).to_have_count(1)
    shop.gate.set()
    wait_until(lambda: told, "it is told")
    assert [(ending.job, ending.owner, ending.state) for ending in told] == [(job.id, VISITOR, "succeeded")]
