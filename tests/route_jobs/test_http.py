"""Route jobs over HTTP: to one configured address, under a real server, and nowhere else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from backburner import Backburner, JobState
from backburner.errors import InvalidOption
from backburner.route_jobs import AsgiGate, RouteJobs
from backburner.testing import JobsTesting
from tests.route_jobs.site import MARKED, People, Site, Tap
from tests.route_jobs.test_gate import CHANGES
from tests.servers import free_port
from tests.waiting import wait_until


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The app under uvicorn, on a free port of this machine; its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the server is up")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


class Late:
    """An app that is made after its address is known."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest.fixture
def routes(jobs: Backburner, people: People, site: Site) -> Iterator[RouteJobs]:
    late = Late()
    with served(late) as address:
        made = RouteJobs(jobs, marked=MARKED, identity=people.identity, url=address)
        late.app = made.asgi(site.asgi)
        yield made
        made.close()


@pytest.mark.usefixtures("routes")
def test_it_goes_through_the_server(jobs: Backburner, testing: JobsTesting, site: Site, people: People) -> None:
    ada = people.add("ada")
    job = jobs.route("POST", "/build", query={"m": 1}, form={"a": "\u20ac"}, as_user=ada, keep_headers=["x-none"])
    testing.drain(raises=True)
    (seen,) = site.seen
    assert seen.proof is not None
    assert (seen.proof.job, seen.proof.user, seen.body) == (job.id, ada, b"a=%E2%82%AC")
    assert job.refresh().result()["status"] == 200
    assert '"user": "ada"' in "".join(line.text for line in jobs.store.progress.log(job.id))


def test_changed_and_repeated_requests_are_refused(
    jobs: Backburner, testing: JobsTesting, site: Site, routes: RouteJobs
) -> None:
    tap = Tap(routes)
    tap.before = list(CHANGES.values())
    job = jobs.route("POST", "/build", query={"month": 10}, form={"a": 1})
    testing.drain(raises=True)
    assert dict(zip(CHANGES, [status for status, _ in tap.answers], strict=True)) == dict.fromkeys(CHANGES, 403)
    assert tap.send(tap.outgoing[0]) == (403, "The grant was used before, or its attempt is over.")
    assert (len(site.seen), job.refresh().state) == (1, JobState.SUCCEEDED)


@pytest.mark.usefixtures("routes")
def test_a_redirect_is_not_followed_and_proxies_are_not_asked(
    jobs: Backburner, testing: JobsTesting, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    job = jobs.route("GET", "/status", query={"is": 302})
    testing.drain(raises=True)
    assert len(site.seen) == 1
    assert job.refresh().result()["headers"] == {"location": "http://169.254.169.254/latest"}


def test_a_server_that_is_away_is_tried_again(jobs: Backburner, testing: JobsTesting) -> None:
    RouteJobs(jobs, marked=MARKED, url=f"http://127.0.0.1:{free_port()}")
    job = jobs.route("POST", "/build")
    testing.drain()
    assert job.refresh().state is JobState.RETRYING


def test_an_app_that_is_called_inside_takes_nothing_from_the_network(
    jobs: Backburner, testing: JobsTesting, people: People, site: Site
) -> None:
    """The web process is configured otherwise than the worker: a true grant, and refused."""
    late = Late()
    with served(late) as address:
        made = RouteJobs(jobs, marked=MARKED, identity=people.identity, url=address)
        made.gate._networked = False
        late.app = AsgiGate(site.asgi, made.gate)
        job = jobs.route("POST", "/build")
        testing.drain()
        made.close()
    assert (job.refresh().state, site.seen) == (JobState.FAILED, [])


@pytest.mark.parametrize("url", ["http://ada:x@127.0.0.1", "127.0.0.1:80", "http://a?b", "unix:///tmp/x", ""])
def test_an_address_that_cannot_be(jobs: Backburner, url: str) -> None:
    with pytest.raises(InvalidOption, match="url"):
        RouteJobs(jobs, marked=MARKED, url=url)
