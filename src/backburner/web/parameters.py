"""What the routes take beside their path, as the OpenAPI document says it, by a short name."""

from __future__ import annotations

from typing import Any

from backburner.states import JobState
from backburner.web.query import MOST, MOST_SHARED

_WORD = {"type": "string", "maxLength": 1_000, "pattern": "^[^\\u0000]*$"}
_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_ID = {"type": "string", "format": "uuid"}
_STATE = f"({'|'.join(JobState)})"


def _query(name: str, text: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    # What is empty counts as not given.
    empty = {} if required else {"allowEmptyValue": True}
    return {"name": name, "in": "query", "required": required, "description": text, "schema": schema, **empty}


def _header(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


def _path(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": _ID}


PARAMETERS: dict[str, dict[str, Any]] = {
    "job_id": _path("job_id", "The id of a job"),
    "file_id": _path("file_id", "The id of a file"),
    "state": _query(
        "state", "A state, or several with commas", {"type": "string", "pattern": f"^{_STATE}(,{_STATE})*$"}
    ),
    "done": _query("done", "Final or not", {"type": "boolean"}),
    "mine": _query("mine", "true: one's own, without those that one has dismissed", {"type": "boolean"}),
    "task": _query("task", "The name of a task", _WORD),
    "queue": _query("queue", "The name of a queue", _WORD),
    "tag": _query("tag", "One of its tags", _WORD),
    "identifier": _query("identifier", "What the app calls the job", _WORD),
    "owner": _query("owner", "Whose; only operators get those of others", _WORD),
    "created_after": _query("created_after", "At this time or later", _TIME),
    "created_before": _query("created_before", "Before this time", _TIME),
    "before": _query("before", "The id of the last job of the page before", _ID),
    "limit": _query("limit", "Jobs on a page", {"type": "integer", "minimum": 1, "maximum": MOST}),
    "few": _query("limit", "Jobs at most", {"type": "integer", "minimum": 1, "maximum": MOST_SHARED}),
    "ids": _query("ids", "Ids of jobs, 1 to 50, with commas", {"type": "string", "minLength": 1}, required=True),
    "after": _query(
        "after", "The offset in characters to go on from", {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    ),
    "log": _query("log", "0: without output", _TEXT),
    "token": _query("token", "A signed token for this job", _TEXT),
    "prefer": _header("Prefer", "wait=SECONDS, at most 30; respond-async", _TEXT),
    "known": _header("If-None-Match", "The ETag of what is known", _TEXT),
    "key": _header(
        "Idempotency-Key",
        "The same key with the same body is answered with the same job",
        {"type": "string", "pattern": "^[ -~]{1,202}$"},
    ),
    "last": _header("Last-Event-ID", "The id of the last event that came", _TEXT),
}
"""Their names in the contract."""
