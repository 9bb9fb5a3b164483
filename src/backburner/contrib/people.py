"""`People`: from what an app has for a user to the `User` of the web side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backburner.errors import InvalidOption, SettingsError
from backburner.web import User
from backburner.web.rights import Allow, Rights


class People:
    """`id_of(user)` gives the text that jobs have as their owner, `operator(user)` says who may do everything.

    `access(user)` names what somebody may do on the operators' pages who is none, as `web_app(resolve_access=...)`
    takes it. Whoever is a text, or a `User`, needs no `id_of`; a `User` says itself whether it is an operator.
    """

    def __init__(
        self, id_of: Callable[[Any], object] | None, operator: Callable[[Any], object] | None,
        access: Callable[[Any], object] | None,
    ) -> None:  # fmt: skip
        for name, given in {"id_of": id_of, "operator": operator, "access": access}.items():
            if given is not None and not callable(given):
                raise InvalidOption(name, given, "cannot be called", "Pass a function of a user")
        self._id_of, self._operator, self._access = id_of, operator, access

    def user(self, person: Any) -> User | None:
        """The `User`; None for nobody. Raises `SettingsError` where an app's answer is of no use."""
        if person is None or isinstance(person, User):
            return person
        found = person if self._id_of is None else self._id_of(person)
        if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
            raise SettingsError(
                "user", person, "is neither a User nor a text", "Say id_of=, a function of a user", "the app's rule"
            )
        return User(str(found), operator=self._operator is not None and bool(self._operator(person)))

    def rights(self, person: Any) -> tuple[Allow, ...]:
        """What they may do on the operators' pages beside what all may. Raises `InvalidOption` for unknown names."""
        return Rights.of(None if person is None or self._access is None else self._access(person)).allowed
