"""`backburner web` and `backburner demo`."""

import importlib
import signal
import sys
from pathlib import Path

import httpx
import pytest

from backburner import Backburner
from tests.cli.conftest import Run
from tests.cli.programs import make_shop
from tests.servers import free_port
from tests.waiting import wait_until


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_told_to_stop(told: signal.Signals, sqlite_url: str, tmp_path: Path) -> None:
    shop, port = make_shop(tmp_path, sqlite_url), free_port()
    with shop.started("web", "--dev", "--port", str(port)) as serving:

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/livez", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, "the web side answers")
        assert f"Serving on http://127.0.0.1:{port} " in shop.said()
        serving.send_signal(told)
        assert serving.wait(30) == 0
        assert "Traceback" not in shop.said()


def test_without_a_rule_it_stays_closed(jobs: Backburner, run: Run) -> None:
    refused = run("web")
    assert refused.exit_code == 78
    assert "use --dev on this machine" in refused.stderr


def test_the_apps_own_rule_says_who_is_who(sqlite_url: str, tmp_path: Path) -> None:
    shop, port = make_shop(tmp_path, sqlite_url), free_port()
    (tmp_path / "access.py").write_text(
        "from backburner.web import User\n\n"
        "def user_of(request):\n"
        "    return User('ada', operator=True) if request.headers.get('x-token') == 'ada' else None\n"
    )
    with shop.started("web", "--users", "access:user_of", "--port", str(port)):

        def status(headers: dict[str, str]) -> int | None:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/jobs", headers=headers, timeout=5).status_code
            except httpx.TransportError:
                return None

        wait_until(lambda: status({}) is not None, "the web side answers")
        assert status({"x-token": "ada"}) == 200
        assert status({}) in (401, 403, 404)


@pytest.mark.parametrize("option", ["--users", "--links"])
@pytest.mark.parametrize("spec", ["nowhere:user_of", "access", "json:nothing", "json:__name__"])
def test_a_rule_that_is_none_is_refused(spec: str, option: str, jobs: Backburner, run: Run) -> None:
    refused = run("web", option, spec)
    assert refused.exit_code == 78
    assert "shop.access:user_of" in refused.stderr


def test_a_missing_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("backburner.web", "backburner.cli.web"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(importlib.import_module("backburner"), "web", raising=False)
    monkeypatch.delattr(importlib.import_module("backburner.cli"), "web", raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    refused = run("web")
    assert refused.exit_code == 78
    assert "pip install 'backburner[web]'" in refused.stderr


def test_the_demo_runs_where_it_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path and not (Path(path) / "examples").exists()])
    for name in [name for name in sys.modules if name.partition(".")[0] == "examples"]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    elsewhere = run("demo")
    assert elsewhere.exit_code == 0
    assert "./scripts/demo" in elsewhere.stdout
    (tmp_path / "examples" / "shop").mkdir(parents=True)
    (tmp_path / "examples" / "shop" / "__main__.py").write_text("raise SystemExit(7)\n")
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "examples", raising=False)
    assert run("demo").exit_code == 7
