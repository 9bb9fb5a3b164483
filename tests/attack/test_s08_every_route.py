"""S07, S08, S10: every route of every app, for those it is not for: nothing leaks, and nothing changes."""

from collections.abc import Iterator, Mapping

import pytest

from backburner.web.contract import CONTRACT
from backburner.web.route import Audience
from tests.attack.apps import APPS, NOBODY, OPERATOR, OURS, OWNER, STRANGER, App, opened
from tests.attack.estate import Estate, form_of, furnish
from tests.databases import Kind

CANARY = "canary-5b1e"
WRITES = [route for route in CONTRACT if route.method != "GET"]
OPEN = {(route.method, route.path) for route in CONTRACT if route.audience is Audience.ANYBODY}
BLIND = {
    *("/", "/dashboard", "/dashboard/", "/dashboard/login", "/livez", "/readyz", "/mine", "/openapi.json"),
    *("/dashboard/jobs/many", "/dashboard/settings", "/dashboard/tasks", "/dashboard/tasks/{name:path}"),
    *("/dashboard/workers", "/jobs/shared"),
}
"""Reads that show an operator nothing of other people's jobs."""
IDLE = {
    *("303 /dashboard/workers/{worker_id}/{word}", "404 /dashboard/login", "404 /dashboard/logout", "415 /jobs"),
    *("409 /jobs/{job_id}/dismiss", "409 /jobs/{job_id}/retry", "409 /jobs/{job_id}/tell"),
    "422 /dashboard/views/{view_id}/remove",
}
"""Writes that have nothing to change here: no worker, a job that waits, a view of somebody else's."""
BUILT_ALIKE = {"fastapi", "starlette"}
"""Mounted as the bare app is: theirs is left to long runs."""
FROM_ELSEWHERE: dict[str, Mapping[str, str]] = {
    "another site": {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    "a neighbour": {"sec-fetch-site": "same-site", "origin": "https://other.localhost"},
    "an old browser": {"origin": "https://evil.example"},
    "a frame without an origin": {"origin": "null"},
    "nobody knows where": {},
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.long] if name in BUILT_ALIKE else []) for name in APPS],
)
def app(request: pytest.FixtureRequest, sqlite_kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp(request.param)
    with opened(request.param, folder, sqlite_kind.migrated(folder)) as made:
        yield made


@pytest.fixture(scope="module")
def estate(app: App) -> Estate:
    return furnish(app.jobs, CANARY, app.owner)


def test_s08_strangers_get_nothing_of_any_route_and_change_nothing(app: App, estate: Estate) -> None:
    before = estate.rows()
    for who in (NOBODY, STRANGER):
        for route in CONTRACT:
            address = estate.address(route)
            answer = app.ask(route.method, address, who, OURS, form_of(estate, route) or None)
            place = (who, route.method, address, answer.status)
            assert CANARY not in answer.text.replace(address, ""), place
            assert CANARY not in str(answer.headers).replace(address, ""), place
            if (route.method, route.path) not in OPEN and who == NOBODY:
                assert answer.status in (302, 303, 401, 403, 404), place
            assert answer.status < 500, place
    assert estate.rows() == before


def test_s10_what_other_sites_have_a_browser_send_changes_nothing(app: App, estate: Estate) -> None:
    """The browser is signed in: as the operator who may do everything, and as the owner."""
    before = estate.rows()
    # All of them on the bare app; elsewhere it is the same check behind another door.
    chosen = FROM_ELSEWHERE if app.root == "" else {"another site": FROM_ELSEWHERE["another site"]}
    for name, headers in chosen.items():
        for who in (OPERATOR, OWNER):
            for route in WRITES:
                answer = app.ask(route.method, estate.address(route), who, headers, form_of(estate, route))
                assert answer.status == 403, (name, who, route.method, route.path, answer.text[:200])
    assert estate.rows() == before


def test_s10_reading_changes_nothing(app: App, estate: Estate) -> None:
    """Not even for who may do everything: a link or a picture of another site can ask for any address by GET."""
    before, reads = estate.rows(), [route for route in CONTRACT if route.method == "GET"]
    for route in reads:
        answer = app.ask("GET", estate.address(route), OPERATOR, {"sec-fetch-site": "cross-site"}, None)
        assert answer.status < 500, (route.path, answer.text[:200])
    # Which methods a path has is no matter of the app around it.
    for route in WRITES if app.root == "" else ():
        if (route.path.partition("?")[0]) not in {read.path for read in reads}:
            answer = app.ask("GET", estate.address(route), OPERATOR, OURS, None)
            assert answer.status in (404, 405), (route.path, answer.status)
    assert estate.rows() == before


# The last one: it leaves little as it was.


def test_s08_the_walk_reaches_what_there_is(app: App, estate: Estate) -> None:
    """That strangers see nothing is worth something only if those who may do see it, and change something."""
    blind, idle = set(), set()
    writes = WRITES if app.root == "" else [route for route in WRITES if route.path == "/jobs/{job_id}/cancel"]
    for route in CONTRACT:
        if route.method == "GET":
            answer = app.ask("GET", estate.address(route), OPERATOR, OURS, None)
            if CANARY not in answer.text:
                blind.add(route.path)
    for route in writes:
        job = estate.another()
        before = estate.rows()
        answer = app.ask(route.method, estate.address(route, job), OPERATOR, OURS, form_of(estate, route))
        if estate.rows() == before:
            idle.add(f"{answer.status} {route.path}")
    assert blind == BLIND
    assert idle == (IDLE if app.root == "" else set())
