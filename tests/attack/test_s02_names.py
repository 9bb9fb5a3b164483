"""S02: a name is that of a registered task, letter by letter, or it is nothing: it is looked up and never imported."""

import sys
from urllib.parse import quote

import pytest

from backburner import Backburner, JobState, Task
from backburner.worker import Worker
from tests.attack.test_s01_payloads import change
from tests.waiting import wait_until
from tests.web.shop import Shop, as_user

NAMES = (
    "os.system", "builtins.eval", "builtins.__import__", "__import__", "subprocess.Popen", "posix:system", "this",
    "antigravity.fly", "open.add.__globals__", "open.add.function", "OPEN.ADD", "Open.Add", "open.add ", " open.add",
    "open..add", "open/add", "../open.add", "open.add\n", "open.add\u200b", "\u043fpen.add", "op\u0435n.add",
    "\uff4fpen.add", "open.ad\u0501", "ope\u0301n.add", "*", "open.*", "",
)  # fmt: skip
"""Functions to call, modules that say something when they are imported, and lookalikes of `open.add`."""
OWN = ("backburner.operation", "backburner.export", "backburner.route", "backburner.notice", "shop.add")
"""Tasks that are there, and not for the outside: ours, and one that is not declared with `api=True`."""


@pytest.fixture
def add(jobs: Backburner) -> Task[[int, int], int]:
    @jobs.task(name="open.add", api=True)
    def add(a: int, b: int) -> int:
        return a + b

    return add


def nothing_imported() -> None:
    assert not {"this", "antigravity"} & set(sys.modules)


@pytest.mark.usefixtures("add")
def test_s02_http_starts_open_tasks_by_their_exact_names(shop: Shop) -> None:
    for who in ("lena", "boss"):
        caller = as_user(shop, who)
        for name in (*NAMES, *OWN):
            answer = caller.post("/jobs", json={"task": name, "arguments": {"a": 1, "b": 2}})
            assert answer.status_code in (404, 422), (who, name, answer.text)
    assert shop.jobs.find() == []
    assert as_user(shop, "lena").post("/jobs", json={"task": "open.add", "arguments": {"a": 1, "b": 2}}).is_success
    nothing_imported()


@pytest.mark.usefixtures("add")
def test_s02_so_does_the_form_of_a_task(shop: Shop) -> None:
    boss = as_user(shop, "boss")
    for name in (*NAMES, *OWN[:-1]):
        path = f"/dashboard/tasks/{quote(name, safe='')}/run"
        answer = boss.post(path, data={"arg.a": "1", "arg.b": "2"})
        assert answer.status_code in (404, 405), (name, answer.text[:300])
    assert shop.jobs.find() == []
    nothing_imported()


def test_s02_a_row_names_no_function(jobs: Backburner, shop: Shop, add: Task[[int, int], int]) -> None:
    made = {name: add.enqueue(1, 2).id for name in NAMES if name}
    for name, job in made.items():
        change(jobs, job, task=name)
    sound = add.enqueue(1, 2)
    with Worker(jobs):
        assert sound.wait(30)
        wait_until(
            lambda: all(jobs.get(job).state is JobState.BLOCKED for job in made.values()), "all of them are held"
        )
    assert {jobs.get(job).blocked_on for job in made.values()} == {"unknown task"}
    nothing_imported()
