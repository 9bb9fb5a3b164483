"""OpenTelemetry: a span for each call that enqueues, and one for each attempt, linked to the first.

instrument(jobs)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from backburner.backburner import Backburner
from backburner.errors import InvalidOption, MissingExtra
from backburner.hooks import Attempt, Hook, JobProcess
from backburner.outcome import Retry
from backburner.states import JobState
from backburner.surroundings import Enqueueing
from backburner.version import VERSION

try:
    from opentelemetry import context as contexts
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise MissingExtra("opentelemetry-api", "tracing", "backburner.contrib.opentelemetry") from error

log = logging.getLogger(__name__)

CAPTURED_AS = "trace"
"""The name of the trace context among the captured values of a job."""
FLUSH_SECONDS = 3.0
"""How long a process that ends waits for its spans to be exported; who waits for an isolated one waits for five."""

_MAX_HEADER = 512
"""Characters of a `traceparent` or a `tracestate` that are stored, and believed."""
_SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
_CREATION = contexts.create_key("backburner-creation")
"""Where a context has what is stored with jobs that are enqueued there: an app's own span in a bulk block is not it."""
_W3C = TraceContextTextMapPropagator()


def instrument(
    jobs: Backburner,
    tracer_provider: trace.TracerProvider | None = None,
    *,
    same_trace: bool = False,
    record_exceptions: bool = True,
) -> None:
    """Trace what `jobs` enqueues and runs, in each process that does either; before a worker starts.

    Without `tracer_provider` the global one is asked, also when it is set later. An attempt is the root of a trace of
    its own, with a link to the span that enqueued it; with `same_trace` it is a child of that as well. Without
    `record_exceptions` spans name the type of an exception alone, not its text and its traceback.

    Raises `InvalidOption`, also when it was called for `jobs` before or something else is captured as "trace".
    """
    if not isinstance(jobs, Backburner):
        raise InvalidOption("jobs", jobs, "is no Backburner", "Pass the object that declares the tasks")
    if any(isinstance(hook, _Ends) for hook in jobs.hooks):
        raise InvalidOption("jobs", jobs, "is traced already", "Call instrument once")
    if tracer_provider is not None and not isinstance(tracer_provider, trace.TracerProvider):
        raise InvalidOption(
            "tracer_provider", tracer_provider, "is no TracerProvider", "Pass one of opentelemetry.sdk.trace, or none"
        )
    spans = _Spans(tracer_provider, same_trace=same_trace, record_exceptions=record_exceptions)
    jobs.capture(CAPTURED_AS, spans.captured)
    jobs.surroundings.add(watch=spans.around_enqueue)
    # The first hook begins first and ends last: what others do in theirs belongs to the attempt.
    jobs.hooks.add(_Ends(spans))
    jobs.hooks.add(_Begins(spans))


