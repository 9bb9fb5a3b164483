"""What tests of tracing look at: an app with a provider of its own, and spans as the real SDK exports them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from backburner import Backburner, Job
from backburner.contrib.opentelemetry import instrument
from backburner.worker import Worker, WorkerOptions

CANARY = "canary-77c2"


class Traced:
    """An app with a provider of its own, and what it has exported so far."""

    def __init__(self, jobs: Backburner, *, sampler: Sampler = ALWAYS_ON, **options: Any) -> None:
        self.jobs = jobs
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("shop")
        instrument(jobs, self.provider, **options)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def all(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.all(name)
        return span

    def run(self, *made: Job) -> None:
        with Worker(self.jobs, WorkerOptions(concurrency=2, poll=0.05)):
            for job in made:
                assert job.wait(30), job.refresh()


def identity(span: ReadableSpan) -> tuple[int, int]:
    found = span.get_span_context()
    assert found is not None
    return found.trace_id, found.span_id


def parent(span: ReadableSpan) -> tuple[int, int] | None:
    return None if span.parent is None else (span.parent.trace_id, span.parent.span_id)


def links(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def outcome(span: ReadableSpan) -> object:
    return attributes(span)["messaging.backburner.outcome"]


def trace_of(job: Job) -> tuple[int, int]:
    """What is stored with a job."""
    _, trace_id, span_id, _ = job.refresh().captured["trace"]["traceparent"].split("-")
    return int(trace_id, 16), int(span_id, 16)


def nothing() -> None: ...


def remote(state: TraceState | None = None) -> AbstractContextManager[Any]:
    """Inside a span that was begun elsewhere."""
    found = SpanContext(0xA1, 0xB2, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    return trace.use_span(NonRecordingSpan(found))
