"""Many jobs at once: what is asked first, and what is then done."""

import re
from contextlib import closing
from html import unescape
from typing import Unpack

import httpx
import pytest
from sqlalchemy import update

from backburner import Backburner, Job, JobState
from backburner.options import CallOptions
from backburner.web import Allow, web_app
from backburner.worker import Worker
from tests.web.shop import Caller, Shop, as_user, by_header

INTERRUPTED = JobState.INTERRUPTED


def failed(shop: Shop, count: int, state: JobState = JobState.FAILED, **options: Unpack[CallOptions]) -> list[Job]:
    """Jobs in a final state."""
    made = [shop.add.options(**options).enqueue(1, n) for n in range(count)]
    t = shop.jobs.store.schema.jobs
    now = shop.jobs.control.now()
    change = update(t).where(t.c.id.in_([job.id for job in made])).values(state=state, finished_at=now)
    shop.jobs.store.run(lambda connection: connection.execute(change))
    return made


def words_of(answer: httpx.Response) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", answer.text)))


def state_of(job: Job) -> str:
    return job.refresh().state.value


def form(**fields: str | list[str]) -> dict[str, object]:
    return {"data": fields}


def test_selected_ones_are_retried_and_the_interrupted_left_out_until_ticked(shop: Shop) -> None:
    one, risky = failed(shop, 1)[0], failed(shop, 1, JobState.INTERRUPTED)[0]
    waiting = shop.add.enqueue(1, 2)
    boss, ids = as_user(shop, "boss"), [one.id, risky.id, waiting.id]
    asked = boss.get("/dashboard/jobs/many", params={"verb": "retry", "id": ids})
    assert "Retry 1 job?" in words_of(asked)
    assert "Also retry 1 interrupted job." in words_of(asked)
    assert "1 of those selected cannot be retried in their state." in words_of(asked)
    assert 'name="typed"' not in asked.text
    assert boss.post("/dashboard/jobs/many", **form(verb="retry", id=ids)).status_code == 303
    assert (state_of(one), state_of(risky)) == ("queued", "interrupted")
    boss.post("/dashboard/jobs/many", **form(verb="retry", id=[risky.id], interrupted="1"))
    assert state_of(risky) == "queued"


def operation(shop: Shop, answer: httpx.Response) -> dict[str, int]:
    """What became of the job that an answer leads to."""
    assert answer.status_code == 303, answer.text
    job = shop.jobs.get(answer.headers["location"].rpartition("/")[2])
    # As in a process of its own, where nobody has looked at anything.
    with closing(Backburner(shop.jobs.settings.url)) as jobs, Worker(Shop(jobs).jobs):
        assert job.wait(30)
    found: dict[str, int] = job.refresh().result()
    return found


def test_all_that_match_is_a_job_of_its_own(shop: Shop) -> None:
    mine, others, risky = failed(shop, 3, owner="lena"), failed(shop, 2), failed(shop, 1, INTERRUPTED, owner="lena")
    boss = as_user(shop, "boss")
    asked = boss.get("/dashboard/jobs/many", params={"verb": "retry", "all": "1", "q": "owner:lena"})
    assert "Retry 3 jobs?" in words_of(asked)
    assert "Also retry 1 interrupted job." in words_of(asked)
    assert "owner:lena" in words_of(asked)
    done = operation(shop, boss.post("/dashboard/jobs/many", **form(verb="retry", all="1", q="owner:lena")))
    assert done["done"] == 3
    assert [job.refresh().attempt for job in mine] == [1] * 3
    assert [state_of(job) for job in (*others, *risky)] == ["failed", "failed", "interrupted"]
    [latest] = shop.jobs.insight.audit.page(kind="jobs").rows
    assert (latest.by, latest.via, latest.action, latest.target) == (
        "boss", "dashboard", "retry all", "state:failed,interrupted owner:lena",
    )  # fmt: skip


def test_deleting_needs_the_number(shop: Shop) -> None:
    jobs, boss = failed(shop, 3), as_user(shop, "boss")
    asked = boss.get("/dashboard/jobs/many", params={"verb": "delete", "all": "1"})
    assert "Type 3 to go on" in words_of(asked)
    for typed in ("", "2", "33", "three"):
        wrong = boss.post("/dashboard/jobs/many", **form(verb="delete", all="1", q="", typed=typed))
        assert wrong.status_code == 422
        assert "Nothing was changed" in words_of(wrong)
    assert [state_of(job) for job in jobs] == ["failed"] * 3
    done = operation(shop, boss.post("/dashboard/jobs/many", **form(verb="delete", all="1", q="", typed="3")))
    assert done["done"] == 3
    assert [job.task for job in shop.jobs.find()] == ["backburner.operation"]


