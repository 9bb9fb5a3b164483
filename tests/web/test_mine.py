"""My jobs, notices, and languages as a program sees them; `test_mine_browser.py` looks at them."""

import json
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup
from starlette.requests import Request

import backburner.web
from backburner import Backburner, Job, JobState
from backburner.errors import InvalidOption
from backburner.progress import Progress
from backburner.web import Mine, notice, web_app
from backburner.web.language import language, language_of
from backburner.web.page_texts import PAGE_TEXTS
from backburner.worker import Worker
from tests.web.shop import PRIVATE, Caller, Shop, as_user, by_header

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def page(shop: Shop, name: str = "lena", query: str = "", **headers: str) -> str:
    answer = as_user(shop, name).get("/mine" + query, headers={**HTML, **headers})
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.fixture
def ended(shop: Shop, worker: Worker) -> list[Job]:
    """Lena's: one succeeded, one failed by its own words, one failed by a mistake, one cancelled."""
    shop.gate.set()
    own = {"owner": "lena"}
    jobs = [
        shop.export.options(**own).enqueue("October"),  # type: ignore[arg-type]
        shop.refuse.options(**own).enqueue(),  # type: ignore[arg-type]
        shop.crash.options(**own).enqueue(),  # type: ignore[arg-type]
        shop.add.options(delay=3600, **own).enqueue(1, 2).cancel(),  # type: ignore[arg-type]
    ]
    assert all(job.wait(30) for job in jobs)
    return jobs


def test_it_has_the_users_own_jobs_and_no_others(shop: Shop, ended: list[Job]) -> None:
    shop.add.options(owner="other", title="A secret of others").enqueue(1, 2)
    waiting = shop.add.options(owner="lena", title="Add later", delay=3600).enqueue(1, 2)
    text = page(shop)
    assert "A secret of others" not in text
    assert PRIVATE not in text
    assert "It stopped with an error" in text
    for words in ("Add later", "Export orders of October", "Row 1,204 has no price.", "Try again", "Download CSV"):
        assert words in text
    assert f'action="/mine/{waiting.id}/cancel"' in text
    assert "All 5" in text
    assert "Export orders" not in page(shop, query="?show=active")
    assert "Add later" not in page(shop, query="?show=finished")


def test_what_is_dismissed_is_gone_from_the_list_and_from_nowhere_else(shop: Shop, ended: list[Job]) -> None:
    lena, job = as_user(shop, "lena"), ended[0]
    assert "dismiss" in lena.get(f"/jobs/{job.id}").json()["actions"]
    assert lena.post(f"/jobs/{job.id}/dismiss").status_code == 204
    assert job.id not in page(shop)
    assert "All 3" in page(shop)
    mine = lena.get("/jobs?mine=true").json()
    assert (mine["count"], job.id in str(mine)) == (3, False)
    assert lena.get("/jobs").json()["count"] == 4
    assert job.refresh().state is JobState.SUCCEEDED
    shop.jobs.retry(job)
    assert job.wait(30)
    assert job.id in page(shop), "its new end is there again"


def test_only_what_is_done_is_dismissed(shop: Shop) -> None:
    job, lena = shop.add.options(owner="lena", delay=3600).enqueue(1, 2), as_user(shop, "lena")
    assert "dismiss" not in lena.get(f"/jobs/{job.id}").json()["actions"]
    answer = lena.post(f"/jobs/{job.id}/dismiss")
    assert (answer.status_code, answer.json()["detail"]) == (409, "Only a job that is done can be dismissed.")


def test_a_visitor_dismisses_nothing_of_others(shop: Shop) -> None:
    job = shop.add.options(owner="lena", visibility="public").enqueue(1, 2).cancel()
    assert as_user(shop, "other").post(f"/jobs/{job.id}/dismiss").status_code == 403
    assert as_user(shop, "").post(f"/mine/{job.id}/dismiss").status_code == 403
    assert job.id in page(shop)


def test_forms_lead_back_to_the_list(shop: Shop, ended: list[Job]) -> None:
    lena, (_, refused, _, cancelled) = as_user(shop, "lena"), ended
    for job, verb in ((refused, "retry"), (cancelled, "dismiss"), (cancelled, "cancel")):
        answer = lena.post(f"/mine/{job.id}/{verb}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/mine"), verb
    assert refused.wait(30)
    assert refused.refresh().attempt == 2
    assert cancelled.id not in page(shop)
    assert lena.post(f"/mine/{refused.id}/delete").status_code == 404


def test_older_ones_are_on_pages_of_their_own(shop: Shop) -> None:
    ids = [shop.add.options(owner="lena").enqueue(1, n).cancel().id for n in range(40)]
    first = page(shop)
    assert sum(each in first for each in ids) == 30
    address = first.split('href="/mine?show=finished&amp;before=')[1].split('"')[0]
    second = page(shop, query=f"?show=finished&before={address}")
    assert [each in second for each in ids] == [True] * 10 + [False] * 30
    assert 'href="/mine?show=finished">The newest<' in second


@pytest.mark.parametrize(("query", "status"), [("?show=x", 422), ("?before=x", 422), ("?show=active", 200)])
def test_parameters_are_checked(shop: Shop, query: str, status: int) -> None:
    assert as_user(shop, "lena").get("/mine" + query).status_code == status


