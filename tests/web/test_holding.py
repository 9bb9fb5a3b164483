"""`respond`, and the holding page as a program sees it; `test_holding_browser.py` looks at it."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape, unescape
from typing import Any

import pytest
from sqlalchemy import create_engine
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from backburner import Backburner, Job, JobState
from backburner.destination import STORED_AS, Destinations
from backburner.errors import InvalidOption, WaitInsideTransaction
from backburner.progress import Progress
from backburner.web import Holding, Reply, arespond, job_token, respond, web_app
from backburner.web.language import language
from backburner.web.sight import Sight
from backburner.web.view import View, view_of
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.web.shop import PRIVATE, Caller, Shop, as_user, by_header

PROGRAM: dict[str, str] = {}
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def page_of(shop: Shop, job: Job) -> str:
    """The page as the job's owner gets it."""
    answer = as_user(shop, "lena").get(f"/jobs/{job.id}/wait", headers=HTML)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    return answer.text


# respond


def test_done_in_time_it_leads_where_the_end_leads(shop: Shop, worker: Worker) -> None:
    paths: dict[str, Any] = {"wait": 30, "then": "/thanks?n=1", "failed": "/sorry"}
    assert respond(shop.add.enqueue(1, 2), **paths) == Reply("/thanks?n=1", done=True)
    assert respond(shop.refuse.enqueue(), **paths) == Reply("/sorry", done=True)
    assert asyncio.run(arespond(shop.add.enqueue(1, 2), **paths)) == Reply("/thanks?n=1", done=True)


def test_an_end_that_leads_nowhere_is_shown_on_the_page(shop: Shop, worker: Worker) -> None:
    job = shop.refuse.options(owner="lena").enqueue()
    assert respond(job, wait=30, then="/thanks") == Reply(f"/backburner/jobs/{job.id}/wait", done=True)
    page = page_of(shop, job)
    assert "Row 1,204 has no price." in page
    assert "<title>Failed · Refuse</title>" in page
    # Tried again it may still come to the end that leads somewhere.
    assert shop.jobs.control.destinations(job.id) == Destinations("/thanks")
    assert f'action="/jobs/{job.id}/wait/retry"' in page


def test_what_is_not_done_in_time_goes_on_from_its_page(shop: Shop) -> None:
    job = shop.add.options(owner="lena", meta={"order": 7}).enqueue(1, 2)
    assert respond(job, wait=0, then="/thanks", failed="/sorry", at="/bb/") == Reply(
        f"/bb/jobs/{job.id}/wait", done=False
    )
    stored = json.loads(job.refresh().meta or "")
    assert stored == {"order": 7, STORED_AS: {"then": "/thanks", "failed": "/sorry"}}
    assert "1st in line" in page_of(shop, job)
    with Worker(shop.jobs):
        assert job.wait(30)
    answer = as_user(shop, "lena").get(f"/jobs/{job.id}/wait", headers=HTML)
    assert (answer.status_code, answer.headers["location"], answer.text) == (303, "/thanks", "")


