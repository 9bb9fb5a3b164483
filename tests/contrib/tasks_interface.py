"""Runs the tests of Django's own Tasks framework against our backend; see `test_tasks_interface.py`.

`python -m tests.contrib.tasks_interface SUITE HOME`: SUITE is the folder `tests` of a source distribution of Django,
and HOME the package with the interface, `django.tasks` or `django_tasks`.

Django has two backends, and its tests are written for them: one that keeps what is enqueued, and one that runs it at
once. Ours takes the place of both: each of them is `BackburnerBackend` with what the tests ask of it beside the
interface. Not a line of the tests is changed. Those in `OTHERS` say what is true of one of Django's backends alone, and
those in `LATER` what the package django-tasks does not have. They have to fail, so that none is there without need.
"""

import importlib
import logging
import shutil
import sys
import tempfile
import unittest
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.test.utils import setup_test_environment

KEPT, RAN = "test_dummy_backend.DummyBackend", "test_immediate_backend.ImmediateBackend"
OTHERS = {
    f"{KEPT}TestCase.test_refresh_result": "it writes into the list that the backend keeps; here a row is read",
    f"{KEPT}TestCase.test_refresh_result_async": "it writes into the list that the backend keeps; here a row is read",
    f"{RAN}TestCase.test_throws_keyboard_interrupt": "Ctrl-C in a worker does not reach who enqueued",
    f"{RAN}TestCase.test_cannot_get_result": "results are kept here",
    f"{RAN}TestCase.test_cannot_refresh_result": "results are kept here",
    f"{RAN}TestCase.test_cannot_pass_run_after": "tasks may wait for their time here",
    f"{RAN}TransactionTestCase.test_doesnt_wait_until_transaction_commit_by_default":
        "a task runs behind the commit of the transaction that enqueued it",
}  # fmt: skip
"""What no durable backend can pass, and why."""

CUSTOM, OWN = "test_custom_backend.CustomBackendTestCase", "test_tasks.TaskTestCase"
LATER = {
    f"{CUSTOM}.test_enqueue_async_task_on_non_async_backend": "other words",
    f"{KEPT}TestCase.test_validate_disallowed_async_task": "other words",
    f"{OWN}.test_run_after_in_decorator": "other words",
    f"{OWN}.test_pickle_task": "tasks and results cannot be pickled",
    f"{OWN}.test_pickle_task_result": "tasks and results cannot be pickled",
    f"{OWN}.test_unpickle_arbitrary_string": "tasks and results cannot be pickled",
    f"{OWN}.test_unpickle_non_task_object": "tasks and results cannot be pickled",
}
"""Where the package's own class of tasks differs from Django's: no backend has to do with it."""
if sys.version_info < (3, 12):
    LATER[f"{CUSTOM}.test_no_enqueue"] = "Python had other words for it"

AT_LEAST = 80
"""So many tests there are: a suite that is not found passes too."""

MODULES = (
    "",
    ".base",
    ".checks",
    ".exceptions",
    ".signals",
    ".backends.base",
    ".backends.dummy",
    ".backends.immediate",
)


def main(suite: str, home: str) -> int:
    """Run all; 0 when each test did what it should."""
    folder = Path(tempfile.mkdtemp())
    try:
        configure(folder)
        take_their_place(home)
        sys.path.insert(0, suite)
        tests = unittest.defaultTestLoader.discover(str(Path(suite, "tasks")), top_level_dir=suite)
        return run(tests, [*OTHERS, *(LATER if home == "django_tasks" else [])])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def configure(folder: Path) -> None:
    """A project with a database in a folder."""
    settings.configure(
        SECRET_KEY="a secret of the project itself",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "project.db")}},
        INSTALLED_APPS=["backburner.contrib.django"],
        USE_TZ=True,
    )
    django.setup()
    setup_test_environment()


def take_their_place(home: str) -> None:
    """Our backend for both of Django's, under the names that its tests import."""
    # Behind the settings.
    from django.core.management import call_command
    from django.db import connection

    from backburner.contrib.django import tasks
    from backburner.contrib.django.project import project_jobs
    from backburner.worker import Worker, WorkerOptions

    call_command("migrate", verbosity=0)

    class Keeping(tasks.BackburnerBackend):
        """In place of the one that keeps: no worker is there."""

        def __init__(self, alias: str, params: dict[str, Any]) -> None:
            super().__init__(alias, params)
            self.ids: list[str] = []

        def enqueue(self, *args: Any, **kwargs: Any) -> Any:
            result = super().enqueue(*args, **kwargs)
            self.ids.append(result.id)
            return result

        @property
        def results(self) -> list[Any]:
            """All that was enqueued, as it is stored."""
            return [self.get_result(each) for each in self.ids]

        def clear(self) -> None:
            while self.ids:
                project_jobs().cancel(self.ids[-1])
                project_jobs().delete(self.ids.pop())

    class Running(tasks.BackburnerBackend):
        """In place of the one that runs: a worker has done what was enqueued before that returns."""

        def enqueue(self, *args: Any, **kwargs: Any) -> Any:
            result = super().enqueue(*args, **kwargs)
            if not connection.in_atomic_block:
                with Worker(project_jobs(), WorkerOptions(burst=True)) as worker:
                    assert worker.wait(60), "the worker has come to its end"
                result.refresh()
            return result

    assert home == tasks._HOME, f"the interface is in {tasks._HOME}"
    theirs = {name: importlib.import_module(f"{home}{name}") for name in MODULES}
    vars(theirs[".backends.dummy"])["DummyBackend"] = Keeping
    vars(theirs[".backends.immediate"])["ImmediateBackend"] = Running
    if home != "django.tasks":
        call_it_django(home, theirs)


def call_it_django(home: str, theirs: dict[str, Any]) -> None:
    """The package's modules, what has another name in them, and its log, by the names that Django has for them."""
    sys.modules.update({f"django.tasks{name}": module for name, module in theirs.items()})
    vars(theirs[""])["Task"] = theirs[".base"].Task
    for name in ("InvalidTask", "InvalidTaskBackend"):
        vars(theirs[".exceptions"])[name] = getattr(theirs[".exceptions"], f"{name}Error")
    logging.getLogger(home).parent = logging.getLogger("django.tasks")


def run(tests: unittest.TestSuite, others: Collection[str]) -> int:
    """Run the tests, the `others` to see them fail."""
    found = {test.id().removeprefix("tasks."): test for test in each(tests)}
    for name in found.keys() & others:
        # What unittest asks for, in place of a decorator.
        vars(found[name])["__unittest_expecting_failure__"] = True
    outcome = unittest.TextTestRunner(verbosity=2).run(tests)
    passed = outcome.testsRun - len(outcome.expectedFailures)
    print(f"{passed} tests pass, and {len(outcome.expectedFailures)} are not about a durable backend.")
    gone = sorted(set(others) - found.keys())
    if gone:
        print(f"These are on a list and not in the suite: {gone}")
    return 0 if outcome.wasSuccessful() and not gone and outcome.testsRun >= AT_LEAST else 1


def each(tests: unittest.TestSuite) -> Iterator[Any]:
    """Every test in it."""
    for one in tests:
        if isinstance(one, unittest.TestSuite):
            yield from each(one)
        else:
            yield one


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
