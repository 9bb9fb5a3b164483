"""Jobs started over HTTP, by programs with a bearer token."""

from pathlib import Path

import httpx

from backburner import Backburner
from backburner.web import User, api_token, web_app
from tests.parity.conftest import StartWorker
from tests.web.listening import listening


def test_enq_16_a_program_with_a_token_schedules_a_job_and_learns_its_id(
    sqlite_url: str, tmp_path: Path, start_worker: StartWorker
) -> None:
    jobs = Backburner(sqlite_url, files=str(tmp_path / "files"), secret="a secret of some length")
    ran: list[tuple[str, int]] = []

    @jobs.task(name="shop.reprice", api=True)
    def reprice(shop: str, percent: int = 0) -> int:
        ran.append((shop, percent))
        return percent * 2

    jobs.task(name="shop.wipe")(lambda: ran.append(("wiped", 0)))
    start_worker(jobs)
    token = api_token(jobs, User("erp", scopes=frozenset({"read", "enqueue:shop.*"})), 3600)
    call = {"task": "shop.reprice", "arguments": {"shop": "main", "percent": 21}}
    with listening(web_app(jobs)) as url, httpx.Client(base_url=url, timeout=30) as anybody:
        assert anybody.post("/jobs", json=call).status_code == 401
        anybody.headers["authorization"] = f"Bearer {token}"

        accepted = anybody.post("/jobs", json=call)
        assert accepted.status_code == 202
        assert int(accepted.headers["retry-after"]) >= 1
        job = accepted.json()
        assert accepted.headers["location"] == f"/jobs/{job['id']}" == job["href"]

        assert jobs.get(job["id"]).wait(30)
        found = anybody.get(accepted.headers["location"]).json()
        assert (found["state"], found["task"]) == ("succeeded", "shop.reprice")
        assert anybody.get(f"{accepted.headers['location']}/result").json() == 42
        assert ran == [("main", 21)]
        assert jobs.get(job["id"]).owner == "erp"

        later = anybody.post("/jobs", json=call | {"delay": 3600})
        assert (later.status_code, later.json()["state"]) == (202, "scheduled")
        closed, unknown = (
            anybody.post("/jobs", json={"task": name, "arguments": {}}) for name in ("shop.wipe", "shop.nothing")
        )
        assert (closed.status_code, closed.json()) == (404, unknown.json())
        wrong = anybody.post("/jobs", json={"task": "shop.reprice", "arguments": {"percent": "a lot", "colour": 1}})
        assert wrong.status_code == 422
        assert wrong.headers["content-type"] == "application/problem+json"
        assert {fault["pointer"] for fault in wrong.json()["errors"]} == {
            "#/arguments/shop", "#/arguments/percent", "#/arguments/colour",
        }  # fmt: skip
        assert ran == [("main", 21)]
    jobs.close()
