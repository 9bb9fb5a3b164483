"""What happened to a job, line by line."""

from datetime import UTC, datetime, timedelta

from backburner.job import Job
from backburner.outcome import AttemptRecord
from backburner.progress import Progress
from backburner.states import JobState
from backburner.web.dashboard.timeline import LONGEST, timeline_of

START = datetime(2026, 11, 24, 14, 28, 32, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def job(state: JobState, **more: object) -> Job:
    return Job("id", "shop.export", state, "exports", 50, START, START, **more)  # type: ignore[arg-type]


FAILED = AttemptRecord("retrying", at(11), at(41), "kestrel-2", 40771, error_type="OperationalError", error="gone")


def test_a_job_that_failed_once_and_runs_again() -> None:
    running = job(
        JobState.RUNNING, attempt=2, started_at=at(71), owner="Dan", progress=Progress(50, 100, began_at=at(71))
    )
    line = timeline_of(running, [(1, FAILED)], at(171), "kestrel-1")
    assert [(one.word, one.text) for one in line.moments] == [
        ("Queued", "by Dan"),
        ("Running", "attempt 1 on kestrel-2, pid 40771"),
        ("Retrying", "after OperationalError"),
        ("Running", "attempt 2 on kestrel-1"),
        ("Done", "expected, from how fast it has been so far"),
    ]
    assert [one.caption for one in line.moments] == [
        "waited 11.0 s",
        "ran 30.0 s",
        "waited 30.0 s",
        "running for 1 min 40 s",
        "",
    ]
    assert [one.width for one in line.moments] == [33, 90, 90, LONGEST, 0]
    assert line.moments[-1].at == at(271)
    assert (line.whole, line.waited, line.worked) == (171, 41, 130)


def test_a_job_that_is_done_has_its_end_once() -> None:
    done = job(JobState.FAILED, attempt=1, started_at=at(11), finished_at=at(41), reason="It stopped with an error.")
    last = AttemptRecord("failed", at(11), at(41), "kestrel-2", 1, error_type="ValueError")
    line = timeline_of(done, [(1, last)], at(900))
    assert [one.word for one in line.moments] == ["Queued", "Running", "Failed"]
    assert line.moments[-1].lasted is None
    assert line.whole == 41


def test_a_clean_success_without_an_attempt() -> None:
    done = job(JobState.SUCCEEDED, attempt=1, started_at=at(1), finished_at=at(3))
    line = timeline_of(done, [], at(900))
    assert [(one.word, one.caption) for one in line.moments] == [
        ("Queued", "waited 1.0 s"),
        ("Running", "ran 2.0 s"),
        ("Succeeded", ""),
    ]


def test_what_is_expected_comes_last() -> None:
    later = Job("id", "shop.export", JobState.SCHEDULED, "exports", 50, START, at(3600))
    line = timeline_of(later, [], at(10))
    assert [(one.word, one.expected) for one in line.moments] == [("Scheduled", False), ("Queued", True)]
    assert line.moments[-1].at == at(3600)
