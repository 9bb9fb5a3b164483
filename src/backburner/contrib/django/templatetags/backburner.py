"""`{% load backburner %}`: the bar, the holding element, the output and the tray on pages of the project's own.

`job` is a job or its id. Each tag stands for an element of the web side; what is inside of it is for browsers
without scripts. `{% job_head %}` goes into the head of the page, once.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from backburner.contrib.django.shortcuts import mount
from backburner.job import Job

register = template.Library()


@register.simple_tag
def job_head() -> SafeString:
    """The script that makes the elements live. It works under a strict Content-Security-Policy."""
    return format_html('<script type="module" src="{}/static/backburner.js"></script>', mount())


@register.simple_tag
def job_bar(
    job: Job | str, *, cancel: bool = True, log: bool | str = False, dismiss: bool = False, label: str = "",
    token: str = "",
) -> SafeString:  # fmt: skip
    """The progress bar, with a Cancel button for those who may; `log` adds the live output, "open" unfolded."""
    flags = {"cancel": cancel, "log": log is True, "dismiss": dismiss}
    named = {"log": log if isinstance(log, str) else "", "label": label}
    return _element("backburner-progress", job, token, flags, named, "Show progress")


@register.simple_tag
def job_log(job: Job | str, *, lines: int = 1000, token: str = "") -> SafeString:
    """Its live output alone, the last `lines` of it."""
    return _element("backburner-log", job, token, {}, {"lines": str(lines)}, "Show the output")


@register.simple_tag
def job_tray(*, opened: bool = False, inline: bool = False) -> SafeString:
    """The jobs of who looks, at the edge of every page; `opened` unfolded, `inline` in the page."""
    flags = mark_safe("".join(f" {name}" for name, wanted in (("open", opened), ("inline", inline)) if wanted))  # noqa: S308
    return format_html('<backburner-tray src="{}"{}></backburner-tray>', mount(), flags)


@register.simple_tag
def job_wait(
    job: Job | str, *, then: str = "", failed: str = "", form: str = "", cancel: bool = True, log: bool = False,
    token: str = "",
) -> SafeString:  # fmt: skip
    """The holding element: it goes on to `then` after success, and to `failed` after any other end."""
    named = {"then": then, "failed": failed, "form": form}
    return _element("backburner-wait", job, token, {"cancel": cancel, "log": log}, named, "Check again")


@register.simple_tag
def job_notice(job: Job | str, text: str = "", *, token: str = "") -> SafeString:
    """One line: that the work goes on in the background, with a link to it."""
    said = text or "It runs in the background."
    return format_html('<p class="backburner-notice">{} <a href="{}">Show progress</a></p>', said, _wait(job, token))


def _element(
    name: str, job: Job | str, token: str, flags: dict[str, bool], named: dict[str, str], fallback: str
) -> SafeString:
    attributes = [format_html('src="{}"', _address(job, "", token))]
    attributes += [mark_safe(flag) for flag, wanted in flags.items() if wanted]  # noqa: S308 (names of ours)
    # Always: what is written out in a template counts as safe, which it is in a text, and not in an attribute.
    attributes += [format_html('{}="{}"', key, escape(value)) for key, value in named.items() if value]
    joined: Any = mark_safe(" ".join(attributes))  # noqa: S308 (each part is escaped)
    return format_html('<{} {}><a href="{}">{}</a></{}>', name, joined, _wait(job, token), fallback, name)


def _wait(job: Job | str, token: str) -> str:
    return _address(job, "/wait", token)


def _address(job: Job | str, part: str, token: str) -> str:
    number = job if isinstance(job, str) else job.id
    return f"{mount()}/jobs/{quote(number, safe='')}{part}{f'?token={quote(token)}' if token else ''}"
