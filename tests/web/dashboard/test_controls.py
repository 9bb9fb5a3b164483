"""What operators do with queues, schedules, workers and tasks, without scripts."""

import re
from html import unescape

import pytest

from backburner import Backburner, JobState, queues
from backburner.histogram import BUCKETS, Histogram
from backburner.rollup import Rollup, minute_of
from backburner.store import standing
from backburner.web import Allow, web_app
from backburner.worker import Worker
from tests.web.shop import Caller, Shop, as_user, by_header


@pytest.fixture
def boss(shop: Shop) -> Caller:
    return as_user(shop, "boss")


def page(caller: Caller, path: str) -> str:
    answer = caller.get(path)
    assert answer.status_code == 200, answer.text
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])))


def test_queues(shop: Shop, boss: Caller) -> None:
    for _ in range(3):
        shop.add.options(queue="orders/eu").enqueue(1, 2)
    assert re.search(r"orders/eu No worker 3 ", page(boss, "/dashboard/queues"))
    paused = boss.post("/dashboard/queues/orders%2Feu/pause", data={"reason": "stock-taking", "minutes": "30"})
    assert paused.status_code == 303
    [queue] = [one for one in shop.jobs.queues.list() if one.name == "orders/eu"]
    assert (queue.paused, queue.paused_by, queue.reason) == (True, "boss", "stock-taking")
    assert queue.paused_until is not None
    assert "boss, 0 s ago" in page(boss, "/dashboard/queues")
    said = boss.get("/dashboard/queues", headers={"cookie": paused.headers["set-cookie"].partition(";")[0]})
    assert "Queue orders/eu is paused." in said.text
    assert 'action="/dashboard/queues/orders%2Feu/resume"' in said.text
    boss.post("/dashboard/queues/orders%2Feu/resume")
    boss.post("/dashboard/queues/orders%2Feu/limit", data={"most": "2"})
    [queue] = [one for one in shop.jobs.queues.list() if one.name == "orders/eu"]
    assert (queue.paused, queue.most) == (False, 2)
    boss.post("/dashboard/queues/*/pause", data={})
    assert "Everything is paused." in page(boss, "/dashboard/queues")
    for path, fields in (
        ("orders/limit", {"most": "-1"}), ("orders/limit", {"most": "0"}), ("orders/pause", {"minutes": "7"}),
        ("orders/pause", {"reason": "x" * 5_000}), ("x" * 300 + "/pause", {}),
    ):  # fmt: skip
        assert boss.post(f"/dashboard/queues/{path}", data=fields).status_code == 422, path


