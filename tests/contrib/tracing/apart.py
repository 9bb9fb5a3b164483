"""An app whose spans go to a file, from each of its processes; isolated and launched jobs find it by name."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from backburner import Backburner
from backburner.contrib.opentelemetry import instrument


class Notebook(SpanExporter):
    """Appends a line for each span, with the process that it comes from."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._place.open("a") as file:
            for span in spans:
                file.write(json.dumps({"pid": os.getpid(), **json.loads(span.to_json())}) + "\n")
        return SpanExportResult.SUCCESS


def noted(place: Path) -> list[dict[str, Any]]:
    """The spans so far."""
    return [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []


def build(url: str, place: Path) -> Backburner:
    """The app on a database. Its spans are exported after an hour, or when they are asked for."""
    jobs = Backburner(url, auto_migrate=True)
    jobs.app = "tests.contrib.tracing.apart:jobs"
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Notebook(place), schedule_delay_millis=3_600_000))
    instrument(jobs, provider)
    tracer = provider.get_tracer("shop")

    def paint() -> int:
        with tracer.start_as_current_span("paint"):
            return os.getpid()

    jobs.task(name="alone", isolate=True)(paint)
    jobs.task(name="paint")(paint)
    return jobs


def __getattr__(name: str) -> Backburner:
    if name != "jobs":
        raise AttributeError(name)
    made = globals()["jobs"] = build(os.environ["TRACED_TEST_URL"], Path(os.environ["TRACED_TEST_PLACE"]))
    return made
