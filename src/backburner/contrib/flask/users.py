"""Who is signed in to a Flask app: by Flask-Login, or by a function of the app's own."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from flask import current_app

from backburner.contrib.people import People
from backburner.errors import InvalidOption
from backburner.web import User
from backburner.web.rights import Allow


class Users:
    """Asks `user`, inside of a request; without it Flask-Login, where the app has it."""

    def __init__(
        self, user: Callable[[], Any] | None, id_of: Callable[[Any], object] | None,
        operator: Callable[[Any], object] | None, access: Callable[[Any], object] | None,
    ) -> None:  # fmt: skip
        if user is not None and not callable(user):
            raise InvalidOption("user", user, "cannot be called", "Pass a function without parameters")
        self._user = user
        self._people = People(_login_id if user is None and id_of is None else id_of, operator, access)

    def present(self) -> User | None:
        """Who makes the request at hand. Raises `SettingsError` for an answer that is of no use."""
        return self._people.user(self.person())

    def rights(self) -> tuple[Allow, ...]:
        """What they may do on the operators' pages. Raises `InvalidOption`."""
        return self._people.rights(self.person())

    def person(self) -> Any:
        """The same, as the app itself has its users; None for nobody."""
        return _of_flask_login() if self._user is None else self._user()


def _of_flask_login() -> Any:
    if not hasattr(current_app, "login_manager"):
        return None
    # The extension is another's, and not every app has it.
    person = importlib.import_module("flask_login").current_user
    return person if person.is_authenticated else None


def _login_id(person: Any) -> object:
    return person.get_id()
