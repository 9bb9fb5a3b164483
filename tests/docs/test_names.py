"""Whatever is public is written about, and the generated parts are those of this source."""

import inspect
import re
import subprocess
import sys

import pytest

import backburner
from backburner import Backburner, Job, JobContext, Task
from backburner.errors import BackburnerError
from tests.docs.pages import ROOT, pages


def everything() -> str:
    """All code of all pages, in blocks and in sentences; not of the decisions, which are about the inside."""
    shown = []
    for page in pages():
        if not page.name.startswith("docs/decisions/"):
            shown += [block.text for block in page.blocks if block.language == "python"]
            shown += [code for _, code in page.inline_code]
    return "\n".join(shown)


CODE = everything()


def public_members(cls: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(cls) if not name.startswith("_")]


@pytest.mark.parametrize("name", backburner.__all__)
def test_a_public_name_is_written_about(name: str) -> None:
    assert re.search(rf"\b{name}\b", CODE), name


@pytest.mark.parametrize(
    "name", [f"{cls.__name__}.{name}" for cls in (JobContext, Task, Backburner, Job) for name in public_members(cls)]
)
def test_a_public_member_is_written_about(name: str) -> None:
    member = name.partition(".")[2]
    assert re.search(rf"\b{member}\b", CODE), name


@pytest.mark.parametrize("name", [cls.__name__ for cls in BackburnerError.__subclasses__()])
def test_an_error_is_written_about(name: str) -> None:
    assert re.search(rf"^{name}$", CODE, re.MULTILINE), name


def test_generated_parts_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
