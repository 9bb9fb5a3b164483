"""What people see of jobs: how far, what is said, by id, in the page, after a form, in the log, and who may see it."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from playwright.sync_api import expect
from sqlalchemy import event
from starlette.requests import Request
from starlette.responses import HTMLResponse

from backburner import Backburner, Job, JobState, PermanentError, Skip, Task, current_job, track
from backburner.errors import JobNotFound
from backburner.web import User, job_token, notice, web_app
from tests.parity.conftest import StartWorker
from tests.parity.running import done, in_state
from tests.waiting import wait_until
from tests.web.browsing import STRICT, Watched, browsing
from tests.web.listening import Listener

expect.set_options(timeout=20_000)


def who(request: Request) -> User | None:
    name = request.headers.get("x-user", "")
    return User(name, operator=name == "boss") if name else None


@contextmanager
def page(jobs: Backburner, body: str) -> Iterator[Listener]:
    """A page of the app, for its user ada, with Backburner below it."""
    app, inside = FastAPI(), web_app(jobs, resolve_user=lambda request: User("ada"))
    app.mount("/backburner", inside)
    script = '<script type="module" src="/backburner/static/backburner.js"></script>'
    text = f'<!doctype html><html lang="en"><title>Shop</title>{script}{body}'
    headers = {"content-security-policy": STRICT}
    app.add_api_route("/", lambda: HTMLResponse(text, headers=headers), methods=["GET"])
    listener = Listener(app, inside)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


def _has_share(job: Job, share: float) -> bool:
    progress = job.refresh().progress
    return progress is not None and progress.share == share


def test_see_01_a_percentage_that_is_clamped_and_incremented(jobs: Backburner, start_worker: StartWorker) -> None:
    seen, go_on = [threading.Event() for _ in range(3)], [threading.Event() for _ in range(3)]

    def stop(number: int) -> None:
        seen[number].set()
        assert go_on[number].wait(30)

    @jobs.task
    def export() -> None:
        job = current_job()
        job.progress(140, "Too eager")
        stop(0)
        job.progress(60, "Writing")
        job.advance(5)
        stop(1)
        for number in track(range(4), unit="rows"):
            if number == 2:
                stop(2)

    start_worker()
    job = export.enqueue()
    shown = list[tuple[float | None, str | None]]()
    for reached, further in zip(seen, go_on, strict=True):
        assert reached.wait(30)
        expected = [1.0, 0.65, 0.5][len(shown)]
        wait_until(partial(_has_share, job, expected), "it is stored")
        progress = job.refresh().progress
        assert progress is not None
        shown.append((progress.share, progress.message))
        further.set()
    assert shown == [(1.0, "Too eager"), (0.65, "Writing"), (0.5, "Writing")]
    progress = done(job).progress
    assert progress is not None
    assert progress.share == 1


def test_see_02_output_that_grows_and_a_text_that_is_replaced(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task(capture_print=True)
    def export() -> None:
        print("one")
        current_job().log("two")
        current_job().message("first")
        current_job().message("last")

    start_worker()
    job = done(export.options(owner="ada").enqueue())
    client = TestClient(web_app(jobs, resolve_user=who), headers={"x-user": "ada"})
    answer = client.get(f"/jobs/{job.id}/log")
    assert answer.text.split() == ["one", "two"]
    assert client.get(f"/jobs/{job.id}/log?after=4").text.split() == ["two"]
    end = answer.headers["x-log-end"]
    assert client.get(f"/jobs/{job.id}/log?after={end}").text == ""
    assert job.progress is not None
    assert job.progress.message == "last"


def test_see_03_a_job_ends_early_or_fails_from_inside_and_the_process_goes_on(
    jobs: Backburner, start_worker: StartWorker
) -> None:
    @jobs.task
    def export(how: str) -> str:
        if how == "fail":
            raise PermanentError("There is no such month.")
        if how == "skip":
            raise Skip("It is exported already.")
        return how

    start_worker()
    ended = [done(export.enqueue(how)) for how in ("fail", "skip", "all")]
    assert [(str(job.state), job.reason) for job in ended] == [
        ("failed", "There is no such month."), ("skipped", "It is exported already."), ("succeeded", None),
    ]  # fmt: skip


def test_see_04_status_by_id_and_an_unknown_id_is_not_there(jobs: Backburner) -> None:
    @jobs.task
    def export() -> None: ...

    job = export.options(owner="ada").enqueue()
    client = TestClient(web_app(jobs, resolve_user=who), headers={"x-user": "ada"})
    assert client.get(f"/jobs/{job.id}").json()["state"] == "queued"
    unknown = "01a1fe3d-8c27-72b1-84a0-4f9b196f4b46"
    answer = client.get(f"/jobs/{unknown}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    with pytest.raises(JobNotFound):
        jobs.get(unknown)


def test_see_05_status_by_task_the_latest_first(jobs: Backburner) -> None:
    @jobs.task(name="orders.export")
    def export(n: int) -> None: ...

    @jobs.task(name="orders.import")
    def other() -> None: ...

    made = [export.options(owner="ada").enqueue(n) for n in range(3)]
    other.options(owner="ada").enqueue()
    assert [job.id for job in jobs.find(task="orders.export")] == [job.id for job in reversed(made)]
    client = TestClient(web_app(jobs, resolve_user=who), headers={"x-user": "ada"})
    listed = client.get("/jobs?task=orders.export").json()["jobs"]
    assert [job["id"] for job in listed] == [job.id for job in reversed(made)]


@pytest.fixture
def halting(jobs: Backburner) -> Iterator[tuple[Task[[str], None], threading.Event]]:
    """A task that waits at 60 %, and ends as it is told: `well`, or not."""
    gate = threading.Event()

    @jobs.task(title="Export orders", max_attempts=1)
    def export(how: str) -> None:
        current_job().progress(60, "Writing")
        assert gate.wait(60)
        if how != "well":
            raise PermanentError("The disk is full.")

    yield export, gate
    gate.set()


def test_see_06_a_bar_is_told_later_which_job_it_shows(
    jobs: Backburner, start_worker: StartWorker, chromium: Path, halting: tuple[Task[[str], None], threading.Event]
) -> None:
    export, gate = halting
    start_worker()
    first, second = (export.options(owner="ada", title=f"Export {n}").enqueue("well") for n in (1, 2))
    with page(jobs, '<backburner-progress label="Nothing yet"></backburner-progress>') as shop, browsing(chromium) as b:
        watched = Watched(b.new_page())
        watched.page.goto(shop.url)
        bar = watched.page.locator("backburner-progress")
        bar.evaluate("(bar, id) => { bar.src = '/backburner/jobs/' + id }", first.id)
        expect(bar.locator(".bb-title")).to_have_text("Export 1")
        expect(bar.locator(".bb-figure")).to_have_text("60%")
        # And by markup, to another one.
        bar.evaluate("(bar, id) => bar.setAttribute('src', '/backburner/jobs/' + id)", second.id)
        expect(bar.locator(".bb-title")).to_have_text("Export 2")
        gate.set()
        expect(bar.locator(".bb-figure")).to_have_text("Succeeded", timeout=20_000)
        assert watched.troubles == []


def test_see_09_the_page_hears_of_start_progress_and_either_end(
    jobs: Backburner, start_worker: StartWorker, chromium: Path, halting: tuple[Task[[str], None], threading.Event]
) -> None:
    export, gate = halting
    made = [export.options(owner="ada").enqueue(how) for how in ("well", "badly")]
    bars = "".join(f'<backburner-progress id="j{n}"></backburner-progress>' for n in range(2))
    with page(jobs, bars) as shop, browsing(chromium) as browser:
        watched = Watched(browser.new_page())
        watched.page.goto(shop.url)
        watched.page.evaluate(
            "window.heard = {}; for (const kind of ['start', 'progress', 'complete', 'failed', 'done'])"
            " addEventListener('backburner:' + kind, ({ target, detail }) =>"
            " (heard[target.id] ??= new Set()).add(kind + ' ' + detail.job.state));"
        )
        for number, job in enumerate(made):
            script = "(bar, id) => { bar.src = '/backburner/jobs/' + id }"
            watched.page.locator(f"#j{number}").evaluate(script, job.id)
        expect(watched.page.locator("#j1 .bb-figure")).to_have_text("Queued")
        start_worker()
        expect(watched.page.locator("#j1 .bb-figure")).to_have_text("60%", timeout=20_000)
        gate.set()
        for number, state in enumerate(("Succeeded", "Failed")):
            expect(watched.page.locator(f"#j{number} .bb-figure")).to_have_text(state, timeout=20_000)
        heard = watched.page.evaluate(
            "Object.fromEntries(Object.entries(heard).map(([id, kinds]) => [id, [...kinds]]))"
        )
        assert {"start running", "progress running", "complete succeeded", "done succeeded"} <= set(heard["j0"])
        assert {"start running", "progress running", "failed failed", "done failed"} <= set(heard["j1"])
        assert not [kind for kind in heard["j0"] if kind.startswith("failed")]
        assert not [kind for kind in heard["j1"] if kind.startswith("complete")]


def test_see_10_a_global_bar_shows_what_any_user_started_and_opened(
    jobs: Backburner, start_worker: StartWorker, chromium: Path, halting: tuple[Task[[str], None], threading.Event]
) -> None:
    export, _ = halting
    start_worker()
    export.options(owner="bob", title="Bob's own").enqueue("well")
    export.options(owner="bob", title="The index is rebuilt", visibility="users").enqueue("well")
    with page(jobs, '<backburner-global src="/backburner"></backburner-global>') as shop, browsing(chromium) as browser:
        watched = Watched(browser.new_page())
        watched.page.goto(shop.url)
        expect(watched.page.locator("backburner-global .bb-title")).to_have_text("The index is rebuilt", timeout=20_000)
        expect(watched.page.locator("backburner-global .bb-figure")).to_have_text("60%", timeout=20_000)
        # What its owner has not given away is not there: not the other job, no button, not whose it is.
        assert "Bob" not in watched.page.content()
        expect(watched.page.get_by_role("button")).to_have_count(0)
        assert watched.troubles == []


def test_see_11_a_notice_says_that_it_runs_its_id_and_where_the_list_is(jobs: Backburner) -> None:
    @jobs.task
    def export() -> None: ...

    job = export.options(owner="ada", title="<b>Export</b>").enqueue()
    said = notice(job, at="")
    assert f"runs in the background with the ID …{job.id[-4:]}" in unescape(str(said))
    assert "&lt;b&gt;Export&lt;/b&gt;" in said
    client = TestClient(web_app(jobs, resolve_user=who), headers={"x-user": "ada"})
    [follow, mine] = [part.split('"')[0] for part in said.split('href="')[1:]]
    assert client.get(follow, headers={"accept": "text/html"}).status_code == 200
    assert job.id in client.get(mine).text


def test_see_16_failures_go_to_a_log_file_with_their_job(
    jobs: Backburner, start_worker: StartWorker, tmp_path: Path
) -> None:
    @jobs.task(name="orders.export", max_attempts=1)
    def export() -> None:
        raise ValueError("no such month\nforged line")

    file = logging.FileHandler(tmp_path / "failures.log")
    file.setLevel(logging.ERROR)
    logging.getLogger("backburner").addHandler(file)
    try:
        start_worker()
        job = done(export.enqueue())
        wait_until(lambda: (tmp_path / "failures.log").read_text(), "it is written")
    finally:
        logging.getLogger("backburner").removeHandler(file)
        file.close()
    [line] = (tmp_path / "failures.log").read_text().splitlines()
    assert all(words in line for words in (job.id, "orders.export", "failed", "ValueError: no such month"))


def test_see_17_owner_visibility_and_a_token_decide_who_sees_a_job(jobs: Backburner) -> None:
    secret = Backburner(jobs.settings.url, secret="a secret for tests, long enough")

    @secret.task
    def export() -> None: ...

    client = TestClient(web_app(secret, resolve_user=who))

    def seen(job: Any, name: str, **query: str) -> bool:
        return client.get(f"/jobs/{job.id}", headers={"x-user": name}, params=query).status_code == 200

    own, open_, public = (
        export.options(owner="ada", visibility=level).enqueue() for level in ("owner", "users", "public")
    )
    assert [seen(own, name) for name in ("ada", "bob", "", "boss")] == [True, False, False, True]
    assert [seen(open_, name) for name in ("ada", "bob", "")] == [True, True, False]
    assert [seen(public, name) for name in ("ada", "bob", "")] == [True, True, True]
    token = job_token(secret, own, 60)
    assert (seen(own, "", token=token), seen(open_, "", token=token)) == (True, False)
    secret.close()


class Viewers:
    """So many who watch a job, each on a connection of its own; `seen` is how far each of them knows it to be."""

    def __init__(self, url: str, job: Job, count: int) -> None:
        self.seen, self._client = [0.0] * count, httpx.Client(base_url=url, timeout=60)
        self._path = f"/jobs/{job.id}/events?log=0"
        self._threads = [threading.Thread(target=self._watch, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _watch(self, number: int) -> None:
        with self._client.stream("GET", self._path) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    body = json.loads(line.removeprefix("data: "))
                    progress = body.get("progress") or body.get("job", {}).get("progress") or {"done": 0}
                    self.seen[number] = max(self.seen[number], progress["done"])

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
        self._client.close()


def _watching(app: FastAPI, count: int) -> bool:
    return bool(app.state.feed.viewers == count)


def _all_have_seen(every: list[Viewers], place: int) -> bool:
    return min(min(each.seen) for each in every) >= place


def test_see_18_one_reader_serves_all_who_watch(jobs: Backburner, start_worker: StartWorker) -> None:
    step, end = threading.Semaphore(0), threading.Event()

    @jobs.task
    def export() -> None:
        while not end.is_set():
            if step.acquire(timeout=0.02):
                current_job().advance(1)

    start_worker()
    # The worker reads by `jobs`; those who watch read by this one alone.
    reader, asked = Backburner(jobs.settings.url), list[str]()
    app = web_app(reader)
    listener = Listener(app, app)
    listener.start()
    job = in_state(export.options(visibility="public").enqueue(), JobState.RUNNING)
    event.listen(reader.store.engine, "before_cursor_execute", lambda c, cursor, text, *rest: asked.append(text))
    try:
        counts, place, every = list[int](), 0, list[Viewers]()
        for more, all_together in ((1, 1), (11, 12)):
            every.append(Viewers(listener.url, job, more))
            wait_until(partial(_watching, app, all_together), f"{all_together} watch")
            before = len(asked)
            for _ in range(8):
                place += 1
                step.release()
                wait_until(partial(_all_have_seen, every, place), "all have seen it")
            counts.append(len(asked) - before)
        end.set()
        for viewers in every:
            viewers.join()
    finally:
        end.set()
        listener.stop()
        reader.close()
    # Not exactly as many: rounds go on by the clock. Twelve readers would ask twelve times as much.
    assert counts[1] <= 4 * counts[0], counts
