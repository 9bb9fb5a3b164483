"""The plugin as pytest loads it in somebody's project."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

NAME = "backburner.pytest_plugin"
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def shop(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with an app, and with the plugin, however Backburner was installed."""
    # Those of our own tests take seconds to load.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        tasks="""
        from backburner import Backburner

        jobs = Backburner("postgresql://nobody@127.0.0.1:1/production")

        @jobs.task
        def double(number: int) -> int:
            return 2 * number
        """
    )
    pytester.syspathinsert()
    return pytester


def run(project: pytest.Pytester, *args: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", NAME, "-p", "no:cacheprovider", *args, timeout=200)


def test_fixtures(shop: pytest.Pytester) -> None:
    shop.makeini("[pytest]\nbackburner_app = tasks:jobs")
    shop.makepyfile(
        test_shop="""
        from tasks import double, jobs

        def test_one(backburner):
            double.enqueue(4)
            backburner.assert_enqueued(double, {"number": 4})
            assert [result.value for result in backburner.drain()] == [8]

        def test_each_test_begins_with_nothing(backburner):
            backburner.assert_not_enqueued()

        def test_another_way(jobs_testing):
            jobs_testing(jobs, inline=True)
            assert double.enqueue(5).result() == 10
        """
    )
    run(shop).assert_outcomes(passed=3)


def test_without_the_setting_the_fixture_says_what_is_missing(shop: pytest.Pytester) -> None:
    shop.makepyfile(test_shop="def test_one(backburner): ...")
    result = run(shop)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*Say which app: backburner_app = shop.tasks:jobs*"])


def test_an_app_that_is_not_there(shop: pytest.Pytester) -> None:
    shop.makeini("[pytest]\nbackburner_app = tasks:job")
    shop.makepyfile(test_shop="def test_one(backburner): ...")
    result = run(shop)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'job' in tasks is not there*"])


def test_a_failed_assertion_shows_its_message_and_not_our_code(shop: pytest.Pytester) -> None:
    shop.makepyfile(
        test_shop="""
        from tasks import double, jobs

        def test_one(jobs_testing):
            testing = jobs_testing(jobs)
            double.enqueue(4)
            testing.assert_enqueued(double, {"number": 5})
        """
    )
    result = run(shop)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E * number is 4, not 5"])
    result.stdout.no_fnmatch_line("*search.complaint*")


def test_projects_that_do_not_use_it_load_nothing_heavy(shop: pytest.Pytester) -> None:
    shop.makepyfile(
        test_other="""
        import sys

        def test_one():
            assert "backburner.pytest_plugin" in sys.modules
            assert not {"sqlalchemy", "psutil", "alembic"} & set(sys.modules)
        """
    )
    run(shop).assert_outcomes(passed=1)


def test_pytest_is_needed_by_the_plugin_alone() -> None:
    program = "import sys, backburner.testing\nassert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=200)


def test_the_entry_point_leads_to_the_plugin() -> None:
    """Under its own name, so that to name it once more, by -p or pytest_plugins, does no harm."""
    points = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert points == {NAME: NAME}
    assert hasattr(import_module(NAME), "jobs_testing")
