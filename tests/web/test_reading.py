"""The HTTP contract of reading jobs, as programs see it."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from backburner import Backburner, JobState
from backburner.web import web_app
from backburner.worker import Worker
from tests.web.shop import Caller, Shop, as_user, store_output


def test_a_job_as_json(shop: Shop) -> None:
    job = shop.export.options(owner="lena", tags=["black-friday"], identifier="o-10").enqueue("October")
    found = as_user(shop, "lena").get(f"/jobs/{job.id}")
    body = found.json()
    assert found.status_code == 200
    assert int(found.headers["retry-after"]) >= 1
    assert {name: body[name] for name in ("id", "title", "task", "state", "done", "place", "tags", "identifier")} == {
        "id": job.id, "title": "Export orders of October", "task": "shop.export", "state": "queued", "done": False,
        "place": 1, "tags": ["black-friday"], "identifier": "o-10",
    }  # fmt: skip
    assert body["actions"] == ["cancel"]
    assert datetime.fromisoformat(body["created_at"]).tzinfo is not None


def test_a_title_for_people_when_the_task_has_none(shop: Shop) -> None:
    job = shop.patient.options(owner="lena").enqueue()
    assert as_user(shop, "lena").get(f"/jobs/{job.id}").json()["title"] == "Patient"


def test_not_modified_until_it_changes(shop: Shop) -> None:
    job = shop.add.options(owner="lena").enqueue(1, 2)
    lena = as_user(shop, "lena")
    mark = lena.get(f"/jobs/{job.id}").headers["etag"]
    same = lena.get(f"/jobs/{job.id}", headers={"if-none-match": f'"other", W/{mark}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", mark)
    job.cancel()
    changed = lena.get(f"/jobs/{job.id}", headers={"if-none-match": mark})
    assert changed.status_code == 200
    assert changed.json()["state"] == "cancelled"
    assert changed.headers["etag"] != mark
    assert "retry-after" not in changed.headers


def test_a_long_poll_ends_with_the_change(shop: Shop) -> None:
    job = shop.add.options(owner="lena").enqueue(1, 2)
    lena = as_user(shop, "lena")
    mark = lena.get(f"/jobs/{job.id}").headers["etag"]
    answers: list[Any] = []

    def poll() -> None:
        answers.append(lena.get(f"/jobs/{job.id}", headers={"if-none-match": mark, "prefer": "wait=30"}))

    asking = threading.Thread(target=poll)
    asking.start()
    job.cancel()
    asking.join(25)
    assert [answer.json()["state"] for answer in answers] == ["cancelled"]
    assert answers[0].headers["preference-applied"] == "wait=30"


def test_a_long_poll_without_news_says_so(shop: Shop) -> None:
    job = shop.add.options(owner="lena").enqueue(1, 2)
    lena = as_user(shop, "lena")
    mark = lena.get(f"/jobs/{job.id}").headers["etag"]
    same = lena.get(f"/jobs/{job.id}", headers={"if-none-match": mark, "prefer": "respond-async, wait=0.3"})
    assert same.status_code == 304
    assert same.headers["preference-applied"] == "wait=0.3"


def test_a_long_poll_too_many_is_answered_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.web.reading.MOST_VIEWERS", 0)
    job = shop.add.options(owner="lena").enqueue(1, 2)
    answer = as_user(shop, "lena").get(f"/jobs/{job.id}", headers={"prefer": "wait=30"})
    assert answer.json()["state"] == "queued"
    assert "preference-applied" not in answer.headers
    assert "retry-after" in answer.headers


def test_result_log_and_files(shop: Shop, worker: Worker) -> None:
    lena = as_user(shop, "lena")
    job = shop.export.options(owner="lena").enqueue("October")
    assert shop.reached.wait(30)
    pending = lena.get(f"/jobs/{job.id}/result")
    assert pending.status_code == 202
    assert pending.headers["retry-after"] == "1"
    shop.gate.set()
    assert job.wait(30)
    assert lena.get(f"/jobs/{job.id}/result").json() == {"rows": 100}

    whole = lena.get(f"/jobs/{job.id}/log")
    assert whole.headers["content-type"].startswith("text/plain")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.text == "".join(f"order {number}\n" for number in range(0, 100, 10))
    assert lena.get(f"/jobs/{job.id}/log?after={whole.headers['x-log-end']}").text == ""

    body = lena.get(f"/jobs/{job.id}").json()
    assert body["links"] == [{"text": "Download CSV", "href": "/orders.csv", "target": None}]
    [file] = body["files"]
    answer = lena.get(file["href"])
    assert answer.content == b"id,total\n1,2\n"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Orders _Oct__.csv\"; filename*=UTF-8''Orders%20%22Oct%22%C3%A9.csv"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_no_result_of_a_failure(shop: Shop, worker: Worker) -> None:
    job = shop.refuse.options(owner="lena").enqueue()
    assert job.wait(30)
    answer = as_user(shop, "lena").get(f"/jobs/{job.id}/result")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "Row 1,204 has no price."


def test_lists_go_page_by_page(shop: Shop) -> None:
    ids = [shop.add.options(owner="lena").enqueue(1, n).id for n in range(5)]
    shop.add.options(owner="other").enqueue(0, 0)
    lena, seen, address = as_user(shop, "lena"), [], "/jobs?limit=2&task=shop.add"
    while address:
        page = lena.get(address).json()
        assert len(page["jobs"]) <= 2
        assert page["count"] == 5
        seen += [job["id"] for job in page["jobs"]]
        address = page["next"]
    assert seen == ids[::-1]


def test_lists_are_filtered(shop: Shop) -> None:
    first = shop.add.options(owner="lena", tags=["red"], identifier="a").enqueue(1, 1)
    second = shop.patient.options(owner="lena", queue="mail").enqueue()
    second.cancel()
    lena = as_user(shop, "lena")

    def ids(query: str) -> set[str]:
        answer = lena.get(f"/jobs?{query}")
        assert answer.status_code == 200, answer.text
        return {job["id"] for job in answer.json()["jobs"]}

    for query in ("state=queued", "tag=red", "identifier=a", "task=shop.add", "done=false", "queue=default"):
        assert ids(query) == {first.id}, query
    for query in ("state=cancelled,failed", "queue=mail", "done=true", "state=cancelled&state=failed"):
        assert ids(query) == {second.id}, query
    tomorrow = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1).isoformat()
    assert ids(f"created_before={tomorrow}") == {first.id, second.id}
    assert ids(f"created_after={tomorrow}") == set()
    assert ids("owner=other") == set()


@pytest.mark.parametrize(
    "query",
    ["state=nope", "limit=0", "limit=100000", "limit=x", "limit=\u00b2", "limit=\u0661", "limit=00000000199999",
     "created_after=today", "created_after=2026-01-01T00:00",
     "done=maybe", "nonsense=1", "task=" + "x" * 2000, "task=%00", "before=%00"],
)  # fmt: skip
def test_a_wrong_filter_is_a_typed_problem(shop: Shop, query: str) -> None:
    answer = as_user(shop, "boss").get(f"/jobs?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:backburner:problem:invalid-parameter"
    assert answer.json()["parameter"] == query.partition("=")[0]


@pytest.mark.parametrize(
    "value", ["'", "' OR 1=1 --", '"; DROP TABLE backburner_jobs; --', "%", "_", "\\", "\u202e", "1e999"]
)
def test_filters_are_values_and_nothing_else(shop: Shop, value: str) -> None:
    shop.add.options(owner="lena").enqueue(1, 1)
    boss = as_user(shop, "boss")
    for name in ("task", "queue", "tag", "identifier", "owner", "before"):
        answer = boss.get("/jobs", params={name: value})
        assert answer.status_code in (200, 422), (name, answer.text)
        assert name == "before" or answer.json()["jobs"] == []
    assert len(boss.get("/jobs").json()["jobs"]) == 1


def test_acting_on_a_job(shop: Shop) -> None:
    boss, job = as_user(shop, "boss"), shop.add.enqueue(1, 2)
    cancelled = boss.post(f"/jobs/{job.id}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    again = boss.post(f"/jobs/{job.id}/cancel")
    assert (again.status_code, again.json()["state"]) == (409, "cancelled")
    retried = boss.post(f"/jobs/{job.id}/retry")
    assert (retried.status_code, retried.json()["state"]) == (202, "queued")
    assert boss.post(f"/jobs/{job.id}/retry").status_code == 409
    assert boss.ask("DELETE", f"/jobs/{job.id}").status_code == 204
    assert boss.get(f"/jobs/{job.id}").status_code == 404


def test_a_running_job_is_asked_to_stop(shop: Shop, worker: Worker) -> None:
    job = shop.patient.options(owner="lena").enqueue()
    assert shop.reached.wait(30)
    lena = as_user(shop, "lena")
    assert as_user(shop, "boss").ask("DELETE", f"/jobs/{job.id}").status_code == 409
    asked = lena.post(f"/jobs/{job.id}/cancel")
    assert (asked.status_code, asked.json()["cancel_requested"]) == (202, True)
    assert job.wait(30)
    assert job.refresh().state is JobState.CANCELLED


def test_health(shop: Shop, tmp_path: Any) -> None:
    nobody = as_user(shop, "")
    assert nobody.get("/livez").status_code == 200
    assert nobody.get("/readyz").status_code == 200
    shop.jobs.close()
    broken = Backburner(f"sqlite:///{tmp_path}/empty.db", auto_migrate=False)
    assert Caller(web_app(broken)).get("/readyz").status_code == 503
    assert Caller(web_app(broken)).get("/livez").status_code == 200
    unreachable = Caller(web_app(broken, development=True)).get("/jobs")
    assert unreachable.status_code == 503
    assert unreachable.headers["retry-after"] == "5"


def test_problems_are_typed(shop: Shop) -> None:
    boss = as_user(shop, "boss")
    for answer, status, kind in (
        (boss.get("/jobs/nonsense"), 404, "not-found"),
        (boss.get("/nowhere"), 404, "not-found"),
        (boss.ask("PUT", "/jobs"), 405, "http"),
        (boss.get("/jobs/x/log?after=-1"), 404, "not-found"),
        (boss.get("/jobs/feed"), 422, "invalid-parameter"),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == f"urn:backburner:problem:{kind}"
        assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("offset", "text"),
    [(0, "one\ntwo\nthree\n"), (2, "e\ntwo\nthree\n"), (4, "two\nthree\n"), (9, "hree\n"), (14, ""), (99, "")],
)
def test_output_is_read_from_any_offset(shop: Shop, offset: int, text: str) -> None:
    job = shop.add.options(owner="lena").enqueue(1, 2)
    store_output(shop.jobs, job, ["one\ntwo\n", "three\n"])
    answer = as_user(shop, "lena").get(f"/jobs/{job.id}/log?after={offset}")
    assert (answer.text, answer.headers["x-log-end"]) == (text, str(max(14, offset)))
