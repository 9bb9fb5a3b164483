"""What is stored for operators: the audit, settings said at run time, views, groups of failures, how things stand."""

from dataclasses import asdict, replace
from datetime import timedelta

from backburner.action import Action
from backburner.fault import fault_at
from backburner.job import JobFilter
from backburner.progress import Progress, ProgressWrite
from backburner.states import JobState
from backburner.store.failures import Seen
from backburner.view import View
from tests.store.scene import Scene, end

S = JobState


def action(scene: Scene, **changes: object) -> Action:
    plain = Action(scene.ids.new(), scene.clock.now(), "lena", "cli", "retry", "job", "x", before='{"a": 1}')
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_audit_is_read_page_by_page(scene: Scene) -> None:
    rows = [action(scene, by=("lena", "dan")[n % 2], target=str(n)) for n in range(7)]
    for row in rows:
        scene.store.audit.add(row)

    def page(limit: int = 3, among: int = 100, **asked: str | None) -> tuple[list[str], str | None, bool]:
        given = dict.fromkeys(("by", "action", "kind", "target", "before")) | asked
        found = scene.store.audit.page(limit, among=among, **given)
        return [one.target for one in found.rows], found.next, found.complete

    assert page() == (["6", "5", "4"], rows[4].id, True)
    assert page(before=rows[4].id) == (["3", "2", "1"], rows[1].id, True)
    assert page(before=rows[1].id) == (["0"], None, True)
    assert page(by="dan") == (["5", "3", "1"], None, True)
    assert page(by="dan", among=4) == (["5", "3"], rows[3].id, False)
    assert page(kind="job", target="2") == (["2"], None, True)
    assert page(action="delete") == ([], None, True)
    assert scene.store.audit.page(1, by=None, action=None, kind=None, target="6", before=None, among=9).rows == (
        rows[6],
    )


def test_old_actions_are_forgotten(scene: Scene) -> None:
    scene.store.audit.add(action(scene))
    scene.clock.move(100)
    kept = action(scene)
    scene.store.audit.add(kept)
    assert scene.store.audit.prune(scene.clock.now() - timedelta(seconds=50), 10) == 1
    assert scene.store.audit.prune(scene.clock.now() - timedelta(seconds=50), 10) == 0


def test_settings_are_said_and_taken_back(scene: Scene) -> None:
    door = scene.store.runtime
    door.say("keep_failed", 60.0, "lena")
    door.say("keep_failed", 30.0, "dan")
    door.say("clean_cron", None, None)
    found = door.all()
    assert {name: (row.value, row.by) for name, row in found.items()} == {
        "keep_failed": (30.0, "dan"),
        "clean_cron": (None, None),
    }
    assert found["keep_failed"].at == scene.clock.now()
    assert (door.unsay("keep_failed"), door.unsay("keep_failed")) == (True, False)


def test_views_are_of_somebody_or_of_all(scene: Scene) -> None:
    door, now = scene.store.views, scene.clock.now()
    mine = View(scene.ids.new(), "mine", "lena", "state:failed", ("id", "task"), False, now)
    shared = View(scene.ids.new(), "all", "dan", "", None, True, now)
    for view in (mine, shared, View(scene.ids.new(), "his", "dan", "", None, False, now)):
        door.put(view)
    assert door.of("lena", 10) == [shared, mine]
    changed = replace(mine, name="new", shared=True)
    door.put(changed)
    assert asdict(door.get(mine.id)) == asdict(changed)  # type: ignore[arg-type]
    assert [view.name for view in door.of("dan", 10)] == ["all", "his", "new"]
    assert (door.count("dan"), door.remove(mine.id), door.remove(mine.id)) == (2, True, False)


