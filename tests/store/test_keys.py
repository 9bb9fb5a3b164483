"""One job per key: what becomes of the second one, also when the first one's transaction is still open."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, func, insert, select, text, update

from backburner.errors import DuplicateJob, IdempotencyMismatch, KeyBusy, StoreUnavailable, TransactionMustRetry
from backburner.job import Key, NewJob
from backburner.states import JobState
from backburner.store import keys as keys_module
from backburner.store.dialects.base import Trouble
from backburner.store.keys import Stored
from tests.store.scene import Crew, Scene, end

SIZE = 1000


def unique(
    scene: Scene, conflict: str = "existing", scope: str | float = "live", name: str = "u:t:7", **more: Any
) -> NewJob:
    """A new job with a key; `scope` may be a number of seconds."""
    until = None if isinstance(scope, str) else scene.clock.now() + timedelta(seconds=scope)
    key = Key(name, scope if isinstance(scope, str) else "until", conflict, until)
    return scene.job(unique_key=name, keys=(key, *more.pop("keys", ())), **more)


def requested(scene: Scene, name: str = "i::t:k", digest: str = "a" * 64, **more: Any) -> NewJob:
    return scene.job(keys=(Key(name, "kept", "existing", digest=digest),), **more)


def put(scene: Scene, *jobs: NewJob) -> Stored:
    return scene.store.inserts.put(jobs, SIZE)


def put_one(scene: Scene, *arguments: Any, **more: Any) -> str:
    """The id of the job that stands for a new one."""
    job = unique(scene, *arguments, **more)
    return put(scene, job).instead.get(job.id, job.id)


def count(scene: Scene, table: str = "jobs") -> int:
    query = select(func.count()).select_from(getattr(scene.store.schema, table))
    return scene.store.read(lambda c: c.execute(query).scalar_one())


def live(scene: Scene) -> int:
    t = scene.store.schema.jobs.c
    return scene.store.read(lambda c: c.execute(select(func.count()).where(t.finished_at.is_(None))).scalar_one())


@contextmanager
def others_transaction(scene: Scene, url: str) -> Iterator[Connection]:
    """A transaction of the caller's, that has begun to write; rolled back at the end unless committed."""
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


def put_on(scene: Scene, connection: Connection, *jobs: NewJob) -> Stored:
    return scene.store.callers.of(connection).insert(jobs, SIZE)


# What becomes of the second one


def test_the_second_one_is_the_first_one(scene: Scene) -> None:
    first = put_one(scene)
    assert put_one(scene) == first
    assert put_one(scene, name="u:t:8") != first
    assert count(scene) == 2


def test_a_key_that_nobody_has_is_not_read_again(scene: Scene) -> None:
    """The database says how many rows it has inserted: that is the answer."""
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if "backburner_keys" in statement:
            asked.append(statement.split(maxsplit=1)[0])

    put_one(scene, name="u:t:0")
    event.listen(scene.store.engine, "before_cursor_execute", note)
    put_one(scene)
    event.remove(scene.store.engine, "before_cursor_execute", note)
    assert asked == ["INSERT"]


def test_a_key_is_free_when_its_job_is_done(scene: Scene) -> None:
    worker, first = scene.worker(), put_one(scene)
    (claimed,) = scene.claim(worker)
    assert put_one(scene) == first
    scene.finish(worker, [claimed])
    second = put_one(scene)
    assert second != first
    assert put_one(scene) == second


def test_a_kept_key_is_free_when_its_job_is_cleaned_away(scene: Scene) -> None:
    worker, first = scene.worker(), put_one(scene, scope="kept")
    scene.finish(worker, scene.claim(worker))
    assert put_one(scene, scope="kept") == first
    scene.store.jobs.delete(first)
    assert put_one(scene, scope="kept") != first


def test_a_period_goes_on_when_its_job_is_done_and_ends_when_it_is_not(scene: Scene) -> None:
    worker, first = scene.worker(), put_one(scene, scope=60)
    scene.finish(worker, scene.claim(worker))
    scene.clock.move(59.9)
    assert put_one(scene, scope=60) == first
    scene.clock.move(0.1)
    second = put_one(scene, scope=60)
    assert second != first
    scene.clock.move(60)
    assert put_one(scene, scope=60) not in {first, second}
    assert live(scene) == 2


