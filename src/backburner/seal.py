"""`Seal`: signs the rows of jobs, so that none runs that somebody else wrote or changed in the database."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Protocol

from backburner.job import NewJob
from backburner.settings import Settings

_PURPOSE = b"backburner.row.1"


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


def sealing(settings: Settings) -> Callable[[NewJob], NewJob]:
    """What signs new rows, as the settings say; it leaves them alone where they are not signed."""
    if not settings.signed or settings.secret is None:
        return lambda job: job
    seal = Seal(settings.secret)
    return lambda job: job._replace(mac=seal.of(job))


class Seal:
    """Made from the setting `secret`; a key of its own is derived from it."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)

    def of(self, job: Sealed) -> str:
        """The signature of a job's row, 64 hexadecimal digits."""
        covered = [job.id, job.task, job.args, job.codec, job.queue, job.owner, job.context]
        # JSON keeps the parts apart whatever they contain.
        return hmac.new(self._key, json.dumps(covered).encode(), hashlib.sha256).hexdigest()

    def problem(self, job: Sealed, mac: str | None) -> str | None:
        """Why a row must not run; None when it is as it was signed."""
        if mac is None:
            return "it is not signed"
        return None if hmac.compare_digest(self.of(job).encode(), mac.encode()) else "its signature does not fit"
