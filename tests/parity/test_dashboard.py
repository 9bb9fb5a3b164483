"""The administrator's side of a task module: the list, what is done from it, settings, and who may do what."""

import re
from collections.abc import Sequence
from html import unescape

import httpx
import pytest
from starlette.requests import Request

from backburner import Backburner, Job, JobState, PermanentError, Task, current_job
from backburner.web import Allow, User, web_app
from backburner.web.rights import Permission
from tests.parity.conftest import StartWorker
from tests.parity.running import done, in_state
from tests.web.shop import Caller

MAY = {
    "boss": tuple(Permission),
    "clerk": (Permission.JOBS_VIEW, Permission.JOBS_RETRY),
    "reader": (Permission.JOBS_VIEW,),
    "stranger": (),
}


class Office:
    """The operators' pages of an app, for each of those who work there."""

    def __init__(self, jobs: Backburner) -> None:
        self._app = web_app(
            jobs,
            resolve_user=lambda request: User(request.headers["x-user"]) if "x-user" in request.headers else None,
            resolve_access=_rights,
        )

    def of(self, name: str | None) -> Caller:
        return Caller(self._app, {"x-user": name} if name else {})


def _rights(request: Request, user: User | None) -> Sequence[Allow]:
    return [Allow(name) for name in MAY[user.id]] if user is not None else []


@pytest.fixture
def office(jobs: Backburner) -> Office:
    return Office(jobs)


@pytest.fixture
def export(jobs: Backburner) -> Task[[str], None]:
    @jobs.task(title="Export {month}", max_attempts=1)
    def export(month: str) -> None:
        job = current_job()
        job.progress(50, f"Half of {month}")
        job.link("The file", f"/files/{month}")
        if month == "May":
            raise PermanentError("there is no May")

    return export


def words(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])))


def shown(answer: httpx.Response) -> list[str]:
    """The jobs of the list, as they stand there."""
    assert answer.status_code == 200, answer.text
    return re.findall(r'<tr data-job="([^"]+)"', answer.text)


def test_see_12_a_list_to_filter_sort_page_and_keep(
    jobs: Backburner, office: Office, export: Task[[str], None], start_worker: StartWorker
) -> None:
    made = [
        export.options(priority=priority, owner=owner).enqueue(month)
        for month, priority, owner in (("April", 30, "ada"), ("May", 10, "bob"), ("June", 20, "ada"))
    ]
    start_worker()
    first, second, third = [done(job).id for job in made]
    boss = office.of("boss")
    everything = boss.get("/dashboard/jobs?columns=created,started,finished,message,link,owner,priority,id")
    text = words(everything)
    for seen in (first[-8:], "Export April", "Succeeded", "Failed", "Half of June", "The file", "bob"):
        assert seen in text
    assert len(re.findall(r"<time", everything.text)) == 9, "enqueued, started and finished of three jobs"
    assert shown(everything) == [third, second, first]
    assert shown(boss.get("/dashboard/jobs?q=owner:ada+state:succeeded")) == [third, first]
    assert shown(boss.get("/dashboard/jobs?q=May")) == [second]

    assert shown(boss.get("/dashboard/jobs?sort=priority")) == [second, third, first]
    assert shown(boss.get("/dashboard/jobs?sort=-priority")) == [first, third, second]
    ends = sorted(made, key=lambda job: (job.refresh().finished_at, job.id))
    assert shown(boss.get("/dashboard/jobs?sort=finished")) == [job.id for job in ends]
    by_owner = boss.get("/dashboard/jobs?sort=owner&q=state:succeeded")
    assert shown(by_owner) == [first, third]
    assert 'aria-sort="ascending"' in by_owner.text

    page = boss.get("/dashboard/jobs?sort=created&limit=2")
    assert shown(page) == [first, second]
    following = re.search(r'href="(/dashboard/jobs[^"]+)" rel="next"', page.text)
    assert following is not None
    assert shown(boss.get(unescape(following[1]))) == [third]
    assert boss.get("/dashboard/jobs?sort=secret").status_code == 422
    assert boss.get("/dashboard/jobs?sort=id&skip=-1").status_code == 422

    kept = boss.post("/dashboard/views", data={"q": "owner:ada", "name": "Ada's", "columns": "owner,finished"})
    assert kept.status_code == 303
    assert "Ada's" in words(boss.get("/dashboard/jobs"))
    assert "Ada's" not in words(office.of("reader").get("/dashboard/jobs")), "a view is one's own until it is shared"