def test_a_period_outlives_the_cleaning_of_its_job_but_not_its_deletion(scene: Scene) -> None:
    worker, first = scene.worker(), put_one(scene, scope=1000)
    scene.finish(worker, scene.claim(worker))
    scene.clock.move(500)
    assert scene.store.upkeep.prune(JobState.SUCCEEDED, 1.0) == 1
    assert put_one(scene, scope=1000) == first
    second = put_one(scene, name="u:t:8", scope=1000)
    scene.store.jobs.delete(second)
    assert put_one(scene, name="u:t:8", scope=1000) != second


def test_reject_names_key_and_winner(scene: Scene) -> None:
    first = put_one(scene)
    with pytest.raises(DuplicateJob, match=first) as caught:
        put(scene, scene.job(), unique(scene, "reject"))
    assert (caught.value.key, caught.value.job_id) == ("u:t:7", first)
    assert count(scene) == 1


def test_skip_stores_the_second_one_as_skipped(scene: Scene) -> None:
    first, second = put_one(scene), put_one(scene, "skip")
    assert second != first
    job = scene.get(second)
    assert (job.state, job.reason, job.done) == (JobState.SKIPPED, f"Job {first} does the same.", True)
    assert job.finished_at == scene.clock.now()
    assert put_one(scene) == first


def test_replace_cancels_what_waits(scene: Scene) -> None:
    first, second = put_one(scene), put_one(scene, "replace", run_at=scene.clock.now() + timedelta(seconds=9))
    assert (scene.state(first), scene.state(second)) == ("cancelled", "scheduled")
    assert scene.get(first).reason == f"Replaced by job {second}."
    assert put_one(scene) == second


@pytest.mark.parametrize("conflict", ["replace", "debounce"])
def test_what_is_asked_for_after_the_start_comes_after_it(scene: Scene, conflict: str) -> None:
    worker, first = scene.worker(), put_one(scene, conflict)
    (running,) = scene.claim(worker)
    second = put_one(scene, conflict)
    assert second != first
    assert (scene.state(first), scene.state(second), scene.get(second).blocked_on) == ("running", "blocked", "parents")
    assert parents_of(scene, second) == [(first, "run")]
    third = put_one(scene, conflict)
    last = third if conflict == "replace" else second
    assert put_one(scene, "existing") == last
    assert parents_of(scene, last) == [(first, "run")]
    assert third == (second if conflict == "debounce" else third)
    assert scene.state(second) == ("cancelled" if conflict == "replace" else "blocked")
    scene.finish(worker, [running])
    assert scene.state(first) == "succeeded"


def parents_of(scene: Scene, child: str) -> list[tuple[str, str]]:
    d = scene.store.schema.dependencies.c
    query = select(d.parent, d.policy).where(d.child == child)
    return [(row.parent, row.policy) for row in scene.store.read(lambda c: c.execute(query).all())]


@pytest.mark.parametrize("conflict", ["replace", "debounce"])
def test_the_newest_request_runs_also_within_a_period(scene: Scene, conflict: str) -> None:
    worker, first = scene.worker(), put_one(scene, conflict, 60)
    scene.finish(worker, scene.claim(worker))
    second = put_one(scene, conflict, 60)
    assert second != first
    assert scene.state(second) == "queued"
    assert put_one(scene, "existing", 60) == second


def test_debounce_pushes_the_start_back(scene: Scene) -> None:
    def later(seconds: float) -> Any:
        return scene.clock.now() + timedelta(seconds=seconds)

    first = put_one(scene, "debounce", run_at=later(10))
    scene.clock.move(5)
    assert put_one(scene, "debounce", run_at=later(10)) == first
    assert scene.get(first).run_at == later(10)
    scene.clock.move(9)
    scene.store.upkeep.promote()
    assert scene.state(first) == "scheduled"
    scene.clock.move(1)
    scene.store.upkeep.promote()
    assert scene.state(first) == "queued"
    assert put_one(scene, "debounce", run_at=later(10)) == first
    assert scene.state(first) == "scheduled"
    now = unique(scene, "debounce", queue="other")
    stored = put(scene, now)
    assert (stored.instead, stored.queues) == ({now.id: first}, frozenset({"default"}))
    assert scene.state(first) == "queued"
    assert count(scene) == 1


