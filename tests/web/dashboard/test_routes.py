"""Every route of the operators' pages, for everybody: who gets in by which permission."""

from collections.abc import Sequence

import pytest

from backburner import Backburner, Job
from backburner.errors import InvalidOption
from backburner.web import Allow, Permission, User, web_app
from backburner.web.dashboard.routes import DASHBOARD
from backburner.web.rights import Rights
from backburner.web.route import Route
from tests.web.shop import Caller, Shop, as_user, by_header

# What an operator gets where it is not a page (200) or a way back to one (303): a form that says too little.
EXPECTED: dict[tuple[str, str], int] = {
    ("GET", "/dashboard/jobs/many"): 422,
    ("POST", "/dashboard/jobs/many"): 422,
    ("POST", "/dashboard/tasks/{name:path}/run"): 422,
    ("POST", "/dashboard/jobs/{job_id}/edit"): 422,
    ("GET", "/dashboard/login"): 404,
    ("POST", "/dashboard/login"): 404,
    ("POST", "/dashboard/logout"): 404,
    ("POST", "/dashboard/notes"): 422,
    ("POST", "/dashboard/views"): 422,
    ("POST", "/dashboard/views/{view_id}/remove"): 422,
    ("POST", "/dashboard/failures/{fingerprint}/{verb}"): 404,
    ("POST", "/dashboard/settings/{name}/{verb}"): 422,
}


@pytest.fixture
def nightly(jobs: Backburner, shop: Shop) -> None:
    jobs.schedules.add(shop.add, name="nightly", cron="0 2 * * *", args=(1, 2))


def cancelled(shop: Shop) -> Job:
    return shop.add.options(delay=3600).enqueue(1, 2).cancel()


def ask(shop: Shop, caller: Caller, route: Route) -> int:
    """The status of a route, for a job of its own where it changes one."""
    places = {
        "job_id": cancelled(shop).id if "{job_id}" in route.path else "",
        "verb": "run" if "schedules" in route.path else "retry",
        "queue": "default",
        "name": "nightly" if "schedules" in route.path else "shop.add",
        "worker_id": "all",
        "word": "quiet",
        "fingerprint": "none",
        "view_id": "none",
    }
    if "settings" in route.path:
        places |= {"name": "keep_failed", "verb": "say"}
    elif "failures" in route.path:
        places["verb"] = "test"
    path = route.path.replace(":path}", "}").format(**places)
    return caller.ask(route.method, path).status_code


def with_access(shop: Shop, *allowed: str | Allow) -> Caller:
    app = web_app(shop.jobs, resolve_user=by_header, resolve_access=lambda request, user: allowed)
    return Caller(app, {"x-user": "other"})


@pytest.mark.parametrize("visitor", ["", "lena"])
def test_closed_by_default(shop: Shop, visitor: str) -> None:
    shop.jobs.store.ready()
    caller = as_user(shop, visitor)
    found = {(route.method, route.path): ask(shop, caller, route) for route in DASHBOARD if route.needs is not None}
    assert found == dict.fromkeys(found, 403)


@pytest.mark.usefixtures("nightly")
def test_each_permission_opens_what_it_says_and_nothing_else(shop: Shop) -> None:
    shop.jobs.store.ready()
    app = web_app(
        shop.jobs, resolve_user=by_header, resolve_access=lambda request, user: request.headers["x-allowed"].split()
    )
    for route in DASHBOARD:
        if route.needs is None:
            continue
        # Whoever acts sees, whoever edits arguments sees them, and a verb has a permission of its own.
        needed = {"jobs.view", str(route.needs)} | ({"jobs.arguments"} if route.needs == "jobs.edit" else set())
        own = "jobs.retry" if route.path == "/dashboard/jobs/{job_id}/{verb}" else str(route.needs)
        for allowed, opened in ((needed | {own}, True), ({*map(str, Permission)} - {own}, False)):
            caller = Caller(app, {"x-user": "other", "x-allowed": " ".join(allowed)})
            status = ask(shop, caller, route)
            assert (status != 403) is opened, (allowed, route.method, route.path, status)


