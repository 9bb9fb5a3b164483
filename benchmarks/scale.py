"""How far one PostgreSQL carries, by simulation: 1 to 1,000 worker processes and the claim protocol, in virtual time.

    python -m benchmarks.scale [--measure] [--cores N] [--seconds N]

`--measure` takes the costs of the protocol's statements on a private server (time of the server process's core, per
statement and per job) and prints them; without it `COSTS`, of one such run, are used. The rest is computed: a server
with so many cores, worker processes that claim ahead, run and finish as `backburner.worker` does, jobs that arrive at
random, rings that wake every process with room (NOTIFY) or one process for each job (a broker). Prints the tables of
`docs/scaling.md`.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from backburner.states import JobState
from backburner.store.store import Store
from backburner.worker.claimer import AHEAD_MOST, AHEAD_SECONDS
from backburner.worker.finisher import BATCH, GATHER_SECONDS
from benchmarks.drain import new_url
from benchmarks.suite.results import percentile
from tests.store.scene import HandClock, Scene, end


class Costs(NamedTuple):
    """Seconds of one of the server's cores, per statement and per job in it; `commit` is spent on the disk, on none."""

    empty: float
    claim: float
    claimed: float
    finish: float
    finished: float
    commit: float


COSTS = Costs(empty=195e-6, claim=240e-6, claimed=10e-6, finish=202e-6, finished=12e-6, commit=300e-6)
"""`--measure` of 2026-11-30: PostgreSQL 15 on a shared machine with two cores, the middle of two runs."""
PYTHON = 30e-6
"""Seconds of a worker process per job beside its body: `python -m benchmarks.life`, PostgreSQL, of the same day."""
SLOTS = 10
POLL, RING_PAUSE, RING_TAKES = 1.0, 0.005, 0.0003
"""As in `backburner.notify`, and by its options a worker."""


class World:
    """The clock, what happens next, and the server: so many cores, first come, first served."""

    def __init__(self, cores: int, costs: Costs) -> None:
        self.now, self.busy, self.costs = 0.0, 0.0, costs
        self.random = random.Random(1)
        self.queue, self.endless = deque[float](), False
        self._idle, self._waiting = cores, deque[Callable[[], tuple[float, float, Callable[[], None]]]]()
        self._next: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, moment: float, do: Callable[[], None]) -> None:
        """Have something happen then."""
        self._number += 1
        heapq.heappush(self._next, (moment, self._number, do))

    def ask(self, statement: Callable[[], tuple[float, float, Callable[[], None]]]) -> None:
        """Have a statement worked off: when it begins it says how long it works and commits, and what follows."""
        if self._idle:
            self._idle -= 1
            self._begin(statement)
        else:
            self._waiting.append(statement)

    def _begin(self, statement: Callable[[], tuple[float, float, Callable[[], None]]]) -> None:
        work, commit, then = statement()
        self.busy += work
        self.at(self.now + work, self._worked)
        self.at(self.now + work + commit, then)

    def _worked(self) -> None:
        if self._waiting:
            self._begin(self._waiting.popleft())
        else:
            self._idle += 1

    def take(self, count: int) -> list[float]:
        """When each of at most so many jobs came."""
        if self.endless:
            return [self.now] * count
        return [self.queue.popleft() for _ in range(min(count, len(self.queue)))]

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._next and self._next[0][0] <= until:
            self.now, _, do = heapq.heappop(self._next)
            do()
        self.now = until


