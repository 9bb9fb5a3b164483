"""Options that relate a job to others: its group, what it must not be twice, what it comes after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, get_args

from backburner.errors import InvalidOption
from backburner.ids import is_id
from backburner.job import Job, Key, NewJob, Parent
from backburner.outcome import seconds_of

GroupPolicy = Literal["skip", "block", "stop"]
"""What a group does about a failed member: let others go on, wait for it, or give up the rest."""
Unique: TypeAlias = Literal["live", "kept"] | float | timedelta
"""How long a job is unique: while it is not done, while it is stored, or for a time from its enqueue."""
OnConflict = Literal["existing", "replace", "reject", "skip", "debounce"]
"""What an enqueue does that finds an equal job: see the guide on enqueueing."""
AfterFailed = Literal["cancel", "run"]
"""What becomes of a job when one that it comes after did not succeed."""
After: TypeAlias = Job | str | Iterable[Job | str]

LAUNCH = "launch"
"""`blocked_on` of a job that waits for the process that was started for it."""
LAUNCH_ALONE = "launch with secrets"
"""The same of a job whose secrets that process alone has: nobody else may run it."""
PARENTS = "parents"
"""`blocked_on` of a job that comes after others."""
WAIT = "wait"
"""The policy of a dependency that a running job asked for: it runs again whatever becomes of the other one."""
REACHED, MISSED = "reached", "missed"
"""What becomes of that policy when it is met: what the job waited for has come, or can never come."""
MAX_PARENTS = 1000
_MOST_THRESHOLD = 2**31 - 1


def one_of(option: str, value: object, allowed: Any) -> str:
    """A word of a `Literal`. Raises `InvalidOption`."""
    words = get_args(allowed)
    if value not in words:
        raise InvalidOption(option, value, "is unknown", f"Use one of: {', '.join(words)}")
    return str(value)


def threshold_of(value: object) -> int | None:
    """A checked `coalesce`. Raises `InvalidOption`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_THRESHOLD:
        raise InvalidOption("coalesce", value, "is no threshold", "Use a whole number from 0 on")
    return value


def unique_of(value: object) -> str | float | None:
    """A checked `unique`: a scope, or seconds. Raises `InvalidOption`."""
    if value is None or value in ("live", "kept"):
        return value
    if isinstance(value, int | float | timedelta) and not isinstance(value, bool):
        seconds = seconds_of("unique", value)
        if seconds > 0:
            return seconds
    raise InvalidOption("unique", value, "is no scope", "Use 'live', 'kept', or a period: seconds or a timedelta")


def parents_of(value: object) -> tuple[str, ...]:
    """The ids of `after`, each once. Raises `InvalidOption`."""
    if value is None:
        return ()
    listed = [value] if isinstance(value, Job | str) else value
    if not isinstance(listed, Iterable):
        raise InvalidOption("after", value, "is neither a job nor a list of jobs", "For example after=[first, second]")
    ids = []
    for one in listed:
        job_id = one.id if isinstance(one, Job) else one
        if not isinstance(job_id, str) or not is_id(job_id):
            raise InvalidOption("after", one, "is neither a job nor an id", "Pass what enqueue returned, or its id")
        ids.append(job_id)
    if len(ids) > MAX_PARENTS:
        raise InvalidOption("after", f"{len(ids)} jobs", "is too many", f"Use at most {MAX_PARENTS}")
    return tuple(dict.fromkeys(ids))


def parents(ids: Iterable[str], failed: str) -> tuple[Parent, ...]:
    """What a job with these options waits for."""
    return tuple(Parent(job_id, policy=failed) for job_id in ids)


def parents_of_all(jobs: Iterable[NewJob]) -> set[str]:
    """The ids of what these new jobs come after."""
    return {parent.job for job in jobs for parent in job.parents}


def unique_key(task: str, identifier: str | None, args: str, scope: str | float, conflict: str, now: datetime) -> Key:
    """The key of a unique job: its identifier, else its arguments, within its task."""
    what = identifier if identifier is not None else f"#{hashlib.sha256(args.encode()).hexdigest()}"
    name = f"u:{task}:{what}"
    if isinstance(scope, str):
        return Key(name, scope, conflict)
    return Key(name, "until", conflict, now + timedelta(seconds=scope))


def idempotency(task: str, owner: str | None, key: str, args: str) -> Key:
    """The key of a request that may come twice: the second one is answered with the first one's job."""
    digest = hashlib.sha256(args.encode()).hexdigest()
    # Who asked is a part of it: nobody may find out, or get, what is another's.
    whose = hashlib.sha256((owner or "").encode()).hexdigest()[:16] if owner else ""
    return Key(f"i:{whose}:{task}:{key}", "kept", "existing", digest=digest)


def principals(keys: Iterable[Key], task: str, principal: str, request: str) -> tuple[Key, ...]:
    """The same keys as names of one principal's own, for calls that come from outside.

    Whoever may call a task must not get, move or take the place of what the app itself or somebody else enqueued.
    `request` is what must be the same under one idempotency key.
    """
    found = []
    for key in keys:
        name = hashlib.sha256(json.dumps([principal, key.name]).encode()).hexdigest()
        digest = hashlib.sha256(request.encode()).hexdigest() if key.digest is not None else None
        found.append(replace(key, name=f"h{key.name[0]}:{task}:{name}", digest=digest))
    return tuple(found)