@pytest.mark.usefixtures("nightly")
def test_operators_may_do_everything(shop: Shop) -> None:
    shop.jobs.store.ready()
    boss = as_user(shop, "boss")
    for route in DASHBOARD:
        usual = 303 if route.method == "POST" or route.path in ("/", "/dashboard", "/dashboard/") else 200
        expected = EXPECTED.get((route.method, route.path), usual)
        assert ask(shop, boss, route) == expected, (route.method, route.path)


def test_a_token_that_only_reads_changes_nothing(shop: Shop) -> None:
    reader = User("boss", operator=True, scopes=frozenset({"read"}))
    app = web_app(shop.jobs, resolve_user=lambda request: reader)
    job = shop.add.enqueue(1, 2)
    assert Caller(app).get(f"/dashboard/jobs/{job.id}").status_code == 200
    assert Caller(app).post(f"/dashboard/jobs/{job.id}/cancel").status_code == 403
    assert Caller(app).post("/dashboard/queues/default/pause").status_code == 403


def test_buttons_of_what_is_forbidden_are_not_shown(shop: Shop) -> None:
    job = shop.add.enqueue(1, 2)
    text = with_access(shop, "jobs.view").get(f"/dashboard/jobs/{job.id}").text
    assert "<form" not in text
    assert "Cancel job" in with_access(shop, "jobs.view", "jobs.cancel").get(f"/dashboard/jobs/{job.id}").text
    listed = with_access(shop, "jobs.view").get("/dashboard/jobs").text
    assert 'class="pick"' not in listed
    assert "Pause" not in with_access(shop, "jobs.view").get("/dashboard/queues").text.partition("</header>")[2]


@pytest.mark.parametrize(
    ("allowed", "seen"),
    [
        (["jobs.view"], {"orders", "other", "acme"}),
        ([Allow("jobs.view", queue="orders")], {"orders"}),
        ([Allow("jobs.view", queue="ord*")], {"orders"}),
        ([Allow("jobs.view", task="shop.add")], {"orders", "other", "acme"}),
        ([Allow("jobs.view", task="shop.ex*")], set()),
        ([Allow("jobs.view", tenant="acme")], {"acme"}),
        ([Allow("jobs.view", queue="orders"), Allow("jobs.view", queue="none")], {"orders"}),
    ],
)
def test_who_sees_some_jobs_sees_them_everywhere_and_no_others(
    shop: Shop, allowed: Sequence[str | Allow], seen: set[str]
) -> None:
    jobs = {
        "orders": shop.add.options(queue="orders", title="TITLE-orders").enqueue(1, 2),
        "other": shop.add.options(title="TITLE-other").enqueue(1, 2),
        "acme": shop.add.options(tags=["tenant:acme"], title="TITLE-acme").enqueue(1, 2),
    }
    caller = with_access(shop, *allowed)
    listed = caller.get("/dashboard/jobs", headers={"x-backburner-shown": ",".join(job.id for job in jobs.values())})
    for name, job in jobs.items():
        visible = name in seen
        assert (f"TITLE-{name}" in listed.text) is visible, name
        assert (caller.get(f"/dashboard/jobs/{job.id}").status_code == 200) is visible, name
        assert (caller.get(f"/jobs/{job.id}").status_code == 200) is visible, name
    assert f"All <b>{len(seen)}</b>" in listed.text


def test_rights_that_make_no_sense_are_refused() -> None:
    for given in (["jobs.veiw"], "jobs.view", 7, [Allow("jobs.view", queue="a"), Allow("jobs.view", task="b")]):
        with pytest.raises(InvalidOption):
            Rights.of(given)
    for wrong in ({"queue": ""}, {"task": "a*b"}, {"tenant": 7}):
        with pytest.raises(InvalidOption):
            Allow("jobs.view", **wrong)


def test_the_rule_may_be_async(shop: Shop) -> None:
    async def later(request: object, user: User | None) -> list[str]:
        return ["jobs.view"] if user is not None else []

    app = web_app(shop.jobs, resolve_user=by_header, resolve_access=later)
    assert Caller(app, {"x-user": "other"}).get("/dashboard/jobs").status_code == 200
    assert Caller(app).get("/dashboard/jobs").status_code == 403
