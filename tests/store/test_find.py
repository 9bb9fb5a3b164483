"""Lists: each filter alone, together, page by page, and counts that stop counting."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from backburner.dismissal import DISMISSED, dismissed, undismissed
from backburner.job import JobFilter
from backburner.progress import Progress, ProgressWrite
from backburner.states import FINAL, JobState
from backburner.store import choice
from tests.store.scene import Scene, end

S = JobState


def found(scene: Scene, which: JobFilter) -> set[str]:
    ids = {job.id for job in scene.store.jobs.find(which, 1000)}
    assert set(scene.store.jobs.ids(which, 1000)) == ids
    assert scene.store.jobs.count(which, 1000) == len(ids)
    return ids


def by(field: str, text: str) -> JobFilter:
    return replace(JobFilter(), **{field: text})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["task", "queue", "identifier", "owner"])
def test_one_word_filters_are_exact(scene: Scene, field: str) -> None:
    hit = scene.one(**{field: "Red 50%_x"})
    for near in ("red 50%_x", "Red 50%", "Red 50%_x ", "Red 50%ax"):
        scene.one(**{field: near})
    scene.one()
    assert found(scene, by(field, "Red 50%_x")) == {hit}


@pytest.mark.parametrize("tag", ["red", "a b", "ž👋", 'quo"te', "50%", "a_b", "back\\slash", "[", ","])
def test_a_tag_is_matched_whole(scene: Scene, tag: str) -> None:
    hits = {scene.one(tags=json.dumps(tags)) for tags in ([tag], ["x", tag], [tag, "y"])}
    for near in (tag.upper() + "!", tag + "s", "un" + tag, tag[:-1], "Red", "A b", "aXb", "50x"):
        scene.one(tags=json.dumps([near]))
    scene.one()
    assert found(scene, JobFilter(tag=tag)) == hits


def test_tags_differ_by_case(scene: Scene) -> None:
    upper, lower = scene.one(tags='["Red"]'), scene.one(tags='["red"]')
    assert (found(scene, JobFilter(tag="Red")), found(scene, JobFilter(tag="red"))) == ({upper}, {lower})


def test_visibility(scene: Scene) -> None:
    hits = {level: scene.one(visibility=level) for level in ("owner", "users", "public")}
    opened = frozenset({"users", "public"})
    assert found(scene, JobFilter(visibilities=opened)) == {hits["users"], hits["public"]}
    assert found(scene, JobFilter(visibilities=frozenset({"public"}), states=frozenset({S.QUEUED}))) == {hits["public"]}


def test_what_its_owner_has_put_away(scene: Scene) -> None:
    kept, away = (scene.ended(S.SUCCEEDED) for _ in range(2))
    near = scene.one(meta=json.dumps({"text": f'"{DISMISSED}": true', f"{DISMISSED}!": True}))
    scene.store.edits.meta(away, dismissed)
    assert found(scene, JobFilter(undismissed=True)) == {kept, near}
    assert found(scene, JobFilter(undismissed=True, states=FINAL)) == {kept}
    assert found(scene, JobFilter(undismissed=True, states=frozenset(S) - FINAL)) == {near}
    scene.store.edits.meta(away, undismissed)
    assert found(scene, JobFilter(undismissed=True, states=FINAL)) == {kept, away}


def test_states(scene: Scene) -> None:
    ended = {state: scene.ended(state) for state in sorted(FINAL)}
    running, queued = scene.running().id, scene.one()
    later = scene.one(run_at=scene.clock.now() + timedelta(seconds=9))
    for state, job in ended.items():
        assert found(scene, JobFilter(states=frozenset({state}))) == {job}
    assert found(scene, JobFilter(states=FINAL)) == set(ended.values())
    assert found(scene, JobFilter(states=frozenset({S.RUNNING, S.FAILED}))) == {running, ended[S.FAILED]}
    assert found(scene, JobFilter(states=frozenset({S.QUEUED, S.SCHEDULED}))) == {queued, later}
    assert found(scene, JobFilter(states=frozenset())) == set()


def test_created_between(scene: Scene) -> None:
    times, ids = [], []
    for _ in range(3):
        times.append(scene.clock.now())
        ids.append(scene.one())
        scene.clock.move(0.000001)
    assert found(scene, JobFilter(created_after=times[1])) == set(ids[1:])
    assert found(scene, JobFilter(created_before=times[1])) == {ids[0]}
    assert found(scene, JobFilter(created_after=times[1], created_before=times[2])) == {ids[1]}


def test_filters_add_up(scene: Scene) -> None:
    hit = scene.one(task="t", queue="q", owner="o", tags='["x"]')
    scene.one(task="t", queue="q", owner="o")
    scene.one(task="t", queue="q", tags='["x"]')
    scene.one(task="t", owner="o", tags='["x"]')
    scene.one(queue="q", owner="o", tags='["x"]')
    which = JobFilter(states=frozenset({S.QUEUED}), task="t", queue="q", owner="o", tag="x")
    assert found(scene, which) == {hit}


@pytest.mark.parametrize("most", [choice.MOST_LIVE, 3], ids=["few", "more than are all looked at"])
def test_unfinished_states_with_and_without_other_filters(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(choice, "MOST_LIVE", most)
    mine: dict[JobState, set[str]] = {}
    for owner in ("ada", "bob"):
        later = {"run_at": scene.clock.now() + timedelta(seconds=9)}
        held = {"blocked_on": "unknown task"}
        made = {
            S.QUEUED: {scene.one(owner=owner), scene.one(owner=owner, group_name=f"g-{owner}")},
            S.SCHEDULED: {scene.one(owner=owner, **later)},
            S.BLOCKED: {scene.one(owner=owner, **held)},
            S.RUNNING: {scene.running(owner=owner, queue="q").id},
            S.RETRYING: {scene.ended(S.RETRYING, owner=owner, queue="r")},
            S.SUCCEEDED: {scene.ended(owner=owner, queue="s")},
        }
        for state, ids in made.items():
            assert found(scene, JobFilter(states=frozenset({state}), owner=owner)) == ids, state
            mine[state] = mine.get(state, set()) | ids
    for state, ids in mine.items():
        assert found(scene, JobFilter(states=frozenset({state}))) == ids, state
    both = frozenset({S.RETRYING, S.SUCCEEDED})
    assert found(scene, JobFilter(states=both)) == mine[S.RETRYING] | mine[S.SUCCEEDED]
    everything = set().union(*mine.values())
    assert found(scene, JobFilter(states=frozenset(S) - FINAL)) == everything - mine[S.SUCCEEDED]
    [task] = {job.task for job in scene.store.jobs.find(JobFilter(), 100)}
    newest = sorted(everything, reverse=True)
    assert scene.store.jobs.ids(JobFilter(task=task), 3) == newest[:3]
    assert scene.store.jobs.ids(JobFilter(task=task, before=newest[3]), 100) == newest[4:]
    assert scene.store.jobs.count(JobFilter(task=task), 5) == 5


def test_page_by_page_newest_first(scene: Scene) -> None:
    ids = scene.insert(7, task="t")
    scene.insert(3, task="u")
    pages, before = list[str](), None
    while page := scene.store.jobs.find(JobFilter(task="t", before=before), 3):
        assert len(page) <= 3
        pages += [job.id for job in page]
        before = page[-1].id
        scene.one(task="t")
    assert pages == ids[::-1]


def test_a_count_stops_at_its_limit(scene: Scene) -> None:
    scene.insert(12)
    counts = [scene.store.jobs.count(JobFilter(), limit) for limit in (0, 1, 11, 12, 13)]
    assert counts == [0, 1, 11, 12, 12]


HOSTILE = ["'; DROP TABLE backburner_jobs; --", '" OR ""="', "%", "_", "\\", "%(x)s {} :x ?"]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_never_read_as_sql(scene: Scene, text: str) -> None:
    scene.insert(2)
    for field in ("task", "queue", "identifier", "owner", "tag"):
        assert found(scene, by(field, text)) == set()
    assert scene.claim(scene.worker(), queue=text, short=[text]) == []
    assert scene.store.jobs.unfinished_identifiers([text], True) == set()
    mine = scene.one(task=text, queue=text, identifier=text, owner=text, title=text, tags=json.dumps([text]))
    assert found(scene, JobFilter(task=text, queue=text, identifier=text, owner=text, tag=text)) == {mine}


def test_unfinished_identifiers(scene: Scene) -> None:
    for name in ("queued", "both", "both"):
        scene.one(identifier=name)
    scene.one(identifier="later", run_at=scene.clock.now() + timedelta(seconds=9))
    scene.ended(identifier="done", queue="q")
    scene.running(identifier="running", queue="q")
    scene.one()
    names = ["queued", "both", "later", "done", "running", "unknown"]
    waiting = {"queued", "both", "later"}
    assert scene.store.jobs.unfinished_identifiers(names, include_running=False) == waiting
    assert scene.store.jobs.unfinished_identifiers(names, include_running=True) == {*waiting, "running"}
    assert scene.store.jobs.unfinished_identifiers([], include_running=True) == set()


def test_position_in_line(scene: Scene) -> None:
    scene.running()
    scene.one(queue="other")
    scene.one(run_at=scene.clock.now() + timedelta(seconds=9), priority=1)
    last, first, second = scene.one(priority=60), scene.one(priority=50), scene.one(priority=50)
    best = scene.one(priority=10)
    places = [scene.store.jobs.position_in_line(scene.get(job)) for job in (best, first, second, last)]
    assert places == [1, 2, 3, 4]
    assert scene.store.jobs.position_in_line(scene.get(last), limit=2) == 3


def test_lists_show_progress_of_the_present_attempt_only(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.store.progress.write([ProgressWrite(job.id, 1, Progress(done=4))])
    shown = scene.store.jobs.find(JobFilter(), 1)[0].progress
    assert shown is not None
    assert shown.done == 4
    scene.settle(worker, end(job, S.QUEUED))
    scene.claim(worker)
    assert scene.store.jobs.find(JobFilter(), 1)[0].progress is None