def test_who_is_not_signed_in_gets_a_page_that_says_so(shop: Shop) -> None:
    answer = as_user(shop, "").get("/mine", headers=HTML)
    assert (answer.status_code, "Sign in first" in answer.text) == (401, True)
    assert answer.headers["content-type"].startswith("text/html")
    assert as_user(shop, "").get("/mine").headers["content-type"] == "application/problem+json"


def test_the_app_puts_it_into_its_own_layout(shop: Shop) -> None:
    async def layout(request: Request, mine: Mine) -> str:
        return f"<title>{mine.title}</title>{mine.head}<h1>Kestrel</h1>{mine.body}"

    shop.add.options(owner="lena", title="<b>Add</b>").enqueue(1, 2)
    app = web_app(shop.jobs, resolve_user=by_header, mine_page=layout)
    text = Caller(app, {"x-user": "lena"}).get("/mine").text
    assert text.startswith("<title>My jobs</title>")
    assert "<h1>Kestrel</h1>" in text
    assert "&lt;b&gt;Add&lt;/b&gt;" in text


def test_the_list_asks_for_the_language_of_the_browser(shop: Shop, ended: list[Job]) -> None:
    czech = page(shop, **{"accept-language": "fr;q=0.9, cs-CZ;q=0.8, en;q=0.5"})
    assert '<html lang="cs"' in czech
    assert "Moje úlohy" in czech
    assert "Nepodařilo se před" in czech


# Notices


def test_a_notice_says_where_to_follow_the_job(shop: Shop) -> None:
    job = shop.add.options(title="<i>Add</i> & more {id}").enqueue(1, 2)
    said = notice(job, at="/bb")
    assert isinstance(said, Markup)
    assert said.striptags() == (
        f"“<i>Add</i> & more {{id}}” runs in the background with the ID …{job.id[-4:]}. "
        "Follow it or find it later in My jobs."
    )
    assert "<i>" not in said
    assert f'<a href="/bb/jobs/{job.id}/wait">Follow it</a>' in said
    assert '<a href="/bb/mine">My jobs</a>' in said
    assert "läuft im Hintergrund" in notice(job, lang="de")
    assert f"/backburner/jobs/{job.id}/wait?token=a%26b" in notice(job, token="a&b")
    with pytest.raises(InvalidOption, match="at"):
        notice(job, at="//evil.example")


# Languages


def catalog(code: str) -> dict[str, Any]:
    file = Path(backburner.web.__file__).parent / "static" / "languages" / f"{code}.js"
    found: dict[str, Any] = json.loads(file.read_text().removeprefix("export default ").rstrip().removesuffix(";"))
    return found


@pytest.mark.parametrize("code", ["cs", "de"])
def test_each_language_says_all_there_is_to_say_with_the_same_values(code: str) -> None:
    for english, other in ((catalog("en"), catalog(code)), (PAGE_TEXTS["en"], PAGE_TEXTS[code])):
        assert list(english) == list(other)
        for key in english:
            forms = [set(text.values()) if isinstance(text, dict) else {text} for text in (english[key], other[key])]
            named = [{word for text in each for word in text.split("{")[1:]} for each in forms]
            values = [{word.split("}")[0] for word in each} for each in named]
            assert values[0] == values[1], key
    assert len(set(catalog("en")) & set(PAGE_TEXTS["en"])) == 0


@pytest.mark.parametrize(
    ("code", "place", "count", "jobs"),
    [
        ("en", "2nd in line", "84,725.5 of 100,000 rows", "3 jobs"),
        ("cs", "2. v pořadí", "84\u00a0725,5 z 100\u00a0000 rows", "3 úlohy"),
        ("de", "2. in der Schlange", "84.725,5 von 100.000 rows", "3 Aufträge"),
    ],
)
def test_numbers_follow_the_language(code: str, place: str, count: str, jobs: str) -> None:
    lang = language(code)
    assert lang.say("place", nth=lang.say("nth", n=2)) == place
    assert lang.counted(Progress(84_725.5, 100_000, "rows")) == count
    assert lang.say("jobs", n=3) == jobs
    assert lang.size(12_300) == ("12.3 kB" if code == "en" else "12,3 kB")


@pytest.mark.parametrize(
    ("asked", "code"),
    [("", "en"), ("cs", "cs"), ("de-AT,en;q=0.9", "de"), ("en;q=0.3,cs;q=0.4", "cs"), ("fr,*;q=0.1", "en"),
     ("cs;q=0", "en"), ("cs;q=9", "en"), (",;=", "en"), ("x" * 9999, "en")],
)  # fmt: skip
def test_the_best_language_there_is(asked: str, code: str) -> None:
    request = Request({"type": "http", "headers": [(b"accept-language", asked.encode())]})
    assert language_of(request).code == code


def test_scripts_are_sent_packed(jobs: Backburner) -> None:
    caller = Caller(web_app(jobs))
    plain = caller.get("/static/backburner.css", headers={"accept-encoding": "identity"})
    packed = caller.get("/static/backburner.css", headers={"accept-encoding": "gzip, br"})
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["etag"] != plain.headers["etag"]
    again = caller.get("/static/backburner.css", headers={"if-none-match": packed.headers["etag"]})
    assert again.status_code == 304
