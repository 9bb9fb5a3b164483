"""Each rule that keeps jobs safe, switched off: what is put in its place, and the tests that must see it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from backburner.blame import Death, Orphan, judge
from backburner.outcome import Settlement
from backburner.states import JobState
from backburner.store import groups, limits, single, taking
from backburner.store.dialects import mysql, mysql_statements, postgresql, postgresql_statements
from backburner.store.dialects.base import Dialect
from backburner.store.dialects.mysql import MySQL
from backburner.store.dialects.postgresql import PostgreSQL
from backburner.store.dialects.sqlite import SQLite
from backburner.store.group_rows import GroupRows
from backburner.store.progress import ProgressRows
from backburner.store.schedules import Schedules
from backburner.store.workers import Workers
from backburner.worker import burials, rescuer
from backburner.worker.process import WorkerProcess
from backburner.worker.rescuer import Rescuer
from backburner.worker.supervisor import Supervisor
from tests.mutants.mutant import Mutant, put

DIALECTS: tuple[type[Dialect], ...] = (SQLite, PostgreSQL, MySQL)
OLD_SECONDS = 3.0


def _attempts(dialect: Dialect, connection: Any, ids: Sequence[str]) -> dict[str, tuple[int, str]]:
    """(attempt, state) of these jobs as the database has them."""
    found = {}
    mark = "?" if dialect.name == "sqlite" else "%s"
    for job in ids:
        query = f"SELECT attempt, state FROM {dialect.schema.qualified('jobs')} WHERE id = {mark}"
        for row in dialect.rows(connection, query, (dialect.stored_id(job),)):
            found[job] = (row[0], row[1])
    return found


def _acknowledged_by_id() -> None:
    for kind in DIALECTS:
        settle = kind.settle

        def by_id(self: Any, connection: Any, settlements: Any, *more: Any, settle: Any = settle) -> Any:
            now = _attempts(self, connection, [one.id for one in settlements])
            return settle(self, connection, [s._replace(attempt=now.get(s.id, (0, ""))[0]) for s in settlements], *more)

        put(kind, "settle", by_id)


def _own_commit_forgotten() -> None:
    for kind in DIALECTS:
        settle = kind.settle

        def forgetful(self: Any, connection: Any, settlements: Any, *more: Any, settle: Any = settle) -> Any:
            before = _attempts(self, connection, [one.id for one in settlements])
            running = {job for job, (_, state) in before.items() if state == JobState.RUNNING}
            return settle(self, connection, settlements, *more) & running

        put(kind, "settle", forgetful)


def _rescue_by_age() -> None:
    suspects, rescue = Workers.suspects, Workers.rescue

    def with_old_jobs(self: Workers) -> Any:
        t = self._store.schema.jobs.c
        query = select(t.worker, t.started_at).where(t.worker.is_not(None))
        now, owners = self._store.clock.now(), set()
        for worker, started in self._store.read(lambda c: c.execute(query).all()):
            if (now - started).total_seconds() > OLD_SECONDS:
                owners.add(worker)
        found = suspects(self)
        return found + [one for one in self.live() if one.id in owners and one not in found]

    put(Workers, "suspects", with_old_jobs)
    put(Workers, "rescue", lambda self, *more, certain: rescue(self, *more, certain=True))
    once = Rescuer.once

    def sure(self: Rescuer) -> Any:
        self._page.good_since = 0.0
        return once(self)

    put(Rescuer, "once", sure)


def _no_self_fencing() -> None:
    put(WorkerProcess, "guarded_past_lease", property(lambda self: False))
    put(Supervisor, "_guarded_past_lease", lambda self, one: False)


def _unlocked_group() -> None:
    def unlocked(self: Any, connection: Any, names: Any, *, wait: bool) -> Any:
        t = self._store.schema.groups.c
        return list(connection.execute(select(t.name).where(t.name.in_(names)).order_by(t.name)).scalars())

    put(GroupRows, "lock", unlocked)


def _claims_without_locks() -> None:
    """Candidates are read and not locked."""
    text = postgresql_statements.claim
    put(postgresql_statements, "claim", lambda schema: text(schema).replace("FOR UPDATE SKIP LOCKED", ""))
    look = mysql_statements.look

    def unlocked(schema: Any) -> Any:
        query, above = look(schema)
        return query.replace("FOR UPDATE SKIP LOCKED", ""), above

    put(mysql_statements, "look", unlocked)


def _death_unseen() -> None:
    """A claim does not look whether its worker was marked dead."""

    def alive(store: Any, connection: Any, worker: str) -> bool:
        return True

    for module in (taking, groups, limits, single):
        put(module, "alive", alive)
    for kind in (PostgreSQL, SQLite):
        make = kind.__init__

        def without(self: Any, schema: Any, make: Any = make) -> None:
            make(self, schema)
            self._claim = self._claim.replace("AND dead_at IS NULL", "")

        put(kind, "__init__", without)
    text = mysql_statements.alive
    put(mysql_statements, "alive", lambda schema: text(schema).replace("AND dead_at IS NULL", ""))


def _no_order_of_locks() -> None:
    put(postgresql, "_by_id", lambda settlement: random.random())
    put(mysql, "_by_position", lambda settlement: random.random())


def _dead_revive() -> None:
    beat = Workers.beat

    def revives(self: Workers, ids: Any, lease: float) -> Any:
        t = self._t
        self._store.run(lambda c: c.execute(t.update().where(t.c.id.in_(ids)).values(dead_at=None)))
        return beat(self, ids, lease)

    put(Workers, "beat", revives)


def _lease_not_asked() -> None:
    put(WorkerProcess, "may_start", lambda self: not self.finisher.full)


def _all_are_blamed() -> None:
    def hard(orphan: Orphan, death: Death, *more: Any) -> Settlement:
        mine = None if death.begun is None else death.begun & {orphan.id}
        return judge(orphan, replace(death, begun=mine), *more)

    for module in (burials, rescuer):
        put(module, "judge", hard)


def _unfenced_progress() -> None:
    write_on = ProgressRows.write_on

    def unfenced(self: Any, connection: Any, writes: Any) -> Any:
        t = self._s.jobs.c
        ids = [write.job for write in writes]
        now = dict(connection.execute(select(t.id, t.attempt).where(t.id.in_(ids))).all())
        return write_on(self, connection, [replace(write, attempt=now.get(write.job, 0)) for write in writes])

    put(ProgressRows, "write_on", unfenced)


def _fires_unguarded() -> None:
    put(Schedules, "_free", lambda self, connection, name, times: list(times))
    put(Schedules, "_take", lambda self, connection, name, stood: None)


def _green_rescuer() -> None:
    once = Rescuer.once

    def at_once(self: Rescuer) -> Any:
        self._page.good_since = self._jumped_at = float("-inf")
        self._read_clock = lambda: None  # type: ignore[method-assign]
        return once(self)

    put(Rescuer, "once", at_once)


MUTANTS: Mapping[str, Mutant] = {
    "acknowledged by id alone": Mutant(
        "an end matches id and attempt (1)",
        _acknowledged_by_id,
        ["tests/store/test_simulation.py", "tests/store/test_settle.py"],
    ),
    "own commit not recognised": Mutant(
        "an end whose answer was lost, written again, counts as written (1)",
        _own_commit_forgotten,
        ["tests/store/test_settle.py", "tests/store/test_simulation.py"],
    ),
    "progress without a fence": Mutant(
        "progress, output and messages carry the attempt (1)",
        _unfenced_progress,
        ["tests/store/test_progress.py"],
    ),
    "no self-fencing": Mutant(
        "bodies that must not outlive the lease end with it (2)",
        _no_self_fencing,
        ["tests/worker/test_outage.py::test_away_for_longer_than_the_lease"],
    ),
    "lease not asked before a start": Mutant(
        "without proof of lease nothing begins (2, 7)",
        _lease_not_asked,
        ["tests/worker/test_claimer.py::test_nothing_begins_without_proof_of_lease"],
    ),
    "the dead revive": Mutant(
        "a beat revives only what nobody has marked dead (2)",
        _dead_revive,
        ["tests/store/test_workers.py"],
    ),
    "judged from the first moment": Mutant(
        "nobody marks others dead before its own beats were good for a lease (2)",
        _green_rescuer,
        ["tests/worker/test_clock.py"],
    ),
    "rescue by age": Mutant(
        "dead workers are rescued, never old jobs (4)",
        _rescue_by_age,
        [
            "tests/worker/test_child_death.py::test_a_body_that_holds_the_interpreters_lock",
            "tests/worker/test_stopped.py",
        ],
    ),
    "all that had begun is blamed": Mutant(
        "a crash is proven only of a job that was alone (5)",
        _all_are_blamed,
        ["tests/worker/test_child_death.py"],
    ),
    "claims without locks": Mutant(
        "candidates are locked, past those that others hold (6)",
        _claims_without_locks,
        ["tests/store/test_claim.py"],
    ),
    "death not seen by a claim": Mutant(
        "a worker that was marked dead claims nothing (6)",
        _death_unseen,
        ["tests/store/test_claim.py", "tests/store/test_rescue.py"],
    ),
    "no order of locks": Mutant(
        "rows are locked in the order of their keys (9)",
        _no_order_of_locks,
        ["tests/store/test_lock_order.py"],
    ),
    "group not locked": Mutant(
        "whoever moves a group locks it (6, 10)",
        _unlocked_group,
        ["tests/store/test_groups.py", "tests/chaos/test_groups.py"],
    ),
    "fires not taken": Mutant(
        "one row per schedule and fire time (19)",
        _fires_unguarded,
        ["tests/store/test_schedules.py"],
    ),
}
"""By name; the numbers are those of the rules in `docs/internals.md`."""
