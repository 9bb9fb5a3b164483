"""When the body of a job begins that has a process of its own."""

from dataclasses import replace
from typing import Any

import pytest

from backburner.clock import boot_seconds
from backburner.context import JobContext
from backburner.errors import LeaseLost
from backburner.job import ClaimedJob
from backburner.run_options import RunOptions
from backburner.worker.beginning import Beginning, alone
from backburner.worker.page import Page
from backburner.worker.reporter import Running
from backburner.worker.verdict import released

ID = "018f0000-0000-7000-8000-000000000001"


def running(**changes: Any) -> Running:
    job = ClaimedJob(ID, 1, 2, "a", "{}", "json", "q", 50, 0, 0, 0, None, True, None, None, None, None)
    job = job._replace(**changes)
    return Running(job, JobContext(job), 0, boot_seconds(), None)


class Rows:
    """Writes marks into rows, and may find that they are not ours any more."""

    def __init__(self, ours: bool = True) -> None:
        self.ours, self.marked = ours, list[str]()

    def begin(self, job: ClaimedJob) -> bool:
        self.marked.append(job.id)
        return self.ours


@pytest.fixture
def page() -> Page:
    made = Page(2)
    made.lease_until = boot_seconds() + 60
    return made


def begun(page: Page) -> list[str]:
    return [one.job for one in page.begun()]


@pytest.mark.parametrize(
    ("changes", "marked"),
    [({}, []), ({"losses": 1}, [ID]), ({"crashes": 1}, [ID]), ({"repeatable": False}, [ID]), ({"group_name": "g"}, [])],
)
def test_it_has_begun_when_its_process_is_up(page: Page, changes: dict[str, Any], marked: list[str]) -> None:
    rows = Rows()
    assert begun(page) == []
    assert Beginning(page, isolates=True, begin=rows.begin).refused(running(**changes)) is None
    assert (begun(page), rows.marked) == ([ID], marked)


def test_what_was_taken_over_meanwhile_does_not_begin(page: Page) -> None:
    outcome = Beginning(page, isolates=True, begin=Rows(ours=False).begin).refused(running(losses=1))
    assert isinstance(outcome, LeaseLost)
    assert begun(page) == []


@pytest.mark.parametrize(
    ("changes", "begins"), [({}, True), ({"group_name": "g"}, False), ({"repeatable": False}, False)]
)
def test_what_must_not_outlive_the_lease_does_not_begin_behind_it(
    page: Page, changes: dict[str, Any], begins: bool
) -> None:
    page.lease_until = boot_seconds() - 1
    one = running(**changes)
    outcome = Beginning(page, isolates=True, begin=Rows().begin).refused(one)
    assert (outcome, begun(page)) == ((None, [ID]) if begins else (released(one.job), []))


@pytest.mark.parametrize(("changes", "marked"), [({}, []), ({"losses": 1}, [ID]), ({"repeatable": False}, [ID])])
def test_without_a_process_of_its_own_the_row_has_the_same_mark(
    page: Page, changes: dict[str, Any], marked: list[str]
) -> None:
    """Else what takes its process down would never be blamed where jobs have no processes of their own."""
    rows = Rows()
    assert Beginning(page, isolates=False, begin=rows.begin).is_ours(running(**changes).job)
    assert rows.marked == marked


def test_who_runs_alone(page: Page) -> None:
    plain, isolated = RunOptions(), replace(RunOptions(), isolate=True)
    lost = running(losses=1).job
    assert [alone(running().job, plain), alone(running().job, isolated), alone(lost, plain)] == [False, True, True]
    # Without a process to start them in, they run here.
    assert not Beginning(page, isolates=False, begin=Rows().begin).apart(lost, plain)
