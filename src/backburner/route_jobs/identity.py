"""`Identity`: who a job runs as. A name and an epoch are stored, and the user is loaded anew when it runs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import inspect
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from backburner.errors import InvalidOption
from backburner.grant import Refused

MAX_ID = 200
_PURPOSE = b"backburner.epoch.1"


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, as a job names them. `epoch` changes with the password and when they log out everywhere."""

    id: str
    epoch: str


class Identity:
    """What the app says about its users; each is a function of the app's own.

    `load_user(id)` gives a user who may sign in now, or None; it may be async. `id_of(user)` is the text that
    `load_user` takes, `epoch_of(user)` one that is another as soon as no session of theirs counts any more: a
    hash of the password hash and a counter, say. Only a keyed hash of it is stored. `user_of(source)` finds the
    user in what is given as `as_user`, None for nobody; left out, the user is given. `permitted(user, method,
    path)` is asked when the job runs.
    """

    def __init__(
        self,
        *,
        load_user: Callable[[str], Any],
        id_of: Callable[[Any], str],
        epoch_of: Callable[[Any], str],
        user_of: Callable[[Any], Any] | None = None,
        permitted: Callable[[Any, str, str], bool] | None = None,
    ) -> None:
        for name, given in {"load_user": load_user, "id_of": id_of, "epoch_of": epoch_of}.items():
            if not callable(given):
                raise InvalidOption(name, given, "cannot be called", "Pass a function")
        self._load, self._id_of, self._epoch_of = load_user, id_of, epoch_of
        self._user_of, self._permitted = user_of, permitted

    def principal(self, source: Any) -> Principal | None:
        """Whom a job is to run as, None for nobody. Raises `InvalidOption`."""
        user = source if self._user_of is None else self._user_of(source)
        if user is None:
            return None
        found = Principal(self._id_of(user), self._epoch_of(user))
        if not all(isinstance(text, str) for text in (found.id, found.epoch)) or not 0 < len(found.id) <= MAX_ID:
            raise InvalidOption("as_user", source, "has no usable id and epoch", f"Texts, the id of 1 to {MAX_ID}")
        return found

    def load(self, user_id: str) -> Any:
        """The user. Not to be called on an event loop."""
        found = self._load(user_id)
        return asyncio.run(_awaited(found)) if inspect.isawaitable(found) else found

    async def aload(self, user_id: str) -> Any:
        """The user, for a coroutine: a plain function runs in a thread."""
        if inspect.iscoroutinefunction(self._load):
            return await cast("Awaitable[Any]", self._load(user_id))
        found = await asyncio.to_thread(self._load, user_id)
        return await found if inspect.isawaitable(found) else found

    def admit(self, user_id: str, user: Any, secrets: Sequence[str], stored: str, method: str, path: str) -> None:
        """Raise `Refused` unless the user may do this now. One of the secrets made the stored epoch."""
        if user is None:
            raise Refused("The user this job runs as is gone, or may not sign in any more.")
        present = Principal(user_id, self._epoch_of(user))
        if not any(hmac.compare_digest(sealed_epoch(secret, present), stored) for secret in secrets):
            raise Refused("The user has another password since, or has logged out everywhere.")
        if self._permitted is not None and not self._permitted(user, method, path):
            raise Refused("The user may not do this any more.")


def sealed_epoch(secret: str, principal: Principal) -> str:
    """What is stored of an epoch: good for this user alone, and nobody can find out anything about a password by it."""
    key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
    # JSON keeps the parts apart whatever they contain.
    return hmac.new(key, json.dumps([principal.id, principal.epoch]).encode(), hashlib.sha256).hexdigest()


async def _awaited(found: Awaitable[Any]) -> Any:
    return await found
