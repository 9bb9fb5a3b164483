"""`Vault`: encrypts the secret arguments of jobs with the secrets of the settings, and opens them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence

from backburner.cipher import Cipher
from backburner.codec import CODEC, has_secrets, moved
from backburner.errors import DecodeError, SettingsError
from backburner.job import NewJob

_PURPOSE = b"backburner.argument.1"
_DIGEST = b"backburner.argument.digest.1"
_WHAT = "a parameter annotated Secret[...]"


class Vault:
    """Made from the secrets of the settings, the one that encrypts first; without any nothing is encrypted or opened.

    The package that it needs is looked for when there is something to encrypt.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)
        self._cipher: Cipher | None = None

    def box(self, task: str, subject: str) -> Box:
        """For the secrets of one job, by its id, or of what has one task called otherwise, such as a schedule."""
        return Box(self, task, json.dumps([task, subject]))

    def moved(self, job: NewJob, subject: str) -> NewJob:
        """A row with secrets of another subject, encrypted for itself. Raises `DecodeError` when they do not open."""
        if job.codec != CODEC or not has_secrets(job.args):
            return job
        args = moved(job.args, self.box(job.task, subject), self.box(job.task, job.id))
        if args is None:
            raise DecodeError(
                f"arguments of task {job.task!r}", "a secret among them does not open with the setting secret"
            )
        return job._replace(args=args)

    def cipher(self) -> Cipher:
        """What encrypts. Raises `SettingsError` without a secret, and `MissingExtra`."""
        if not self._secrets:
            raise SettingsError(
                "secret", None, f"is not set, and {_WHAT} is encrypted with it",
                "Set BACKBURNER_SECRET to 16 characters or more, from secrets.token_urlsafe()",
            )  # fmt: skip
        if self._cipher is None:
            self._cipher = Cipher(self._secrets, _PURPOSE, "secrets", _WHAT)
        return self._cipher

    def opener(self) -> Cipher | None:
        """What opens; None without a secret. Raises `MissingExtra`."""
        return self.cipher() if self._secrets else None

    def digest(self, text: bytes) -> str:
        """The same for the same text, and no help in guessing it. Raises `SettingsError`."""
        self.cipher()
        key = hmac.digest(self._secrets[0].encode(), _DIGEST, hashlib.sha256)
        return hmac.new(key, text, hashlib.sha256).hexdigest()


class Box:
    """The secrets of one job: none opens for another job, for another task, or at another place of its arguments."""

    def __init__(self, vault: Vault, task: str, subject: str) -> None:
        self._vault, self._task, self._subject = vault, task, subject

    def close(self, text: bytes, place: str) -> str:
        """The encrypted text. Raises `SettingsError` and `MissingExtra`."""
        return self._vault.cipher().close(text, self._subject, place)

    def open(self, closed: str, place: str) -> bytes | None:
        """What was encrypted; None where it cannot be opened here. Raises `MissingExtra`."""
        cipher = self._vault.opener()
        return None if cipher is None else cipher.open(closed, self._subject, place)

    def digest(self, text: bytes, place: str) -> str:
        """The same for the same text at the same place of any job of the task."""
        return self._vault.digest(json.dumps([self._task, place]).encode() + b"\0" + text)
