"""S09: on no page, in no field that a job, a task, a worker or a visitor can fill, does anything run in a browser.

Each page has hostile text in all of its places at once. A script that ran would set `window.hit`; one that was only
stopped by the policy is a violation that the page reports: both fail, and so does a page that does not show the text.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from backburner import Backburner
from backburner.web import notice, web_app
from backburner.web.login import FORM_COOKIE
from backburner.web.passwords import hash_password
from backburner.worker import Worker, WorkerOptions
from tests.attack.estate import Estate, furnish
from tests.databases import Kind
from tests.web.browsing import Host, Watched, browsing, serving
from tests.web.listening import listening
from tests.web.shop import SECRET, Shop

expect.set_options(timeout=20_000)

# As short as may be: all of it has to fit into a hundred characters, where some places cut.
EVIL = "\"'><script>hit=1</script><svg onload=hit=1>{{7*7}}${1}</title></textarea><a href=javascript:hit=1>"
"""Ends attributes, elements that swallow markup, and strings; is a template in two languages."""
OWNER = "developer"


class Furnished:
    """A served app that is full of it, for all tests of this module."""

    def __init__(self, host: Host, estate: Estate, evil_task: str) -> None:
        self.host, self.estate, self.evil_task = host, estate, evil_task


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with browsing(chromium) as made:
        yield made


@pytest.fixture(scope="module")
def furnished(sqlite_kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    folder = tmp_path_factory.mktemp("evil")
    jobs = Backburner(sqlite_kind.migrated(folder), secret=SECRET, files=str(folder / "files"), poll=0.05)
    name = EVIL[:200]

    @jobs.task(name=name, title=EVIL.replace("{", "{{").replace("}", "}}"), api=True)
    def evil(text: str = EVIL, password: str = "") -> None: ...

    estate = furnish(jobs, EVIL, OWNER)
    evil.options(owner=OWNER, delay=86_400).enqueue()
    jobs.insight.runtime.say("keep_failed", 86_400, EVIL)
    with serving(Shop(jobs)) as host, Worker(jobs, WorkerOptions(label=EVIL, queues=("nothing",))):
        yield Furnished(host, estate, name)
    jobs.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1100, "height": 800}, reduced_motion="reduce")
    yield made
    made.close()


@pytest.fixture
def watched(context: BrowserContext) -> Watched:
    return Watched(context.new_page())


def sound(watched: Watched, place: str) -> None:
    """Nothing has run, nothing was stopped from running, and no element came out of a text."""
    page = watched.page
    assert page.evaluate("window.hit") is None, place
    assert watched.troubles == [], place
    assert page.locator("svg[onload], a[href^='javascript:'], script:not([src])").count() == 0, place


def pages_of(furnished: Furnished) -> dict[str, tuple[str, bool]]:
    """Each page, and whether it shows the text."""
    estate, said = furnished.estate, quote(EVIL, safe="")
    done, failed, waiting = estate.done.id, estate.failed.id, estate.waiting.id
    filtered = quote('"' + EVIL.replace("\\", "\\\\").replace('"', '\\"') + '"', safe="")
    return {
        "overview": ("/dashboard/overview", True),
        "jobs": ("/dashboard/jobs?columns=state,title,task,queue,tags,owner,identifier,error", True),
        "jobs, filtered": (f"/dashboard/jobs?q={filtered}", True),
        "jobs, a filter that cannot be read": (f"/dashboard/jobs?q=x:{said}", True),
        "many": (f"/dashboard/jobs/many?verb=cancel&id={waiting}", False),
        "many, filtered": (f"/dashboard/jobs/many?verb=cancel&all=1&q={filtered}", True),
        "a job that succeeded": (f"/dashboard/jobs/{done}", True),
        "a job that failed": (f"/dashboard/jobs/{failed}", True),
        "a job that waits": (f"/dashboard/jobs/{waiting}", True),
        "edit": (f"/dashboard/jobs/{waiting}/edit", True),
        "no such job": (f"/dashboard/jobs/{said}", False),
        "failures": (f"/dashboard/failures?open={estate.places['fingerprint']}", True),
        "failures, filtered": (f"/dashboard/failures?text={said}&task={said}", True),
        "queues": ("/dashboard/queues", True),
        "schedules": ("/dashboard/schedules", True),
        "workers": ("/dashboard/workers", True),
        "tasks": ("/dashboard/tasks", True),
        "a task": (f"/dashboard/tasks/{quote(furnished.evil_task, safe='')}", True),
        "audit": ("/dashboard/audit", True),
        "audit, filtered": (f"/dashboard/audit?by={said}&target={said}", True),
        "settings": (f"/dashboard/settings?preview=keep_failed&value={said}", True),
        "my jobs": ("/mine", True),
        "holding page": (f"/jobs/{waiting}/wait", True),
        "holding page of a failure": (f"/jobs/{failed}/wait", True),
        "a problem": (f"/jobs?state={said}", False),
    }


def test_s09_nothing_runs_on_any_page(furnished: Furnished, watched: Watched) -> None:
    page, blind = watched.page, set()
    for name, (path, shows) in pages_of(furnished).items():
        page.goto(f"{furnished.host.url}/bb{path}")
        sound(watched, name)
        # Also in the values of fields, and what is folded away.
        shown = page.evaluate(
            "document.documentElement.textContent"
            " + [...document.querySelectorAll('input, textarea')].map((one) => one.value).join()"
        )
        if (EVIL[:60] in shown) is not shows:
            blind.add(name)
    assert blind == set()


def test_s09_nothing_runs_in_what_is_typed_completed_or_said(furnished: Furnished, watched: Watched) -> None:
    page, site = watched.page, f"{furnished.host.url}/bb/dashboard"
    page.goto(f"{site}/jobs")
    for text in (EVIL, "queue:", "owner:", f"tag:{EVIL[:20]}"):
        page.locator("#q").fill(text)
        with page.expect_response("**/complete?**"):
            page.locator("#q").press("End")
            page.locator("#q").press_sequentially(" ")
        sound(watched, f"typed: {text}")
    # A neighbour's site may set the cookie of a toast.
    toast = quote('["' + EVIL.replace('"', '\\"') + '", "javascript:hit=1"]')
    page.context.add_cookies([{"name": "backburner_said", "value": toast, "url": furnished.host.url}])
    page.goto(f"{site}/queues")
    sound(watched, "toast")
    # Buttons that ask before they act show what they act on.
    page.goto(f"{site}/jobs/{furnished.estate.waiting.id}")
    page.get_by_text("Delete", exact=True).click()
    sound(watched, "dialog")


def test_s09_nothing_runs_in_components_of_another_page(furnished: Furnished, watched: Watched) -> None:
    estate, page = furnished.estate, watched.page
    ids = ",".join(job.id for job in (estate.done, estate.failed, estate.waiting))
    page.goto(f"{furnished.host.url}/?log=1&ids={ids}")
    for card in page.locator("backburner-progress").all():
        expect(card.locator(".bb-title")).to_have_text(EVIL)
    expect(page.locator("backburner-progress .bb-log").first).to_contain_text(EVIL)
    sound(watched, "components")
    said = notice(estate.done)
    page.goto("about:blank")
    page.set_content(f"<p>{said}</p>")
    assert page.evaluate("[window.hit, document.querySelectorAll('script, svg').length]") == [None, 0]


def test_s09_nothing_runs_where_people_sign_in(furnished: Furnished, watched: Watched) -> None:
    jobs = Backburner(
        furnished.estate.jobs.settings.url, secret=SECRET, operators=(f"boss={hash_password('a good one')}",),
        environment=EVIL,
    )  # fmt: skip
    page = watched.page
    with listening(web_app(jobs, login=True)) as url:
        page.goto(f"{url}/dashboard/login?next={quote(EVIL, safe='')}")
        page.get_by_label("Name").fill(EVIL)
        page.get_by_label("Password").fill(EVIL)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Name and password do not fit.")).to_be_visible()
        assert page.get_by_label("Name").input_value() == EVIL
        sound(watched, "login")
        assert FORM_COOKIE in {cookie.get("name") for cookie in page.context.cookies()}
    jobs.close()


def test_s09_output_and_files_are_no_pages(furnished: Furnished, context: BrowserContext) -> None:
    """Opened on their own, output is text, and a file is saved under a name of one line."""
    root, estate = f"{furnished.host.url}/bb", furnished.estate
    log = context.request.get(f"{root}/jobs/{estate.done.id}/log")
    assert (log.headers["content-type"], log.headers["x-content-type-options"]) == (
        "text/plain; charset=utf-8", "nosniff",
    )  # fmt: skip
    assert EVIL in log.text()
    file = context.request.get(f"{root}/files/{estate.places['file_id']}")
    assert file.headers["content-disposition"].startswith("attachment; ")
    assert file.headers["content-security-policy"] == "default-src 'none'; sandbox"
