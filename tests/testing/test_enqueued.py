"""What was enqueued, and what a test reads that expected something else."""

from datetime import date, timedelta
from typing import Any

import pytest

from backburner import Backburner, JobState, Secret
from backburner.errors import InvalidOption


@pytest.fixture
def shop(jobs: Backburner, jobs_testing: Any) -> Any:
    """Three jobs of two tasks."""

    @jobs.task(name="export")
    def export(month: date, kind: str = "csv") -> None: ...

    @jobs.task(name="mail", queue="mail")
    def mail(to: str) -> None: ...

    testing = jobs_testing(jobs)
    export.enqueue(date(2026, 10, 1))
    mail.enqueue("ada@example.org")
    mail.options(delay=3600, identifier="m-2").enqueue("bob@example.org")
    testing.export, testing.mail = export, mail
    return testing


def test_by_task_and_some_arguments(shop: Any) -> None:
    assert [job.task for job in shop.enqueued()] == ["export", "mail", "mail"]
    [job] = shop.assert_enqueued(shop.export, {"month": date(2026, 10, 1)})
    assert job.task == "export"
    shop.assert_enqueued(shop.export, {"kind": "csv"})
    shop.assert_enqueued("mail", times=2)
    shop.assert_enqueued(shop.mail, {"to": "bob@example.org"}, times=1)
    shop.assert_not_enqueued(shop.mail, {"to": "eve@example.org"})
    shop.assert_enqueued(shop.export, times=0, queue="mail")


def test_by_what_else_a_job_has(shop: Any) -> None:
    later = shop.clock.now() + timedelta(hours=1)
    shop.assert_enqueued(shop.mail, queue="mail", run_at=later, state=JobState.SCHEDULED, identifier="m-2", times=1)
    shop.assert_not_enqueued(queue="reports")


def test_what_has_run_was_enqueued_too(shop: Any) -> None:
    shop.drain(with_scheduled=True)
    shop.assert_enqueued(shop.mail, times=2)
    shop.assert_enqueued(shop.mail, times=2, state=JobState.SUCCEEDED)


def test_the_message_says_what_there_was_instead(shop: Any) -> None:
    with pytest.raises(AssertionError) as caught:
        shop.assert_enqueued(shop.mail, {"to": "eve@example.org"}, queue="mail")
    assert str(caught.value).splitlines() == [
        "Expected a job of mail, with {'to': 'eve@example.org'}, queue mail, there are none.",
        "Enqueued were:",
        "  mail {'to': 'ada@example.org'}, queue mail, queued",
        "    to is 'ada@example.org', not 'eve@example.org'",
        "  mail {'to': 'bob@example.org'}, queue mail, scheduled",
        "    to is 'bob@example.org', not 'eve@example.org'",
        "  export {'month': datetime.date(2026, 10, 1), 'kind': 'csv'}, queue default, queued",
        "    another task",
    ]
    with pytest.raises(AssertionError, match="Expected 3 jobs of mail, there are 2"):
        shop.assert_enqueued(shop.mail, times=3)
    with pytest.raises(AssertionError, match="Expected no job of export, there is 1"):
        shop.assert_not_enqueued(shop.export)


def test_nothing_at_all(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task(name="mail")
    def mail(to: str) -> None: ...

    testing = jobs_testing(jobs)
    with pytest.raises(AssertionError, match="Nothing was enqueued at all"):
        testing.assert_enqueued(mail)


def test_a_misspelt_question_is_no_answer(shop: Any) -> None:
    """An argument that no job can have would never be found: `assert_not_enqueued` would always hold."""
    with pytest.raises(InvalidOption, match="adress"):
        shop.assert_not_enqueued(shop.mail, {"adress": "ada@example.org"})
    with pytest.raises(InvalidOption, match="que"):
        shop.assert_not_enqueued(shop.mail, que="mail")


def test_many(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task(name="mail")
    def mail(number: int) -> None: ...

    testing = jobs_testing(jobs)
    jobs.enqueue_many(mail, [(number,) for number in range(1005)])
    assert len(testing.enqueued()) == 1005
    testing.assert_enqueued(mail, {"number": 0}, times=1)
    with pytest.raises(AssertionError, match="and 985 more"):
        testing.assert_not_enqueued(mail)


def test_secrets_are_compared_and_not_shown(jobs: Backburner, jobs_testing: Any) -> None:
    jobs.configure(secret="a secret for tests, long enough")
    seen: list[Any] = []

    @jobs.task(name="sync")
    def sync(token: Secret[str], other: Secret[str] | None = None) -> None:
        seen.append((token.reveal(), other))

    testing = jobs_testing(jobs)
    sync.enqueue(Secret("canary-1"))
    testing.assert_enqueued(sync, {"token": "canary-1", "other": None}, times=1)
    testing.assert_enqueued(sync, {"token": Secret("canary-1")})
    testing.assert_not_enqueued(sync, {"token": "canary-2"})
    with pytest.raises(AssertionError) as caught:
        testing.assert_enqueued(sync, {"token": "canary-2"})
    assert "token is Secret(***), not Secret(***)" in str(caught.value)
    assert "canary" not in str(caught.value)
    with testing.inline():
        sync.enqueue(Secret("canary-3"), Secret("b"))
    testing.drain(raises=True)
    assert seen == [("canary-1", None), ("canary-3", Secret("b"))]
