"""`FlaskBackburner` in a real Flask app: config, login, session, context around jobs, commands, templates."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from a2wsgi import ASGIMiddleware
from flask import Flask, current_app, flash, g, has_app_context, redirect, render_template_string, request, url_for
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, login_user
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from backburner import Backburner, Task
from backburner.contrib.flask import FlaskBackburner
from backburner.errors import ForeignTransaction, InvalidOption, SettingsError, WaitInsideTransaction
from backburner.route_jobs import background_route
from backburner.web import User, api_token
from backburner.worker import Worker, WorkerOptions
from tests.contrib.conftest import output
from tests.waiting import wait_until

SECRET = "a secret for tests, long enough"


class Person(UserMixin):
    """As Flask-Login wants one."""

    def __init__(self, name: str) -> None:
        self.id, self.password_hash = name, "first"


PEOPLE = {name: Person(name) for name in ("ada", "bob", "root")}


def make_app(backburner: FlaskBackburner | None, **config: Any) -> Flask:
    """An app with a login, made as a factory makes one; `root` is an operator where anybody is."""
    app = Flask("shop")
    app.config.update(SECRET_KEY="a secret of the app itself", **config)
    LoginManager(app).user_loader(PEOPLE.get)

    @app.post("/login/<name>")
    def login(name: str) -> str:
        login_user(PEOPLE[name])
        return "in"

    if backburner is not None:
        backburner.init_app(app)
    return app


def signed_in(app: Flask, name: str) -> FlaskClient:
    browser = app.test_client()
    assert browser.post(f"/login/{name}").text == "in"
    return browser


@pytest.fixture
def backburner(sqlite_url: str, tmp_path: Path) -> Iterator[FlaskBackburner]:
    jobs = Backburner(sqlite_url, secret=SECRET, files=str(tmp_path / "files"))
    yield FlaskBackburner(jobs, operator=lambda person: person.id == "root")
    jobs.close()


@pytest.fixture
def app(backburner: FlaskBackburner) -> Flask:
    return make_app(backburner)


@pytest.fixture
def export(backburner: FlaskBackburner) -> Task[[str], str]:
    @backburner.jobs.task(name="export", title="Export {month}", api=True)
    def export(month: str) -> str:
        return f"orders-{month}.csv"

    return export


# Config


def test_an_extension_that_is_made_before_its_app_is_configured_by_it(tmp_path: Path) -> None:
    backburner = FlaskBackburner()
    work = backburner.jobs.task(name="work")(lambda: None)
    for name in ("one", "two"):
        app = make_app(backburner, BACKBURNER_URL=f"sqlite:///{tmp_path}/{name}.db", BACKBURNER_SECRET=SECRET)
        assert backburner.jobs.find() == [], "each app has its own database"
        work.enqueue()
        assert (tmp_path / f"{name}.db").exists()
        assert app.test_client().get("/backburner/livez").status_code == 200
    backburner.jobs.close()


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("LEASE", "30", r"'lease' = '30' \(from app.config\['BACKBURNER_LEASE'\]\): is no number of seconds"),
        ("LAESE", 30, r"app.config\['BACKBURNER_LAESE'\]\): there is no such setting. Did you mean 'lease'"),
        ("DEFAULT_QUEUE", "mails", "comes too late: tasks were declared by another value. Give it to Backburner"),
        ("AT", "backburner", r"'at' = 'backburner' \(from app.config\['BACKBURNER_AT'\]\)"),
        ("AT", "https://elsewhere.example", "'at' = 'https://elsewhere.example'"),
    ],
)
def test_what_a_config_cannot_say_is_an_error_that_names_the_key(key: str, value: Any, problem: str) -> None:
    backburner = FlaskBackburner()
    backburner.jobs.task(name="work")(lambda: None)
    with pytest.raises(SettingsError, match=problem):
        make_app(backburner, **{f"BACKBURNER_{key}": value})


def test_a_secret_may_come_late_unless_something_was_signed_with_another(backburner: FlaskBackburner) -> None:
    make_app(backburner)
    with pytest.raises(SettingsError, match="comes too late") as caught:
        make_app(backburner, BACKBURNER_SECRET="another secret, as long as ours")
    assert "another secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"jobs": Flask("shop")}, "is the app"),
        ({"user": "ada"}, "cannot be called"),
        ({"operator": True}, "cannot be called"),
        ({"db": object()}, "has no session"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidOption, match=problem):
        FlaskBackburner(**options)


def test_route_jobs_as_a_user_need_the_login_manager_first(backburner: FlaskBackburner) -> None:
    early = FlaskBackburner(backburner.jobs, epoch_of=lambda person: str(person.password_hash))
    with pytest.raises(InvalidOption, match="login_manager.init_app"):
        early.init_app(Flask("shop"))


# Who asks


def test_who_is_signed_in_owns_what_is_enqueued_and_others_do_not_see_it(
    backburner: FlaskBackburner, app: Flask, export: Task[[str], str]
) -> None:
    @app.post("/export")
    def start() -> Any:
        return backburner.respond(export.enqueue("10"), wait=0, then=url_for("start"))

    ada, bob, root = (signed_in(app, name) for name in ("ada", "bob", "root"))
    page = ada.post("/export").location
    (job,) = backburner.jobs.find()
    assert (page, job.owner) == (f"/backburner/jobs/{job.id}/wait", "ada")
    asked = [browser.get(page).status_code for browser in (ada, bob, root, app.test_client())]
    assert asked == [200, 404, 200, 404]
    dashboard = [browser.get("/backburner/dashboard/jobs").status_code for browser in (ada, root, app.test_client())]
    assert dashboard == [403, 200, 403]


def test_permissions_by_name_open_some_of_the_operators_pages(sqlite_url: str) -> None:
    jobs = Backburner(sqlite_url, secret=SECRET)
    rights = {"ada": ["jobs.view"], "bob": None}
    backburner = FlaskBackburner(jobs, access=lambda person: rights[person.id])
    app = make_app(backburner)
    job = jobs.task(name="work")(lambda: None).enqueue()
    seen = [signed_in(app, name).get("/backburner/dashboard/jobs").status_code for name in ("ada", "bob")]
    headers = {"Sec-Fetch-Site": "same-origin"}
    cancelled = signed_in(app, "ada").post(f"/backburner/jobs/{job.id}/cancel", headers=headers)
    assert (seen, cancelled.status_code) == ([200, 403], 403)
    # A program with a token of somebody else's does not get what the session of ada may.
    token = {"Authorization": f"Bearer {api_token(jobs, User('carol', scopes=frozenset({'read'})), 60)}"}
    assert signed_in(app, "ada").get("/backburner/dashboard/jobs", headers=token).status_code == 403
    jobs.close()


@pytest.mark.parametrize(
    ("answer", "seen"), [(None, 404), ("ada", 200), (User("boss", operator=True), 200), ("bob", 404)]
)
def test_a_function_says_who_asks(sqlite_url: str, answer: Any, seen: int) -> None:
    backburner = FlaskBackburner(Backburner(sqlite_url), user=lambda: answer)
    app = Flask("plain")
    backburner.init_app(app)
    job = backburner.jobs.task(name="work")(lambda: None).options(owner="ada").enqueue()
    assert app.test_client().get(f"/backburner/jobs/{job.id}").status_code == seen
    backburner.jobs.close()


def test_without_a_rule_everything_is_closed(sqlite_url: str) -> None:
    backburner = FlaskBackburner(Backburner(sqlite_url))
    app = Flask("plain")
    backburner.init_app(app)
    job = backburner.jobs.task(name="work")(lambda: None).enqueue()
    browser = app.test_client()
    paths = (f"jobs/{job.id}", f"jobs/{job.id}/wait", "jobs", "dashboard/jobs", "metrics")
    assert {browser.get(f"/backburner/{path}").status_code for path in paths} <= {401, 403, 404}
    backburner.jobs.close()


def test_an_answer_that_is_no_user_is_an_error_that_says_what_to_give(sqlite_url: str) -> None:
    backburner = FlaskBackburner(Backburner(sqlite_url), user=lambda: object())
    app = Flask("plain")
    app.testing = True
    backburner.init_app(app)
    with pytest.raises(SettingsError, match="Say id_of="):
        app.test_client().get("/backburner/jobs")
    backburner.jobs.close()


def test_the_apps_own_hooks_hold_on_our_pages(backburner: FlaskBackburner, app: Flask) -> None:
    app.before_request(lambda: redirect("/login") if request.blueprint == "backburner" else None)
    assert app.test_client().get("/backburner/livez").location == "/login"


def test_a_body_reaches_us_though_hooks_and_the_csrf_check_look_at_it(
    backburner: FlaskBackburner, app: Flask, export: Task[[str], str]
) -> None:
    app.before_request(lambda: str(request.form) and None)
    CSRFProtect(app)
    app.config["WTF_CSRF_METHODS"] = []
    browser = signed_in(app, "ada")
    app.config["WTF_CSRF_METHODS"] = ["POST"]
    headers = {"Sec-Fetch-Site": "same-origin"}
    body = {"task": "export", "arguments": {"month": "10"}}
    made = browser.post("/backburner/jobs", json=body, headers=headers)
    assert (made.status_code, json.loads(made.text)["title"]) == (202, "Export 10")
    cancel = f"/backburner/jobs/{json.loads(made.text)['id']}/cancel"
    assert browser.post(cancel, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert browser.post(cancel, headers=headers).status_code == 202
    assert app.test_client().post("/login/ada").status_code == 400, "the check holds everywhere else"


# The session


class Books:
    """An app whose data and jobs are in one database."""

    def __init__(self, folder: Path) -> None:
        self.db = db = SQLAlchemy()

        class Book(db.Model):  # type: ignore[name-defined]
            id = db.Column(db.Integer, primary_key=True)

        self.book = Book
        self.backburner = FlaskBackburner(db=db, user=lambda: "ada")
        self.jobs = self.backburner.jobs
        self.app = Flask("books")
        self.app.testing = True
        self.app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder / 'books.db'}"
        db.init_app(self.app)
        self.backburner.init_app(self.app)
        with self.app.app_context():
            db.create_all()


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    made = Books(tmp_path)
    yield made
    made.jobs.close()
    with made.app.app_context():
        made.db.engine.dispose()


def test_jobs_are_there_with_the_commit_and_gone_with_the_rollback(books: Books) -> None:
    index = books.jobs.task(name="index")(lambda: books.book.query.count())

    @books.app.post("/book/<int:commit>")
    def add(commit: int) -> str:
        books.db.session.add(books.book())
        # The tables of the jobs are not there yet, and now there is a transaction that would be in the way.
        books.db.session.flush()
        job = index.enqueue()
        if commit:
            books.db.session.commit()
            assert books.backburner.respond(job, wait=0).location.endswith("/wait")
        else:
            with pytest.raises(WaitInsideTransaction):
                books.backburner.respond(job, wait=0)
        return job.id

    browser = books.app.test_client()
    browser.post("/book/0")
    kept = browser.post("/book/1").text
    assert [job.id for job in books.jobs.find()] == [kept]
    assert books.jobs.settings.url.endswith("/books.db"), "where the app's own tables are"
    with Worker(books.jobs):
        job = books.jobs.get(kept)
        assert job.wait(30)
    assert job.refresh().result() == 1


def test_a_worker_is_rung_by_the_commit(books: Books) -> None:
    index = books.jobs.task(name="index")(lambda: None)

    @books.app.post("/book")
    def add() -> str:
        job = index.enqueue()
        books.db.session.commit()
        return job.id

    # It would look by itself after an hour.
    with Worker(books.jobs, WorkerOptions(poll=3_600)):
        job = books.jobs.get(books.app.test_client().post("/book").text)
        assert job.wait(30)


def test_jobs_enqueue_for_themselves(books: Books) -> None:
    """A job that ends without a commit must not lose what it has started."""
    index = books.jobs.task(name="index")(lambda: None)
    start = books.jobs.task(name="start")(lambda: index.enqueue().id)
    job = start.enqueue()
    with Worker(books.jobs):
        assert job.wait(30)
        assert books.jobs.get(job.refresh().result()).wait(30)


def test_what_the_web_side_enqueues_is_no_matter_of_the_session(books: Books) -> None:
    """Nobody would commit it."""
    books.jobs.task(name="index", api=True)(lambda: None)
    made = books.app.test_client().post("/backburner/jobs", json={"task": "index"})
    assert (made.status_code, [job.id for job in books.jobs.find()]) == (202, [json.loads(made.text)["id"]])


def test_a_session_of_another_database_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    db = SQLAlchemy()
    backburner = FlaskBackburner(Backburner(sqlite_url), db=db)
    app = Flask("apart")
    app.testing = True
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'other.db'}"
    db.init_app(app)
    backburner.init_app(app)
    work = backburner.jobs.task(name="work")(lambda: None)
    app.post("/")(lambda: work.enqueue().id)
    with pytest.raises(ForeignTransaction, match=r"leads to .*other.db"):
        app.test_client().post("/")
    with app.app_context():
        db.engine.dispose()
    backburner.jobs.close()


# The context around jobs


def test_each_job_has_a_context_of_its_own_and_it_is_torn_down(books: Books) -> None:
    torn: list[str] = []
    books.app.teardown_appcontext(lambda error: torn.append(str(error or "")) if "mine" in g else None)

    def fresh() -> str:
        assert not hasattr(g, "mine")
        g.mine = object()
        books.db.session.add(books.book())
        books.db.session.flush()
        return current_app.name

    @books.jobs.task(name="plain")
    def plain() -> str:
        return fresh()

    @books.jobs.task(name="waiting")
    async def waiting() -> str:
        name = fresh()
        await asyncio.sleep(0)
        assert hasattr(g, "mine")
        return name

    @books.jobs.task(name="failing", max_attempts=1)
    def failing() -> None:
        fresh()
        raise ValueError("no such book")

    with Worker(books.jobs, WorkerOptions(concurrency=2)):
        made = [task.enqueue() for task in (plain, waiting, failing, plain)]
        assert all(job.wait(30) for job in made)
    assert [job.refresh().state for job in made] == ["succeeded", "succeeded", "failed", "succeeded"]
    assert [made[n].refresh().result() for n in (0, 1, 3)] == ["books"] * 3
    assert sorted(torn) == ["", "", "", "no such book"]
    with books.app.app_context():
        assert books.book.query.count() == 0, "what no body has committed was rolled back with its session"
    assert not has_app_context()


def test_a_route_job_has_the_context_of_its_request_alone(backburner: FlaskBackburner, app: Flask) -> None:
    torn: list[bool] = []
    app.teardown_appcontext(lambda error: torn.append(True))

    @app.get("/report")
    @background_route
    def report() -> str:
        return "torn already" if torn else "fresh"

    job = backburner.jobs.route("GET", "/report")
    with Worker(backburner.jobs):
        assert job.wait(30)
        assert (output(backburner.jobs, job), torn) == (["fresh"], [True])


def test_a_process_without_the_app_takes_no_jobs(sqlite_url: str, tmp_path: Path) -> None:
    jobs = Backburner(sqlite_url)
    FlaskBackburner(jobs)
    with pytest.raises(SettingsError, match="Could not locate a Flask application.*FLASK_APP"), in_folder(tmp_path):
        Worker(jobs).start()
    jobs.close()


# Pages


def test_parts_for_templates(backburner: FlaskBackburner, app: Flask, export: Task[[str], str]) -> None:
    page = (
        "{{ backburner.head() }}{{ backburner.bar(job, log=True) }}{{ backburner.wait(job.id, then='/t?a=1&b=2') }}"
        "{{ backburner.notice(job) }}"
    )
    job = export.options(title="<Export>").enqueue("10")

    @app.get("/page")
    def show() -> str:
        return render_template_string(page, job=job)

    text = app.test_client().get("/page").text
    at = f"/backburner/jobs/{job.id}"
    assert '<script type="module" src="/backburner/static/backburner.js?v=' in text
    assert f'<backburner-progress src="{at}" cancel log><a href="{at}/wait">See how far &lt;Export&gt; is</a>' in text
    assert f'<backburner-wait src="{at}" then="/t?a=1&amp;b=2" cancel>' in text
    assert f'“&lt;Export&gt;” runs in the background, number …{job.id[-4:]}. <a href="{at}/wait">See' in text


def test_the_flashed_notice_is_markup_with_the_title_escaped(
    backburner: FlaskBackburner, app: Flask, export: Task[[str], str]
) -> None:
    @app.post("/export")
    def start() -> str:
        flash("<plain>")
        backburner.flash(export.options(title="<b>").enqueue("10"), "started")
        return ""

    @app.get("/page")
    def show() -> str:
        return render_template_string("{% for text in get_flashed_messages() %}[{{ text }}]{% endfor %}")

    browser = app.test_client()
    browser.post("/export")
    text = browser.get("/page").text
    assert text.startswith("[&lt;plain&gt;][“&lt;b&gt;” runs in the background, number …")
    assert '<a href="/backburner/jobs/' in text


def test_the_holding_page_in_a_template_of_the_app(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hold.html").write_text(
        "<title>{{ holding.title }}</title>{{ holding.head }}"
        "<p>{{ session.name }} at {{ request.path }}</p>{{ holding.body }}"
    )
    backburner = FlaskBackburner(Backburner(sqlite_url), user=lambda: "ada", holding_template="hold.html")
    app = Flask("held", root_path=str(tmp_path))
    app.secret_key = "a secret of the app itself"
    backburner.init_app(app)
    job = backburner.jobs.task(name="work")(lambda: None).options(owner="ada").enqueue()
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["name"] = "Ada"
    page = browser.get(f"/backburner/jobs/{job.id}/wait")
    assert page.status_code == 200
    assert f"<p>Ada at /backburner/jobs/{job.id}/wait</p>" in page.text
    assert "<backburner-wait " in page.text
    assert "Prefer" in page.headers["Vary"]
    assert browser.get("/backburner/jobs/none/wait", headers={"Accept": "text/html"}).status_code == 404
    with Worker(backburner.jobs):
        assert job.wait(30)
    assert "Succeeded" in browser.get(f"/backburner/jobs/{job.id}/wait").text
    backburner.jobs.close()


def test_a_page_in_a_template_of_the_app_leaves_nothing_behind(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    class Seen(ASGIMiddleware):
        def __init__(self, app: Any) -> None:
            super().__init__(app)
            loops.append(self.loop)

    monkeypatch.setattr("backburner.contrib.wsgi.ASGIMiddleware", Seen)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hold.html").write_text("{{ holding.body }}")
    backburner = FlaskBackburner(Backburner(sqlite_url), user=lambda: "ada", holding_template="hold.html")
    app = Flask("held", root_path=str(tmp_path))
    app.secret_key = "a secret of the app itself"
    backburner.init_app(app)
    job = backburner.jobs.task(name="work")(lambda: None).options(owner="ada").enqueue()
    assert "<backburner-wait " in app.test_client().get(f"/backburner/jobs/{job.id}/wait").text
    [loop] = loops
    wait_until(lambda: asyncio.all_tasks(loop) == set(), "the task of the answer has ended")
    backburner.jobs.close()


def test_below_another_app_addresses_begin_where_it_is(
    backburner: FlaskBackburner, app: Flask, export: Task[[str], str]
) -> None:
    @app.post("/export")
    def start() -> Any:
        return backburner.respond(export.enqueue("10"), wait=0)

    browser = signed_in(app, "ada")
    app.wsgi_app = DispatcherMiddleware(Flask("outer").wsgi_app, {"/shop": app.wsgi_app})  # type: ignore[method-assign]
    page = browser.post("/shop/export", headers={"Host": "localhost"}).location
    assert page.startswith("/shop/backburner/jobs/")


# Commands

FACTORY = """
from flask import Flask, current_app

