"""Views of a Flask app as jobs: with Flask-Login, Flask-WTF's CSRF check, and sessions in cookies."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, g, request, session, stream_with_context
from flask.views import MethodView
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.datastructures import MultiDict

from backburner import Backburner, JobState, current_job
from backburner.contrib.flask import FlaskRoutes, login_identity, path_rule
from backburner.errors import InvalidOption
from backburner.route_jobs import Identity, background_route
from backburner.testing import JobsTesting
from tests.contrib.conftest import output


class User(UserMixin):
    """As Flask-Login wants one."""

    def __init__(self, name: str) -> None:
        self.id, self.password_hash, self.active = name, "first", True

    @property
    def is_active(self) -> bool:
        return self.active


class Shop:
    """The app, and its users by name."""

    def __init__(self, jobs: Backburner) -> None:
        self.users = {name: User(name) for name in ("ada", "bob")}
        self.app = app = Flask("shop")
        app.config.update(SECRET_KEY="a secret of the app itself")
        logins = LoginManager(app)
        logins.user_loader(self.users.get)
        CSRFProtect(app)
        self._views(app)
        identity = login_identity(app, epoch_of=lambda user: str(user.password_hash))
        self.routes = FlaskRoutes(jobs, app, identity=identity)
        self.jobs = jobs

    def _views(self, app: Flask) -> None:
        shop, parts = self, Blueprint("parts", __name__, url_prefix="/parts")

        def counted(view: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(view)
            def inner(*args: Any, **kwargs: Any) -> Any:
                return view(*args, **kwargs)

            return inner

        @app.post("/build")
        @counted
        @login_required
        @background_route
        def build() -> Response:
            def rows() -> Any:
                print(f"building for {current_user.id}")
                for number in current_job().track(range(3)):
                    yield f"row {number} of {request.form['month']}\n"

            session["last"] = request.form["month"]
            return Response(stream_with_context(rows()), mimetype="text/plain")

        @app.post("/ask")
        @login_required
        def ask() -> str:
            return shop.jobs.route("POST", "/build", form=request.form, as_user=current_user).id

        @app.get("/who")
        @background_route
        def who() -> str:
            return str(getattr(current_user, "id", "nobody"))

        @parts.get("/<int:number>")
        @background_route
        def part(number: int) -> str:
            return f"part {number}"

        @app.get("/plain")
        def plain() -> str:
            return "plain"

        @app.post("/login/<name>")
        def login(name: str) -> str:
            login_user(self.users[name])
            return "in"

        class Report(MethodView):
            @background_route
            def get(self) -> str:
                return "the report"

            def post(self) -> str:
                return "not marked"

        app.add_url_rule("/report", view_func=Report.as_view("report"))
        app.register_blueprint(parts)


@pytest.fixture
def shop(jobs: Backburner) -> Shop:
    return Shop(jobs)


def test_a_view_that_prints_runs_as_the_user(jobs: Backburner, shop: Shop, testing: JobsTesting) -> None:
    job = jobs.route("POST", "/build", form={"month": "2026-10", "csrf_token": "x"}, as_user=shop.users["ada"])
    testing.drain(raises=True)
    assert output(jobs, job) == ["building for ada", *(f"row {n} of 2026-10" for n in range(3))]
    ended = job.refresh()
    assert (ended.owner, ended.progress.done if ended.progress else None) == ("ada", 3)
    assert "set-cookie" not in str(ended.result())


def test_the_user_at_hand_asks_and_their_session_stays_as_it_is(
    jobs: Backburner, shop: Shop, testing: JobsTesting
) -> None:
    shop.app.config["WTF_CSRF_METHODS"] = []  # the browser of this test has no form
    browser = shop.app.test_client()
    browser.post("/login/ada")
    with browser.session_transaction() as before:
        kept = dict(before)
    asked = browser.post("/ask", data={"month": "2026-10"})
    shop.app.config["WTF_CSRF_METHODS"] = ["POST"]
    job = jobs.get(asked.text)
    testing.drain(raises=True)
    assert job.refresh().state is JobState.SUCCEEDED
    with browser.session_transaction() as after:
        assert dict(after) == kept
    assert browser.get("/who").text == "ada"


def test_without_the_proof_the_token_of_the_form_is_asked_for(shop: Shop) -> None:
    assert shop.app.test_client().post("/build", data={"month": "x"}).status_code == 400


def test_the_header_from_outside_is_refused(shop: Shop) -> None:
    refused = shop.app.test_client().get("/plain", headers={"Backburner-Grant": "1.a.b.c"})
    assert refused.status_code == 403


def test_anonymous_means_anonymous(jobs: Backburner, shop: Shop, testing: JobsTesting) -> None:
    nobody, refused = jobs.route("GET", "/who"), jobs.route("POST", "/build", form={"month": "x"})
    testing.drain()
    assert output(jobs, nobody) == ["nobody"]
    assert (refused.refresh().state, refused.refresh().reason) == (
        JobState.FAILED, "The route answered 401 Unauthorized."
    )  # fmt: skip


@pytest.mark.parametrize("change", [{"password_hash": "second"}, {"active": False}])
def test_it_fails_closed(jobs: Backburner, shop: Shop, testing: JobsTesting, change: dict[str, Any]) -> None:
    job = jobs.route("GET", "/who", as_user=shop.users["ada"])
    for name, value in change.items():
        setattr(shop.users["ada"], name, value)
    testing.drain()
    assert job.refresh().state is JobState.FAILED
    assert output(jobs, job) == [job.refresh().reason], "what the gate has said, and nothing of the view"


def test_fields_that_come_several_times_all_go_along(jobs: Backburner, shop: Shop, testing: JobsTesting) -> None:
    fields = MultiDict([("n", "1"), ("n", "2")])
    job = jobs.route("GET", "/who", query=fields)
    asked = jobs.route("POST", "/build", form=MultiDict([("month", "1"), ("month", "2")]), as_user=shop.users["ada"])
    assert '"query":"n=1&n=2"' in job.args
    assert '"body":"month=1&month=2"' in asked.args
    del testing


def test_marks_are_found_by_the_router(jobs: Backburner, shop: Shop, testing: JobsTesting) -> None:
    found = [jobs.route("GET", "/parts/7"), jobs.route("GET", "/report")]
    for method, path in (("POST", "/report"), ("GET", "/plain"), ("GET", "/parts/x"), ("GET", "/none")):
        with pytest.raises(InvalidOption, match="no marked route answers"):
            jobs.route(method, path)
    testing.drain(raises=True)
    assert [output(jobs, job) for job in found] == [["part 7"], ["the report"]]


def test_an_app_that_keeps_its_user_elsewhere(jobs: Backburner, testing: JobsTesting) -> None:
    app = Flask("plain")

    @app.get("/who")
    @background_route
    def who() -> str:
        return str(g.user)

    identity = Identity(load_user=str, id_of=str, epoch_of=lambda user: "1")
    FlaskRoutes(jobs, app, identity=identity, sign_in=lambda user: setattr(g, "user", user))
    job = jobs.route("GET", "/who", as_user="ada")
    testing.drain(raises=True)
    assert output(jobs, job) == ["ada"]


def test_links_to_routes(shop: Shop) -> None:
    rule = path_rule(shop.app)
    assert rule("parts.part", {"number": 7}) == "/parts/7"
    assert rule("who", {"q": "a b"}) == "/who?q=a+b"
    with pytest.raises(Exception, match="gone"):
        rule("gone", {})
