"""`Gate`: what a request with a grant has to pass before the app sees it. It knows neither WSGI nor ASGI."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from backburner.grant import Grant, GrantKeys, Refused, Request
from backburner.route_jobs.identity import Identity
from backburner.route_jobs.mark import Marked

if TYPE_CHECKING:
    from backburner.store.store import Store

GRANTED = "backburner.granted"
"""Where `environ` and `scope` have the `Granted`. No header gets there."""
INSIDE = "backburner.inside"
"""Where they say that the request was made in this process."""
FROM_HERE = object()
"""What they say: nobody outside of this process can."""
REFUSED = "Backburner-Refused"
SPOOLED = 1_048_576
"""Bytes of a body that stay in memory; more goes into a temporary file without a name."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A request that a route job makes, proven to be one. `id` and `user` are None for nobody; with `cookies` the
    request has its own, and the app finds the user by them.
    """

    job: str
    attempt: int
    id: str | None
    user: Any
    cookies: bool


def granted(surroundings: Mapping[str, Any]) -> Granted | None:
    """The grant that a request came with, from its `environ` or `scope`; None for a request from outside."""
    found = surroundings.get(GRANTED)
    return found if isinstance(found, Granted) else None


class Gate:
    """Made by `RouteJobs`. `networked` says that requests of jobs come over HTTP, and not from this process."""

    def __init__(
        self, store: Callable[[], Store], secrets: Sequence[str], identity: Identity | None, marked: Marked,
        *, networked: bool,
    ) -> None:  # fmt: skip
        self._store, self._secrets, self.identity = store, secrets, identity
        self._marked, self._networked = marked, networked
        self._keys = GrantKeys(secrets)

    def opened(self, token: str, request: Request, *, inside: bool) -> Grant:
        """What the grant says, if it is one for this request and this moment. Raises `Refused` and `StoreError`."""
        if not inside and not self._networked:
            raise Refused("Requests of jobs do not come from outside here.")
        store = self._store()
        # Before it is read for the first time, the clock is this machine's own.
        store.ready()
        return self._keys.read(token, request, store.clock.now().timestamp())

    def used(self, grant: Grant, method: str, path: str) -> None:
        """Use the grant up, for a route that is marked. Raises `Refused`, and `StoreError`."""
        if not self._marked(method, path):
            raise Refused("There is no such route, or it is not marked as one that may run in the background.")
        if not self._store().grants.use(grant.job, grant.attempt, grant.nonce):
            raise Refused("The grant was used before, or its attempt is over.")

    def admitted(self, grant: Grant, user: Any, method: str, path: str) -> Granted:
        """The proof for the app. Raises `Refused` when the user may not any more."""
        if grant.user is not None:
            if self.identity is None or grant.epoch is None:
                raise Refused("This app knows no users for route jobs.")
            self.identity.admit(grant.user, user, self._secrets, grant.epoch, method, path)
        return Granted(grant.job, grant.attempt, grant.user, user, grant.cookies)


class Spool:
    """Takes a body of which length and digest are known, and no more than that."""

    def __init__(self, grant: Grant) -> None:
        self._grant, self._left, self._digest = grant, grant.length, hashlib.sha256()
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115 (the app reads it)

    def write(self, piece: bytes) -> None:
        """Take a piece. Raises `Refused` when there is more than the grant says."""
        self._left -= len(piece)
        if self._left < 0:
            raise Refused("The body is not the one that was signed.")
        self._digest.update(piece)
        self._file.write(piece)

    def whole(self) -> IO[bytes]:
        """The body, to be read from its start. Raises `Refused` when it is another one."""
        if self._left or self._digest.hexdigest() != self._grant.digest:
            raise Refused("The body is not the one that was signed.")
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Drop it."""
        self._file.close()
