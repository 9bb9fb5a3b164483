"""Permissions hold for what they name and no further: by no detour through filters, operations, exports or forms."""

import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from backburner import Job
from backburner.web import Allow, User, web_app
from backburner.where import Where
from backburner.worker import Worker, WorkerOptions
from tests.web.dashboard.test_many import INTERRUPTED, failed, form, operation, state_of
from tests.web.shop import USERS, Caller, Shop, as_user, by_header

MANY = "/dashboard/jobs/many"


def somebody(shop: Shop, *rights: str | Allow, name: str = "other", **headers: str) -> Caller:
    app = web_app(shop.jobs, resolve_user=by_header, resolve_access=lambda request, user: rights)
    return Caller(app, {"x-user": name, **headers})


def text_of(caller: Caller, path: str) -> str:
    answer = caller.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def operations(shop: Shop) -> list[Job]:
    return [job for job in shop.jobs.find() if job.task.startswith("backburner.")]


@pytest.mark.parametrize("task", ["backburner.operation", "backburner.export"])
def test_what_runs_tasks_begins_no_operation(shop: Shop, task: str) -> None:
    jobs = failed(shop, 2)
    runner = somebody(shop, "jobs.view", "jobs.run")
    fields: dict[str, Any] = {
        "arg.verb": "delete", "arg.where": "", "arg.at": "2026-11-30T00:00:00Z", "arg.interrupted": "true",
        "arg.columns": '["id", "args"]',
    }  # fmt: skip
    assert runner.post(f"/dashboard/tasks/{task}/run", data=fields).status_code == 404
    assert runner.get(f"/dashboard/tasks/{task}").status_code == 404
    assert operations(shop) == []
    assert [state_of(job) for job in jobs] == ["failed"] * 2


def test_states_that_are_left_out_stay_out(shop: Shop) -> None:
    kept, gone, boss = failed(shop, 2), failed(shop, 1, INTERRUPTED), as_user(shop, "boss")
    answer = boss.post(MANY, **form(verb="delete", all="1", q="-state:failed", typed="1"))
    assert operation(shop, answer)["done"] == 1
    assert [state_of(job) for job in kept] == ["failed"] * 2
    assert gone[0].id not in {job.id for job in shop.jobs.find()}


@pytest.mark.parametrize(("verb", "query"), [("delete", "state:running"), ("cancel", "state:failed")])
def test_no_state_is_not_every_state(shop: Shop, verb: str, query: str) -> None:
    jobs = [*failed(shop, 2), shop.add.enqueue(1, 1)]
    answer = as_user(shop, "boss").post(MANY, **form(verb=verb, all="1", q=query, typed="0"))
    assert answer.status_code == 422
    assert operations(shop) == []
    assert [state_of(job) for job in jobs] == ["failed", "failed", "queued"]


def test_who_sees_some_acts_on_no_others(shop: Shop) -> None:
    mine, other = failed(shop, 1, tags=["tenant:acme"])[0], failed(shop, 1)[0]
    some = somebody(shop, Allow("jobs.view", tenant="acme"), "jobs.retry", "jobs.delete")
    assert some.post(MANY, **form(verb="delete", all="1", q="", typed="1")).status_code == 403
    assert some.post(MANY, **form(verb="retry", id=[mine.id, other.id])).status_code == 303
    assert (state_of(mine), state_of(other)) == ("queued", "failed")
    assert some.post("/dashboard/failures/00000000/test").status_code == 403


def test_an_export_is_for_who_asked_for_it(shop: Shop) -> None:
    shop.add.enqueue(1, 2)
    job = shop.jobs.insight.operator("boss", "code").export(Where.of(""), columns=["id", "args"])
    with Worker(shop.jobs):
        assert job.wait(30)
    [file] = shop.jobs.control.files_of([job.id])[job.id]
    assert as_user(shop, "boss").get(f"/files/{file.id}").status_code == 200
    assert somebody(shop, "jobs.view").get(f"/files/{file.id}").status_code == 404


