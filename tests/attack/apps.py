"""The web side as it stands in each kind of app, and who asks it: one way to ask for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Cookie, Depends, FastAPI, HTTPException
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection

from backburner import Backburner
from backburner.contrib.fastapi import FastAPIBackburner
from backburner.contrib.flask import FlaskBackburner
from backburner.contrib.starlette import GrantBackend, StarletteBackburner
from backburner.web import web_app
from tests.web.shop import SECRET, Caller, by_header

OWNER, STRANGER, OPERATOR = "lena", "other", "boss"
NOBODY = ""

OURS = {"sec-fetch-site": "same-origin"}
"""What a browser says on our own pages."""


@dataclass(frozen=True)
class Answered:
    """Status, headers and body."""

    status: int
    headers: Mapping[str, str]
    text: str


Ask = Callable[[str, str, str, Mapping[str, str], Mapping[str, str] | None], Answered]
"""Method, path below the mount, who, headers, fields of a form."""


@dataclass(frozen=True)
class App:
    """One app: where its jobs are, what an owner is called there, and how it is asked."""

    jobs: Backburner
    ask: Ask
    root: str = "/backburner"
    owner: str = OWNER


def _by_caller(app: Any, jobs: Backburner, root: str, said: Callable[[str], Mapping[str, str]]) -> App:
    def ask(method: str, path: str, who: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> Answered:
        answer = Caller(app).ask(method, root + path, headers={**said(who), **headers}, data=form)
        return Answered(answer.status_code, answer.headers, answer.text)

    return App(jobs, ask, root)


def _made(folder: Path, url: str) -> Backburner:
    return Backburner(url, secret=SECRET, files=str(folder / "files"))


def _cookie(who: str) -> Mapping[str, str]:
    return {"cookie": f"who={who}"} if who else {}


@contextmanager
def alone(folder: Path, url: str) -> Iterator[App]:
    """`web_app`, with the app's own rule."""
    jobs = _made(folder, url)
    yield _by_caller(
        web_app(jobs, resolve_user=by_header), jobs, "", lambda who: {"x-user": who, **_cookie(who)} if who else {}
    )
    jobs.close()


@contextmanager
def fastapi(folder: Path, url: str) -> Iterator[App]:
    """A dependency says who it is."""

    def user(who: Annotated[str | None, Cookie()] = None) -> str:
        if who is None:
            raise HTTPException(401)
        return who

    jobs, app = _made(folder, url), FastAPI()
    _ = Depends(user)
    FastAPIBackburner(jobs, app, user=user, id_of=str, operator=lambda name: name == OPERATOR)
    yield _by_caller(app, jobs, "/backburner", _cookie)
    jobs.close()


class _ByCookie(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        name = conn.cookies.get("who")
        return (AuthCredentials(["authenticated"]), SimpleUser(name)) if name else None


@contextmanager
def starlette(folder: Path, url: str) -> Iterator[App]:
    """Starlette's own authentication."""
    jobs = _made(folder, url)
    app = Starlette(middleware=[Middleware(AuthenticationMiddleware, backend=GrantBackend(_ByCookie()))])
    StarletteBackburner(jobs, app, operator=lambda user: user.username == OPERATOR)
    yield _by_caller(app, jobs, "/backburner", _cookie)
    jobs.close()


class _Person(UserMixin):
    def __init__(self, name: str) -> None:
        self.id, self.password_hash = name, "first"


@contextmanager
def flask(folder: Path, url: str) -> Iterator[App]:
    """Flask-Login."""
    jobs, app = _made(folder, url), Flask("shop")
    people = {name: _Person(name) for name in (OWNER, STRANGER, OPERATOR)}
    app.config.update(SECRET_KEY="a secret of the app itself")
    LoginManager(app).user_loader(people.get)

    @app.post("/login/<name>")
    def login(name: str) -> str:
        login_user(people[name])
        return "in"

    FlaskBackburner(jobs, app, operator=lambda person: person.id == OPERATOR)
    browsers = {NOBODY: app.test_client()}
    for name in people:
        browsers[name] = app.test_client()
        assert browsers[name].post(f"/login/{name}").text == "in"

    def ask(method: str, path: str, who: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> Answered:
        answer = browsers[who].open(f"/backburner{path}", method=method, headers=dict(headers), data=form)
        return Answered(answer.status_code, dict(answer.headers), answer.get_data(as_text=True))

    yield App(jobs, ask)
    jobs.close()


@contextmanager
def django(folder: Path, url: str) -> Iterator[App]:
    """Django's own login; the database is the project's."""
    del url
    from tests.contrib.django_project import use_database  # isort: skip
    from django.contrib.auth.models import User  # isort: skip
    from django.db import connections  # isort: skip
    from django.test import Client  # isort: skip

    from backburner.contrib.django import site  # isort: skip
    from backburner.contrib.django.project import project_jobs  # isort: skip

    use_database(folder)
    site._app.cache_clear()
    site._bridge.cache_clear()
    jobs = project_jobs()
    browsers, ids = {NOBODY: Client()}, {}
    for name in (OWNER, STRANGER, OPERATOR):
        operator = name == OPERATOR
        person = User.objects.create_user(name, password="x", is_staff=operator, is_superuser=operator)
        # Its own check of tokens is off: what holds here is what Backburner says itself.
        browsers[name], ids[name] = Client(), str(person.pk)
        browsers[name].force_login(person)

    def ask(method: str, path: str, who: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> Answered:
        kind = "application/x-www-form-urlencoded"
        body = "&".join(f"{name}={value}" for name, value in (form or {}).items())
        answer = browsers[who].generic(method, f"/backburner{path}", body, kind, headers=dict(headers))
        content = b"".join(answer) if answer.streaming else answer.content
        return Answered(answer.status_code, answer.headers, content.decode("utf-8", "replace"))

    yield App(jobs, ask, owner=ids[OWNER])
    jobs.close()
    connections.close_all()


APPS = {"alone": alone, "fastapi": fastapi, "starlette": starlette, "flask": flask, "django": django}


@contextmanager
def opened(name: str, folder: Path, url: str) -> Iterator[App]:
    """One of them."""
    # Where files go of which nobody says where.
    with chdir(folder), APPS[name](folder, url) as made:
        yield made