class _Spans:
    """Makes the spans. Nothing in here fails what it traces: a mistake of an exporter is logged, and that is all."""

    def __init__(self, provider: trace.TracerProvider | None, *, same_trace: bool, record_exceptions: bool) -> None:
        self._provider, self._same_trace, self._record_exceptions = provider, same_trace, record_exceptions
        self._tracer = trace.get_tracer("backburner", VERSION, provider, _SCHEMA)

    def captured(self) -> dict[str, str] | None:
        """The trace context to be stored with a job; None outside of any trace."""
        headers = contexts.get_value(_CREATION)
        return _believed(headers if headers is not None else _headers(contexts.get_current())) or None

    @contextmanager
    def around_enqueue(self, call: Enqueueing) -> Iterator[None]:
        """A span of a call that enqueues; the current one meanwhile."""
        span = self._enqueueing(call)
        if span is None:
            yield
            return
        inside = trace.set_span_in_context(span)
        # Once for all jobs of a block.
        token = contexts.attach(contexts.set_value(_CREATION, _headers(inside), inside))
        try:
            yield
        except BaseException as error:
            # Its text may tell of arguments; whoever called has the exception.
            with _harmless("the span of an enqueue is not complete"):
                _fail(span, error, told=False)
            raise
        else:
            with _harmless("the span of an enqueue is not complete"):
                span.set_attributes(_stored(call))
        finally:
            contexts.detach(token)
            with _harmless("the span of an enqueue does not end"):
                span.end()

    def begin(self, attempt: Attempt) -> None:
        """The span of an attempt; the current one from now on, in the context that the attempt has for itself."""
        with _harmless("an attempt is not traced"):
            span = self._running(attempt)
            # Never detached: this context ends with the attempt.
            contexts.attach(trace.set_span_in_context(span, contexts.Context()))

    def end(self, attempt: Attempt) -> None:
        """Say in its span how an attempt has ended."""
        with _harmless("an attempt is not traced"):
            # There is none yet where what was captured could not be brought back.
            span = attempt.notes.pop(self, None) or self._running(attempt)
            attempt.notes.pop(self, None)
            try:
                outcome = "taken over" if attempt.outcome is None else str(attempt.outcome)
                span.set_attribute("messaging.backburner.outcome", outcome)
                error = _failure_of(attempt)
                if error is not None:
                    _fail(span, error, told=self._record_exceptions)
            finally:
                span.end()

    def flush(self) -> None:
        """Export what has ended, for as long as a process that ends may take."""
        provider = self._provider or trace.get_tracer_provider()
        force_flush = getattr(provider, "force_flush", None)
        if force_flush is None:
            return

        exported: list[bool] = []

        def flush() -> None:
            with _harmless("spans are not exported"):
                exported.append(force_flush(int(FLUSH_SECONDS * 1000)) is not False)

        # Apart: not every exporter keeps to the time that it is given.
        flushing = threading.Thread(target=flush, name="backburner-flush", daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)
        if exported != [True]:
            log.warning("spans were not exported within %g s", FLUSH_SECONDS)

    def _enqueueing(self, call: Enqueueing) -> trace.Span | None:
        with _harmless("an enqueue is not traced"):
            span = self._tracer.start_span(
                f"enqueue {call.task}" if call.task is not None else "enqueue",
                kind=trace.SpanKind.PRODUCER,
                attributes=_about("enqueue", "send", call.task, call.queue),
            )
            # Without an SDK there may be none: what is current goes along with the job.
            return span if span.get_span_context().is_valid else None
        return None

    def _running(self, attempt: Attempt) -> trace.Span:
        stored = attempt.captured.get(CAPTURED_AS)
        before = _W3C.extract(_believed(stored), contexts.Context())
        creation = trace.get_current_span(before).get_span_context()
        span = self._tracer.start_span(
            f"run {attempt.task}",
            # What is around the worker is not what asked for the job.
            before if self._same_trace else contexts.Context(),
            trace.SpanKind.CONSUMER,
            {
                **_about("run", "process", attempt.task, attempt.queue),
                "messaging.message.id": attempt.id,
                "messaging.client.id": attempt.worker,
                "messaging.backburner.attempt": attempt.attempt,
                "messaging.backburner.tries": attempt.tries,
            },
            [trace.Link(creation)] if creation.is_valid else [],
        )
        attempt.notes[self] = span
        return span


class _Begins(Hook):
    """Begins the span of an attempt."""

    def __init__(self, spans: _Spans) -> None:
        self._spans = spans

    def before(self, attempt: Attempt) -> None:
        """Before the body, and before other hooks."""
        self._spans.begin(attempt)


class _Ends(Hook):
    """Ends it. A hook without `before` hears of every end, also of attempts in which no hook has begun."""

    def __init__(self, spans: _Spans) -> None:
        self._spans = spans

    def after(self, attempt: Attempt) -> None:
        """After the body, and after other hooks."""
        self._spans.end(attempt)

    def on_end(self, process: JobProcess) -> None:
        """Such a process ends without the clean-up in which others export what is left."""
        self._spans.flush()


def _about(name: str, kind: str, task: str | None, queue: str | None) -> dict[str, str]:
    """What all spans say: no arguments, and no titles, which are made of some."""
    found = {
        "messaging.system": "backburner",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": queue,
        "messaging.backburner.task": task,
    }
    return {name: value for name, value in found.items() if value is not None}


def _stored(call: Enqueueing) -> Mapping[str, str | int]:
    queue = {"messaging.destination.name": call.queue} if call.queue is not None else {}
    if call.many:
        return {**queue, "messaging.batch.message_count": len(call.ids)}
    return {**queue, "messaging.message.id": call.ids[0]} if call.ids else queue


def _failure_of(attempt: Attempt) -> BaseException | None:
    """What the attempt failed with; a `Retry`, a `Wait`, a `Skip` and a cancellation are no failures."""
    if attempt.outcome is JobState.RETRYING and isinstance(attempt.error, Retry):
        return None
    return attempt.error if attempt.outcome in (None, JobState.FAILED, JobState.RETRYING) else None


def _fail(span: trace.Span, error: BaseException, *, told: bool) -> None:
    """Mark a span as failed; its exception is `told` with text and traceback."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    span.set_attribute("error.type", name)
    span.set_status(trace.StatusCode.ERROR, name)
    if told:
        span.record_exception(error)


def _headers(context: contexts.Context) -> dict[str, str]:
    """The trace context of what is current there."""
    found: dict[str, str] = {}
    with _harmless("the trace context is not stored"):
        _W3C.inject(found, context)
    return found


def _believed(stored: Any) -> dict[str, str]:
    """The headers of a trace context, as a row has them; what is damaged is left out."""
    headers = stored if isinstance(stored, dict) else {}
    found = {name: headers.get(name) for name in ("traceparent", "tracestate")}
    return {name: value for name, value in found.items() if isinstance(value, str) and len(value) <= _MAX_HEADER}


@contextmanager
def _harmless(then: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        log.exception("tracing failed: %s", then)
