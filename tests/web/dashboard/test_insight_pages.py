"""Overview, failures, audit, settings, exports and views, with a worker that counts."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from backburner import Backburner
from backburner.insight.charts import Point, Series
from backburner.insight.marks import Mark
from backburner.web.dashboard.chart import HEIGHT, chart_of, nice, spark
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.web.shop import Caller, Shop, as_user


@pytest.fixture
def boss(shop: Shop) -> Caller:
    return as_user(shop, "boss")


def page(caller: Caller, path: str) -> str:
    answer = caller.get(path)
    assert answer.status_code == 200, answer.text
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])))


def kinds_of_failures(caller: Caller) -> str | None:
    """The number in the navigation."""
    found = re.search(r'<b class="count"[^>]*>([^<]*)</b>', caller.get("/dashboard/queues").text)
    return found and found[1]


def test_failures_from_the_page_to_a_test_and_muted(jobs: Backburner, shop: Shop, boss: Caller) -> None:
    with Worker(jobs):
        for _ in range(7):
            shop.crash.enqueue()
        wait_until(lambda: sum(one.failed for one in jobs.insight.failures.list()) == 7, "all have failed")
        [group] = jobs.insight.failures.list()
        path = f"/dashboard/failures?open={group.group.fingerprint}"
        assert kinds_of_failures(boss) == "1"
        text = page(boss, path)
        assert "7 failed jobs in 1 group" in text
        assert "the password of the database is hunter2" in text
        assert "Retry 5 as a test" in text
        assert "shop.py" in text
        assert "By task shop.crash 7" in text
        said = boss.post(f"/dashboard/failures/{group.group.fingerprint}/test")
        assert said.headers["location"] == path
        wait_until(lambda: sum(job.attempt == 2 and job.done for job in jobs.find()) == 5, "five ran again")
        muted = boss.post(f"/dashboard/failures/{group.group.fingerprint}/mute", data={"reason": "known", "days": "7"})
        assert muted.status_code == 303
        assert "Muted by boss until" in page(boss, path)
        assert kinds_of_failures(as_user(shop, "boss")) is None
        assert boss.post(f"/dashboard/failures/{group.group.fingerprint}/mute", data={"days": "8"}).status_code == 422
        boss.post(f"/dashboard/failures/{group.group.fingerprint}/unmute")
        assert "Muted" not in page(boss, path)
    assert "No failure matches" in page(boss, "/dashboard/failures?text=nothing-like-it")
    assert boss.get("/dashboard/failures?hours=5").status_code == 422
    actions = [one.action for one in jobs.insight.audit.page().rows]
    assert actions == ["unmute", "mute", "retry some"]
    text = page(boss, "/dashboard/audit?by=boss")
    assert re.search(r"boss dashboard mute failure", text)
    assert "No action matches" in page(boss, "/dashboard/audit?action=nothing")
    assert boss.get("/dashboard/audit?before=x").status_code == 422


def test_the_overview_says_what_hurts(jobs: Backburner, shop: Shop, boss: Caller) -> None:
    shop.add.options(queue="reports").enqueue(1, 2)
    jobs.queues.pause("mail", by="Lena", reason="checking")
    text = page(boss, "/dashboard/overview")
    assert "No live worker takes queue reports" in text
    assert "Queue mail is paused Lena, checking" in text
    assert "Nothing is running." in text
    assert 'action="/dashboard/queues/mail/resume"' in boss.get("/dashboard/overview").text
    for chosen in ("6h", "24h", "7d", "30d"):
        assert boss.get(f"/dashboard/overview?range={chosen}").status_code == 200
    assert boss.get("/dashboard/overview?range=2h").status_code == 422
    jobs.queues.resume("mail")
    shop.jobs.cancel(queue="reports")
    assert "Nothing needs you." in page(boss, "/dashboard/overview")


def test_what_happened_stands_in_the_chart(jobs: Backburner, shop: Shop, boss: Caller) -> None:
    jobs.insight.operator("deploy@ci", "cli").release("2026.11.24-2")
    said = boss.post("/dashboard/notes", data={"text": " Parcelfox is <slow> "})
    assert (said.status_code, said.headers["location"]) == (303, "/dashboard/overview")
    text = boss.get("/dashboard/overview").text
    assert "note by boss: Parcelfox is &lt;slow&gt;" in text
    assert "release 2026.11.24-2" in text
    for wrong in ("", "  ", "x" * 121):
        assert boss.post("/dashboard/notes", data={"text": wrong}).status_code == 422
    rows = jobs.insight.audit.page().rows
    assert [(one.by, one.action, one.reason) for one in rows] == [
        ("boss", "note", "Parcelfox is <slow>"),
        ("deploy@ci", "release", "2026.11.24-2"),
    ]
    assert jobs.insight.marks.since(rows[0].at) == (Mark(rows[0].at, "boss", "Parcelfox is <slow>", False),)


def empty_at(at: datetime) -> Point:
    return Point(at, 0, 0, 0, 0, *[None] * 6)


def test_marks_stand_at_their_time_and_leave_each_other_room() -> None:
    since, step = datetime(2030, 5, 17, 9, tzinfo=UTC), timedelta(minutes=1)
    points = tuple(empty_at(since + step * number) for number in range(60))
    series = Series("1h", since, step, points, empty_at(since))
    at = (0, 6, 30, 60, 75)
    chart = chart_of(series, [Mark(since + step * minute, "ada", str(minute), minute == 6) for minute in at])
    assert [(sign.x, sign.text) for sign in chart.signs] == [
        (0.0, "note by ada: 0"),
        (10.0, "release 6"),
        (50.0, "note by ada: 30"),
        (100.0, "note by ada: 60"),
        (100.0, "note by ada: 75"),
    ]
    assert [sign.label for sign in chart.signs] == [False, True, False, False, True]
    assert [sign.before for sign in chart.signs] == [False, False, False, True, True]


def test_settings_are_previewed_said_and_restored(jobs: Backburner, shop: Shop, boss: Caller) -> None:
    shop.add.enqueue(1, 2).cancel()
    assert "No cancelled job would be deleted now." in page(boss, "/dashboard/settings?preview=keep_cancelled&value=30")
    assert "keep_cancelled" in page(boss, "/dashboard/settings")
    assert boss.post("/dashboard/settings/keep_cancelled/say", data={"value": "14"}).status_code == 303
    assert jobs.insight.runtime.settings().keep_cancelled == 14 * 86_400
    assert re.search(r"keep_cancelled .* 14 days boss", page(boss, "/dashboard/settings"))
    for name, value in (
        ("keep_failed", "many"),
        ("keep_failed", "-1"),
        ("clean_cron", "every day"),
        ("cleaning", "perhaps"),
    ):
        wrong = boss.post(f"/dashboard/settings/{name}/say", data={"value": value})
        assert wrong.status_code == 422, name
        assert 'role="alert"' in wrong.text
    assert boss.post("/dashboard/settings/secret/say", data={"value": "x"}).status_code == 404
    boss.post("/dashboard/settings/keep_cancelled/restore")
    assert jobs.insight.runtime.settings().keep_cancelled == 60 * 86_400
    assert [one.action for one in jobs.insight.audit.page().rows] == ["restore", "set"]


def test_an_export_and_a_view(jobs: Backburner, shop: Shop, boss: Caller) -> None:
    shop.add.options(queue="orders").enqueue(1, 2)
    answer = boss.post("/dashboard/jobs/export", data={"q": "queue:orders", "form": "csv"})
    job = jobs.get(answer.headers["location"].rpartition("/")[2])
    with Worker(jobs):
        assert job.wait(30)
    [file] = jobs.control.files_of([job.id])[job.id]
    text = boss.get(f"/files/{file.id}").text
    assert "shop.add" in text
    assert "args" not in text.splitlines()[0]
    assert boss.post("/dashboard/jobs/export", data={"form": "xml"}).status_code == 422
    assert boss.post("/dashboard/jobs/export", data={"q": "stat:x"}).status_code == 422
    saved = boss.post(
        "/dashboard/views", data={"name": "Orders", "q": "queue:orders", "columns": "queue,id", "shared": "1"}
    )
    assert saved.headers["location"] == "/dashboard/jobs?q=queue%3Aorders&columns=queue%2Cid"
    assert "Orders" in page(boss, "/dashboard/jobs")
    [view] = jobs.insight.views.list("boss")
    assert boss.post("/dashboard/views", data={"name": "", "q": ""}).status_code == 422
    assert boss.post(f"/dashboard/views/{view.id}/remove").status_code == 303
    assert jobs.insight.views.list("boss") == []


def test_the_bar_completes_and_says_what_it_cannot_read(shop: Shop, boss: Caller) -> None:
    shop.add.options(queue="orders").enqueue(1, 2)
    found = boss.get("/dashboard/jobs/complete", params={"text": "state:failed queue:or"}).json()
    assert (found["start"], found["key"], [one["text"] for one in found["values"]]) == (19, "queue", ["orders"])
    wrong = boss.get("/dashboard/jobs", params={"q": "queue:orders", "add": "stat:failed"})
    assert wrong.status_code == 422
    assert "Did you mean state:?" in unescape(wrong.text)
    assert 'value="stat:failed"' in wrong.text
    assert boss.get("/dashboard/jobs?nothing=1").status_code == 422


def test_bars_stand_on_two_scales() -> None:
    at = datetime(2026, 11, 24, 14, tzinfo=UTC)
    points = [Point(at + timedelta(minutes=n), 100 * n, n, 2 * n, 101 * n, *(None,) * 6) for n in range(4)]
    chart = chart_of(Series("1h", at, timedelta(minutes=1), tuple(points), points[-1]))
    assert [bar.ok for bar in chart.bars] == [0, pytest.approx(HEIGHT / 3), pytest.approx(HEIGHT * 2 / 3), HEIGHT]
    assert chart.bars[3].failed_y - chart.bars[3].retried_y == chart.bars[3].retried == 60
    assert (chart.good, chart.bad) == (("300", "200", "100", "0"), ("10", "5", "0"))
    assert chart.times == ("14:00", "14:01", "14:02", "14:03")
    assert [nice(value) for value in (0, 0.4, 7, 21, 2_700, 5_001)] == [1, 1, 10, 30, 3_000, 10_000]
    assert spark([0, 2], 10, 10) == ("M0.0 9.0L10.0 1.0", "M0.0 9.0L10.0 1.0L10 10L0 10Z")
    assert spark([]) == ("", "")