def test_above_a_thousand_the_number_is_typed(shop: Shop) -> None:
    shop.jobs.enqueue_many(shop.add, [(1, n) for n in range(1_001)])
    boss = as_user(shop, "boss")
    assert "Type 1,001 to go on" in words_of(boss.get("/dashboard/jobs/many?verb=cancel&all=1"))
    assert boss.post("/dashboard/jobs/many", **form(verb="cancel", all="1", q="")).status_code == 422
    assert boss.post("/dashboard/jobs/many", **form(verb="cancel", all="1", q="", typed="1001")).status_code == 303


def test_more_than_were_counted_are_called_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.store.search.COUNTED", 10)
    monkeypatch.setattr("backburner.store.search.AMONG", 20)
    ids = shop.jobs.enqueue_many(shop.add.options(queue="mail", delay=3_600), [(1, n) for n in range(30)])
    boss, query = as_user(shop, "boss"), "queue:mail"
    page = words_of(boss.get("/dashboard/jobs", params={"q": query}))
    assert "Cancel all 10+ matching" in page
    assert "of 10+ matching" in page
    asked = words_of(boss.get("/dashboard/jobs/many", params={"verb": "cancel", "all": "1", "q": query}))
    assert "Cancel 20+ jobs?" in asked
    assert "There may be more than were counted." in asked
    assert "Type 20+ to go on" in asked
    assert boss.post("/dashboard/jobs/many", **form(verb="cancel", all="1", q=query)).status_code == 422
    begun = boss.post("/dashboard/jobs/many", **form(verb="cancel", all="1", q=query, typed="20"))
    assert operation(shop, begun)["done"] == 30
    assert {job.state for job in shop.jobs.control.get_many(ids).values()} == {JobState.CANCELLED}