def test_groups_of_failures(scene: Scene) -> None:
    fault = fault_at("KeyError", "a.py:1 in f", "'x'", "t", "default", "box", line="f")
    worker, jobs = scene.worker(), []
    for state in (S.FAILED, S.FAILED, S.RETRYING):
        job = scene.running(worker, task="t")
        again = scene.clock.now() + timedelta(hours=1) if state is S.RETRYING else None
        scene.settle(worker, end(job, state, fault=fault, run_at=again))
        jobs.append(job.id)
    door, key = scene.store.failures, fault.fingerprint
    (group,) = door.groups()
    assert (group.fingerprint, group.error_type, group.place, group.job in jobs) == (key, "KeyError", fault.place, True)
    scene.clock.move(7200)
    for _ in range(2):
        scene.store.rollups.write([], None, [Seen(fault, 3, scene.clock.now(), jobs[0])])
    changed = door.group(key)
    assert changed is not None
    assert (changed.attempts, changed.last_at, changed.first_at) == (6, scene.clock.now(), group.first_at)
    assert list(door.hours([key], group.first_at)[key].values()) == [6]
    assert door.failed([key, "none"], 100) == {key: 2, "none": 0}
    assert door.failed([key], 1) == {key: 1}
    assert door.parts(key, 100) == ({"t": 2}, {"box": 2})
    # Retried, cancelled and deleted ones fail no more.
    scene.store.jobs.retry(jobs[0])
    assert door.failed([key], 100) == {key: 1}
    scene.store.jobs.delete(jobs[1])
    assert door.failed([key], 100) == {key: 0}
    assert door.of_job(jobs[2]) == key
    scene.store.jobs.cancel(jobs[2], "why")
    assert door.of_job(jobs[2]) is None
    assert door.mute(key, "lena", "known", None)
    assert (door.groups()[0].muted(scene.clock.now()), door.groups()[0].muted_by) == (True, "lena")
    assert door.unmute(key)
    assert not door.groups()[0].muted(scene.clock.now())
    door.prune(scene.clock.now() + timedelta(hours=2), 10)
    assert (door.groups(), door.hours([key], group.first_at)) == ([], {key: {}})


def test_old_hours_of_failures_go_batch_by_batch(scene: Scene) -> None:
    door, now = scene.store.failures, scene.clock.now()
    for kind in ("KeyError", "ValueError", "TypeError"):
        fault = fault_at(kind, "a.py:1 in f", "'x'", "t", "default", "box", line="f")
        for hours in range(5):
            seen = Seen(fault, 1, now - timedelta(hours=hours), scene.ids.new())
            scene.store.rollups.write([], None, [seen])
    keys = sorted(group.fingerprint for group in door.groups())
    before = now - timedelta(hours=2)
    # Two old hours of each: a full batch is looked through once more from where it began.
    place: str | None = ""
    rounds = 0
    while place is not None:
        place, rounds = door.prune(before, 2, place), rounds + 1
    assert rounds > 3
    assert [len(hours) for hours in door.hours(keys, now - timedelta(days=1)).values()] == [3, 3, 3]
    assert len(door.groups()) == 3, "they failed since"
    place = ""
    while place is not None:
        place = door.prune(now + timedelta(hours=1), 2, place)
    assert door.groups() == []


def test_a_group_whose_first_row_is_missing_is_made_by_the_count(scene: Scene) -> None:
    fault = fault_at("KeyError", "a.py:1 in f", "'x'", "t", "default", "box", line="f")
    scene.store.rollups.write([], None, [Seen(fault, 3, scene.clock.now(), scene.ids.new())])
    assert [one.attempts for one in scene.store.failures.groups()] == [3]


def test_how_running_jobs_stand(scene: Scene) -> None:
    worker = scene.worker()
    first = scene.running(worker, queue="mail")
    scene.clock.move(60)
    second = scene.running(worker)
    scene.store.progress.write([ProgressWrite(one.id, one.attempt, Progress(done=1)) for one in (first, second)])
    said = scene.clock.now()
    scene.clock.move(60)
    scene.store.progress.write([ProgressWrite(second.id, second.attempt, Progress(done=2))])
    scene.running(worker)
    door = scene.store.standing
    assert door.running_by_queue() == {"mail": 1, "default": 2}
    assert door.longest(2) == [first.id, second.id]
    assert door.silent(scene.clock.now() - timedelta(seconds=30), 10) == {first.id: said}


def test_values_of_the_latest_jobs(scene: Scene) -> None:
    scene.one(task="a", tags='["red", "blue"]')
    scene.one(task="b", owner="lena")
    assert scene.store.reports.latest("task", 10) == ["b", "a"]
    assert scene.store.reports.latest("tag", 10) == ["red", "blue"]
    assert scene.store.reports.latest("owner", 1) == ["lena"]
    assert scene.store.jobs.count(JobFilter(), 10) == 2
