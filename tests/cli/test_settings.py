"""`backburner settings`: every setting, its value, and who said so."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from backburner.settings import Settings
from tests.cli.conftest import Run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKBURNER_APP", raising=False)
    return tmp_path


def records(run: Run, *before: str) -> dict[str, dict[str, Any]]:
    shown = run(*before, "settings", "--json")
    assert shown.exit_code == 0, shown.stderr
    return {one["name"]: one for one in json.loads(shown.stdout)}


def test_every_setting_and_where_it_comes_from(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "backburner.toml").write_text('lease = 60\nbeat = 7\nqueues = ["default", "mails"]\n')
    monkeypatch.setenv("BACKBURNER_BEAT", "9")
    (folder / "kiosk.py").write_text(
        "from backburner import Backburner\n"
        "jobs = Backburner('postgresql://ada:tiger@db/shop', poll=2, secret='0123456789abcdef')\n"
    )
    found = records(run, "--app", "kiosk:jobs")
    assert list(found) == [knob.name for knob in dataclasses.fields(Settings)]
    sources = {name: (one["value"], one["source"]) for name, one in found.items()}
    assert sources["lease"] == (60, str(folder / "backburner.toml"))
    assert sources["queues"] == (["default", "mails"], str(folder / "backburner.toml"))
    assert sources["beat"] == (9, "environment variable BACKBURNER_BEAT")
    assert sources["poll"] == (2, "the app's code")
    assert sources["url"] == ("postgresql://ada:***@db/shop", "the app's code")
    assert sources["secret"] == ("***", "the app's code")
    assert sources["grace"] == (25, "default")
    units = {name: found[name]["unit"] for name in ("lease", "max_args_bytes", "concurrency", "queues", "auto_migrate")}
    assert list(units.values()) == ["seconds", "bytes", "number", "list", "true or false"]


def test_for_people(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKBURNER_LEASE", "60")
    shown = run("settings").stdout
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    assert "lease = 60\n    How long a worker owns its jobs without a beat, seconds.\n" in shown
    assert "From: environment variable BACKBURNER_LEASE; default 30." in shown
    assert "queues = none\n" in shown


def test_a_wrong_setting_is_named(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKBURNER_LEESE", "60")
    shown = run("settings")
    assert shown.exit_code == 78
    assert shown.stderr.startswith("Error: setting 'leese'")
    assert "Did you mean 'lease'?" in shown.stderr
