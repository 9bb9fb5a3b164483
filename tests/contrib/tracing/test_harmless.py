"""What tracing must not do: fail a job, keep a process, tell of arguments."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import StatusCode

from backburner import (
    Backburner,
    JobState,
)
from backburner.contrib import opentelemetry as bridge
from backburner.contrib.opentelemetry import instrument
from backburner.errors import InvalidArgument, InvalidOption
from backburner.worker import Worker, WorkerOptions
from tests.contrib.tracing.spans import (
    CANARY,
    Traced,
    attributes,
    links,
    nothing,
    parent,
    remote,
)


class Hangs(SpanExporter):
    """Never comes back by itself."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.go_on.wait()
        return SpanExportResult.SUCCESS


def test_an_exporter_that_hangs_does_not_keep_a_process(
    jobs: Backburner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bridge, "FLUSH_SECONDS", 0.05)
    traced, hanging = Traced(jobs), Hangs()
    traced.provider.add_span_processor(BatchSpanProcessor(hanging))
    job = jobs.task(name="export")(nothing).enqueue()
    try:
        traced.run(job)
    finally:
        hanging.go_on.set()
    assert job.refresh().state is JobState.SUCCEEDED
    assert "not exported within" in caplog.text


def test_no_arguments_in_spans(traced: Traced) -> None:
    """Not in those of jobs, and not in that of a call that was refused because of them."""

    @traced.jobs.task(name="pay", title="Pay {token}")
    def pay(token: str, number: int = 0) -> str:
        return token

    job = pay.options(owner="ada", tags=["vip"], meta={"note": CANARY}).enqueue(CANARY)
    traced.run(job)
    with pytest.raises(InvalidArgument, match=CANARY):
        pay.enqueue("x", CANARY)  # type: ignore[arg-type]
    refused = traced.all("enqueue pay")[-1]
    assert refused.status.status_code is StatusCode.ERROR
    assert attributes(refused)["error.type"] == "backburner.errors.InvalidArgument"
    assert len(traced.spans) == 3
    assert not any(CANARY in span.to_json() for span in traced.spans)


@pytest.mark.parametrize("around", [nullcontext, remote])
def test_without_an_sdk_jobs_run_and_a_trace_is_handed_on(
    jobs: Backburner, around: Callable[[], AbstractContextManager[Any]]
) -> None:
    instrument(jobs)
    task = jobs.task(name="export")(nothing)
    with around():
        job = task.enqueue()
    with Worker(jobs, WorkerOptions(poll=0.05)):
        assert job.wait(30)
    assert job.refresh().state is JobState.SUCCEEDED
    assert bool(job.captured) is (around is remote)


def test_spans_that_are_not_sampled(jobs: Backburner) -> None:
    traced = Traced(jobs, sampler=ALWAYS_OFF)
    traced.run(jobs.task(name="export")(nothing).enqueue())
    assert traced.spans == ()


@pytest.mark.parametrize(
    "stored",
    [
        "7", '"00-1-2-3"', "[1]", "{}", '{"traceparent": 7}', '{"traceparent": "00-zz"}',
        '{"traceparent": "00-00000000000000000000000000000000-0000000000000000-01"}',
        '{"traceparent": "%s"}' % ("x" * 10_000),
        '{"traceparent": {"a": 1}, "tracestate": [[]]}',
    ],
)  # fmt: skip
def test_a_damaged_trace_stops_no_job(traced: Traced, stored: str) -> None:
    job = traced.jobs.task(name="export")(nothing).enqueue()
    t = traced.jobs.store.schema.jobs
    context = f'{{"trace": {stored}}}'
    traced.jobs.store.run(lambda c: c.execute(t.update().where(t.c.id == job.id).values(context=context)))
    traced.run(job)
    assert job.refresh().state is JobState.SUCCEEDED
    run = traced.one("run export")
    assert (parent(run), links(run)) == (None, [])


class Broken(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise OSError("no route to the collector")


class NeverStarts(SpanProcessor):
    def on_start(self, span: Span, parent_context: Any = None) -> None:
        raise OSError("full")


class NeverEnds(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise OSError("full")

    def force_flush(self, timeout_millis: int = 0) -> bool:
        raise OSError("full")


class Undecided(Sampler):
    def should_sample(self, *args: Any, **options: Any) -> Any:
        raise OSError("no rules")

    def get_description(self) -> str:
        return "undecided"


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("broken", ["exporter", "start", "end", "sampler"])
def test_tracing_that_fails_harms_no_job(jobs: Backburner, broken: str, is_async: bool) -> None:
    traced = Traced(jobs, sampler=Undecided() if broken == "sampler" else ALWAYS_ON)
    if broken == "exporter":
        traced.provider.add_span_processor(SimpleSpanProcessor(Broken()))
    elif broken != "sampler":
        traced.provider.add_span_processor(NeverStarts() if broken == "start" else NeverEnds())

    async def coroutine() -> None: ...

    task = jobs.task(name="export")(coroutine if is_async else nothing)
    with jobs.bulk() as bulk:
        task.enqueue()
    made = [task.enqueue(), *map(jobs.get, bulk.ids)]
    traced.run(*made)
    for job in made:
        found = job.refresh()
        assert (found.state, found.attempt) == (JobState.SUCCEEDED, 1)
        assert jobs.store.jobs.attempts(job.id) == []
    assert trace.get_current_span() is trace.INVALID_SPAN


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_exception_without_words_is_an_error_all_the_same(traced: Traced) -> None:
    @traced.jobs.task(name="fails", max_attempts=1)
    def fails() -> None:
        raise Unspeakable

    traced.run(fails.enqueue())
    assert traced.one("run fails").status.status_code is StatusCode.ERROR


def test_it_is_said_once_and_of_the_right_things(jobs: Backburner) -> None:
    with pytest.raises(InvalidOption, match="is no Backburner"):
        instrument("jobs")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="is no TracerProvider"):
        instrument(jobs, object())  # type: ignore[arg-type]
    instrument(jobs)
    with pytest.raises(InvalidOption, match="is traced already"):
        instrument(jobs)


def test_a_name_that_is_taken_leaves_nothing_behind(jobs: Backburner) -> None:
    jobs.capture("trace", lambda: None)
    with pytest.raises(InvalidOption, match="captured already"):
        instrument(jobs)
    assert list(jobs.hooks) == []
    assert not jobs.surroundings.watched


def test_without_the_package_the_error_names_the_extra() -> None:
    program = (
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from backburner.errors import MissingExtra\n"
        "try:\n    import backburner.contrib.opentelemetry\n"
        "except MissingExtra as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == (
        "backburner.contrib.opentelemetry needs the package 'opentelemetry-api'. "
        "Run: pip install 'backburner[tracing]'\n"
    )