from backburner.contrib.flask import FlaskBackburner

backburner = FlaskBackburner()


@backburner.jobs.task(name="name", isolate=False)
def name():
    return current_app.config["SHOP"]


@backburner.jobs.task(name="apart", isolate=True)
def apart():
    return current_app.config["SHOP"]


def create_app():
    app = Flask(__name__)
    app.config.update(SHOP="Kestrel", BACKBURNER_URL="sqlite:///shop.db")
    backburner.init_app(app)
    return app
"""


class in_folder:
    """A `with` block in another working folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._before = folder, Path.cwd()

    def __enter__(self) -> None:
        os.chdir(self._folder)

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before)


@pytest.fixture
def flask(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`flask("backburner", "worker")` in a folder with an app that a factory makes."""
    (tmp_path / "shop.py").write_text(FACTORY)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BACKBURNER_", "FLASK_"))}

    def run(*arguments: str, app: str = "shop") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flask", "--app", app, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=100)

    return run


def test_a_worker_of_the_command_line_has_the_app_that_the_factory_makes(
    flask: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    jobs = Backburner(f"sqlite:///{tmp_path / 'shop.db'}")
    made = [jobs.task(name=name)(lambda: None).enqueue() for name in ("name", "apart")]
    done = flask("backburner", "worker", "--burst", "-p", "1")
    assert done.returncode == 0, done.stderr
    assert [job.refresh().result() for job in made] == ["Kestrel", "Kestrel"]
    jobs.close()


def test_commands_in_a_test_of_the_app(backburner: FlaskBackburner, app: Flask, export: Task[[str], str]) -> None:
    export.enqueue("10")
    listed = app.test_cli_runner().invoke(args=["backburner", "jobs", "list", "--json"])
    assert [one["title"] for one in json.loads(listed.output)] == ["Export 10"]
    refused = app.test_cli_runner().invoke(args=["backburner", "worker"])
    assert (refused.exit_code, "other processes cannot name" in refused.output) == (78, True), refused.output