def test_see_13_jobs_are_retried_cancelled_deleted_and_looked_at(
    jobs: Backburner, office: Office, export: Task[[str], None], start_worker: StartWorker
) -> None:
    failed = [export.enqueue("May") for _ in range(3)]
    later = export.options(delay=3600).enqueue("July")
    worker = start_worker()
    for job in failed:
        assert done(job).state is JobState.FAILED
    worker.stop()
    boss = office.of("boss")
    text = words(boss.get(f"/dashboard/jobs/{failed[0].id}"))
    for seen in ("there is no May", "Traceback", "month"):
        assert seen in text, seen
    assert "data-live" in boss.get("/dashboard/jobs").text, "the page refreshes itself"

    def press(verb: str, job: Job) -> None:
        assert boss.post(f"/dashboard/jobs/{job.id}/{verb}").status_code == 303

    press("retry", failed[0])
    assert failed[0].refresh().state is JobState.QUEUED
    press("cancel", later)
    assert later.refresh().state is JobState.CANCELLED
    press("delete", later)
    assert later.id not in {job.id for job in jobs.find()}

    question = boss.get(f"/dashboard/jobs/many?verb=retry&id={failed[1].id}&id={failed[2].id}")
    assert "2" in words(question)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', question.text))
    answer = boss.post("/dashboard/jobs/many", data={**fields, "verb": "retry", "id": [failed[1].id, failed[2].id]})
    assert answer.status_code in (200, 303), answer.text
    for job in failed:
        in_state(job, JobState.QUEUED)


def test_see_14_settings_are_changed_and_restored_while_all_runs(jobs: Backburner, office: Office) -> None:
    boss = office.of("boss")
    for name, value in (
        ("cleaning", "false"), ("keep_succeeded", "7"), ("run_cron", "*/5 * * * *"), ("clean_cron", "0 3 * * *"),
    ):  # fmt: skip
        assert boss.post(f"/dashboard/settings/{name}/say", data={"value": value}).status_code == 303
    known = {one.name: one for one in jobs.insight.runtime.list()}
    assert (known["cleaning"].value, known["keep_succeeded"].value) == (False, 7 * 86_400.0)
    assert (known["run_cron"].value, known["clean_cron"].value) == ("*/5 * * * *", "0 3 * * *")
    assert {one.by for one in known.values() if one.source == "database"} == {"boss"}
    wrong = boss.post("/dashboard/settings/clean_cron/say", data={"value": "every night"})
    assert "every night" in wrong.text
    assert {one.name: one.value for one in jobs.insight.runtime.list()}["clean_cron"] == "0 3 * * *"
    assert boss.post("/dashboard/settings/keep_succeeded/restore").status_code == 303
    assert {one.name: one for one in jobs.insight.runtime.list()}["keep_succeeded"].source != "database"
    assert boss.post("/dashboard/queues/%2A/pause", data={"reason": "stock-taking", "minutes": ""}).status_code == 303
    assert "Everything is paused" in words(boss.get("/dashboard/queues"))


def test_see_15_what_nobody_permitted_is_closed(office: Office, export: Task[[str], None], jobs: Backburner) -> None:
    job = export.enqueue("May")
    view, retry = f"/dashboard/jobs/{job.id}", f"/dashboard/jobs/{job.id}/retry"
    settings, save = "/dashboard/settings", "/dashboard/settings/cleaning/say"
    for name, may_view, may_act, may_set in (
        ("boss", True, True, True), ("clerk", True, True, False), ("reader", True, False, False),
        ("stranger", False, False, False), (None, False, False, False),
    ):  # fmt: skip
        who = office.of(name)
        assert (who.get(view).status_code == 200) == may_view, name
        jobs.cancel(job) if job.refresh().state is JobState.QUEUED else None
        assert (who.post(retry).status_code == 303) == may_act, name
        assert (job.refresh().state is JobState.QUEUED) == may_act, name
        assert (who.get(settings).status_code == 200) == may_set, name
        assert (who.post(save, data={"value": "false"}).status_code == 303) == may_set, name
        assert (who.get("/jobs").status_code == 200) == (name is not None), "over the API one's own jobs alone"
    assert office.of("stranger").get("/jobs").json()["jobs"] == []