def test_those_behind_many_that_do_not_match_are_reached(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.store.search.AMONG", 20)
    hidden = shop.add.options(queue="mail", delay=3_600).enqueue(1, 1)
    shop.jobs.enqueue_many(shop.add.options(delay=3_600), [(1, n) for n in range(30)])
    boss, query = as_user(shop, "boss"), "queue:mail"
    asked = words_of(boss.get("/dashboard/jobs/many", params={"verb": "cancel", "all": "1", "q": query}))
    assert "Cancel all that match?" in asked
    assert "Type all to go on" in asked
    for typed in ("", "0", "many"):
        wrong = boss.post("/dashboard/jobs/many", **form(verb="cancel", all="1", q=query, typed=typed))
        assert wrong.status_code == 422
        assert "Type all, for it is not known how many they are. Nothing was changed." in words_of(wrong)
    begun = boss.post("/dashboard/jobs/many", **form(verb="cancel", all="1", q=query, typed="all"))
    assert operation(shop, begun)["done"] == 1
    assert hidden.refresh().state is JobState.CANCELLED


def test_what_it_cannot_be_done_to_hides_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.store.search.AMONG", 20)
    shop.jobs.enqueue_many(shop.add.options(queue="mail", delay=3_600), [(1, n) for n in range(3)])
    failed(shop, 4, queue="mail")
    failed(shop, 30, JobState.SUCCEEDED, queue="mail")
    boss = as_user(shop, "boss")

    def asked(verb: str, query: str) -> str:
        return boss.get("/dashboard/jobs/many", params={"verb": verb, "all": "1", "q": query}).text

    assert "Cancel 3 jobs?" in asked("cancel", "queue:mail")
    assert "Retry 4 jobs?" in asked("retry", "queue:mail")
    assert "There may be more" not in asked("retry", "queue:mail")
    assert re.search("disabled>Cancel 0 jobs", asked("cancel", "queue:mail state:succeeded"))


def test_a_list_denies_no_job_that_it_did_not_count(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.store.search.COUNTED", 10)
    [rare] = failed(shop, 1, queue="rare")
    failed(shop, 15, JobState.SUCCEEDED)
    page = as_user(shop, "boss").get("/dashboard/jobs", params={"q": "queue:rare"})
    assert rare.id in page.text
    for said in ("All 0+", "of 0+ matching", "Retry all matching"):
        assert said in words_of(page)
    assert re.search(r'data-count-of="queued">0<', page.text), "those that are not finished are known"


@pytest.mark.parametrize(
    "query", ["", "verb=launch&all=1", "verb=retry", "verb=retry&id=x", "verb=retry&all=1&q=state:none"]
)
def test_what_makes_no_sense_is_said(shop: Shop, query: str) -> None:
    assert as_user(shop, "boss").get(f"/dashboard/jobs/many?{query}").status_code == 422


def test_who_may_do_it_with_some_selects_them_one_by_one(shop: Shop) -> None:
    here, there = failed(shop, 1, queue="orders")[0], failed(shop, 1)[0]
    rights = ("jobs.view", Allow("jobs.retry", queue="orders"))
    app = web_app(shop.jobs, resolve_user=by_header, resolve_access=lambda request, user: rights)
    some = Caller(app, {"x-user": "other"})
    assert some.post("/dashboard/jobs/many", **form(verb="retry", all="1", q="")).status_code == 403
    assert some.post("/dashboard/jobs/many", **form(verb="cancel", id=[here.id])).status_code == 403
    assert some.post("/dashboard/jobs/many", **form(verb="retry", id=[here.id, there.id])).status_code == 303
    assert (state_of(here), state_of(there)) == ("queued", "failed")


def asked_for(boss: Caller, verb: str, query: str) -> httpx.Response:
    return boss.get("/dashboard/jobs/many", params={"verb": verb, "all": "1", "q": query})


def test_many_interrupted_ones_alone_need_the_number_as_well(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.web.dashboard.question.TYPED_FROM", 3)
    jobs, boss, query = failed(shop, 5, INTERRUPTED), as_user(shop, "boss"), "state:interrupted"
    asked = words_of(asked_for(boss, "retry", query))
    assert "Retry 5 interrupted jobs?" in asked
    assert "Type 5 to go on" in asked
    fields = {"verb": "retry", "all": "1", "q": query, "interrupted": "1", "risky": "5"}
    assert boss.post("/dashboard/jobs/many", **form(**fields)).status_code == 422
    assert {state_of(job) for job in jobs} == {"interrupted"}
    assert operation(shop, boss.post("/dashboard/jobs/many", **form(**fields, typed="5")))["done"] == 5


def test_a_few_interrupted_ones_alone_are_named_and_ticked(shop: Shop) -> None:
    failed(shop, 2, INTERRUPTED)
    asked = asked_for(as_user(shop, "boss"), "retry", "state:interrupted")
    assert "Retry 2 interrupted jobs." in words_of(asked)
    assert re.search(r'name="interrupted" value="1" required', asked.text)
    assert 'name="typed"' not in asked.text


def test_interrupted_ones_are_part_of_the_number(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.web.dashboard.question.TYPED_FROM", 3)
    failed(shop, 1)
    failed(shop, 5, INTERRUPTED)
    boss, fields = as_user(shop, "boss"), {"verb": "retry", "all": "1", "q": "", "interrupted": "1", "risky": "5"}
    asked = asked_for(boss, "retry", "")
    assert "Retry 1 job?" in words_of(asked)
    assert "Type 6, interrupted ones included, to go on" in words_of(asked)
    assert 'name="risky" value="5"' in asked.text
    wrong = boss.post("/dashboard/jobs/many", **form(**fields, typed="1"))
    assert "Type 6, the number of jobs. Nothing was changed." in words_of(wrong)
    assert re.search(r'name="interrupted" value="1" checked', wrong.text)
    assert operation(shop, boss.post("/dashboard/jobs/many", **form(**fields, typed="6")))["done"] == 6


@pytest.mark.parametrize("ticked_for", ["1", "", "some", "9" * 5_000])
def test_many_more_interrupted_ones_than_were_ticked_are_asked_for_anew(shop: Shop, ticked_for: str) -> None:
    failed(shop, 12, INTERRUPTED)
    fields = {"verb": "retry", "all": "1", "q": "", "interrupted": "1", "risky": ticked_for}
    wrong = as_user(shop, "boss").post("/dashboard/jobs/many", **form(**fields))
    assert wrong.status_code == 422
    assert "By now it is about 12 interrupted jobs. Nothing was changed." in words_of(wrong)
    assert re.search(r'required aria-invalid="true" aria-describedby="wrong">', wrong.text)


@pytest.mark.parametrize("chosen", ["one by one", "all"])
def test_interrupted_ones_alone_are_not_retried_without_the_tick(shop: Shop, chosen: str) -> None:
    [risky] = failed(shop, 1, INTERRUPTED)
    which = {"id": [risky.id]} if chosen == "one by one" else {"all": "1", "q": ""}
    wrong = as_user(shop, "boss").post("/dashboard/jobs/many", **form(verb="retry", **which))
    assert wrong.status_code == 422
    assert "Tick that they may run twice, or keep them." in words_of(wrong)
    assert state_of(risky) == "interrupted"


def test_a_few_that_come_while_one_types_change_nothing(shop: Shop) -> None:
    failed(shop, 4)
    boss = as_user(shop, "boss")
    assert 'name="asked" value="4"' in asked_for(boss, "delete", "").text
    shop.add.enqueue(1, 2)
    begun = boss.post("/dashboard/jobs/many", **form(verb="delete", all="1", q="", asked="4", typed="4"))
    assert operation(shop, begun)["done"] == 5


def test_many_that_come_while_one_types_are_asked_for_anew(shop: Shop) -> None:
    failed(shop, 4)
    boss = as_user(shop, "boss")
    failed(shop, 11)
    for asked in ("4", "", "four", "-1", "9" * 3 + "x", "9" * 5_000):
        wrong = boss.post("/dashboard/jobs/many", **form(verb="delete", all="1", q="", asked=asked, typed="4"))
        assert wrong.status_code == 422
        assert "Type 15, the number of jobs. Nothing was changed." in words_of(wrong)
        assert re.search(r'value="4"[^>]* aria-invalid="true" aria-describedby="wrong"', wrong.text)
    assert len(shop.jobs.find(state="failed")) == 15


def test_a_number_that_was_exact_is_no_answer_for_more_than_were_counted(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backburner.store.search.AMONG", 20)
    shop.jobs.enqueue_many(shop.add.options(queue="mail", delay=3_600), [(1, n) for n in range(30)])
    boss, fields = as_user(shop, "boss"), {"verb": "cancel", "all": "1", "q": "queue:mail"}
    for asked, status in (("18", 422), ("18+", 303)):
        begun = boss.post("/dashboard/jobs/many", **form(**fields, asked=asked, typed="18"))
        assert begun.status_code == status


def test_a_filter_of_many_ids_is_one_that_runs(shop: Shop) -> None:
    """To begin with it fits; with the states that can be deleted it is longer than a person may write."""
    jobs, boss = failed(shop, 25), as_user(shop, "boss")
    query = f"id:{','.join(job.id for job in jobs)}"
    assert "Delete 25 jobs?" in words_of(asked_for(boss, "delete", query))
    for typed in ("2 5", "2,5", "25,", "0,025,"):
        assert (
            boss.post("/dashboard/jobs/many", **form(verb="delete", all="1", q=query, typed=typed)).status_code == 422
        )
    begun = boss.post("/dashboard/jobs/many", **form(verb="delete", all="1", q=query, typed="25"))
    assert operation(shop, begun)["done"] == 25


def test_states_that_are_left_out_by_name_count_for_nothing(shop: Shop) -> None:
    failed(shop, 4)
    failed(shop, 30, JobState.SUCCEEDED)
    boss = as_user(shop, "boss")
    page = words_of(boss.get("/dashboard/jobs", params={"q": "-state:succeeded"}))
    assert "of 4 matching. 4 can be retried." in page
    assert "Delete all 4 matching" in page
    assert "All 4 that match, by a job of its own" in page
    page = words_of(boss.get("/dashboard/jobs", params={"q": "-state:failed"}))
    assert "of 30 matching. Selected" in page.replace(" Retry selected", " Selected")
    assert "Retry all" not in page
    assert "Cancel all" not in page


def test_an_operation_does_not_count_itself(shop: Shop) -> None:
    for number in range(4):
        shop.add.options(delay=3_600).enqueue(1, number)
    begun = as_user(shop, "boss").post("/dashboard/jobs/many", **form(verb="cancel", all="1", q="", typed="4"))
    assert operation(shop, begun)["done"] == 4
    [job] = shop.jobs.find(task="backburner.operation")
    assert job.progress is not None
    assert (job.progress.done, job.progress.total) == (4, 4)
