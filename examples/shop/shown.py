"""Jobs and products as the page shows them: values for the templates, in the words of people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from backburner import Job, JobState
from backburner.attachment import Attachment
from backburner.progress import FailedItem, Progress
from examples.shop.products import Product

_FACTS = 3


@dataclass(frozen=True, slots=True)
class JobLine:
    """One line of the list of jobs."""

    id: str
    title: str
    state: str
    word: str
    sentence: str
    percent: int | None
    done: bool
    files: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True)
class ProductLine:
    """One row of the table. `facts` are the first few of its other columns."""

    product: Product
    facts: str


def job_line(job: Job, now: datetime, files: tuple[Attachment, ...] = ()) -> JobLine:
    """A job in one line, and the files it made."""
    share = job.progress.share if job.progress is not None else None
    percent = min(99, int(share * 100)) if share is not None and job.state is JobState.RUNNING else None
    word, sentence = job.state.value.capitalize(), _sentence(job)
    if job.finished_at is not None:
        sentence = f"{word} {ago(job.finished_at, now)}{f', {sentence}' if sentence else ''}"
    return JobLine(job.id, job.name, job.state.value, word, sentence, percent, job.done, files)


def product_lines(products: Sequence[Product], columns: dict[int, list[str]]) -> list[ProductLine]:
    """Products with a few of the columns they came with."""
    return [ProductLine(product, _facts(product, columns[product.layout])) for product in products]


def ago(moment: datetime, now: datetime) -> str:
    """A time as people say it: relative up to a day."""
    seconds = max(0, int((now - moment).total_seconds()))
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3_600:
        return f"{seconds // 60} min ago"
    if seconds < 86_400:
        return f"{seconds // 3_600} h ago"
    return f"{moment.astimezone(UTC):%a %d %b, %H:%M}"


def in_order(items: Sequence[FailedItem]) -> list[FailedItem]:
    """Failed items as people count: line 9 before line 10."""
    return sorted(items, key=lambda item: [(len(n), n) for n in re.findall(r"\d+|\D+", item.key.replace(",", ""))])


def counted(progress: Progress | None) -> str:
    """How far: "744 of 1,860 rows"."""
    if progress is None or not (progress.done or progress.total):
        return ""
    total = f" of {progress.total:,.0f}" if progress.total else ""
    return f"{progress.done:,.0f}{total} {progress.unit or ''}".strip()


def _sentence(job: Job) -> str:
    progress = job.progress
    match job.state:
        case JobState.RUNNING:
            return "Running"
        case JobState.SUCCEEDED if progress is not None and progress.failed:
            return f"{progress.done - progress.failed:,.0f} done, {progress.failed:,} failed"
        case JobState.SUCCEEDED:
            return f"{progress.done:,.0f} {progress.unit or ''}".strip() if progress is not None else "Done"
        case JobState.CANCELLED:
            return f"{counted(progress)} done" if counted(progress) else "before it began"
        case JobState.QUEUED:
            return "In line"
        case _:
            return job.reason or ""


def _facts(product: Product, columns: list[str]) -> str:
    shown = {product.key, product.name}
    found = [
        f"{column} {value}"
        for column, value in zip(columns, product.fields, strict=True)
        if value and value not in shown and column.lower() != "price"
    ]
    return ", ".join(found[:_FACTS])
