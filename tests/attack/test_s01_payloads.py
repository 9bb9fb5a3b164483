"""S01: whatever stands in a stored row is data: nothing of it is loaded, imported or called, whoever reads it."""

import base64
import json
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from backburner import Backburner, JobState
from backburner.cli import main
from backburner.errors import BackburnerError
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.web.shop import Shop, as_user


class Run:
    """A command as soon as it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def hostile(marker: Path) -> dict[str, str]:
    """Texts that make a file where somebody takes them for more than texts."""
    command = f"touch {marker}"
    pickled = base64.b64encode(pickle.dumps({"a": Run(command), "b": 1})).decode()
    code = f"__import__('os').system('{command}')"
    return {
        "pickle": pickle.dumps(Run(command), protocol=0).decode(),
        "pickle with a signature of nobody": f"{'0' * 64}.{pickled}",
        "pickle without one": pickled,
        "exception of Celery": json.dumps(
            {"exc_type": "system", "exc_module": "os", "exc_message": [command], "exc_cause": None}
        ),
        "jsonpickle": json.dumps({"a": {"py/reduce": [{"py/function": "posix.system"}, {"py/tuple": [command]}]}}),
        "YAML": f"!!python/object/apply:os.system ['{command}']",
        "module to import": json.dumps({"a": {"__class__": "antigravity.Plane", "type": "this.Zen"}, "b": 1}),
        "expression": code,
        "format": "{0.__class__.__init__.__globals__}",
        "template": "{{ cycler.__init__.__globals__.os.system('" + command + "') }}",
    }


HOSTILE = tuple(hostile(Path("x")))
READ = ("args", "result", "error", "reason", "title", "meta", "context", "identifier")
"""What somebody reads of a finished job."""


def change(jobs: Backburner, job: str, **values: Any) -> None:
    """As somebody does who can write to the database."""
    t = jobs.store.schema.jobs
    jobs.store.run(lambda c: c.execute(update(t).where(t.c.id == job).values(**values)))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "somebody_ran_me"


def nothing_ran(marker: Path) -> None:
    assert not marker.exists(), "a stored text was run"
    assert not {"this", "antigravity"} & set(sys.modules), "a stored text was imported"


@pytest.mark.parametrize("codec", ["json", "pickle"])
def test_s01_a_worker_runs_nothing_that_stands_in_arguments(
    jobs: Backburner, shop: Shop, marker: Path, codec: str
) -> None:
    made = {name: shop.add.enqueue(1, 2).id for name in HOSTILE}
    jobs.task(name="shop.pickled", codec="pickle")(lambda a, b: a)
    for name, text in hostile(marker).items():
        change(jobs, made[name], args=text, codec=codec, task="shop.pickled" if codec == "pickle" else "shop.add")
    sound = shop.add.enqueue(1, 2)
    with Worker(jobs):
        assert sound.wait(30)
        wait_until(
            lambda: all(jobs.get(job).done or jobs.get(job).state is JobState.BLOCKED for job in made.values()),
            "each is held or has failed",
        )
    assert {jobs.get(job).result_text for job in made.values()} == {None}
    nothing_ran(marker)


@pytest.mark.parametrize("rounds", [3, pytest.param(len(HOSTILE), marks=pytest.mark.long)])
def test_s01_whoever_reads_a_job_reads_texts(
    jobs: Backburner, shop: Shop, marker: Path, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """In each round another text in each column: after as many as there are texts, all have been in all."""
    job = shop.add.options(owner="lena", visibility="users").enqueue(1, 2)
    with Worker(jobs):
        assert job.wait(30)
    monkeypatch.setenv("BACKBURNER_URL", jobs.settings.url)
    boss, lena = as_user(shop, "boss"), as_user(shop, "lena")
    readers: dict[str, Callable[[], int]] = {
        "the job's page": lambda: boss.get(f"/dashboard/jobs/{job.id}").status_code,
        "the list": lambda: boss.get("/dashboard/jobs").status_code,
        "the form": lambda: boss.get(f"/dashboard/jobs/{job.id}/edit").status_code,
        "JSON": lambda: lena.get(f"/jobs/{job.id}").status_code,
        "the result": lambda: lena.get(f"/jobs/{job.id}/result").status_code,
        "the events": lambda: lena.get(f"/jobs/{job.id}/events").status_code,
        "my jobs": lambda: lena.get("/mine").status_code,
        "the holding page": lambda: lena.get(f"/jobs/{job.id}/wait").status_code,
        "the command line": lambda: CliRunner().invoke(main, ["jobs", "show", job.id]).exit_code,
    }
    found: dict[tuple[int, str], int] = {}
    texts = list(hostile(marker).values())
    for number in range(rounds):
        put = {column: texts[(place + 3 * number) % len(texts)][:500] for place, column in enumerate(READ)}
        change(jobs, job.id, **put)
        for reader, read in readers.items():
            status = read()
            if status >= 500 or status == 1:
                found[number, reader] = status
        with suppress(BackburnerError):
            job.refresh().result()
    nothing_ran(marker)
    assert found == {}


def test_s01_a_damaged_call_is_mended_by_hand(jobs: Backburner, shop: Shop, marker: Path) -> None:
    job, boss = shop.add.enqueue(1, 2), as_user(shop, "boss")
    for text in (hostile(marker)["pickle"], "[1]", "[" * 5_000):
        change(jobs, job.id, args=text)
        form = boss.get(f"/dashboard/jobs/{job.id}/edit")
        assert "What is stored cannot be read" in form.text
        assert boss.post(f"/dashboard/jobs/{job.id}/edit", data={"arg.a": "5"}).status_code == 422
        assert job.refresh().args == text
    assert boss.post(f"/dashboard/jobs/{job.id}/edit", data={"arg.a": "5", "arg.b": "6"}).status_code == 303
    assert job.refresh().args == '{"a":5,"b":6}'
