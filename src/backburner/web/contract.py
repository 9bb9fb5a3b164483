"""The HTTP contract: every route, who it is for, what it takes and what it answers.

The OpenAPI document is made of it, and tests compare it with the routes that are there.
"""

from __future__ import annotations

import re
from typing import Any

from backburner.web.dashboard.routes import DASHBOARD
from backburner.web.route import Answer, Audience, Route
from backburner.web.scopes import ACT, ENQUEUE

_ANYBODY, _SIGNED_IN, _OF_A_JOB, _OPERATORS = Audience
_JOB = Answer("The job", body="JobBody")
_TEXT: dict[str, Any] = {"type": "string"}
_STREAM = Answer("Events: snapshot, progress, state, log, message, link, done, gone", "text/event-stream", {})
_NOTHING = Answer("Nothing", None)
_WORD = Answer("A word", "text/plain", _TEXT)
_FILTERS = ("state", "done", "mine", "task", "queue", "tag", "identifier", "owner", "created_after", "created_before")
_READ = (401, 403, 404, 410, 503)
_CHANGED = (401, 403, 404, 409, 410, 503)

CONTRACT: tuple[Route, ...] = (
    Route(
        "GET", "/jobs", "Jobs, the newest first; of other people's only operators get any", _SIGNED_IN,
        takes=(*_FILTERS, "before", "limit"),
        answers=((200, Answer("A page of jobs", body="JobsBody")),),
        problems=(401, 403, 422, 503),
    ),
    Route(
        "POST", "/jobs", "Start a job", _SIGNED_IN, ENQUEUE,
        takes=("key", "prefer"),
        answers=(
            (200, Answer("Done in time, or an equal job that is there", body="JobBody")),
            (202, Answer("The job is stored", body="JobBody")),
            (303, Answer("Done in time: its result, for a client that prefers HTML", None)),
        ),
        problems=(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
    ),
    Route(
        "GET", "/jobs/feed", "One stream for several jobs; those that are not there for the user are gone", _ANYBODY,
        takes=("ids", "token"), answers=((200, _STREAM),), problems=(401, 403, 422, 503),
    ),
    Route(
        "GET", "/jobs/shared", "Unfinished jobs of anybody whose visibility opens them to who asks", _ANYBODY,
        takes=("tag", "few"), answers=((200, Answer("Jobs, the newest first", body="SharedBody")),),
        problems=(401, 403, 422, 503),
    ),
    Route(
        "GET", "/jobs/{job_id}", "One job; with wait, as soon as it differs from what is known", _OF_A_JOB,
        takes=("job_id", "token", "prefer", "known"),
        answers=((200, _JOB), (304, Answer("It is as it is known", None))), problems=_READ,
    ),
    Route(
        "GET", "/jobs/{job_id}/events", "The stream of one job: a snapshot, then what changes", _OF_A_JOB,
        takes=("job_id", "token", "log", "last"),
        answers=((200, _STREAM), (204, Answer("The last event has come", None))), problems=_READ,
    ),
    Route(
        "GET", "/jobs/{job_id}/log", "Its output from an offset on; X-Log-End is where to go on", _OF_A_JOB,
        takes=("job_id", "token", "after"),
        answers=((200, Answer("Output", "text/plain", _TEXT)),), problems=(*_READ, 422),
    ),
    Route(
        "GET", "/jobs/{job_id}/result", "What its task returned", _OF_A_JOB,
        takes=("job_id", "token"),
        answers=(
            (200, Answer("The value", body={})),
            (202, Answer("Not yet", body="UnfinishedBody")),
            (303, Answer("The one file that it made", None)),
        ),
        problems=_CHANGED,
    ),
    Route(
        "GET", "/jobs/{job_id}/wait", "The holding page; when the job is done, on to where it leads", _OF_A_JOB,
        takes=("job_id", "token", "prefer"),
        answers=(
            (200, Answer("A page for people", "text/html", _TEXT)),
            (303, Answer("Done: the path that was stored with the job", None)),
        ),
        problems=_READ,
    ),
    Route("POST", "/jobs/{job_id}/wait/{verb}", "A form's cancel or try again, on the holding page", _OF_A_JOB, ACT),
    Route(
        "POST", "/jobs/{job_id}/cancel", "Cancel it, or ask it to stop", _OF_A_JOB, ACT,
        takes=("job_id", "token"), answers=((202, _JOB),), problems=_CHANGED,
    ),
    Route(
        "POST", "/jobs/{job_id}/retry", "Run it again", _OF_A_JOB, ACT,
        takes=("job_id", "token"), answers=((202, _JOB),), problems=_CHANGED,
    ),
    Route(
        "POST", "/jobs/{job_id}/tell", "Have its owner told when it is done", _OF_A_JOB, ACT,
        takes=("job_id", "token"), answers=((204, _NOTHING),), problems=_CHANGED,
    ),
    Route(
        "POST", "/jobs/{job_id}/dismiss", "Leave a finished job out of one's own list from now on", _OF_A_JOB, ACT,
        takes=("job_id", "token"), answers=((204, _NOTHING),), problems=_CHANGED,
    ),
    Route(
        "DELETE", "/jobs/{job_id}", "Remove it with all that is kept of it", _OF_A_JOB, ACT,
        takes=("job_id", "token"), answers=((204, _NOTHING),), problems=_CHANGED,
    ),
    Route(
        "GET", "/files/{file_id}", "A file that a job made", _OF_A_JOB,
        takes=("file_id", "token"), answers=((200, Answer("The file", "*/*", {})),), problems=_READ,
    ),
    Route(
        "GET", "/openapi.json", "This document, with the tasks that the user may start", _SIGNED_IN, None,
        answers=((200, Answer("OpenAPI 3.1", body={"type": "object"})),), problems=(401,),
    ),
    Route("GET", "/livez", "Whether this process answers", _ANYBODY, None, answers=((200, _WORD),)),
    Route("GET", "/readyz", "Whether it can work", _ANYBODY, None, answers=((200, _WORD), (503, _WORD))),
    Route(
        "GET", "/metrics", "Gauges for Prometheus", _OPERATORS,
        answers=((200, Answer("Gauges", "text/plain", _TEXT)),), problems=(401, 403, 501, 503),
    ),
    Route("GET", "/mine", "My jobs: the page of end users", _SIGNED_IN),
    Route("POST", "/mine/{job_id}/{verb}", "A form's cancel, try again or dismiss, on that page", _OF_A_JOB, ACT),
    *DASHBOARD,
)  # fmt: skip
"""Every route, in the order of the documentation."""

_PATHS = tuple((re.compile(re.sub(r"\{\w+(:path)?\}", "[^/]+", route.path)), route.method) for route in CONTRACT)


def methods_of(path: str) -> list[str]:
    """What may be asked of a path below the one where the app is mounted."""
    return sorted({method for pattern, method in _PATHS if pattern.fullmatch(path)})