def test_a_group_goes_on_when_its_head_is_replaced_or_pushed_back(scene: Scene) -> None:
    later = scene.clock.now() + timedelta(seconds=60)
    for conflict in ("replace", "debounce"):
        group = f"g-{conflict}"
        head = unique(scene, conflict, name=f"u:t:{conflict}", group_name=group)
        behind = scene.job(group_name=group)
        put(scene, head, behind)
        assert scene.state(behind.id) == "blocked"
        stored = put(scene, unique(scene, conflict, name=f"u:t:{conflict}", run_at=later, queue="q2"))
        assert scene.state(behind.id) == "queued"
        assert "default" in stored.queues


def test_a_retrying_winner_keeps_its_state(scene: Scene) -> None:
    worker, first = scene.worker(), put_one(scene)
    (claimed,) = scene.claim(worker)
    scene.settle(worker, end(claimed, JobState.RETRYING, run_at=scene.clock.now() + timedelta(seconds=5)))
    later = scene.clock.now() + timedelta(seconds=50)
    assert put_one(scene, "debounce", run_at=later) == first
    assert (scene.state(first), scene.get(first).run_at) == ("retrying", later)
    assert put_one(scene, "replace") != first
    assert scene.state(first) == "cancelled"


# Requests that come twice


def test_a_repeated_request_is_answered_with_its_job(scene: Scene) -> None:
    worker = scene.worker()
    first, again = requested(scene), requested(scene)
    put(scene, first)
    scene.finish(worker, scene.claim(worker))
    assert put(scene, again).instead == {again.id: first.id}
    with pytest.raises(IdempotencyMismatch, match=first.id):
        put(scene, requested(scene, digest="b" * 64))
    assert count(scene) == 1


def test_a_repeated_request_keeps_its_answer_when_that_was_another_ones_job(scene: Scene) -> None:
    worker, first = scene.worker(), put_one(scene)
    ask = Key("i::t:k", "kept", "existing", digest="a" * 64)
    merged = unique(scene, keys=(ask,))
    assert put(scene, merged).instead == {merged.id: first}
    scene.finish(worker, scene.claim(worker))
    again = unique(scene, keys=(ask,))
    assert put(scene, again).instead == {again.id: first}
    # And the unique key that it did not need is free.
    assert put_one(scene) != first
    assert count(scene) == 2


def test_a_refused_request_leaves_no_key(scene: Scene) -> None:
    put(scene, requested(scene))
    with pytest.raises(IdempotencyMismatch):
        put(scene, unique(scene, keys=requested(scene, digest="b" * 64).keys))
    assert count(scene, "keys") == 1


# Many at once


@pytest.mark.parametrize("many", [3, 700])
def test_many_of_one_key_are_one(scene: Scene, many: int) -> None:
    jobs = [unique(scene, name=f"u:t:{n // 2}") for n in range(2 * many)]
    stored = put(scene, *jobs)
    assert stored.instead == {second.id: first.id for first, second in zip(jobs[::2], jobs[1::2], strict=True)}
    assert [job.id for job in stored.jobs] == [job.id for job in jobs[::2]]
    assert count(scene) == count(scene, "keys") == many
    again = [unique(scene, name=f"u:t:{n}") for n in range(many + 1)]
    stored = put(scene, *again)
    assert [job.id for job in stored.jobs] == [again[-1].id]
    assert stored.instead == {new.id: old.id for new, old in zip(again[:-1], jobs[::2], strict=True)}


def test_among_themselves_too_they_replace_skip_and_reject(scene: Scene) -> None:
    first, second = unique(scene, "replace"), unique(scene, "replace")
    third = unique(scene, "skip")
    put(scene, first, second, third)
    assert [scene.state(job.id) for job in (first, second, third)] == ["cancelled", "queued", "skipped"]
    with pytest.raises(DuplicateJob):
        put(scene, unique(scene, name="u:t:8"), unique(scene, "reject", name="u:t:8"))
    later = scene.clock.now() + timedelta(seconds=7)
    early, late = unique(scene, "debounce", name="u:t:9"), unique(scene, "debounce", name="u:t:9", run_at=later)
    assert put(scene, early, late).instead == {late.id: early.id}
    assert (scene.state(early.id), scene.get(early.id).run_at) == ("scheduled", later)
    assert count(scene) == 4


