"""One job with all that is kept of it, as text and as JSON. What is secret by its name is shown to nobody."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from backburner.backburner import Backburner
from backburner.cli.text import bytes_text, duration, job_record, moment, safe, safe_lines
from backburner.codec import readable
from backburner.control import JobDetails
from backburner.job import Dependency, Job
from backburner.progress import LogLine, Progress

SHOWN = 20
"""How many messages and failed items are printed; --json has them all."""


def as_record(jobs: Backburner, details: JobDetails, *, with_log: bool) -> dict[str, Any]:
    """Everything, for programs."""
    found = {
        **job_record(details.job),
        "args": _arguments(jobs, details.job),
        "context": readable(details.job.context) if details.job.context is not None else None,
        "why_not_running": list(details.why),
        "parents": [_parent(one) for one in details.parents],
        "milestones": details.milestones,
        "attempts": [{"attempt": number, **asdict(record)} for number, record in details.attempts],
        "messages": [message._asdict() for message in details.messages],
        "failed_items": [item._asdict() for item in details.failed_items],
        "failed_count": details.failed_count,
        "files": [asdict(file) for file in details.files],
    }
    return {**found, "log": "".join(line.text for line in _log(jobs, details))} if with_log else found


def as_text(jobs: Backburner, details: JobDetails, *, with_log: bool) -> str:
    """For people, on 80 columns."""
    parts = [*_facts(jobs, details), *_sections(details)]
    if with_log:
        text = "".join(line.text for line in _log(jobs, details))
        parts += ["", "Output", *_indented(text.rstrip("\n") or "(none)")]
    return "\n".join(parts)


def _arguments(jobs: Backburner, job: Job) -> str:
    return readable(job.args, jobs.registry.secrets_of(job.task))


def _parent(one: Dependency) -> dict[str, Any]:
    return {
        "id": one.parent.job, "milestone": one.parent.milestone or None, "policy": one.parent.policy,
        "met": one.met, "state": one.state,
    }  # fmt: skip


def _facts(jobs: Backburner, details: JobDetails) -> Iterator[str]:
    job = details.job
    yield safe(job.name)
    yield from _fact("id", job.id)
    yield from _fact("state", _state(job))
    for why in details.why:
        yield from _fact("why", why)
    if job.progress is not None:
        yield from _fact("progress", _progress(job.progress))
        for link in job.progress.links:
            yield from _fact("link", f"{link.text}: {link.href or f'route {link.route} {dict(link.params or {})}'}")
    yield from _fact("task", job.task)
    yield from _fact("arguments", _arguments(jobs, job))
    yield from _fact("queue", f"{job.queue}, priority {job.priority}")
    for name in ("identifier", "owner", "context", "worker"):
        if text := getattr(job, name):
            yield from _fact(name, readable(text) if name == "context" else text)
    for one in details.parents[:SHOWN]:
        yield from _fact("after", f"{one.parent}, {'gone' if one.state is None else one.state}")
    yield from _more(len(details.parents))
    for name, at in details.milestones.items():
        yield from _fact("reached", f"{name}, {moment(at)}")
    if job.tags:
        yield from _fact("tags", ", ".join(job.tags))
    yield from _fact("attempts", _counts(job))
    yield from _fact("created", moment(job.created_at))
    if job.started_at is not None:
        yield from _fact("started", moment(job.started_at))
    if job.finished_at is not None:
        took = ""
        if job.started_at is not None:
            took = f", after {duration((job.finished_at - job.started_at).total_seconds())}"
        yield from _fact("finished", moment(job.finished_at) + took)
    if job.reason:
        yield from _fact("reason", job.reason)
    if job.error:
        yield from _fact("error", job.error)
    if job.result_text is not None:
        text = readable(job.result_text)
        yield from _fact("result", text if len(text) < 500 else "(long; see --json)")


def _sections(details: JobDetails) -> Iterator[str]:
    if details.attempts:
        yield from ("", "Attempts")
        for number, one in details.attempts:
            took = duration((one.finished_at - one.started_at).total_seconds())
            place = f", {one.host} process {one.pid}" if one.host else ""
            peak = f", {bytes_text(one.memory_peak)}" if one.memory_peak else ""
            yield f"  {number}  {moment(one.started_at)}  {one.outcome} after {took}{safe(place)}{peak}"
            if text := one.error or one.reason:
                named = f"{one.error_type}: {text}" if one.error_type and one.error else text
                yield from _indented(named, "     ")
            if one.traceback:
                yield from _indented(one.traceback.rstrip(), "     | ")
    if details.messages:
        yield from ("", "Messages")
        yield from _more(len(details.messages))
        for message in details.messages[-SHOWN:]:
            yield f"  {message.at:%H:%M:%S}  {safe(message.level):<7}  {safe(message.text)}"
    if details.failed_items:
        yield from ("", f"Failed items: {details.failed_count:,}")
        for item in details.failed_items[:SHOWN]:
            yield from _indented(f"{item.key}: {item.error}")
        yield from _more(details.failed_count)
    if details.files:
        yield from ("", "Files")
        for file in details.files:
            yield f"  {safe(file.name)}  {bytes_text(file.size)}  {safe(file.media_type)}"


def _fact(name: str, value: str) -> list[str]:
    # Long words, such as addresses, stay whole: they are copied.
    return textwrap.wrap(
        safe(value),
        width=80,
        initial_indent=f"  {name:<10}  ",
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [f"  {name:<10}"]


def _indented(text: str, indent: str = "  ") -> list[str]:
    return [indent + line for line in safe_lines(text).split("\n")]


def _more(count: int) -> Iterator[str]:
    if count > SHOWN:
        yield f"  (of {count:,}, {SHOWN} are shown; --json has more)"


def _state(job: Job) -> str:
    asked = ", asked to stop" if job.cancel_requested and not job.done else ""
    held = f", {job.blocked_on}" if job.blocked_on else ""
    return f"{job.state}{held}{asked}"


def _counts(job: Job) -> str:
    most = f" of {job.max_attempts}" if job.max_attempts is not None else ""
    named = ((job.tries, f"failed{most}"), (job.crashes, "crashed"), (job.losses, "lost"))
    ends = ", ".join(f"{count} {name}" for count, name in named if count)
    return f"{job.attempt} ({ends})" if ends else str(job.attempt)


def _progress(progress: Progress) -> str:
    unit = f" {progress.unit}" if progress.unit and progress.unit != "%" else ""
    total = f" of {progress.total:,g}" if progress.total is not None else ""
    share = f" ({progress.share:.0%})" if progress.share is not None else ""
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    head = f"{progress.done:,g}{total}{unit}{share}{failed}"
    return "; ".join(part for part in (head, progress.stage, progress.message) if part)


def _log(jobs: Backburner, details: JobDetails) -> list[LogLine]:
    """The whole live output, read piece by piece."""
    found = list(details.log)
    while found and (after := found[-1].start + len(found[-1].text)) < details.log_end:
        piece = jobs.store.progress.log(details.job.id, after)
        if not piece:
            break
        found += piece
    return found
