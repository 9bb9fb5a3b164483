"""The page that a supervisor shares with one child, and the pace of tasks."""

import os

from backburner.ids import Ids
from backburner.worker.pace import SHORT_SECONDS, TINY_SECONDS, Pace
from backburner.worker.page import Begun, Page


def test_a_new_page_proves_nothing() -> None:
    page = Page(2)
    assert page.lease_until == 0.0
    assert page.good_since == float("inf"), "nobody is judged before the first beat"
    assert not page.quiet
    assert list(page.begun()) == []


def test_what_begins_and_ends() -> None:
    page, ids = Page(3), Ids()
    first, second = ids.new(), ids.new()
    page.begin(0, first, 1, False, 10.5)
    page.begin(2, second, 2**31 - 1, True, 11.0)
    assert list(page.begun()) == [Begun(first, 1, False, 10.5), Begun(second, 2**31 - 1, True, 11.0)]
    page.end(0)
    page.begin(1, first, 2, True, 12.0)
    assert [one.job for one in page.begun()] == [first, second]
    page.end(1)
    page.end(2)
    assert list(page.begun()) == []


def test_a_child_and_its_parent_see_the_same() -> None:
    page, job = Page(1), Ids().new()
    pid = os.fork()
    if pid == 0:
        page.begin(0, job, 7, True, 1.0)
        os._exit(0)
    os.waitpid(pid, 0)
    page.lease_until, page.quiet = 99.5, True
    assert [(one.job, one.attempt) for one in page.begun()] == [(job, 7)]
    assert (page.lease_until, page.quiet) == (99.5, True)


def test_a_task_is_short_when_it_has_been_lately() -> None:
    pace = Pace()
    for _ in range(19):
        pace.ran(0.0)
    assert not pace.short, "nobody knows yet"
    pace.ran(0.0)
    assert pace.short
    assert pace.tiny
    pace.ran(SHORT_SECONDS)
    assert pace.short, "1 of 21 is less than 5 %"
    pace.ran(SHORT_SECONDS)
    assert not pace.short
    for _ in range(400):
        pace.ran(TINY_SECONDS * 4)
    assert pace.short, "what was is forgotten"
    assert not pace.tiny