def test_a_skipped_one_is_no_head_of_a_group(scene: Scene) -> None:
    put_one(scene)
    skipped, next_one = unique(scene, "skip", group_name="g"), scene.job(group_name="g")
    put(scene, skipped, next_one)
    assert (scene.state(skipped.id), scene.state(next_one.id)) == ("skipped", "queued")


# The database decides


def test_at_most_one_and_never_none(scene: Scene, database_url: str) -> None:
    """Threads that enqueue the same in transactions that are rolled back at random: some commit always wins."""
    chance = random.Random(7)
    for round_number in range(8):
        name = f"u:t:{round_number}"
        committed: list[str] = []
        ready = threading.Barrier(6)

        def enqueue(rolls_back: bool, name: str, ready: threading.Barrier, committed: list[str]) -> None:
            engine = create_engine(database_url, connect_args=patience(database_url))
            ready.wait(10)
            while True:
                with engine.connect() as connection:
                    job = unique(scene, name=name)
                    try:
                        winner = put_on(scene, connection, job).instead.get(job.id, job.id)
                    except TransactionMustRetry:
                        # MariaDB may see a deadlock among several who wait for one that rolls back.
                        continue
                    connection.rollback() if rolls_back else connection.commit()
                    if not rolls_back:
                        committed.append(winner)
                    break
            engine.dispose()

        crew = Crew()
        fates = [chance.random() < 0.6 for _ in range(5)] + [False]
        for rolls_back in fates:
            crew.add(enqueue, rolls_back, name, ready, committed)
        crew.start().join()
        assert len(set(committed)) == 1, fates
        assert scene.state(committed[0]) == "queued"
        assert live(scene) == round_number + 1


def patience(url: str) -> dict[str, Any]:
    return {"timeout": 30} if url.startswith("sqlite") else {}


def test_own_transactions_at_the_same_time(scene: Scene, elsewhere: Scene) -> None:
    won: list[str] = []
    crew = Crew()
    for n in range(8):
        crew.add(lambda place: won.append(put_one(place)), (scene, elsewhere)[n % 2])
    crew.start().join()
    assert len(set(won)) == 1
    assert count(scene) == 1


@pytest.mark.parametrize("conflict", ["replace", "debounce"])
def test_the_last_one_stays_whoever_comes_at_the_same_time(scene: Scene, elsewhere: Scene, conflict: str) -> None:
    crew = Crew()
    for n in range(8):
        crew.add(put_one, (scene, elsewhere)[n % 2], conflict)
    crew.start().join()
    assert live(scene) == 1


def test_the_wait_for_an_open_twin_ends(scene: Scene, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "WAIT", 0.2)
    with others_transaction(scene, database_url) as connection:
        put_on(scene, connection, unique(scene))
        with pytest.raises(KeyBusy, match="u:t:7") as caught:
            put(scene, unique(scene))
        assert caught.value.keys == ("u:t:7",)
        connection.rollback()
    assert put_one(scene, scope="kept")
    assert count(scene) == 1


