"""Jobs in Django's admin, and its actions in the background."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner, JobState, PermanentError
from backburner.testing import JobsTesting
from backburner.web.rights import Permission as Right
from tests.contrib.django_project import PeopleAdmin, use_database

# Behind the settings, which that module makes.
from django.contrib.auth.models import Permission, User  # isort: skip
from django.core.exceptions import PermissionDenied  # isort: skip
from django.db import connections  # isort: skip
from django.test import Client  # isort: skip

from backburner.contrib.django.background import action_task, selected_of  # isort: skip
from backburner.contrib.django.project import project_jobs  # isort: skip
from backburner.contrib.django.visitor import access_of, django_permission  # isort: skip

LIST, PEOPLE = "/admin/backburner/job/", "/admin/auth/user/"


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Backburner]:
    use_database(tmp_path)
    made = project_jobs()
    action_task(made)
    yield made
    made.close()
    connections.close_all()


@pytest.fixture
def testing(jobs: Backburner, tmp_path: Path) -> Iterator[JobsTesting]:
    with JobsTesting(jobs, tmp_path, url=jobs.settings.url) as made:
        yield made


def staff(name: str, *codenames: str) -> tuple[Any, Client]:
    person = User.objects.create_user(name, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    browser = Client()
    browser.force_login(person)
    return person, browser


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def said(answer: Any) -> list[str]:
    """The messages on a page, without markup."""
    found = re.search(r'<ul class="messagelist">(.*?)</ul>', text_of(answer), re.DOTALL)
    return [re.sub(r"<[^>]+>", "", one) for one in re.findall(r"<li[^>]*>(.*?)</li>", found[1])] if found else []


def test_it_is_closed_by_default(jobs: Backburner) -> None:
    job = jobs.task(name="add")(lambda: 3).enqueue()
    _, browser = staff("sam", "view_user")
    page = f"{LIST}{job.id}/change/"
    assert [browser.get(LIST).status_code, browser.get(page).status_code] == [403, 403]
    assert browser.post(LIST, {"verb": "cancel", "job": [job.id]}).status_code == 403
    assert "Background jobs" not in text_of(browser.get("/admin/"))
    assert Client().get(LIST).headers["location"].startswith("/admin/login/")
    assert jobs.get(job.id).state is JobState.QUEUED


def test_who_may_look_may_not_act(jobs: Backburner) -> None:
    job = jobs.task(name="add")(lambda: 3).enqueue()
    _, browser = staff("vera", "view_job")
    assert "Background jobs" in text_of(browser.get("/admin/"))
    listed = text_of(browser.get(LIST))
    assert (listed.count('name="job"'), 'value="cancel"' in listed) == (0, False)
    assert 'value="cancel"' not in text_of(browser.get(f"{LIST}{job.id}/change/"))
    for verb in ("cancel", "retry", "delete"):
        assert browser.post(LIST, {"verb": verb, "job": [job.id], "sure": "yes"}).status_code == 403
    _, changer = staff("carl", "view_job", "change_job")
    assert changer.post(LIST, {"verb": "delete", "job": [job.id], "sure": "yes"}).status_code == 403
    assert jobs.get(job.id).state is JobState.QUEUED


def test_the_list_and_its_filters(jobs: Backburner, testing: JobsTesting) -> None:
    @jobs.task(name="shop.fail", title="Fail <{n}>", max_attempts=1)
    def fail(n: int) -> None:
        raise PermanentError("Row 7 has no price.")

    add = jobs.task(name="shop.add", title="Add")(lambda: 3)
    for number in range(60):
        fail.enqueue(number)
    testing.drain()
    add.enqueue()
    _, browser = staff("olga", "view_job", "change_job", "delete_job")
    first = text_of(browser.get(LIST))
    assert ("61 jobs" in first, first.count('name="job"'), "Fail &lt;59&gt;" in first) == (True, 50, True)
    older = re.search(r'href="([^"]*before=[^"]*)">Older', first)
    assert older is not None
    second = text_of(browser.get(LIST + older[1].replace("&amp;", "&")))
    assert (second.count('name="job"'), "Newest jobs" in second) == (11, True)
    failed = text_of(browser.get(LIST, {"state": "failed"}))
    assert ("60 jobs" in failed, "Row 7 has no price." in failed, ">Add</a>" in failed) == (True, True, False)
    assert "1 job. Search" in text_of(browser.get(LIST, {"q": "task:shop.add"}))
    nothing = text_of(browser.get(LIST, {"q": "state:failed task:shop.add"}))
    assert "No job matches." in nothing
    wrong = browser.get(LIST, {"q": "state:broken"})
    assert (wrong.status_code, "broken" in said(wrong)[0]) == (200, True)


def test_acting_on_many(jobs: Backburner, testing: JobsTesting) -> None:
    add = jobs.task(name="shop.add", title="Add")(lambda: 3)
    done = add.enqueue()
    testing.drain()
    waiting = [add.enqueue() for _ in range(3)]
    _, browser = staff("olga", "view_job", "change_job", "delete_job")
    chosen = [job.id for job in (done, *waiting)]
    told = said(browser.post(LIST, {"verb": "cancel", "job": chosen}, follow=True))
    assert told == ["3 jobs cancelled, or asked to stop.", "Not done to 1 job: it is succeeded."]
    assert said(browser.post(LIST, {"verb": "retry", "job": chosen[1:2]}, follow=True)) == ["1 job put back in line."]
    asked = text_of(browser.post(LIST, {"verb": "delete", "job": chosen}))
    assert ("Delete 4 jobs for good" in asked, len(jobs.find())) == (True, 4)
    told = said(browser.post(LIST, {"verb": "delete", "job": chosen, "sure": "yes"}, follow=True))
    assert (told, jobs.find()) == (["4 jobs deleted."], [])
    told = said(browser.post(LIST, {"verb": "delete", "job": chosen[:1], "sure": "yes"}, follow=True))
    assert told == ["Not done to 1 job: it is not there any more."]
    audit = jobs.insight.audit.page(by="olga").rows
    assert [row.action for row in audit].count("delete") == 4
    assert said(browser.post(LIST, {"verb": ""}, follow=True)) == ["Choose jobs, and what to do with them."]


def test_acting_where_each_request_is_a_transaction(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite the request would hold the lock that the action on jobs waits for."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    job = jobs.task(name="shop.add", title="Add")(lambda: 3).enqueue()
    _, browser = staff("olga", "view_job", "change_job", "delete_job")
    page = f"{LIST}{job.id}/change/"
    assert said(browser.post(LIST, {"verb": "cancel", "job": [job.id]}, follow=True)) == [
        "1 job cancelled, or asked to stop."
    ]
    assert said(browser.post(page, {"verb": "retry"}, follow=True)) == ["1 job put back in line."]
    assert jobs.get(job.id).state is JobState.QUEUED


def test_the_page_of_a_job(jobs: Backburner, testing: JobsTesting) -> None:
    from backburner import current_job

    @jobs.task(name="shop.talk", title="Talk", max_attempts=1)
    def talk(secret: str) -> None:
        job = current_job()
        assert job is not None
        job.log("line <one>")
        job.message("Half is done", "warning")
        job.item_failed("row 7", "no price")
        raise ValueError("broken")

    job = talk.options(owner="7", tags=["x"]).enqueue("hunter2")
    testing.drain()
    _, browser = staff("olga", "view_job", "change_job", "delete_job")
    address = f"{LIST}{job.id}/change/"
    page = text_of(browser.get(address))
    for part in ("line &lt;one&gt;", "Half is done", "row 7", "ValueError", "Traceback", f"/backburner/jobs/{job.id}"):
        assert part in page
    assert "hunter2" not in page, "arguments are for those who may see them"
    assert said(browser.post(address, {"verb": "retry"}, follow=True)) == ["1 job put back in line."]
    gone = browser.post(address, {"verb": "delete", "sure": "yes"})
    assert (gone.headers["location"], browser.get(address).status_code) == (LIST, 404)


def people(count: int) -> list[int]:
    User.objects.bulk_create(User(username=f"user{number}") for number in range(count))
    return list(User.objects.filter(username__startswith="user").values_list("pk", flat=True))


def act(browser: Client, keys: list[int], action: str = "deactivate", **more: str) -> Any:
    form = {"action": action, "_selected_action": keys, "index": "0", **more}
    return browser.post(PEOPLE, form, follow=True)


def test_few_records_are_changed_at_once(jobs: Backburner) -> None:
    _, browser = staff("olga", "view_user", "change_user")
    told = said(act(browser, people(100)))
    assert told == ["100 users are &lt;inactive&gt;."]
    assert (User.objects.filter(is_active=False).count(), jobs.find()) == (100, [])


def test_a_thousand_records_are_changed_in_the_background(jobs: Backburner, testing: JobsTesting) -> None:
    olga, browser = staff("olga", "view_user", "change_user", "view_job")
    people(1000)
    page = act(browser, [olga.pk], select_across="1")
    (job,) = jobs.find()
    told = f"Deactivate selected users (1,001 users) runs in the background: job …{job.id[-4:]}. See all jobs"
    assert said(page) == [told]
    assert f'<a href="/backburner/jobs/{job.id}/wait">' in text_of(page)
    assert (User.objects.filter(is_active=False).count(), job.owner) == (0, str(olga.pk))
    assert len(job.args) < 400, "numbers in a row are short"
    User.objects.filter(pk=olga.pk).update(is_superuser=True)
    testing.drain(raises=True)
    done = job.refresh()
    assert User.objects.filter(is_active=False).count() == 1001
    assert done.progress is not None
    assert (done.progress.done, done.progress.total, done.progress.unit) == (1001, 1001, "users")
    assert done.progress.message == "Done for 1,001 users."
    output = "".join(line.text for line in jobs.store.progress.log(job.id))
    assert output.splitlines() == ["100 users are <inactive>."] * 10 + ["1 users are <inactive>."]


def test_it_goes_on_where_it_was(jobs: Backburner, testing: JobsTesting) -> None:
    _, browser = staff("olga", "view_user", "change_user")
    act(browser, people(300))
    (job,) = jobs.find()
    testing.interrupt("backburner.admin_action")
    testing.drain()
    testing.drain()
    assert job.refresh().state is JobState.SUCCEEDED
    output = "".join(line.text for line in jobs.store.progress.log(job.id))
    assert output.count("100 users") == 3, "no batch is done twice"


def test_a_deletion_asks_first(jobs: Backburner, testing: JobsTesting) -> None:
    _, browser = staff("olga", "view_user", "delete_user", "change_user")
    keys = people(150)
    assert "Are you sure" in text_of(act(browser, keys, "delete_selected"))
    assert jobs.find() == []
    act(browser, keys, "delete_selected", post="yes")
    testing.drain(raises=True)
    assert User.objects.filter(pk__in=keys).count() == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_active": False}, "olga is not active any more."),
        ({"is_staff": False}, "olga may not do this any more, or the action is gone."),
        (None, "The person who asked for it is gone."),
    ],
)
def test_who_may_not_any_more(
    jobs: Backburner, testing: JobsTesting, change: dict[str, bool] | None, reason: str
) -> None:
    olga, browser = staff("olga", "view_user", "change_user")
    act(browser, people(150))
    (job,) = jobs.find()
    if change is None:
        olga.delete()
    else:
        User.objects.filter(pk=olga.pk).update(**change)
    testing.drain()
    assert (job.refresh().state, job.refresh().reason) == (JobState.FAILED, reason)
    assert User.objects.filter(username__startswith="user", is_active=False).count() == 0


@pytest.mark.parametrize("in_background", [True, False])
def test_a_check_around_an_action_holds_in_the_background(
    jobs: Backburner, testing: JobsTesting, monkeypatch: pytest.MonkeyPatch, in_background: bool
) -> None:
    """Somebody else's decorator says with `functools.wraps` what it is around, and is not to be taken off for that."""
    _, browser = staff("olga", "view_user", "change_user")
    keys = people(150)
    act(browser, keys)
    original = PeopleAdmin.get_actions

    def checked(self: Any, request: Any) -> dict[str, Any]:
        def check(function: Any) -> Any:
            @functools.wraps(function)
            def inner(model_admin: Any, request: Any, queryset: Any) -> Any:
                raise PermissionDenied("Not on a Monday.")

            return inner

        return {name: (check(one), *rest) for name, (one, *rest) in original(self, request).items()}

    monkeypatch.setattr(PeopleAdmin, "get_actions", checked)
    if not in_background:
        monkeypatch.setattr(PeopleAdmin, "background_actions", ())
    (job,) = jobs.find()
    testing.drain()
    assert "Not on a Monday." in (job.refresh().error or "")
    assert User.objects.filter(pk__in=keys, is_active=False).count() == 0