def test_a_wait_ends_as_soon_as_the_job_does(shop: Shop, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    job, pauses = shop.patient.enqueue(), list[float]()
    assert shop.reached.wait(30)

    def ends_meanwhile(seconds: float) -> None:
        pauses.append(seconds)
        shop.gate.set()
        wait_until(lambda: job.refresh().done, "the job is done")

    monkeypatch.setattr(shop.jobs._watch, "_sleep", ends_meanwhile)
    assert respond(job, wait=30, then="/thanks").done
    assert len(pauses) == 1, "nothing was slept after the end"


def test_no_thread_is_held_while_coroutines_wait(shop: Shop, worker: Worker) -> None:
    job = shop.patient.enqueue()
    assert shop.reached.wait(30)

    async def many() -> list[Reply]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        waiting = [asyncio.create_task(arespond(job, wait=30, then="/thanks")) for _ in range(5)]
        await asyncio.sleep(0)
        # Behind the first look of each: a thread that were held would not come to this for 30 s.
        await asyncio.to_thread(shop.gate.set)
        return await asyncio.gather(*waiting)

    assert asyncio.run(many()) == [Reply("/thanks", done=True)] * 5


def test_what_is_not_kept_counts_as_succeeded(jobs: Backburner, shop: Shop, worker: Worker) -> None:
    job = shop.add.options(keep=0).enqueue(1, 2)
    assert respond(job, wait=30, then="/thanks") == Reply("/thanks", done=True)


@pytest.mark.parametrize(
    ("option", "given"),
    [
        *(("wait", wait) for wait in (-1, 30.1, "1", True, None, float("nan"))),
        *(("then", path) for path in ("//evil.example", "https://evil.example", "thanks", "/a\r\nb", 7)),
        *(("failed", path) for path in ("/\\evil.example", "javascript:alert(1)")),
        *(("at", path) for path in ("//evil.example", "backburner", "/a?b", None)),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_waited_for(shop: Shop, option: str, given: Any) -> None:
    job = shop.add.enqueue(1, 2)
    with pytest.raises(InvalidOption) as caught:
        respond(job, **{option: given})
    assert caught.value.option == option
    with pytest.raises(InvalidOption):
        asyncio.run(arespond(job, **{option: given}))
    assert job.refresh().meta is None


def test_it_does_not_wait_inside_the_transaction_of_its_job(shop: Shop) -> None:
    engine = create_engine(shop.jobs.settings.url)
    with engine.begin() as connection:
        job = shop.add.options(connection=connection).enqueue(1, 2)
        with pytest.raises(WaitInsideTransaction):
            respond(job, wait=0, then="/thanks")
    engine.dispose()


# The page


def test_the_page_tells_all_there_is_without_scripts(shop: Shop, worker: Worker) -> None:
    job = shop.export.options(owner="lena").enqueue("October")
    assert shop.reached.wait(30)
    wait_until(lambda: (found := job.refresh().progress) and found.message, "it has said that half is done")
    respond(job, wait=0, then="/thanks")
    page = page_of(shop, job)
    assert "<title>50% · Export orders of October</title>" in page
    assert "50<small>%</small>" in page
    assert 'value="0.5000"' in page
    assert "Half is done, 50 of 100 orders" in page
    assert f'<a class="bb-button" href="/jobs/{job.id}/wait">Check again</a>' in page
    assert "You may leave this page" in page
    assert 'then="/thanks"' in page
    assert "refresh" not in page.lower(), "nothing is loaded again by itself"


def test_a_row_that_somebody_changed_leads_nowhere_else(shop: Shop, worker: Worker) -> None:
    job = shop.add.options(owner="lena", meta={STORED_AS: {"then": "//evil.example"}}).enqueue(1, 2)
    assert job.wait(30)
    assert "evil" not in page_of(shop, job)


def test_nothing_of_a_job_is_markup_and_nothing_private_is_said(shop: Shop, worker: Worker) -> None:
    evil = '"><img src=x onerror=alert(1)>'
    job = shop.crash.options(owner="lena", title=evil).enqueue()
    assert job.wait(30)
    page = page_of(shop, job)
    assert "<img" not in page
    assert escape(evil, quote=False) in page.replace("&#34;", '"').replace("&quot;", '"')
    assert PRIVATE not in unescape(page)
    assert "hunter2" not in page


def test_a_program_may_wait_for_the_end(shop: Shop, worker: Worker) -> None:
    job = shop.add.options(owner="lena").enqueue(1, 2)
    shop.jobs.control.lead(job.id, Destinations("/thanks"))
    answer = as_user(shop, "lena").get(f"/jobs/{job.id}/wait", headers={"prefer": "wait=30"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/thanks")


def test_unknown_and_foreign_look_the_same_to_people_and_programs(shop: Shop) -> None:
    job = shop.add.options(owner="lena").enqueue(1, 2)
    other, unknown = as_user(shop, "other"), "01a1fe3d-8c27-72b1-84a0-4f9b196f4b46"
    pages, problems = (
        [other.get(f"/jobs/{each}/wait", headers=headers) for each in (job.id, unknown, "%00")]
        for headers in (HTML, PROGRAM)
    )
    assert {answer.status_code for answer in (*pages, *problems)} == {404}
    assert len({answer.text for answer in pages}) == 1
    assert "There is no such job or file" in pages[0].text
    assert {answer.headers["content-type"] for answer in problems} == {"application/problem+json"}


def test_a_token_opens_the_page_and_goes_along(shop: Shop) -> None:
    job = shop.add.options(owner="lena").enqueue(1, 2)
    token = job_token(shop.jobs, job, 60, act=True)
    place = respond(job, wait=0, at="/", token=token).location
    answer = as_user(shop, "").get(place, headers=HTML)
    assert answer.status_code == 200
    for address in (f"/jobs/{job.id}?token={token}", place, f"/jobs/{job.id}/wait/cancel?token={token}"):
        assert f'"{address}"' in answer.text
    cancelled = as_user(shop, "").post(f"/jobs/{job.id}/wait/cancel?token={token}")
    assert (cancelled.status_code, cancelled.headers["location"]) == (303, place)
    assert job.refresh().state == "cancelled"


def test_the_forms_of_the_page(shop: Shop) -> None:
    job, lena = shop.add.options(owner="lena").enqueue(1, 2), as_user(shop, "lena")
    for verb, state in (("cancel", "cancelled"), ("cancel", "cancelled"), ("retry", "queued")):
        answer = lena.post(f"/jobs/{job.id}/wait/{verb}", headers=HTML)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job.id}/wait")
        assert job.refresh().state == state
    assert lena.post(f"/jobs/{job.id}/wait/delete").status_code == 404
    assert as_user(shop, "other").post(f"/jobs/{job.id}/wait/cancel").status_code == 404
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert lena.post(f"/jobs/{job.id}/wait/cancel", headers=elsewhere).status_code == 403
    assert job.refresh().state == "queued"


def around(request: Request, holding: Holding) -> str:
    return f"<title>{escape(holding.title)}</title>{holding.head}<p>{holding.job['task']} at Kestrel</p>{holding.body}"


async def later(request: Request, holding: Holding) -> Response:
    return HTMLResponse(around(request, holding), headers={"content-security-policy": "default-src 'self'"})


@pytest.mark.parametrize("page", [around, later])
def test_the_page_can_be_one_of_the_app(shop: Shop, page: Any) -> None:
    job = shop.add.options(owner="lena").enqueue(1, 2)
    app = web_app(shop.jobs, resolve_user=by_header, holding_page=page)
    answer = Caller(app, {"x-user": "lena"}).get(f"/jobs/{job.id}/wait", headers=HTML)
    assert answer.status_code == 200
    assert answer.text.startswith("<title>Add</title>")
    assert "<p>shop.add at Kestrel</p>" in answer.text
    assert "<backburner-wait" in answer.text
    assert (answer.headers["content-security-policy"] == "default-src 'self'") is (page is later)


def test_a_form_that_asks_to_be_told_is_heard(shop: Shop) -> None:
    shop.jobs.endings.add(print, "list")
    job, lena = shop.add.options(owner="lena").enqueue(1, 2), as_user(shop, "lena")
    assert "Tell me when it is done" in page_of(shop, job)
    answer = lena.post(f"/jobs/{job.id}/wait/tell")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job.id}/wait?told=1")
    text = lena.get(answer.headers["location"], headers=HTML).text
    assert "You will be told when it is done." in text
    assert "Tell me" not in text
    job.cancel()
    assert lena.post(f"/jobs/{job.id}/wait/tell").headers["location"] == f"/jobs/{job.id}/wait"


# What it says of each state

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def seen_as(state: str, *, place: int | None = None, **more: Any) -> View:
    """The view of a job that was made a minute ago and may run in 48 s."""
    made: dict[str, Any] = {"created_at": NOW - timedelta(minutes=1), "run_at": NOW + timedelta(seconds=48)}
    job = Job("01a1fe3d-8c27-72b1-84a0-4f9b196f4b46", "shop.add", JobState(state), "default", 50, **made | more)
    return view_of(Sight(job, place), NOW, language("en"))


HALF = Progress(5, 10, "rows", began_at=NOW - timedelta(seconds=100))


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (seen_as("queued", place=22), View("22nd in line", bar=0)),
        (seen_as("queued", place=11), View("11th in line", bar=0)),
        (seen_as("queued"), View("In line", bar=0)),
        (seen_as("scheduled"), View("Starts on Sat 21 Nov, 12:00 UTC", aside="in 48 s")),
        (seen_as("scheduled", reason="The bank is closed"), View("The bank is closed.", aside="in 48 s")),
        (seen_as("blocked"), View("Waits for other work to finish.")),
        (
            seen_as("retrying", reason="Parcelfox did not answer.", progress=HALF),
            View("Parcelfox did not answer.", bar=0.5, note="Tries again in 48 s"),
        ),
        (seen_as("running"), View("At work", bar=-1, tone="live")),
        (seen_as("running", progress=HALF), View("5 of 10 rows", "50%", "about 1 min 40 s left", 0.5, "live")),
        (
            seen_as("running", progress=HALF, cancel_requested=True),
            View("Finishing the step it is at", "50%", "", 0.5, "idle"),
        ),
        (
            seen_as("running", progress=Progress(18_402, unit="rows", stage="Reading the feed")),
            View("Reading the feed", "18,402 rows", bar=-1, tone="live"),
        ),
        (seen_as("succeeded"), View("Done", bar=1, tone="done")),
        (seen_as("succeeded", progress=replace(HALF, done=10)), View("10 of 10 rows", bar=1, tone="done")),
        (seen_as("failed", reason="Row 7 has no price"), View("Row 7 has no price.", note="…4b46")),
        (seen_as("cancelled", reason="Cancelled by request."), View("Cancelled by request.")),
        (seen_as("skipped"), View("It ended.")),
    ],
)
def test_what_is_said_of_each_state(view: View, said: View) -> None:
    assert view == said
