"""Every block of Python in the README and the documentation runs, in order, page by page."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from backburner.errors import SettingsError
from backburner.settings import Settings
from tests.docs.pages import ROOT, Block, Page, pages
from tests.servers import free_port

READER = Path(__file__).with_name("reader.py")
LANGUAGES = {"python", "console", "sh", "text", "toml", "mermaid", "html", "ini", "sql", "json"}
MARKS = (
    "raises",
    "prints",
    "run",
    "background",
    "exits",
    "needs postgresql",
    "needs mariadb",
    "generated",
    "end of generated",
)
SERVERS = {name: re.compile(rf"{name}://app@localhost/app\b") for name in ("postgresql", "mariadb")}
PORT = re.compile(r"\b8000\b")

PAGES = pages()


def step_of(block: Block) -> dict[str, Any] | None:
    """What a reader does with a block; None when there is nothing to do."""
    step: dict[str, Any] = {
        "page": str(block.page), "line": block.line, "place": block.place, "text": block.text,
        "raises": block.mark("raises"), "exits": block.mark("exits"), "background": block.mark("background"),
    }  # fmt: skip
    if block.mark("prints") is not None:
        return step | {"kind": "prints"}
    if block.language in ("python", "toml") and block.file is not None:
        return step | {"kind": "file", "file": block.file}
    if block.language == "python":
        return step | {"kind": "python"}
    if block.language == "console" and (block.mark("run") is not None or block.mark("background") is not None):
        return step | {"kind": "shell", "commands": block.commands}
    return None


def steps_of(page: Page, urls: dict[str, str]) -> list[dict[str, Any]]:
    """All steps of a page. The page's example servers and port become ones that are ours alone."""
    port = str(free_port())
    steps = [step for step in map(step_of, page.blocks) if step is not None]
    text = PORT.sub(port, json.dumps(steps))
    for name, url in urls.items():
        text = SERVERS[name].sub(url, text)
    return json.loads(text)  # type: ignore[no-any-return]


def environment(folder: Path) -> dict[str, str]:
    """That of somebody who has just installed Backburner: no settings, an empty home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BACKBURNER_", "PG"))}
    programs = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    # pytest finds the plugin by its entry point; that of an installation of the source may be older than the source.
    # And one of our own tests takes seconds to load.
    plugin = {"PYTEST_PLUGINS": "backburner.pytest_plugin", "PYTEST_ADDOPTS": "-p no:schemathesis"}
    # A page that writes a file anew within a second, and as long, must not get the one before.
    fresh = {"PYTHONDONTWRITEBYTECODE": "1"}
    return kept | plugin | fresh | {"PATH": programs, "HOME": str(folder), "PYTHONUNBUFFERED": "1"}


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(step_of, page.blocks))], ids=lambda page: page.name)
def test_a_page_does_what_it_says(page: Page, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    needed = [name for name in SERVERS if any(block.mark(f"needs {name}") is not None for block in page.blocks)]
    urls = {name: re.sub(r"\+\w+", "", str(request.getfixturevalue(f"empty_{name}_url"))) for name in needed}
    steps = tmp_path / "steps.json"
    steps.write_text(json.dumps(steps_of(page, urls)), encoding="utf-8")
    folder = tmp_path / "reader"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(READER), str(steps)],
        cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_kind_that_is_checked(page: Page) -> None:
    """There is no mark that leaves a block of Python out, and a misspelt mark does nothing: so neither may be."""
    for block in page.blocks:
        assert block.language in LANGUAGES, f"{block.place}: what is {block.language!r}?"
        for mark in block.marks:
            assert mark.partition(":")[0] in MARKS, f"{block.place}: there is no mark {mark!r}"
        if block.language == "python":
            assert step_of(block) is not None, f"{block.place}: nobody runs this"
        for name, url in SERVERS.items():
            if url.search(block.text) and block.language == "python":
                assert block.mark(f"needs {name}") is not None, f"{block.place}: mark it <!-- needs {name} -->"


def wrong_setting(settings: dict[str, Any]) -> str | None:
    """What is wrong with settings as a file says them; None when nothing is."""
    try:
        Settings.resolve(settings, environ={}, folder=ROOT / "docs")
    except SettingsError as error:
        return str(error)
    return None


TOML_PAGES = [page for page in PAGES if any(block.language == "toml" for block in page.blocks)]


@pytest.mark.parametrize("page", TOML_PAGES, ids=lambda page: page.name)
def test_settings_in_files_exist(page: Page) -> None:
    for block in page.blocks:
        if block.language == "toml":
            found = tomllib.loads(block.text)
            # A pyproject.toml may be about other things alone.
            settings = found.get("tool", {}).get("backburner", {} if "project" in found else found)
            settings.pop("app", None)
            assert wrong_setting(settings) is None, block.place


def test_a_wrong_setting_would_be_seen() -> None:
    assert wrong_setting({"concurrency": 4}) is None
    assert "concurrency" in (wrong_setting({"concurrency": "four"}) or "")
    assert "no_such_setting" in (wrong_setting({"no_such_setting": 1}) or "")


def test_the_first_file_of_the_readme_begins_and_ends_before_line_30() -> None:
    first = next(block for block in Page(ROOT / "README.md").blocks if block.language == "python")
    assert first.file is not None
    assert first.line + first.text.count("\n") <= 30
