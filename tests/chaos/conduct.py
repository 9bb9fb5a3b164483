"""`conduct`: one run from its beginning to its end: load, harms one after the other, a quiet end, and the verdict."""

import shutil
import signal
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import NamedTuple

from backburner.clock import boot_seconds
from backburner.errors import StoreUnavailable
from tests.chaos.arena import Arena, Plan
from tests.chaos.checker import Violation, check
from tests.chaos.findings import story_of
from tests.chaos.harms import harms_of
from tests.chaos.history import Event
from tests.chaos.load import Producer
from tests.chaos.story import Story
from tests.waiting import NeverHappened, wait_until

PRODUCERS = 2
CALM_SECONDS = (0.6, 2.0)
"""Between the end of one harm and the beginning of the next."""
STILL_SECONDS = 90.0
"""After the last harm everything comes to an end. Where no attempt has ended for so long, the rest is stuck."""


class Again(NamedTuple):
    """How long after a harm was over jobs ran again; those that it had cut off, when it had."""

    harm: str
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What a run has shown."""

    plan: Plan
    story: Story
    violations: Sequence[Violation]
    again: Sequence[Again]
    harms: Mapping[str, int]
    refused: int

    def times(self) -> Mapping[str, tuple[int, float, float]]:
        """How often, median and maximum of the seconds until jobs ran again, by harm."""
        found: dict[str, list[float]] = defaultdict(list)
        for one in self.again:
            found[one.harm].append(one.seconds)
        return {name: (len(all_), median(all_), max(all_)) for name, all_ in sorted(found.items())}


def conduct(plan: Plan, say: Callable[[str], None] = print) -> Outcome:
    """Run it. Raises what a producer did not expect."""
    with ExitStack() as stack:
        arena = stack.enter_context(Arena(plan))
        stack.push(lambda kind, *_: say(f"The history and the logs: {_kept(arena)}") if kind else None)
        for place in range(plan.trees):
            arena.start(place)
        arena.ready()
        producers = [
            Producer(arena.app(), arena.recorder, n, plan.seed, plan.rate / PRODUCERS) for n in range(PRODUCERS)
        ]
        for producer in producers:
            producer.start()
        struck = _harm(arena, say)
        for producer in producers:
            producer.stop()
        for producer in producers:
            if producer.problem is not None:
                raise producer.problem
        _calm_down(arena)
        story = story_of(arena.jobs.store, arena.recorder.events(), arena.clock_moved)
        violations = check(story)
        if violations:
            say(f"The history and the logs: {_kept(arena)}")
        refused = sum(producer.refused for producer in producers)
        return Outcome(plan, story, violations, times_of(story), struck, refused)


def _harm(arena: Arena, say: Callable[[str], None]) -> Mapping[str, int]:
    """One harm after the other until the time is over; how often each."""
    harms = harms_of(arena)
    struck = dict.fromkeys(harms, 0)
    until, pause = boot_seconds() + arena.plan.seconds, threading.Event()
    waiting: list[str] = []
    while boot_seconds() < until:
        pause.wait(arena.random.uniform(*CALM_SECONDS))
        if not harms or boot_seconds() >= until:
            continue
        if not waiting:
            # All of them before any comes again.
            waiting = arena.random.sample(list(harms), len(harms))
        name = waiting.pop()
        arena.recorder.note("fault", what=name)
        harms[name].strike(arena)
        arena.recorder.note("healed", what=name)
        struck[name] += 1
        say(f"{arena.plan.seconds - (until - boot_seconds()):6.1f} s  {name}")
    return struck


def _calm_down(arena: Arena) -> None:
    """Wait until everything has ended, and end the workers in good order."""

    def nothing_fires() -> bool:
        try:
            for schedule in arena.jobs.schedules.list():
                arena.jobs.schedules.pause(schedule.name)
        except StoreUnavailable:
            return False
        return True

    def all_final() -> bool:
        try:
            return not arena.jobs.find(done=False, limit=1)
        except StoreUnavailable:
            return False

    def further_than(ends: int) -> bool:
        return all_final() or _ends(arena) > ends

    try:
        wait_until(nothing_fires, "the schedules are paused", 30)
        while not all_final():
            # However slow the machine is: nothing is stuck as long as anything ends.
            wait_until(partial(further_than, _ends(arena)), "another job ends", STILL_SECONDS)
        arena.ready()
        present = {child for tree in arena.trees for child in tree.children()}
        live = arena.jobs.store.workers.live
        wait_until(lambda: {one.pid for one in live()} <= present, "the dead are marked dead", 30)
    except NeverHappened:
        # The checker says what is wrong.
        pass
    for tree in arena.trees:
        tree.tell(signal.SIGTERM)
    for tree in arena.trees:
        tree.ended(60)


def _ends(arena: Arena) -> int:
    """How many ends of attempts are on record."""
    return arena.recorder.path.read_bytes().count(b'"settled"')


def times_of(story: Story) -> list[Again]:
    """When jobs ran again after each harm: those that it cut off, else any."""
    found, open_since = [], 0.0
    for event in story.of("fault", "healed"):
        if event.kind == "fault":
            open_since = event.at
            continue
        begins = [body.began for body in story.bodies if body.began > event.at]
        cut = [body.job for body in story.bodies if _cut(story, body.pid, body.ended, open_since, event)]
        again = [
            next((body.began for body in story.bodies_of[job] if body.began > open_since and body.attempt > 1), None)
            for job in cut
            if (row := story.by_id.get(job)) is not None and row.repeatable
        ]
        came = [at for at in again if at is not None]
        if came:
            found.append(Again(event.what, max(0.0, max(came) - open_since)))
        elif begins:
            found.append(Again(event.what, begins[0] - event.at))
    return found


def _cut(story: Story, pid: int, ended: bool, since: float, healed: Event) -> bool:
    at = story.killed.get(pid)
    return not ended and at is not None and since <= at <= healed.at


def _kept(arena: Arena) -> str:
    """Copy what tells of the run to a place where it stays."""

    place = tempfile.mkdtemp(prefix="backburner-chaos-kept-")
    for file in [arena.recorder.path, *arena.folder.glob("tree-*.log")]:
        if file.exists():
            shutil.copy(file, place)
    return place
