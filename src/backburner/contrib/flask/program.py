"""How processes that run jobs find a Flask app: `jobs` here is that of the app which `flask` would take.

That is the one of the command at hand, else what FLASK_APP names, else `app` or `create_app` in wsgi.py or app.py.
"""

from __future__ import annotations

import os
from typing import Any

import click
from flask import Flask
from flask.cli import NoAppException, ScriptInfo

from backburner.errors import SettingsError

SPEC = f"{__name__}:jobs"
FLASK_APP = "FLASK_APP"
_REMEDY = "Give flask --app, or set FLASK_APP"


def flask_app() -> Flask:
    """The app. Raises `SettingsError`."""
    context = click.get_current_context(silent=True)
    info = context.find_object(ScriptInfo) if context is not None else None
    try:
        return (info or ScriptInfo(os.environ.get(FLASK_APP))).load_app()
    except NoAppException as error:
        raise SettingsError("app", os.environ.get(FLASK_APP), error.format_message(), _REMEDY, FLASK_APP) from error


def without_extension() -> SettingsError:
    """What is wrong with an app that no `FlaskBackburner` was attached to."""
    problem, remedy = "its Flask app has no such FlaskBackburner", "Call backburner.init_app(app) where the app is made"
    return SettingsError("app", os.environ.get(FLASK_APP), problem, remedy, FLASK_APP)


def __getattr__(name: str) -> Any:
    if name != "jobs":
        raise AttributeError(name)
    found = flask_app().extensions.get("backburner")
    if found is None:
        raise without_extension()
    return found.jobs