class Process:
    """One worker process: claims when it has room, runs `SLOTS` bodies at a time, finishes in batches."""

    def __init__(self, world: World, body: float, waits: list[float]) -> None:
        self._world, self._body, self._waits = world, body, waits
        self._free, self._held, self._ended = SLOTS, deque[float](), 0
        self._claiming = self._finishing = self._rung = False
        self._gil_free_at = 0.0
        self.done = self.claims = self.empty = 0
        world.at(world.random.uniform(0, POLL), self._poll)

    @property
    def room(self) -> int:
        """How many more jobs it would take now: what can start, and some ahead when they are short."""
        ahead = int(AHEAD_SECONDS * SLOTS / (self._body + PYTHON)) if self._body < AHEAD_SECONDS else 0
        ahead = min(AHEAD_MOST, ahead)
        return self._free + (ahead - len(self._held) if len(self._held) <= ahead // 2 else 0)

    def look(self) -> None:
        """Claim, if there is room; a ring meanwhile makes it look once more."""
        if self._claiming:
            self._rung = True
        elif self.room > 0:
            self._claiming, self._rung = True, False
            self._world.ask(self._claim)

    def _claim(self) -> tuple[float, float, Callable[[], None]]:
        world = self._world
        taken = world.take(self.room)
        self.claims += 1
        self.empty += not taken
        costs = world.costs
        work = costs.claim + costs.claimed * len(taken) if taken else costs.empty

        def claimed() -> None:
            self._claiming = False
            self._held.extend(taken)
            self._start()
            if taken or self._rung:
                self.look()

        return work, costs.commit if taken else 0.0, claimed

    def _start(self) -> None:
        world = self._world
        while self._held and self._free:
            self._free -= 1
            self._gil_free_at = max(world.now, self._gil_free_at) + PYTHON
            self._waits.append(self._gil_free_at - self._held.popleft())
            world.at(self._gil_free_at + self._body * world.random.uniform(0.5, 1.5), self._end)

    def _end(self) -> None:
        was_full = not self._free
        self._free += 1
        self._ended += 1
        self._start()
        if not self._finishing:
            self._finishing = True
            busy = SLOTS - self._free > 0 and self._body < 2 * GATHER_SECONDS
            self._world.at(self._world.now + (GATHER_SECONDS if busy else 0.0), lambda: self._world.ask(self._finish))
        # With room before, a ring or the poll would have brought what there is.
        if was_full or self._body < AHEAD_SECONDS:
            self.look()

    def _finish(self) -> tuple[float, float, Callable[[], None]]:
        count, self._ended = min(self._ended, BATCH), max(0, self._ended - BATCH)
        costs = self._world.costs

        def finished() -> None:
            self.done += count
            if self._ended:
                self._world.ask(self._finish)
            else:
                self._finishing = False

        return costs.finish + costs.finished * count, costs.commit, finished

    def _poll(self) -> None:
        self.look()
        self._world.at(self._world.now + POLL * self._world.random.uniform(0.75, 1.25), self._poll)


class Found(NamedTuple):
    """Jobs per second, the share of the server's cores, seconds from the arrival to the start, empty claims per job."""

    rate: float
    load: float
    p50: float
    p99: float
    empty: float


def simulated(
    processes: int, body: float, arrivals: float | None, cores: int, costs: Costs, seconds: float, *, bell: bool
) -> Found:
    """So many worker processes and bodies of about so many seconds; without `arrivals` the queue is never empty."""
    world, waits = World(cores, costs), list[float]()
    fleet = [Process(world, body, waits) for _ in range(processes)]
    if arrivals is None:
        world.endless = True
    else:
        _arrive(world, fleet, arrivals, bell=bell)
    warm, seconds = 1.0 + 2 * body, max(seconds, 4 * body)
    world.run(warm)
    done, busy, claims = sum(p.done for p in fleet), world.busy, sum(p.empty for p in fleet)
    waits.clear()
    world.run(warm + seconds)
    done = sum(p.done for p in fleet) - done
    empty = (sum(p.empty for p in fleet) - claims) / max(1, done)
    load = min(1.0, (world.busy - busy) / cores / seconds)
    return Found(done / seconds, load, percentile(waits or [0.0], 0.5), percentile(waits or [0.0], 0.99), empty)


def _arrive(world: World, fleet: list[Process], rate: float, *, bell: bool) -> None:
    """Jobs at random times, each rung for: with a broker one process per job, else every process, 5 ms apart."""
    rung_at = [-1.0]

    def all_hear() -> None:
        for process in fleet:
            process.look()

    def one_hears() -> None:
        able = [process for process in world.random.sample(fleet, min(8, len(fleet))) if process.room > 0]
        (able or [world.random.choice(fleet)])[0].look()

    def come() -> None:
        world.queue.append(world.now)
        if bell:
            world.at(world.now + RING_TAKES, one_hears)
        elif world.now >= rung_at[0]:
            rung_at[0] = max(world.now, rung_at[0]) + RING_PAUSE
            world.at(world.now + RING_TAKES, all_hear)
        elif rung_at[0] - world.now <= RING_PAUSE:
            # Those of the pause go out together at its end.
            world.at(rung_at[0] + RING_TAKES, all_hear)
            rung_at[0] += RING_PAUSE
        world.at(world.now + world.random.expovariate(rate), come)

    world.at(0.0, come)


def measured() -> Costs:
    """The costs on a private PostgreSQL: time of the processes that serve the connections, from the kernel's books."""
    with ExitStack() as stack:
        store = Store(new_url("postgresql", stack)(), auto_migrate=True)
        stack.enter_context(closing(store))
        store.ready()
        scene = Scene(store, HandClock(store.clock.now()))
        worker, lane = scene.worker(1_000_000), scene.lane
        pid = lane.run(lambda c: int(c.execute("SELECT pg_backend_pid()").fetchone()[0]))

        def cost(rounds: int, size: int) -> tuple[float, float, float]:
            """Of a claim of `size` jobs and of their end, and how long such an end takes by the clock."""
            scene.insert(rounds * size)
            began = _core_seconds(pid)
            claimed = [store.claims.claim(lane, scene.order(worker, size)) for _ in range(rounds)]
            between, clock = _core_seconds(pid), time.perf_counter()
            for jobs in claimed:
                store.claims.settle(lane, [end(job, JobState.SUCCEEDED) for job in jobs], worker)
            took = time.perf_counter() - clock
            return (between - began) / rounds, (_core_seconds(pid) - between) / rounds, took / rounds

        cost(50, 100)
        began = _core_seconds(pid)
        for _ in range(3_000):
            store.claims.claim(lane, scene.order(worker, 10))
        empty = (_core_seconds(pid) - began) / 3_000
        (one, end_one, by_clock), (many, end_many, _) = cost(2_000, 1), cost(100, 200)
        claimed, finished = max(0.0, many - one) / 199, max(0.0, end_many - end_one) / 199
        return Costs(empty, one - claimed, claimed, end_one - finished, finished, max(0.0, by_clock - end_one))


def _core_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


FLEETS = (1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000)
BODIES = (0.0, 0.01, 0.1, 1.0, 10.0)


def main() -> None:
    """Print the costs and the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--measure", action="store_true", help="the costs of this machine's PostgreSQL")
    parser.add_argument("--cores", type=int, default=8, help="of the database server (8)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of virtual time for each figure (5)")
    parser.add_argument("--most", type=int, default=FLEETS[-1], help="worker processes at most (1000)")
    options = parser.parse_args()
    costs = measured() if options.measure else COSTS
    words = (f"{name} {seconds * 1e6:.0f}" for name, seconds in costs._asdict().items())
    print(f"Microseconds of a core: {', '.join(words)}.\n")
    fleets = [count for count in FLEETS if count <= options.most]
    print(_capacity(fleets, options.cores, costs, options.seconds), end="\n\n")
    print(_waits(fleets, options.cores, costs, options.seconds))


def _capacity(fleets: list[int], cores: int, costs: Costs, seconds: float) -> str:
    lines = [
        f"Jobs per second from a backlog, and the load of {cores} cores:", "",
        f"| processes of {SLOTS} slots | {' | '.join(f'bodies of {body:g} s' for body in BODIES)} |",
        f"|---|{'---|' * len(BODIES)}",
    ]  # fmt: skip
    for count in fleets:
        found = [simulated(count, body, None, cores, costs, seconds, bell=True) for body in BODIES]
        lines.append(f"| {count:,} | {' | '.join(f'{one.rate:,.0f} ({one.load:.0%})' for one in found)} |")
    return "\n".join(lines)


def _waits(fleets: list[int], cores: int, costs: Costs, seconds: float) -> str:
    lines = [
        f"Bodies of 1 s, at half of what the slots can run, {cores} cores: milliseconds from the arrival to the start,",
        "median and 99 of 100; claims that found nothing, per job; the load of the server:", "",
        "| processes | jobs/s | NOTIFY | empty | load | broker | empty | load |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for count in fleets:
        rate = count * SLOTS / 2
        cells = []
        for bell in (False, True):
            one = simulated(count, 1.0, rate, cores, costs, seconds, bell=bell)
            cells.append(f"{one.p50 * 1e3:.1f}, {one.p99 * 1e3:.1f} | {one.empty:.1f} | {one.load:.0%}")
        lines.append(f"| {count:,} | {rate:,.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
