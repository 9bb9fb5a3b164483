"""A queue of the broker that does not answer is left alone for a while; its rings go to everybody."""

from collections.abc import Callable

import pytest

from backburner import Backburner
from backburner.broker import shunned
from backburner.broker.bell import BrokerBell
from backburner.broker.rings import Place
from backburner.broker.shunned import SHUN_SECONDS, Shunned
from tests.broker.conftest import Apps, Server, Workers
from tests.broker.messages import heard, lying, sent
from tests.broker.test_rings import call
from tests.waiting import wait_until

PLACE, OTHER = Place("default", 50), Place("other", 50)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`passes(5.0)`: five seconds go by for `Shunned`."""
    now = [1000.0]
    monkeypatch.setattr(shunned, "boot_seconds", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def fail_at(place: Place, seconds: float, known: Shunned, passes: Callable[[float], None]) -> None:
    def ask() -> None:
        with known.watch(place):
            passes(seconds)
            raise TimeoutError

    with pytest.raises(TimeoutError):
        ask()


def test_what_answers_late_or_fails_at_once_is_not_shunned(passes: Callable[[float], None]) -> None:
    known = Shunned()
    with known.watch(PLACE):
        passes(60.0)
    fail_at(PLACE, 0.1, known, passes)
    assert PLACE not in known


def test_what_keeps_silent_until_time_is_up_is_shunned_for_a_while(passes: Callable[[float], None]) -> None:
    known = Shunned()
    fail_at(PLACE, 5.0, known, passes)
    assert PLACE in known
    assert OTHER not in known
    passes(SHUN_SECONDS - 1.0)
    assert PLACE in known
    passes(2.0)
    assert PLACE not in known


def test_what_is_shunned_has_a_bound(passes: Callable[[float], None]) -> None:
    known = Shunned()
    for number in range(2500):
        fail_at(Place(f"queue {number}", 50), 5.0, known, passes)
    assert len(known._until) <= 1000
    assert Place("queue 2499", 50) in known


def shunned_by(jobs: Backburner) -> Shunned:
    assert isinstance(jobs.bell, BrokerBell)
    return jobs.bell._shunned


def shun(jobs: Backburner, place: Place) -> None:
    shunned_by(jobs)._until[place] = float("inf")


def test_a_worker_hears_of_jobs_whose_queue_is_shunned(app: Apps, start: Workers, broker: Server) -> None:
    jobs, working = app(), app()
    for one in (jobs, working):
        shun(one, PLACE)
    start(working)
    heard(working)
    for number in range(3):
        assert call(jobs, number).wait(15.0)
        assert call(jobs, number, queue="other").wait(15.0)
    sent(jobs)
    assert lying(broker, jobs) == 0


@pytest.mark.parametrize("declares", [True, False])
def test_a_broker_that_keeps_silent_is_given_up_in_time(
    app: Apps, start: Workers, broker: Server, monkeypatch: pytest.MonkeyPatch, declares: bool
) -> None:
    """Whether it was asked for the queue, or given a ring, when it fell silent."""
    jobs, working = app(), app()
    start(working)
    heard(working)
    for module in ("address", "link", "shunned"):
        monkeypatch.setattr(f"backburner.broker.{module}.ANSWER_SECONDS", 1.0)
    monkeypatch.setattr("backburner.broker.link.DECLARE_SECONDS", 0.0 if declares else 3600.0)
    call(jobs, 1)
    sent(jobs)
    broker.pause()
    try:
        call(jobs, 2)
        wait_until(lambda: PLACE in shunned_by(jobs), "the silence is noticed", 20)
    finally:
        broker.resume()
    late = call(jobs, 3)
    sent(jobs)
    assert late.wait(15.0)
