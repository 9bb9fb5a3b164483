"""From what a body raised to how its attempt ends."""

from datetime import UTC, datetime, timedelta

import pytest

from backburner.errors import LeaseLost, NotSerializable
from backburner.job import ClaimedJob
from backburner.outcome import Cancelled, PermanentError, Retry, Settlement, Skip, StopWorker, TimedOut, Wait
from backburner.retry import RetryPolicy
from backburner.states import JobState
from backburner.worker import verdict

NOW = datetime(2030, 1, 1, tzinfo=UTC)
JOB = ClaimedJob("id", 5, 4, "task", "{}", "json", "default", 50, 1, 0, 0, None, True, None, None, None, None)
POLICY = RetryPolicy.fixed(60, jitter=0, max_attempts=3)


def end(error: BaseException, *, tries: int = 1, repeatable: bool = True, limit: int | None = None) -> Settlement:
    rules = verdict.Rules(POLICY, limit, repeatable)
    return verdict.of_error(JOB._replace(tries=tries), error, rules, NOW, lambda: 0.5)


def test_it_is_always_about_this_attempt() -> None:
    for error in (OSError(), Skip("no"), Cancelled(), Wait(1), PermanentError("no")):
        assert end(error)[:3] == ("id", 5, 4)


@pytest.mark.parametrize(
    ("error", "state", "reason", "tries", "seconds"),
    [
        (OSError("secret path"), JobState.RETRYING, verdict.STOPPED_WITH_ERROR, 1, 60),
        (SystemExit(3), JobState.RETRYING, verdict.STOPPED_WITH_ERROR, 1, 60),
        (Retry("quota"), JobState.RETRYING, "quota", 1, 60),
        (Retry("quota", after=5), JobState.RETRYING, "quota", 1, 5),
        (TimedOut("It took longer than 3 s."), JobState.RETRYING, "It took longer than 3 s.", 1, 60),
        (Wait(7, "not there yet"), JobState.SCHEDULED, "not there yet", 0, 7),
        (Wait(until=NOW + timedelta(seconds=9)), JobState.SCHEDULED, "Waits.", 0, 9),
        (PermanentError("no such customer"), JobState.FAILED, "no such customer", 1, None),
        (Skip("nothing to do"), JobState.SKIPPED, "nothing to do", 0, None),
        (Cancelled(), JobState.CANCELLED, "Cancelled on request.", 0, None),
        (StopWorker("licence"), JobState.FAILED, "licence", 1, None),
        (StopWorker("licence", cause=Wait(3, "later")), JobState.SCHEDULED, "later", 0, 3),
    ],
)
def test_table(error: BaseException, state: JobState, reason: str, tries: int, seconds: float | None) -> None:
    found = end(error)
    assert (found.state, found.reason, found.tries) == (state, reason, tries)
    assert found.run_at == (None if seconds is None else NOW + timedelta(seconds=seconds))


def test_the_last_try() -> None:
    assert end(OSError(), tries=1).state is JobState.RETRYING
    assert end(OSError(), tries=2).state is JobState.FAILED
    assert end(OSError(), tries=2, limit=4).state is JobState.RETRYING
    assert end(Retry("again", after=1), tries=2).state is JobState.FAILED


def test_what_must_not_run_twice_does_so_only_when_it_asks() -> None:
    assert end(OSError(), repeatable=False).state is JobState.FAILED
    assert end(Retry("again"), repeatable=False).state is JobState.RETRYING


def test_a_result_that_cannot_be_stored_is_final() -> None:
    found = end(NotSerializable("result", object(), "it is no data", "Return data"))
    assert (found.state, found.reason) == (JobState.FAILED, "Its result cannot be stored.")


def test_a_lost_lease_is_no_end() -> None:
    assert verdict.is_lost(LeaseLost("id", 4))
    assert not verdict.is_lost(OSError())


def test_what_cannot_even_begin_is_tried_again_after_a_pause_and_not_for_ever() -> None:
    first = verdict.not_started(JOB, OSError("no more processes"), NOW, max_losses=3)
    assert (first.state, first.losses, first.tries) == (JobState.SCHEDULED, 1, 0)
    assert first.run_at == NOW + timedelta(seconds=verdict.START_AGAIN_SECONDS)
    last = verdict.not_started(JOB._replace(losses=2), OSError("no more processes"), NOW, max_losses=3)
    assert (last.state, last.run_at) == (JobState.FAILED, None)
    assert last.reason == "It could not be started 3 times."


class _Busy(Exception):
    """An error of an app that knows what its users may read."""

    public_text = "The bank does not answer. We try again."


class _Worse(Exception):
    @property
    def public_text(self) -> str:
        raise ValueError("not even that")


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason", "private"),
    [
        (_Busy("HTTP 503"), "The bank does not answer. We try again.", "_Busy: HTTP 503"),
        (_Worse("x"), verdict.STOPPED_WITH_ERROR, "_Worse: x"),
        (
            raised(Retry("The bank is closed."), ConnectionError("10.0.0.7")),
            "The bank is closed.",
            "Retry: The bank is closed. (from ConnectionError: 10.0.0.7)",
        ),
        (
            raised(PermanentError("No such account."), KeyError("acc_17")),
            "No such account.",
            "PermanentError: No such account. (from KeyError: 'acc_17')",
        ),
        (raised(OSError("a"), OSError("b")), verdict.STOPPED_WITH_ERROR, "OSError: a (from OSError: b)"),
        (PermanentError(), verdict.STOPPED_WITH_ERROR, "PermanentError: "),
    ],
)
def test_what_people_and_what_operators_read(error: BaseException, reason: str, private: str) -> None:
    found = end(error)
    assert (found.reason, found.error) == (reason, private)


@pytest.mark.parametrize("make", [OSError, PermanentError, Retry, Skip, Cancelled, StopWorker])
def test_texts_have_an_end_and_can_be_stored(make: type[BaseException]) -> None:
    found = end(make("\x00\udc80" + "long " * 10_000))
    for text, most in ((found.reason, 4000), (found.error, 1000)):
        assert text is None or len(text) <= most
        assert "\x00" not in (text or "")
        (text or "").encode()
    assert end(Wait(1, "\x00" + "x" * 9999)).reason == "\\x00" + "x" * 3996
