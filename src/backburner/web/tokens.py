"""`Tokens`: signed, expiring permissions to one job, for people who are not signed in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer

from backburner.backburner import Backburner
from backburner.errors import InvalidOption, SettingsError
from backburner.job import Job

_SALT = "backburner.web.job"
_LONGEST = 3_155_760_000.0
_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: to see one job, and with `act` to cancel it and try it again. `until` is UTC."""

    job: str
    act: bool
    until: datetime

    def expired(self, now: datetime) -> bool:
        """True when its time is over."""
        return now >= self.until


class Tokens:
    """Makes tokens with the setting `secret`, and reads those of former ones too; without one there are none."""

    def __init__(self, *secrets: str) -> None:
        # The last one signs.
        self._serializer = URLSafeSerializer([*reversed(secrets)], salt=_SALT) if secrets else None

    def make(self, grant: Grant) -> str:
        """The token, safe in a URL. Raises `SettingsError` without a secret."""
        if self._serializer is None:
            raise SettingsError(
                "secret",
                None,
                "is not set, and tokens are signed with it",
                "Set BACKBURNER_SECRET to 16 characters or more, from secrets.token_urlsafe()",
            )
        until = math.ceil(grant.until.timestamp())
        return str(self._serializer.dumps([grant.job, int(grant.act), until]))

    def read(self, token: str | None) -> Grant | None:
        """What a token says, expired or not; None when it was not signed here."""
        if self._serializer is None or not token or len(token) > _CHARACTERS:
            return None
        try:
            job, act, until = self._serializer.loads(token)
        except (BadSignature, ValueError, TypeError):
            return None
        return Grant(str(job), bool(act), datetime.fromtimestamp(int(until)).astimezone())


def job_token(jobs: Backburner, job: Job | str, seconds: float, *, act: bool = False) -> str:
    """A token that opens one job for `seconds`, as `?token=...` behind its address.

    With `act` its holder may also cancel the job and try it again. Raises `SettingsError` when the setting
    `secret` is missing.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST:
        raise InvalidOption("seconds", seconds, "is no life of a token", "Give more than 0 seconds")
    until = jobs.control.now() + timedelta(seconds=seconds)
    return Tokens(*jobs.settings.secrets).make(Grant(job.id if isinstance(job, Job) else job, act, until))