def test_counts_of_queues_that_stop_say_so(shop: Shop, boss: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shop.add.enqueue(1, 1)
    for number in range(3):
        shop.add.options(after=[first]).enqueue(number, 1)
    shop.add.options(queue="mail").enqueue(1, 1)
    assert '"Waiting">4<' in boss.get("/dashboard/queues").text
    monkeypatch.setattr(queues, "_COUNTED", 3)
    assert '"Waiting">3+<' in boss.get("/dashboard/queues").text
    assert '"Waiting">1<' in boss.get("/dashboard/queues").text
    # Which queues the other blocked ones are in is not known.
    monkeypatch.setattr(standing, "MOST_BLOCKED", 1)
    assert [(one.waiting, one.capped) for one in shop.jobs.queues.list()] == [(3, True), (1, True)]


def test_queues_of_ones_own_only(shop: Shop) -> None:
    rights = ("jobs.view", Allow("queues.pause", queue="orders"))
    app = web_app(shop.jobs, resolve_user=by_header, resolve_access=lambda request, user: rights)
    some = Caller(app, {"x-user": "other"})
    assert some.post("/dashboard/queues/orders/pause", data={}).status_code == 303
    for queue in ("mail", "*"):
        assert some.post(f"/dashboard/queues/{queue}/pause", data={}).status_code == 403
    assert [one.name for one in shop.jobs.queues.list() if one.paused] == ["orders"]


def test_schedules(jobs: Backburner, shop: Shop, boss: Caller) -> None:
    jobs.schedules.add(shop.add, name="every/night", cron="0 2 * * MON-FRI", zone="Europe/Prague", args=(1, 2))
    text = page(boss, "/dashboard/schedules")
    assert "every weekday at 02:00, Europe/Prague" in text
    assert "02:00:00 Europe/Prague" in text
    boss.post("/dashboard/schedules/every/night/pause", data={"reason": "month end"})
    assert jobs.schedules.get("every/night").paused_by == "boss"
    assert "It is paused since" in page(boss, "/dashboard/schedules")
    ran = boss.post("/dashboard/schedules/every/night/run")
    [job] = jobs.find()
    assert ran.headers["location"] == f"/dashboard/jobs/{job.id}"
    boss.post("/dashboard/schedules/every/night/resume")
    assert jobs.schedules.get("every/night").paused_at is None
    assert boss.post("/dashboard/schedules/nothing/run").status_code == 404
    assert boss.post("/dashboard/schedules/every/night/launch").status_code == 404


def test_workers(jobs: Backburner, shop: Shop, boss: Caller) -> None:
    assert "No worker is running." in page(boss, "/dashboard/workers")
    with Worker(jobs):
        [worker] = jobs.workers.list()
        text = page(boss, "/dashboard/workers")
        assert f"pid {worker.pid}" in text
        assert "It is part of the app's own process" in text
        boss.post(f"/dashboard/workers/{worker.id}/quiet")
        assert jobs.workers.list()[0].told == "quiet"
        assert "It was told to quiet already" in page(boss, "/dashboard/workers")
        assert boss.post(f"/dashboard/workers/{worker.id}/kill").status_code == 404


def test_a_task_is_run_by_its_form(jobs: Backburner, shop: Shop, boss: Caller) -> None:
    @jobs.task(name="shop.order", max_attempts=2)
    def order(
        customer: str, count: int, gift: bool = False, lines: list[str] | None = None, api_token: str = ""
    ) -> None:
        """Order something."""

    assert "Order something." in page(boss, "/dashboard/tasks")
    form = boss.get("/dashboard/tasks/shop.order").text
    for name, kind in (("customer", "input"), ("count", "input"), ("gift", "select"), ("lines", "textarea")):
        assert f'<{kind} id="arg.{name}"' in form, name
    assert 'id="arg.api_token" name="arg.api_token" type="password"' in form
    wrong = boss.post("/dashboard/tasks/shop.order/run", data={"arg.customer": "Ada", "arg.count": "many"})
    assert wrong.status_code == 422
    assert "It cannot be read. Write it like 12." in wrong.text
    assert 'value="Ada"' in wrong.text, "what was typed stays"
    unfit = boss.post(
        "/dashboard/tasks/shop.order/run", data={"arg.customer": "Ada", "arg.count": "2", "arg.lines": "[1]"}
    )
    assert unfit.status_code == 422
    assert jobs.find() == []
    good = boss.post(
        "/dashboard/tasks/shop.order/run", data={"arg.customer": "Ada", "arg.count": "2", "arg.lines": '["tea"]'}
    )
    [job] = jobs.find()
    assert good.headers["location"] == f"/dashboard/jobs/{job.id}"
    assert (job.args, job.owner) == ('{"customer":"Ada","count":2,"lines":["tea"]}', "boss")
    assert boss.get("/dashboard/tasks/os.system").status_code == 404
    assert boss.post("/dashboard/tasks/os.system/run", data={}).status_code == 404


def test_tasks_show_how_they_did_in_the_last_day(jobs: Backburner, shop: Shop, boss: Caller) -> None:
    @jobs.task(name="shop.order")
    def order() -> None:
        """Order something."""

    minute = minute_of(jobs.store.clock.now())
    runs = Histogram((*(0,) * 11, 4, *(0,) * (BUCKETS - 12)))
    jobs.store.rollups.write([Rollup(minute, "default", "shop.order", (1200, 3, 2, 0, 0, 0), runs, runs)], None)
    text = page(boss, "/dashboard/tasks")
    assert "1,203" in text
    assert "2 tried again" in text
    assert "1.4 s" in text
    assert "95 of 100 in 1.9 s" in text
    assert 'href="/dashboard/jobs?q=state%3Afailed%20task%3Ashop.order"' in boss.get("/dashboard/tasks").text


def test_settings_of_retention_are_in_days(boss: Caller) -> None:
    text = page(boss, "/dashboard/settings")
    assert "How long failed jobs are kept, days; 0: for ever" in text
    assert "seconds;" not in text


def test_a_failed_job_is_edited_and_retried(jobs: Backburner, shop: Shop, boss: Caller) -> None:
    @jobs.task(name="shop.sign_in", max_attempts=1)
    def sign_in(user: str, password: str) -> str:
        if user == "nobody":
            raise ValueError("no such user")
        return f"{user} {len(password)}"

    with Worker(jobs):
        job = sign_in.enqueue("nobody", password="hunter2")
        assert job.wait(30)
        form = boss.get(f"/dashboard/jobs/{job.id}/edit").text
        assert 'value="nobody"' in form
        assert "hunter2" not in form
        edited = boss.post(f"/dashboard/jobs/{job.id}/edit", data={"arg.user": "ada", "arg.password": ""})
        assert edited.status_code == 303
        assert job.wait(30)
        assert job.result() == "ada 7", "the secret stayed as it was"
    waiting = shop.add.options(delay=3600).enqueue(1, 2)
    boss.post(f"/dashboard/jobs/{waiting.id}/edit", data={"arg.a": "5", "arg.b": "x"})
    assert waiting.refresh().args == '{"a":1,"b":2}'
    boss.post(f"/dashboard/jobs/{waiting.id}/edit", data={"arg.a": "5", "arg.b": "6"})
    assert (waiting.refresh().args, waiting.refresh().state) == ('{"a":5,"b":6}', JobState.SCHEDULED)


@pytest.mark.parametrize("place", ["https://evil.example/x", "//evil.example", "http://localhost.evil/dashboard/jobs"])
def test_a_form_leads_back_to_our_own_pages_only(shop: Shop, boss: Caller, place: str) -> None:
    job = shop.add.enqueue(1, 2)
    answer = boss.post(f"/dashboard/jobs/{job.id}/cancel", headers={"referer": place})
    assert answer.headers["location"] == f"/dashboard/jobs/{job.id}"
    back = boss.post(
        f"/dashboard/jobs/{job.id}/retry", headers={"referer": "http://localhost/dashboard/jobs?q=tag%3Ax"}
    )
    assert back.headers["location"] == "/dashboard/jobs?q=tag%3Ax"


@pytest.mark.parametrize(
    "cookie", ["backburner_said=x", "backburner_said=%5B1%5D", "backburner_said=%5B%22%3Cb%3E%22%2C%22//evil%22%5D"]
)
def test_a_forged_sentence_is_text_and_leads_nowhere(boss: Caller, shop: Shop, cookie: str) -> None:
    shop.jobs.store.ready()
    text = boss.get("/dashboard/jobs", headers={"cookie": cookie}).text
    assert "<b>" not in text.partition("data-toast")[2]
    assert "evil" not in text


def test_what_is_no_form_is_refused(shop: Shop, boss: Caller) -> None:
    path = "/dashboard/queues/default/pause"
    assert boss.post(path, content=b"x", headers={"content-type": "application/json"}).status_code == 415
    big = b"reason=" + b"x" * 1_100_000
    assert (
        boss.post(path, content=big, headers={"content-type": "application/x-www-form-urlencoded"}).status_code == 413
    )
