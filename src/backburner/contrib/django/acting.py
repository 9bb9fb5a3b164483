"""What the admin lets people do with jobs, and who may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backburner.backburner import Backburner
from backburner.checked import MAX_WHO
from backburner.contrib.django.visitor import CHANGE, DELETE
from backburner.errors import BackburnerError, JobNotFound
from backburner.job import Job
from backburner.states import JobState, allowed


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing to do. `was` is how it is told; `fits` whether it can be done now; one that `asks` is confirmed."""

    name: str
    label: str
    was: str
    permission: str
    fits: Callable[[Job], bool]
    asks: bool = False


VERBS = (
    Verb("retry", "Retry", "put back in line", CHANGE, lambda job: bool(allowed("retry", job.state))),
    Verb(
        "cancel", "Cancel", "cancelled, or asked to stop", CHANGE, lambda job: not job.done and not job.cancel_requested
    ),
    Verb("delete", "Delete", "deleted", DELETE, lambda job: job.state is not JobState.RUNNING, asks=True),
)


def may_do(verb: str, person: Any) -> bool:
    """Whether the person has the permission for it."""
    found = next(one for one in VERBS if one.name == verb)
    return bool(person.has_perm(found.permission))


def done_to(jobs: Backburner, verb: Verb, ids: Sequence[str], by: Any) -> tuple[int, list[str]]:
    """Do it to each, as `by` in the audit; how many it was done to, and a sentence for each reason why it was not."""
    operator = jobs.insight.operator(str(by.get_username())[:MAX_WHO], "dashboard")
    acts: dict[str, Callable[[str], object]] = {
        "retry": operator.retry, "cancel": operator.cancel, "delete": operator.delete,
    }  # fmt: skip
    count = 0
    refused: dict[str, int] = {}
    for job_id in ids:
        try:
            acts[verb.name](job_id)
        except JobNotFound:
            refused["is not there any more"] = refused.get("is not there any more", 0) + 1
        except BackburnerError as error:
            state = getattr(error, "state", None)
            reason = f"is {state}" if state is not None else str(error)
            refused[reason] = refused.get(reason, 0) + 1
        else:
            count += 1
    return count, [f"Not done to {'1 job' if n == 1 else f'{n} jobs'}: it {why}." for why, n in refused.items()]
