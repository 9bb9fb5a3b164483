"""`KeyRows`: what the database says of keys and of the jobs that have them, over any connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from backburner.states import FINAL, WAITING, JobState
from backburner.store.channel import Channel, CoreChannel
from backburner.store.conflicts import KeyRow, Known

if TYPE_CHECKING:
    from backburner.store.store import Store

PAGE = 500
"""Keys or jobs of one statement."""


class KeyRows:
    """Looks at keys; those that lock say so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t, self._k = store.schema.jobs, store.schema.keys

    def rows(
        self,
        channel: Channel,
        names: Sequence[str],
        *,
        lock: bool = False,
        skip_locked: bool = False,
        ours: bool = False,
    ) -> dict[str, KeyRow]:
        """The keys of these names that are there; `ours`: over a connection of ours, which shows the present."""
        found: dict[str, KeyRow] = {}
        k = self._k.c
        over = (k.until <= self._store.clock.now()).label("over")
        for start in range(0, len(names), PAGE):
            query = select(k.name, k.job, k.scope, over, k.digest).where(k.name.in_(names[start : start + PAGE]))
            if lock:
                query = query.order_by(k.name).with_for_update(skip_locked=skip_locked)
            elif self._store.dialect.snapshots and not ours:
                # Only a lock shows the present; an INSERT that met the key holds as much already.
                query = query.order_by(k.name).with_for_update(read=True)
            for row in channel.rows(query):
                found[row["name"]] = KeyRow(str(row["job"]), row["scope"], bool(row["over"]), row["digest"])
        return found

    def known(self, channel: Channel, ids: Sequence[str]) -> dict[str, Known]:
        """What is known of those of these jobs that are stored."""
        found = self._known(channel, ids, lock=False)
        if self._store.dialect.snapshots and ids:
            # Ours shows the present without a lock, theirs what they wrote themselves; what has ended stays so.
            ours = self._store.read(lambda connection: self._known(CoreChannel(connection), ids, lock=False))
            found |= {job: one for job, one in ours.items() if job not in found or found[job].state not in FINAL}
        return found

    def known_locked(self, channel: Channel, ids: Sequence[str]) -> dict[str, Known]:
        """The same of jobs that `lock` has locked: as they are now."""
        return self._known(channel, ids, lock=self._store.dialect.snapshots)

    def _known(self, channel: Channel, ids: Sequence[str], *, lock: bool) -> dict[str, Known]:
        found: dict[str, Known] = {}
        t = self._t.c
        for start in range(0, len(ids), PAGE):
            part = ids[start : start + PAGE]
            query = select(t.id, t.state, t.queue, t.group_name, t.blocked_on).where(t.id.in_(part))
            if lock:
                query = query.order_by(t.id).with_for_update()
            for row in channel.rows(query):
                known = Known(JobState(row["state"]), row["queue"], row["group_name"], row["blocked_on"])
                found[str(row["id"])] = known
        return found

    def states(self, channel: Channel, ids: Sequence[str]) -> dict[str, JobState]:
        return {job_id: job.state for job_id, job in self.known(channel, ids).items()}

    def lock(self, channel: Channel, ids: Sequence[str], *, skip_locked: bool) -> set[str]:
        """Lock those of these jobs that still wait: nobody takes them meanwhile."""
        locked: set[str] = set()
        t = self._t.c
        for start in range(0, len(ids), PAGE):
            waiting = select(t.id).where(t.id.in_(ids[start : start + PAGE]), t.state.in_(sorted(WAITING)))
            locked |= {
                str(row["id"]) for row in channel.rows(waiting.order_by(t.id).with_for_update(skip_locked=skip_locked))
            }
        return locked

    def with_parents(self, channel: Channel, jobs: Mapping[str, Known]) -> dict[str, Known]:
        """What of these jobs waits for running ones with the same key, with that noted."""
        d, child, parent = self._store.schema.dependencies.c, self._t.alias("child"), self._t.alias("parent")
        found = dict(jobs)
        query = (
            select(d.child, d.parent)
            .join_from(self._store.schema.dependencies, child, child.c.id == d.child)
            .join(parent, parent.c.id == d.parent)
            .where(
                d.child.in_(sorted(jobs)), d.met_at.is_(None), d.milestone == "",
                parent.c.unique_key == child.c.unique_key, parent.c.finished_at.is_(None),
            )
        )  # fmt: skip
        for row in channel.rows(query) if jobs else ():
            known = found[str(row["child"])]
            found[str(row["child"])] = known._replace(behind=(*known.behind, str(row["parent"])))
        return found