def test_more_than_the_threshold_at_a_time_is_one_job(
    jobs: Backburner, testing: JobsTesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PeopleAdmin, "background_batch", 1_000)
    _, browser = staff("olga", "view_user", "change_user")
    keys = people(150)
    act(browser, keys)
    testing.drain(raises=True)
    assert (len(jobs.find()), User.objects.filter(pk__in=keys, is_active=False).count()) == (1, 150)


def test_a_page_as_an_answer_fails_the_job(jobs: Backburner, testing: JobsTesting) -> None:
    _, browser = staff("olga", "view_user", "change_user")
    keys = people(150)
    assert text_of(act(browser, keys[:10], "ask")) == "Are you sure?"
    act(browser, keys, "ask")
    (job,) = jobs.find()
    testing.drain()
    assert job.refresh().reason == "The action answered with a page, and nobody sees one in the background."


def test_keys_in_a_row_are_short() -> None:
    assert selected_of([1, 2, 3, 7, 8]).ranges == [(1, 3), (7, 8)]
    assert selected_of(["a", "b"]).keys() == ["a", "b"]
    assert selected_of([5, 1, 2]).keys() == [5, 1, 2]


@pytest.mark.usefixtures("jobs")
def test_every_permission_of_the_operators_pages_is_one_of_djangos() -> None:
    known = {f"backburner.{one.codename}" for one in Permission.objects.filter(content_type__app_label="backburner")}
    assert {django_permission(each) for each in Right} == known
    olga, _ = staff("olga", "view_job", "queues_pause")
    assert access_of(olga) == ("jobs.view", "queues.pause")