def test_a_result_needs_what_arguments_need(shop: Shop) -> None:
    job = shop.add.options(owner="lena").enqueue(1, 2)
    with Worker(shop.jobs):
        assert job.wait(30)
    path = f"/jobs/{job.id}/result"
    assert somebody(shop, "jobs.view").get(path).status_code == 403
    assert somebody(shop, "jobs.view", "jobs.arguments").get(path).json() == 3
    assert somebody(shop, name="lena").get(path).json() == 3


def test_an_operation_is_begun_again_by_nobody_who_could_not_begin_it(shop: Shop) -> None:
    failed(shop, 1)
    operation(shop, as_user(shop, "boss").post(MANY, **form(verb="delete", all="1", q="", typed="1")))
    [done] = operations(shop)
    some = somebody(shop, "jobs.view", "jobs.arguments", "jobs.retry", "jobs.edit")
    assert some.post(f"/jobs/{done.id}/retry").status_code in {403, 409}
    assert some.post(f"/dashboard/jobs/{done.id}/edit", data={"arg.where": ""}).status_code == 409
    assert state_of(done) == "succeeded"


@pytest.mark.parametrize(
    ("rights", "method", "path"),
    [
        (("jobs.view", Allow("workers.control", queue="mail")), "POST", "/dashboard/workers/all/stop"),
        ((Allow("audit.view", tenant="acme"),), "GET", "/dashboard/audit"),
        ((Allow("settings.edit", queue="mail"),), "GET", "/dashboard/settings"),
    ],
)
def test_what_is_for_everything_needs_the_permission_for_everything(
    shop: Shop, rights: tuple[str | Allow, ...], method: str, path: str
) -> None:
    assert somebody(shop, *rights).ask(method, path).status_code == 403


