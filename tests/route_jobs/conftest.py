"""An app with users, called by its jobs through WSGI and through ASGI; jobs run when the test says so."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner
from backburner.route_jobs import RouteJobs
from backburner.testing import JobsTesting
from tests.route_jobs.site import MARKED, People, Site, Tap

SECRET = "a secret for tests, long enough"

MakeRoutes = Callable[..., RouteJobs]


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Backburner]:
    made = Backburner(f"sqlite:///{tmp_path / 'unused.db'}", secret=SECRET, files=str(tmp_path / "files"))
    yield made
    made.close()


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture(params=["wsgi", "asgi"])
def kind(request: pytest.FixtureRequest) -> str:
    """By which interface the app is called."""
    return str(request.param)


@pytest.fixture
def make_routes(jobs: Backburner, people: People, site: Site, kind: str) -> Iterator[MakeRoutes]:
    made: list[RouteJobs] = []

    def make(**options: Any) -> RouteJobs:
        routes = RouteJobs(jobs, **{"marked": MARKED, "identity": people.identity, **options})
        made.append(routes)
        if kind == "wsgi":
            routes.wsgi(site.wsgi)
        else:
            routes.asgi(site.asgi)
        return routes

    yield make
    for routes in made:
        routes.close()


@pytest.fixture
def routes(make_routes: MakeRoutes) -> RouteJobs:
    return make_routes()


@pytest.fixture
def tap(routes: RouteJobs) -> Tap:
    return Tap(routes)


@pytest.fixture
def testing(jobs: Backburner, tmp_path: Path) -> Iterator[JobsTesting]:
    with JobsTesting(jobs, tmp_path) as made:
        yield made
