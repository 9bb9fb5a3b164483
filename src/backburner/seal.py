"""`Seal`: signs the rows of jobs, so that none runs that somebody else wrote or changed in the database."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Protocol

from backburner.job import ClaimedJob, NewJob
from backburner.settings import Settings

_PURPOSE = b"backburner.row.1"

ROUTE_TASK = "backburner.route"
"""The task of route jobs. Its rows say as whom they run: they are signed in any case, and run only so."""


class Sealed(Protocol):
    """What a signature covers: which function is called with what, where, and for whom."""

    @property
    def id(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def args(self) -> str: ...
    @property
    def codec(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def owner(self) -> str | None: ...
    @property
    def context(self) -> str | None: ...


def is_signed(settings: Settings, task: str) -> bool:
    """Whether rows of a task are signed."""
    return bool(settings.secrets) and (settings.signed or task == ROUTE_TASK)


def sealing(settings: Settings) -> Callable[[NewJob], NewJob]:
    """What signs new rows, as the settings say; it leaves them alone where they are not signed."""
    if not settings.secrets:
        return lambda job: job
    seal = Seal(settings.secrets)
    return lambda job: job._replace(mac=seal.of(job)) if is_signed(settings, job.task) else job


def checking(settings: Settings) -> Callable[[ClaimedJob], str | None]:
    """What says why a row must not run; None when it may."""
    if not settings.secrets:
        return lambda job: None
    seal = Seal(settings.secrets)
    return lambda job: seal.problem(job, job.mac) if is_signed(settings, job.task) else None


class Seal:
    """Made from the secrets of the settings; keys of its own are derived from them. The first one signs."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256) for secret in secrets]

    def of(self, job: Sealed) -> str:
        """The signature of a job's row, 64 hexadecimal digits."""
        return _signed(self._keys[0], job)

    def problem(self, job: Sealed, mac: str | None) -> str | None:
        """Why a row must not run; None when it is as it was signed."""
        if mac is None:
            return "it is not signed"
        found = [hmac.compare_digest(_signed(key, job).encode(), mac.encode()) for key in self._keys]
        return None if any(found) else "its signature does not fit"


def _signed(key: bytes, job: Sealed) -> str:
    covered = [job.id, job.task, job.args, job.codec, job.queue, job.owner, job.context]
    # JSON keeps the parts apart whatever they contain.
    return hmac.new(key, json.dumps(covered).encode(), hashlib.sha256).hexdigest()