def test_a_token_that_reads_begins_no_export_and_saves_no_view(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(USERS, "reader", User("reader", scopes=frozenset({"read"})))
    reader = somebody(shop, "jobs.view", name="reader")
    assert reader.get("/dashboard/jobs").status_code == 200
    assert reader.post("/dashboard/jobs/export", data={"q": ""}).status_code == 403
    assert reader.post("/dashboard/views", data={"name": "mine", "q": ""}).status_code == 403
    assert operations(shop) == []


def test_the_operators_page_of_a_public_job_is_for_operators_of_it(shop: Shop) -> None:
    job = shop.add.options(visibility="public").enqueue(1, 2)
    some = somebody(shop, Allow("jobs.view", tenant="acme"))
    assert some.get(f"/jobs/{job.id}").status_code == 200
    assert some.get(f"/dashboard/jobs/{job.id}").status_code == 404


def test_the_navigation_leads_only_where_one_may_go(shop: Shop) -> None:
    limited = (Allow(needs, tenant="acme") for needs in ("jobs.view", "audit.view", "settings.edit"))
    some = somebody(shop, *limited)
    shown = re.findall(r'href="(/dashboard/\w+)"', text_of(some, "/dashboard/jobs").partition("</nav>")[0])
    assert "/dashboard/queues" in shown
    assert all(some.get(path).status_code == 200 for path in shown)
    assert not {"/dashboard/failures", "/dashboard/audit", "/dashboard/settings"} & set(shown)


def test_counts_of_a_task_are_of_jobs_that_one_sees(shop: Shop) -> None:
    shop.add.options(tags=["tenant:acme"]).enqueue(1, 2)
    for number in range(7):
        shop.add.enqueue(number, number)
    some = somebody(shop, Allow("jobs.view", tenant="acme"), Allow("jobs.run", task="shop.add"))
    page = text_of(some, "/dashboard/tasks/shop.add")
    assert '">1</a></dd>' in page
    assert '">7</a></dd>' not in page
    assert '">8</a></dd>' not in page
    assert "shop.add" in text_of(some, "/dashboard/tasks")
    assert "shop.export" not in text_of(some, "/dashboard/tasks")
    assert some.get("/dashboard/tasks/shop.export").status_code == 404


@pytest.mark.parametrize(
    ("limits", "seen"),
    [
        ({"queue": "orders"}, {"orders": 5}),
        ({"task": "shop.add"}, {"orders": 3, "default": 1}),
        ({"tenant": "acme"}, {"orders": 1}),
        ({"queue": "orders", "task": "shop.refuse"}, {"orders": 2}),
        ({"queue": "none"}, {}),
    ],
)
def test_queues_are_shown_with_jobs_that_one_sees(shop: Shop, limits: dict[str, str], seen: dict[str, int]) -> None:
    for number in range(2):
        shop.add.options(queue="orders").enqueue(number, 1)
        shop.refuse.options(queue="orders").enqueue()
    shop.add.options(queue="orders", tags=["tenant:acme"]).enqueue(1, 1)
    shop.add.enqueue(1, 1)
    shop.refuse.options(queue="payroll").enqueue()
    page = text_of(somebody(shop, Allow("jobs.view", **limits)), "/dashboard/queues")
    rows = re.findall(r'class="name"[^>]*>([^<]+)</a>.*?data-label="Waiting">([^<]+)<', page, re.DOTALL)
    assert {name: int(count) for name, count in rows} == seen
    assert "payroll" not in page
    # How long the next one has waited says something of others where it may be theirs.
    assert ("0 s" in page or "1 s" in page) is (limits == {"queue": "orders"})


@pytest.mark.usefixtures("worker")
def test_a_page_names_no_other_jobs_that_it_waits_for(shop: Shop) -> None:
    other = shop.add.options(title="PAY-ROLL", delay=3_600).enqueue(1, 1)
    first = shop.patient.options(title="PAY-SLIP", group="ledger").enqueue()
    assert shop.reached.wait(30)
    mine = shop.add.options(tags=["tenant:acme"])
    after, behind = mine.options(after=[other]).enqueue(2, 2), mine.options(group="ledger").enqueue(3, 3)
    some, all_of_them = somebody(shop, Allow("jobs.view", tenant="acme")), somebody(shop, "jobs.view")
    for job, before, word in ((after, other, "PAY-ROLL"), (behind, first, "PAY-SLIP")):
        whole, page = (text_of(one, f"/dashboard/jobs/{job.id}") for one in (all_of_them, some))
        assert word in whole, "who may see it is told"
        assert before.id in whole
        assert "PAY-" not in page
        assert before.id not in page


def test_workers_are_shown_with_queues_that_one_sees(shop: Shop) -> None:
    with Worker(shop.jobs, WorkerOptions(queues=("orders", "payroll"))):
        page = text_of(somebody(shop, Allow("jobs.view", queue="orders")), "/dashboard/workers")
        whole = text_of(somebody(shop, "jobs.view"), "/dashboard/workers")
    assert "orders, payroll" in whole
    assert "slots taken" in whole
    assert 'data-label="Queues">orders and others' in page
    assert "payroll" not in page
    assert "slots taken" not in page.lower()


@pytest.mark.parametrize("value", ["5", "null", "[" * 3000, '["Done", "/workers/all/stop"]'])
def test_a_planted_toast_breaks_nothing_and_offers_nothing(shop: Shop, value: str) -> None:
    boss = as_user(shop, "boss")
    page = boss.ask("GET", "/dashboard/jobs", headers={"cookie": f"backburner_said={quote(value)}"})
    assert page.status_code == 200
    assert "/workers/all/stop" not in page.text


def test_a_wrong_referer_changes_where_one_lands_alone(shop: Shop) -> None:
    job = failed(shop, 1)[0]
    answer: httpx.Response = as_user(shop, "boss").ask(
        "POST", f"/dashboard/jobs/{job.id}/retry", headers={"referer": "http://[", "origin": "http://localhost"}
    )
    assert answer.status_code == 303
    assert state_of(job) == "queued"


def test_running_a_task_by_its_form_is_audited(shop: Shop) -> None:
    answer = as_user(shop, "boss").post(f"/dashboard/tasks/{shop.add.name}/run", data={"arg.a": "1", "arg.b": "2"})
    assert answer.status_code == 303, answer.text
    [latest] = shop.jobs.insight.audit.page(kind="job").rows
    assert (latest.by, latest.action) == ("boss", "run")
