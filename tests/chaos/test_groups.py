"""Serial groups while workers are killed with -9 at random and an enqueuer keeps its transaction open."""

import os
import random
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

import psutil
from sqlalchemy import create_engine

from backburner.clock import boot_seconds
from backburner.states import JobState
from tests.worker.history import Entry
from tests.worker.world import World

SEED = int(os.environ.get("CHAOS_SEED", "7"))
KILLS = int(os.environ.get("CHAOS_KILLS", "4"))
GROUPS, MEMBERS, PLAIN = 16, 10, 60
OPTIONS = {"processes": 4, "concurrency": 3, "poll": 0.1, "lease": 6.0, "beat": 1.0}
"""With a lease that holds on a busy machine too: the death of a child is known without it."""


class Killer:
    """Kills worker processes, and whole trees, and remembers when each process died."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world, self._chance = world, chance
        self.deaths: dict[int, float] = {}

    def strike(self) -> None:
        tree = self._chance.choice(self._world.trees)
        if self._chance.random() < 0.25:
            self._kill(tree.pid, lambda: tree.tell_all(signal.SIGKILL))
            tree.ended()
            self._world.trees.remove(tree)
            tree.end()
            self._world.start(**OPTIONS)
            return
        children = tree.children()
        if children:
            child = self._chance.choice(children)
            self._kill(child, lambda: os.kill(child, signal.SIGKILL))

    def _kill(self, pid: int, kill: Callable[[], None]) -> None:
        try:
            family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        except psutil.NoSuchProcess:
            return
        kill()
        for one in family:
            self.deaths.setdefault(one, boot_seconds())


@contextmanager
def open_transaction(world: World, group: str) -> Iterator[list[str]]:
    """Jobs of a group that are enqueued at the beginning and committed at the end."""
    task = world.jobs.registry.get("work")
    assert task is not None
    engine = create_engine(world.jobs.store.engine.url)
    with engine.connect() as connection, connection.begin(), world.jobs.transaction(connection):
        yield [task.options(group=group).enqueue(n).id for n in range(10)]
    engine.dispose()


def alive(pid: int) -> bool:
    """Whether a process of this number runs, and is not only waiting for its parent to look."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def overlaps(entries: list[Entry], groups: Mapping[str, str], deaths: Mapping[int, float]) -> list[str]:
    """Pairs of bodies of one group that were under way at the same time."""
    spans: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    begun: dict[tuple[str, int], Entry] = {}
    for entry in sorted(entries, key=lambda entry: entry.at):
        if entry.job not in groups:
            continue
        if entry.kind == "begin":
            begun[entry.job, entry.attempt] = entry
        else:
            first = begun.pop((entry.job, entry.attempt))
            spans[groups[entry.job]].append((first.at, entry.at, entry.job))
    for entry in begun.values():
        # On a machine that is busy enough a supervisor ends a worker whose lease is over: when, nobody has noted.
        gone = not alive(entry.pid)
        assert entry.pid in deaths or gone, f"the body of {entry.job} neither ended nor died (process {entry.pid})"
        spans[groups[entry.job]].append((entry.at, deaths.get(entry.pid, entry.at), entry.job))
    found = []
    for name, listed in spans.items():
        listed.sort()
        for (_, end, one), (start, _, other) in pairwise(listed):
            if start < end:
                found.append(f"{one} and {other} of {name}")
    return found


def test_no_overlap_nothing_stuck_and_the_order_kept(world: World) -> None:
    chance = random.Random(SEED)
    for _ in range(2):
        world.start(**OPTIONS)
    task = world.jobs.registry.get("work")
    assert task is not None
    groups: dict[str, str] = {}
    for number in range(GROUPS):
        name = f"g{number}"
        if number % 2:
            ids = world.jobs.enqueue_many(task.options(group=name), [(n, 0.01) for n in range(MEMBERS)])
        else:
            ids = [task.options(group=name).enqueue(n, 0.01).id for n in range(MEMBERS)]
        groups |= dict.fromkeys(ids, name)
    world.jobs.enqueue_many(task, [(n, 0.01) for n in range(PLAIN)])
    killer, pause = Killer(world, chance), threading.Event()
    if world.on_sqlite:
        # There an open transaction that has written keeps all others from writing.
        with open_transaction(world, "held") as held:
            pause.wait(0.3)
        for _ in range(KILLS):
            pause.wait(chance.uniform(0.2, 0.7))
            killer.strike()
    else:
        with open_transaction(world, "held") as held:
            for _ in range(KILLS):
                pause.wait(chance.uniform(0.2, 0.7))
                killer.strike()
    groups |= dict.fromkeys(held, "held")
    states = world.all_done(90.0)
    entries = world.history.entries()
    assert overlaps(entries, groups, killer.deaths) == []
    assert sum(states.values()) == len(groups) + PLAIN
    # A job that was killed again and again may be given up; that is for its own sake.
    assert set(states) <= {JobState.SUCCEEDED, JobState.FAILED}
    first: dict[str, list[str]] = defaultdict(list)
    seen: Counter[str] = Counter()
    for entry in sorted(entries, key=lambda entry: entry.at):
        if entry.kind == "begin" and entry.job in groups and not seen[entry.job]:
            seen[entry.job] += 1
            first[groups[entry.job]].append(entry.job)
    for name, order in first.items():
        assert order == [job for job, group in groups.items() if group == name], f"group {name} ran out of order"
    print(f"{len(killer.deaths)} processes killed, {dict(states)}")