def test_a_winner_that_is_committed_is_not_waited_for(on_postgresql: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where many find the same job, none locks it: they would wait for each other's transactions."""
    scene = on_postgresql
    monkeypatch.setattr(keys_module, "WAIT", 0.2)
    first = put_one(scene)
    url = scene.store.url.render_as_string(hide_password=False)
    with others_transaction(scene, url) as connection:
        put_on(scene, connection, unique(scene))
        assert put_one(scene) == first


def test_a_key_that_becomes_free_between_two_looks_is_taken_once(
    on_postgresql: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The winner ends, and another one takes the key, after it was seen as taken and before that is acted upon."""
    scene, decide = on_postgresql, on_postgresql.store.keys._decide
    worker, first = scene.worker(), put_one(scene)
    running, between = scene.claim(worker), [""]

    def late(*arguments: Any) -> Any:
        if running:
            scene.finish(worker, [running.pop()])
            between[0] = put_one(scene)
        return decide(*arguments)

    monkeypatch.setattr(scene.store.keys, "_decide", late)
    assert put_one(scene) in {first, between[0]}
    assert live(scene) == 1


@pytest.mark.parametrize("conflict", ["replace", "debounce"])
def test_what_a_worker_is_about_to_take_is_neither_waited_for_nor_locked(
    on_server: Scene, conflict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller's transaction may be long: a lock in it on a job that runs would keep the job from ending."""
    scene, jobs = on_server, on_server.store.schema.jobs
    monkeypatch.setattr(keys_module, "WAIT", 1.0)
    first = put_one(scene)
    url = scene.store.url.render_as_string(hide_password=False)
    with scene.store.engine.connect() as claim, others_transaction(scene, url) as connection:
        worker = scene.worker()
        claim.execute(update(jobs).where(jobs.c.id == first).values(state="running", attempt=1, worker=worker))
        second = unique(scene, conflict)
        put_on(scene, connection, second)
        claim.commit()
        assert claim.execute(select(jobs.c.id).where(jobs.c.id == first).with_for_update(nowait=True)).scalar() == first
        claim.rollback()
        connection.commit()
    assert (scene.state(first), scene.state(second.id)) == ("running", "blocked")
    assert parents_of(scene, second.id) == [(first, "run")]


def test_two_who_want_each_others_keys_end(on_postgresql: Scene) -> None:
    """The caller's transaction says that it must be run again, or ours is asked again: the database chooses."""
    scene = on_postgresql
    url = scene.store.url.render_as_string(hide_password=False)
    with others_transaction(scene, url) as connection:
        put_on(scene, connection, unique(scene, name="u:t:b"))
        crew = Crew()
        crew.add(put, scene, unique(scene, name="u:t:a"), unique(scene, name="u:t:b"))
        crew.start()
        scene.wait_for_waiter()
        try:
            put_on(scene, connection, unique(scene, name="u:t:a"))
            connection.commit()
        except TransactionMustRetry:
            connection.rollback()
        crew.join()
    assert count(scene) == count(scene, "keys") == 2


# In the caller's transaction


def test_a_refusal_leaves_the_callers_transaction_as_it_was(scene: Scene, database_url: str) -> None:
    first = put_one(scene)
    with others_transaction(scene, database_url) as connection:
        groups = scene.store.schema.groups
        connection.execute(insert(groups), [{"name": "mine"}])
        for _ in range(2):
            with pytest.raises(DuplicateJob, match=first):
                put_on(scene, connection, scene.job(), unique(scene, "reject"))
        put_on(scene, connection, unique(scene, name="u:t:8"))
        connection.commit()
        assert connection.execute(select(groups.c.name)).scalars().all() == ["mine"]
    assert count(scene) == 2


LOCK_WAIT = {"postgresql": "SELECT current_setting('lock_timeout')", "mysql": "SELECT @@innodb_lock_wait_timeout"}


@pytest.mark.parametrize("through", ["sqlalchemy", "driver"])
def test_the_callers_wait_for_an_open_twin_ends_and_his_transaction_goes_on(
    on_server: Scene, through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What he did before is still there, what was refused is not, and he waits for locks as long as he did before."""
    scene, store = on_server, on_server.store
    monkeypatch.setattr(keys_module, "WAIT", 0.2)
    url, limit = store.url.render_as_string(hide_password=False), text(LOCK_WAIT[store.dialect.name])
    twin, before, refused, after, again = (
        unique(scene), scene.job(), scene.job(), unique(scene, name="u:t:8"), unique(scene),
    )  # fmt: skip
    with others_transaction(scene, url) as first, others_transaction(scene, url) as second:
        target = second if through == "sqlalchemy" else second.connection.driver_connection
        put_on(scene, first, twin)
        store.callers.of(target).insert([before], SIZE)
        waits = second.execute(limit).scalar_one()
        with pytest.raises(KeyBusy, match="u:t:7") as caught:
            store.callers.of(target).insert([refused, unique(scene)], SIZE)
        assert caught.value.keys == ("u:t:7",)
        assert second.execute(limit).scalar_one() == waits
        store.callers.of(target).insert([after], SIZE)
        first.commit()
        # Also where his transaction began to look before that commit.
        assert store.callers.of(target).insert([again], SIZE).instead == {again.id: twin.id}
        second.commit()
    assert store.jobs.states([refused.id, again.id]) == {}
    assert [scene.state(job.id) for job in (twin, before, after)] == ["queued"] * 3
    assert put_one(scene) == twin.id
    assert put_one(scene, name="u:t:8") == after.id


def test_the_twin_that_is_rolled_back_leaves_the_key_to_who_was_refused(
    on_server: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = on_server
    monkeypatch.setattr(keys_module, "WAIT", 0.2)
    url = scene.store.url.render_as_string(hide_password=False)
    with others_transaction(scene, url) as first, others_transaction(scene, url) as second:
        put_on(scene, first, unique(scene))
        with pytest.raises(KeyBusy):
            put_on(scene, second, unique(scene))
        first.rollback()
        mine = unique(scene)
        assert put_on(scene, second, mine).instead == {}
        second.commit()
    assert put_one(scene) == mine.id
    assert count(scene) == count(scene, "keys") == 1


def test_the_callers_lock_timeout_is_his_again(on_postgresql: Scene) -> None:
    scene = on_postgresql
    url = scene.store.url.render_as_string(hide_password=False)
    for own in ("0", "2s", "90s"):
        with others_transaction(scene, url) as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{own}'"))
            put_one(scene, name=f"u:t:{own}")
            before = connection.execute(text("SHOW lock_timeout")).scalar_one()
            put_on(scene, connection, unique(scene, name=f"u:u:{own}"))
            with pytest.raises(DuplicateJob):
                put_on(scene, connection, unique(scene, "reject", name=f"u:t:{own}"))
            assert connection.execute(text("SHOW lock_timeout")).scalar_one() == before
            connection.commit()


def test_the_winner_may_be_of_the_same_transaction(scene: Scene, database_url: str) -> None:
    with others_transaction(scene, database_url) as connection:
        first, second, third = unique(scene), unique(scene), unique(scene, "replace")
        put_on(scene, connection, first)
        assert put_on(scene, connection, second).instead == {second.id: first.id}
        assert scene.store.callers.of(connection).get(first.id).id == first.id
        put_on(scene, connection, third)
        connection.commit()
    assert (scene.state(first.id), scene.state(third.id)) == ("cancelled", "queued")


def test_rolled_back_gives_the_key_back(scene: Scene, database_url: str) -> None:
    with others_transaction(scene, database_url) as connection:
        put_on(scene, connection, unique(scene))
        connection.rollback()
    assert count(scene, "keys") == count(scene) == 0
    put_one(scene)
    assert live(scene) == 1


# Again


def test_an_enqueue_whose_answer_was_lost_does_not_conflict_with_itself(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scene.store
    put_keys, trouble = store.keys.put, store.dialect.trouble
    lost: list[str] = []

    def answer_lost(jobs: Any, *more: Any) -> Stored:
        stored = put_keys(jobs, *more)
        if not lost:
            lost.append("once")
            raise StoreUnavailable("gone") from BrokenPipeError()
        return stored

    def trouble_of(error: BaseException) -> Trouble:
        return Trouble.LOST if isinstance(error, BrokenPipeError) else trouble(error)

    monkeypatch.setattr(store.dialect, "trouble", trouble_of)
    monkeypatch.setattr(store.keys, "put", answer_lost)
    first, merged, refusing = unique(scene), unique(scene), unique(scene, "reject", name="u:t:8")
    assert put(scene, first, merged, refusing).instead == {merged.id: first.id}
    assert {scene.state(first.id), scene.state(refusing.id)} == {JobState.QUEUED}
    assert (count(scene), lost) == (2, ["once"])


def test_retry_takes_the_key_again_or_is_refused(scene: Scene) -> None:
    worker, first = scene.worker(), put_one(scene)
    scene.finish(worker, scene.claim(worker), JobState.FAILED)
    second = put_one(scene)
    with pytest.raises(DuplicateJob, match=second):
        scene.store.jobs.retry(first)
    assert scene.state(first) == "failed"
    scene.store.jobs.cancel(second, "why")
    scene.store.jobs.retry(first)
    assert put_one(scene) == first
    with pytest.raises(DuplicateJob, match=first):
        scene.store.jobs.retry(second)


def test_retry_takes_a_key_that_is_cleaned_away_meanwhile(
    on_postgresql: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, rows = on_postgresql, on_postgresql.store.keys._look.rows
    worker, first = scene.worker(), put_one(scene)
    scene.finish(worker, scene.claim(worker))
    second = put_one(scene)
    scene.finish(worker, scene.claim(worker))

    def late(*arguments: Any, **more: Any) -> Any:
        monkeypatch.undo()
        assert scene.store.keys.prune("", 100) == (1, "")
        return rows(*arguments, **more)

    monkeypatch.setattr(scene.store.keys._look, "rows", late)
    scene.store.jobs.retry(first)
    assert put_one(scene) == first
    with pytest.raises(DuplicateJob, match=first):
        scene.store.jobs.retry(second)


def test_retry_finds_no_key_and_takes_it(scene: Scene) -> None:
    worker, first = scene.worker(), put_one(scene)
    scene.finish(worker, scene.claim(worker), JobState.FAILED)
    assert scene.store.keys.prune("", 10) == (1, "")
    scene.store.jobs.retry(first)
    assert put_one(scene) == first


def test_what_was_skipped_may_be_retried_when_the_winner_is_done(scene: Scene) -> None:
    worker, first, second = scene.worker(), put_one(scene), put_one(scene, "skip")
    with pytest.raises(DuplicateJob, match=first):
        scene.store.jobs.retry(second)
    scene.finish(worker, scene.claim(worker))
    scene.store.jobs.retry(second)
    assert put_one(scene) == second


# Cleaning


def test_keys_go_with_their_jobs(scene: Scene) -> None:
    worker = scene.worker()
    for scope in ("live", "kept"):
        put_one(scene, scope=scope, name=f"u:t:{scope}")
    put(scene, requested(scene))
    scene.finish(worker, scene.claim(worker))
    scene.clock.move(10)
    assert scene.store.upkeep.prune(JobState.SUCCEEDED, 1.0) == 3
    assert count(scene, "keys") == 0


def test_free_keys_are_pruned_and_others_are_not(scene: Scene) -> None:
    worker, ends = scene.worker(), []
    for number, scope in enumerate(["live", "kept", 60, 600]):
        ends.append(put_one(scene, scope=scope, name=f"u:t:{number}"))
    scene.finish(worker, scene.claim(worker))
    put_one(scene, name="u:t:live")
    scene.clock.move(60)
    assert scene.store.keys.prune("", 3) == (2, "u:t:2")
    assert scene.store.keys.prune("u:t:2", 3) == (0, "")
    names = select(scene.store.schema.keys.c.name).order_by(scene.store.schema.keys.c.name)
    assert scene.store.read(lambda c: c.execute(names).scalars().all()) == ["u:t:1", "u:t:3", "u:t:live"]


def test_keys_that_an_open_transaction_has_locked_do_not_hold_up_cleaning(on_server: Scene) -> None:
    """All chores of a worker are done by one thread: what waits there for somebody's lock keeps the others waiting."""
    scene, worker = on_server, on_server.worker()
    impatient = {"postgresql": "SET lock_timeout = '1ms'", "mysql": "SET SESSION innodb_lock_wait_timeout = 1"}

    def hurry(connection: Any, record: object) -> None:
        """So that a wait is over soon, and fails."""
        connection.cursor().execute(impatient[scene.store.dialect.name])
        connection.commit()

    scene.store.engine.dispose()
    event.listen(scene.store.engine, "connect", hurry)
    put_one(scene, name="u:t:8")
    scene.finish(worker, scene.claim(worker))
    put_one(scene)
    with others_transaction(scene, scene.store.url.render_as_string(hide_password=False)) as connection:
        put_on(scene, connection, unique(scene, "replace"))
        assert scene.store.keys.prune("", 100) == (1, "")
        assert scene.store.keys.held(["u:t:7"])


def test_without_keys_there_is_not_one_statement_more(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse: Callable[..., Any] = lambda *_: pytest.fail("a job without keys went the way of keys")  # noqa: E731
    monkeypatch.setattr(scene.store.keys, "put", refuse)
    scene.store.inserts.put([scene.job()], SIZE)
    assert count(scene) == 1
