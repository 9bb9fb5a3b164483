"""Schedules: stored once, each fire time once, whoever else is at it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from backburner.cron import CronTimes
from backburner.errors import InvalidOption, ScheduleNotFound
from backburner.job import JobFilter, Key, NewJob
from backburner.recurrence import Missed
from backburner.schedule import Schedule, defined
from backburner.states import JobState
from backburner.store.store import Store
from tests.store.scene import Crew, HandClock, Scene

PRAGUE = "Europe/Prague"


def definition(
    scene: Scene, spec: str = "*/10 * * * *", *, name: str = "nightly", missed: Missed = "skip", bound: int = 100,
    zone: str = PRAGUE, source: str = "code", **job: object,
) -> Schedule:  # fmt: skip
    kind = "every" if spec.isdigit() else "cron"
    made = defined(name, scene.job(**job), kind, spec, zone, missed, bound)
    return replace(made, source=source, seen_at=scene.clock.now())


def add(scene: Scene, spec: str = "*/10 * * * *", **more: object) -> Schedule:
    made = definition(scene, spec, **more)  # type: ignore[arg-type]
    scene.store.schedules.add(made)
    return made


def fire(scene: Scene, name: str = "nightly") -> list[NewJob]:
    return scene.store.schedules.fire(name, scene.ids.new)


def times(scene: Scene, name: str = "nightly") -> list[datetime]:
    return sorted(fire.at for fire in scene.store.schedules.fires(name, 1000))


def made_jobs(scene: Scene, name: str = "nightly") -> list[str]:
    return scene.store.jobs.ids(JobFilter(tag=f"schedule:{name}"), 5000)


def test_a_schedule_is_read_as_it_was_stored(scene: Scene) -> None:
    made = add(scene, args='{"n":2}', tags='["shop"]')
    assert scene.store.schedules.get("nightly") == made
    assert scene.store.schedules.all() == [made]
    assert made.next_at == datetime(2030, 5, 17, 9, 40, tzinfo=UTC)


def test_a_name_is_taken_once(scene: Scene) -> None:
    add(scene)
    with pytest.raises(InvalidOption, match="is taken"):
        add(scene, "0 0 * * *")


def test_what_is_not_there_is_said(scene: Scene) -> None:
    door = scene.store.schedules
    for act in (door.get, door.remove, door.resume, lambda name: door.pause(name, None, None)):
        with pytest.raises(ScheduleNotFound, match="'nobody'"):
            act("nobody")


def test_it_fires_when_it_is_due_and_not_before(scene: Scene) -> None:
    add(scene, queue="reports", priority=7, tags='["shop"]', title="Report", args='{"n":2}')
    assert scene.store.schedules.due() == []
    assert fire(scene) == []
    scene.clock.move(600)
    assert scene.store.schedules.due() == ["nightly"]
    [new] = fire(scene)
    job = scene.get(new.id)
    assert (job.queue, job.priority, job.title, job.args) == ("reports", 7, "Report", '{"n":2}')
    assert (job.tags, job.owner, job.state) == (("shop", "schedule:nightly"), None, JobState.QUEUED)
    assert job.run_at == datetime(2030, 5, 17, 9, 40, tzinfo=UTC)
    after = scene.store.schedules.get("nightly")
    assert (after.last_at, after.next_at) == (job.run_at, job.run_at + timedelta(minutes=10))
    assert scene.store.schedules.next_due() == after.next_at
    assert fire(scene) == []
    assert [(one.at, one.job) for one in scene.store.schedules.fires("nightly", 10)] == [(job.run_at, job.id)]


def test_options_that_count_from_the_enqueue_do_so_for_each_run(scene: Scene) -> None:
    now = scene.clock.now()
    add(scene, "600", run_at=now + timedelta(seconds=30), expires_at=now + timedelta(seconds=90))
    scene.clock.move(600)
    [new] = fire(scene)
    job = scene.get(new.id)
    assert job.state is JobState.SCHEDULED
    assert job.run_at == now.replace(microsecond=0) + timedelta(seconds=630)
    assert job.expires_at == scene.clock.now() + timedelta(seconds=90)


def test_an_interval_counts_from_its_anchor_however_late_it_is_looked_at(scene: Scene) -> None:
    start = scene.clock.now().replace(microsecond=0)
    add(scene, "100")
    scene.clock.move(147)
    fire(scene)
    scene.clock.move(60)
    fire(scene)
    assert times(scene) == [start + timedelta(seconds=100), start + timedelta(seconds=200)]


@pytest.mark.parametrize(("missed", "expected"), [("skip", []), ("once", [-10]), ("all", [-30, -20, -10])])
def test_times_that_were_missed(scene: Scene, missed: Missed, expected: list[int]) -> None:
    add(scene, missed=missed, bound=3)
    now = scene.clock.move(3600 * 24 * 400 + 300)
    fire(scene)
    base = now.replace(minute=40, second=0, microsecond=0)
    assert times(scene) == [base + timedelta(minutes=minutes) for minutes in expected]
    assert len(made_jobs(scene)) == len(expected)
    assert fire(scene) == []
    following = scene.store.schedules.get("nightly").next_at
    assert following is not None
    assert following > now


def test_a_paused_one_does_not_fire_and_makes_up_for_nothing(scene: Scene) -> None:
    add(scene, missed="all")
    scene.store.schedules.pause("nightly", "ann", "month end")
    scene.clock.move(1800)
    assert scene.store.schedules.due() == []
    assert scene.store.schedules.next_due() is None
    assert fire(scene) == []
    paused = scene.store.schedules.get("nightly")
    assert (paused.active, paused.paused_by, paused.reason) == (False, "ann", "month end")
    scene.store.schedules.resume("nightly")
    assert fire(scene) == []
    scene.clock.move(600)
    assert len(fire(scene)) == 1


def test_run_now_is_besides_its_times(scene: Scene) -> None:
    before = add(scene)
    scene.store.schedules.pause("nightly", None, None)
    _, new = scene.store.schedules.fire_now("nightly", scene.ids.new())
    assert scene.state(new) is JobState.QUEUED
    assert scene.store.schedules.get("nightly").next_at == before.next_at
    assert [one.job for one in scene.store.schedules.fires("nightly", 10)] == [new]


def five(opened: Callable[[str], Store], url: str) -> list[Store]:
    return [opened(url) for _ in range(5)]


def race(stores: list[Store], scene: Scene, name: str = "nightly") -> None:
    crew = Crew()
    for store in stores:
        crew.add(store.schedules.fire, name, scene.ids.new)
    crew.start().join()


@pytest.mark.parametrize(("missed", "spec"), [("skip", "30 2 * * *"), ("all", "*/20 * * * *")])
@pytest.mark.parametrize(
    "start", [datetime(2026, 3, 29, 0, 15, tzinfo=UTC), datetime(2026, 10, 24, 23, 45, tzinfo=UTC)]
)
def test_five_schedulers_fire_each_time_once_through_a_change_of_the_clock(
    opened: Callable[[str], Store], database_url: str, clock: HandClock, scene: Scene, start: datetime, spec: str,
    missed: Missed,
) -> None:  # fmt: skip
    clock._moment = start
    add(scene, spec, missed=missed)
    stores = five(opened, database_url)
    for _ in range(13):
        clock.move(900)
        race(stores, scene)
    wanted, moment = [], CronTimes(spec, ZoneInfo(PRAGUE)).after(start)
    while moment is not None and moment <= clock.now():
        # Only every quarter of an hour somebody looks.
        late = (moment - start) % timedelta(minutes=15)
        if missed == "all" or not late:
            wanted.append(moment)
        moment = CronTimes(spec, ZoneInfo(PRAGUE)).after(moment)
    assert wanted
    assert times(scene) == wanted
    jobs = [scene.get(job_id) for job_id in made_jobs(scene)]
    assert sorted(job.run_at for job in jobs) == wanted


def test_what_dies_in_between_has_done_nothing_and_the_next_one_does_it_all(
    scene: Scene, elsewhere: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(scene)
    scene.clock.move(600)

    def die(connection: Connection, jobs: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(scene.store.jobs, "insert_on", die)
        with suppress(SystemExit):
            fire(scene)
    assert times(elsewhere) == made_jobs(elsewhere) == []
    assert len(fire(elsewhere)) == 1
    assert len(times(elsewhere)) == 1


def test_a_clock_that_goes_back_fires_nothing_twice(scene: Scene) -> None:
    first = add(scene, "60", missed="all")
    scene.clock.move(300)
    assert len(fire(scene)) == 5
    scene.clock.move(-200)
    assert fire(scene) == []
    # As if it had been reckoned again with the clock as it is now.
    stored = scene.store.schedules.get("nightly")
    scene.store.schedules.move(stored, first.times.after(scene.clock.now()))
    scene.clock.move(300)
    assert len(fire(scene)) == 1
    assert len(times(scene)) == len(made_jobs(scene)) == 6


def test_a_new_definition_counts_up_and_keeps_its_time_unless_that_changed(scene: Scene) -> None:
    old = add(scene, "600")
    scene.clock.move(60)
    other_args = definition(scene, "600", args='{"n":3}')
    assert scene.store.schedules.redefine(other_args, old)
    stored = scene.store.schedules.get("nightly")
    assert (stored.version, stored.args, stored.next_at, stored.anchor) == (2, '{"n":3}', old.next_at, old.anchor)
    assert not scene.store.schedules.redefine(other_args, old)
    assert scene.store.schedules.redefine(definition(scene, "900"), stored)
    stored = scene.store.schedules.get("nightly")
    assert stored.version == 3
    assert stored.next_at == scene.clock.now().replace(microsecond=0) + timedelta(seconds=900)


def test_what_no_code_has_is_disabled_and_comes_back_with_it(scene: Scene) -> None:
    made, added = add(scene), add(scene, name="by hand", source="run")
    door = scene.store.schedules
    scene.clock.move(200)
    door.seen([made.digest], 60)
    scene.clock.move(200)
    door.disable_unseen(300)
    assert not door.get("nightly").disabled
    scene.clock.move(200)
    door.disable_unseen(300)
    assert door.get("nightly").disabled
    assert not door.get(added.name).disabled
    assert door.due() == ["by hand"]
    door.seen([made.digest], 60)
    assert not door.get("nightly").disabled


def test_old_fires_are_forgotten_and_jobs_are_not(scene: Scene) -> None:
    add(scene, "30", missed="all")
    add(scene, "30", name="other", missed="all")
    scene.clock.move(300)
    fire(scene)
    fire(scene, "other")
    middle = scene.clock.now().replace(microsecond=0) - timedelta(seconds=150)
    assert scene.store.schedules.prune(middle) == 8
    assert scene.store.schedules.prune(middle) == 0
    assert len(times(scene)) == len(times(scene, "other")) == 6
    assert len(made_jobs(scene)) == 10


def test_runs_of_a_group_wait_for_each_other(scene: Scene) -> None:
    add(scene, "30", missed="all", group_name="reports", group_policy="skip")
    scene.clock.move(100)
    assert len(fire(scene)) == 3
    states = [scene.state(job_id) for job_id in made_jobs(scene)]
    assert sorted(states) == [JobState.BLOCKED, JobState.BLOCKED, JobState.QUEUED]


def test_removing_one_leaves_its_jobs(scene: Scene) -> None:
    add(scene)
    scene.clock.move(600)
    fire(scene)
    scene.store.schedules.remove("nightly")
    assert scene.store.schedules.all() == []
    assert len(made_jobs(scene)) == 1


@pytest.mark.parametrize(
    ("conflict", "states"),
    [
        ("existing", ["queued"]),
        ("skip", ["queued", "skipped"]),
        ("reject", ["queued"]),
        ("replace", ["cancelled", "queued"]),
    ],
)
def test_a_run_that_must_be_unique_beside_one_that_still_waits(scene: Scene, conflict: str, states: list[str]) -> None:
    key = Key("u:shop.price:nightly", "live", conflict)
    add(scene, "60", keys=(key,), unique_key=key.name)
    scene.clock.move(60)
    [first] = fire(scene)
    scene.clock.move(60)
    fire(scene)
    assert sorted(scene.state(job_id) for job_id in made_jobs(scene)) == states
    [second, before] = scene.store.schedules.fires("nightly", 10)
    assert before.job == first.id
    if conflict == "existing":
        assert second.job == first.id
    elif conflict == "reject":
        assert second.job is None
    else:
        assert second.job not in (None, first.id)
