"""Spans of attempts, wherever they run, and what they are linked to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from backburner import (
    Backburner,
    Cancelled,
    JobState,
    PermanentError,
    Retry,
    RetryPolicy,
    Skip,
    Task,
    Wait,
    current_job,
)
from backburner.route_jobs import RouteJobs
from backburner.testing import JobsTesting
from backburner.worker import Worker, WorkerOptions
from tests.contrib.tracing.apart import build, noted
from tests.contrib.tracing.spans import CANARY, Traced, attributes, identity, links, nothing, outcome, parent, trace_of
from tests.route_jobs.site import MARKED, Site
from tests.waiting import wait_until


@pytest.mark.parametrize("is_async", [False, True])
def test_an_attempt_is_linked_to_the_span_that_enqueued_it(traced: Traced, is_async: bool) -> None:
    def plain(month: str) -> None:
        with traced.tracer.start_as_current_span("query"):
            pass

    async def coroutine(month: str) -> None:
        plain(month)

    function: Callable[..., Any] = coroutine if is_async else plain
    export = traced.jobs.task(name="export", queue="reports")(function)
    with traced.tracer.start_as_current_span("request"):
        job = export.enqueue("2026-10")
    traced.run(job)

    request, enqueue, run, query = (traced.one(name) for name in ("request", "enqueue export", "run export", "query"))
    assert enqueue.kind is SpanKind.PRODUCER
    assert parent(enqueue) == identity(request)
    assert attributes(enqueue) == {
        "messaging.system": "backburner",
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "messaging.destination.name": "reports",
        "messaging.message.id": job.id,
        "messaging.backburner.task": "export",
    }
    assert run.kind is SpanKind.CONSUMER
    assert parent(run) is None
    assert links(run) == [identity(enqueue)]
    found = attributes(run)
    assert found.pop("messaging.client.id")
    assert found == {
        "messaging.system": "backburner",
        "messaging.operation.name": "run",
        "messaging.operation.type": "process",
        "messaging.destination.name": "reports",
        "messaging.message.id": job.id,
        "messaging.backburner.task": "export",
        "messaging.backburner.attempt": 1,
        "messaging.backburner.tries": 0,
        "messaging.backburner.outcome": "succeeded",
    }
    assert parent(query) == identity(run)
    assert {span.status.status_code for span in traced.spans} == {StatusCode.UNSET}


@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_job_leaves_in_the_context_is_gone_with_it(traced: Traced, is_async: bool) -> None:
    """One thread, one loop: the second job has nothing of the first."""
    seen: list[int] = []

    def plain() -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)

    async def coroutine() -> None:
        plain()

    look = traced.jobs.task(name="look")(coroutine if is_async else plain)
    made = [look.enqueue(), look.enqueue()]
    with Worker(traced.jobs, WorkerOptions(concurrency=1, poll=0.05)):
        assert all(job.wait(30) for job in made)
    assert sorted(seen) == sorted(identity(span)[1] for span in traced.all("run look"))
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_same_trace_makes_the_attempt_a_child_as_well(jobs: Backburner) -> None:
    traced = Traced(jobs, same_trace=True)
    traced.run(jobs.task(name="export")(nothing).enqueue())
    enqueue, run = traced.one("enqueue export"), traced.one("run export")
    assert parent(run) == identity(enqueue)
    assert links(run) == [identity(enqueue)]


def test_what_a_job_enqueues_is_its_child(traced: Traced) -> None:
    inner = traced.jobs.task(name="inner")(nothing)

    @traced.jobs.task(name="outer")
    async def outer() -> str:
        return (await inner.aenqueue()).id

    job = outer.enqueue()
    with Worker(traced.jobs, WorkerOptions(poll=0.05)):
        assert job.wait(30)
        assert traced.jobs.wait(job.refresh().result(), 30)
    assert parent(traced.one("enqueue inner")) == identity(traced.one("run outer"))
    assert links(traced.one("run inner")) == [identity(traced.one("enqueue inner"))]


def test_jobs_after_others_each_have_their_own_enqueue(traced: Traced) -> None:
    first, second = (traced.jobs.task(name=name)(nothing) for name in ("first", "second"))
    one = first.enqueue()
    traced.run(one, second.options(after=[one]).enqueue())
    for name in ("first", "second"):
        assert links(traced.one(f"run {name}")) == [identity(traced.one(f"enqueue {name}"))]


def test_every_retry_is_a_span_of_its_own_linked_to_the_same_enqueue(traced: Traced) -> None:
    @traced.jobs.task(name="flaky", retry=RetryPolicy.fixed(0.01, max_attempts=3))
    def flaky() -> None:
        if len(traced.all("run flaky")) < 2:
            raise ConnectionError("the bank does not answer")

    traced.run(flaky.enqueue())
    runs = traced.all("run flaky")
    assert [links(span) for span in runs] == [[identity(traced.one("enqueue flaky"))]] * 3
    assert len({identity(span)[0] for span in runs}) == 3
    assert [attributes(span)["messaging.backburner.attempt"] for span in runs] == [1, 2, 3]
    assert [attributes(span)["messaging.backburner.tries"] for span in runs] == [0, 1, 2]
    assert [outcome(span) for span in runs] == ["retrying", "retrying", "succeeded"]
    assert [span.status.status_code for span in runs] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_failure_has_its_exception(traced: Traced, is_async: bool) -> None:
    def plain() -> None:
        raise PermanentError("The order has no items.")

    async def coroutine() -> None:
        plain()

    traced.run(traced.jobs.task(name="fails")(coroutine if is_async else plain).enqueue())
    run = traced.one("run fails")
    assert (run.status.status_code, outcome(run)) == (StatusCode.ERROR, "failed")
    assert attributes(run)["error.type"] == "backburner.outcome.PermanentError"
    (event,) = run.events
    assert event.name == "exception"
    told = dict(event.attributes or {})
    assert told["exception.message"] == "The order has no items."
    assert "in plain" in str(told["exception.stacktrace"])


def test_exceptions_are_left_out_on_request(jobs: Backburner) -> None:
    traced = Traced(jobs, record_exceptions=False)

    @jobs.task(name="fails", max_attempts=1)
    def fails() -> None:
        raise ValueError(CANARY)

    traced.run(fails.enqueue())
    run = traced.one("run fails")
    assert run.status.status_code is StatusCode.ERROR
    assert attributes(run)["error.type"] == "ValueError"
    assert CANARY not in run.to_json()


@pytest.mark.parametrize(
    ("raised", "state"),
    [
        (Retry("The bank does not answer.", after=3600), JobState.RETRYING),
        (Wait(3600), JobState.SCHEDULED),
        (Skip("Not needed."), JobState.SKIPPED),
        (Cancelled("Enough."), JobState.CANCELLED),
    ],
)
def test_what_is_no_failure_is_no_error(traced: Traced, raised: BaseException, state: JobState) -> None:
    @traced.jobs.task(name="body")
    def body() -> None:
        raise raised

    job = body.enqueue()
    with Worker(traced.jobs, WorkerOptions(poll=0.05)):
        wait_until(lambda: job.refresh().state is state, f"it is {state}")
    run = traced.one("run body")
    assert (run.status.status_code, run.events, outcome(run)) == (StatusCode.UNSET, (), str(state))


def test_the_last_retry_is_an_error(traced: Traced) -> None:
    @traced.jobs.task(name="body", max_attempts=1)
    def body() -> None:
        raise Retry("The bank does not answer.")

    traced.run(body.enqueue())
    run = traced.one("run body")
    assert (run.status.status_code, outcome(run)) == (StatusCode.ERROR, "failed")


def test_a_job_that_ends_with_a_transaction_of_its_own(traced: Traced) -> None:
    @traced.jobs.task(name="own")
    def own() -> None:
        job = current_job()
        with job.transaction():
            job.finish("paid")

    traced.run(own.enqueue())
    run = traced.one("run own")
    assert (outcome(run), run.status.status_code) == ("succeeded", StatusCode.UNSET)


def test_an_attempt_in_which_nothing_could_begin_has_a_span(traced: Traced) -> None:
    def gone(user: int) -> None:
        raise LookupError("user 7 is gone")

    traced.jobs.capture("user", lambda: 7, gone)
    traced.run(traced.jobs.task(name="whose", max_attempts=1)(nothing).enqueue())
    run = traced.one("run whose")
    assert links(run) == [identity(traced.one("enqueue whose"))]
    assert (attributes(run)["error.type"], outcome(run)) == ("LookupError", "failed")


def test_what_a_schedule_makes_is_asked_for_by_nobody(jobs: Backburner, tmp_path: Path) -> None:
    traced = Traced(jobs)
    jobs.schedule(jobs.task(name="nightly")(nothing), every=60)
    with JobsTesting(jobs, tmp_path) as testing, traced.tracer.start_as_current_span("around the worker"):
        testing.drain()
        testing.clock.move(61)
        testing.drain()
    run = traced.one("run nightly")
    assert (parent(run), links(run)) == (None, [])
    assert traced.all("enqueue nightly") == []


def test_jobs_that_run_where_they_are_enqueued(jobs: Backburner, tmp_path: Path) -> None:
    traced = Traced(jobs)
    task = jobs.task(name="export")(nothing)
    with JobsTesting(jobs, tmp_path, inline=True), traced.tracer.start_as_current_span("test") as around:
        task.enqueue()
        assert trace.get_current_span() is around
    run = traced.one("run export")
    assert (parent(run), links(run)) == (None, [identity(traced.one("enqueue export"))])


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_route_as_a_job(jobs: Backburner, tmp_path: Path, kind: str) -> None:
    traced = Traced(jobs)
    seen: list[int] = []
    site = Site()
    routes = RouteJobs(jobs, marked=MARKED)

    def note() -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)

    if kind == "wsgi":

        def wsgi(environ: Any, start_response: Any) -> Any:
            note()
            return site.wsgi(environ, start_response)

        routes.wsgi(wsgi)
    else:

        async def asgi(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                note()
            await site.asgi(scope, receive, send)

        routes.asgi(asgi)
    with JobsTesting(jobs, tmp_path) as testing:
        jobs.route("GET", "/build", query={"secret": CANARY})
        testing.drain()
    routes.close()
    run = traced.one("run backburner.route")
    assert links(run) == [identity(traced.one("enqueue backburner.route"))]
    assert seen == [identity(run)[1]]
    assert not any(CANARY in span.to_json() for span in traced.spans)


@pytest.fixture
def notebook(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "spans"
    monkeypatch.setenv("TRACED_TEST_URL", sqlite_url)
    monkeypatch.setenv("TRACED_TEST_PLACE", str(place))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return place


@pytest.mark.parametrize(("name", "count"), [("alone", 3), ("paint", 2)])
def test_a_process_that_ends_exports_what_it_has(sqlite_url: str, notebook: Path, name: str, count: int) -> None:
    """Isolated and launched ones end without clean-up; by themselves they would export in an hour."""
    jobs = build(sqlite_url, notebook)
    task: Task[[], int] = jobs.registry.require(name)
    if name == "alone":
        with Worker(jobs):
            job = task.enqueue()
            assert job.wait(60)
    else:
        job = task.launch()
        assert job.wait(60)
    wait_until(lambda: len(noted(notebook)) == count, "all is exported")
    jobs.close()
    there = job.refresh().result()
    found = {span["name"]: span for span in noted(notebook)}
    run, body = found[f"run {name}"], found["paint"]
    assert (run["pid"], body["pid"]) == (there, there)
    assert body["parent_id"] == run["context"]["span_id"]
    (link,) = run["links"]
    assert (int(link["context"]["trace_id"], 16), int(link["context"]["span_id"], 16)) == trace_of(job)


def test_what_a_person_runs_again_keeps_its_link(traced: Traced) -> None:
    export = traced.jobs.task(name="export")(nothing)
    job = export.enqueue()
    traced.run(job)
    with traced.tracer.start_as_current_span("operator"):
        again = traced.jobs.retry(job)
    traced.run(again)
    assert [links(span) for span in traced.all("run export")] == [[identity(traced.one("enqueue export"))]] * 2
