"""What must be true of any run, whatever happened to it. Pure: a story goes in, what is wrong with it comes out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from backburner.states import JobState
from tests.chaos.story import Body, Row, Story

MAX_CRASHES = 3
INNOCENT = {"plain", "grouped", "unique", "delayed", "bulk", "after", "async", "isolated", "checkpointed", "transient"}
"""Kinds of jobs that always come to a good end when nobody kills them."""


class Violation(NamedTuple):
    """Something that must not be: `rule` is a name of `RULES`."""

    rule: str
    text: str


def check(story: Story) -> list[Violation]:
    """All that is wrong, rule by rule."""
    return [Violation(rule, text) for rule, look in RULES.items() for text in look(story)]


def counts(violations: Iterable[Violation]) -> dict[str, int]:
    """How much is wrong by each rule, the zeros included."""
    found = Counter(violation.rule for violation in violations)
    return {rule: found[rule] for rule in RULES}


def _lost(story: Story) -> Iterator[str]:
    """An enqueue that was accepted has a row."""
    for event in story.of("accepted"):
        if event.job not in story.by_id:
            yield f"{event.token}: job {event.job} was accepted and is not there"


def _ghosts(story: Story) -> Iterator[str]:
    """What was rolled back is not there, and nothing is there twice."""
    rolled = {event.token for event in story.of("rolled back")}
    for token, count in Counter(row.token for row in story.rows).items():
        if token in rolled:
            yield f"{token} is there although its transaction was rolled back"
        if count > 1:
            yield f"{token} is there {count} times"


def _stuck(story: Story) -> Iterator[str]:
    """Everything comes to an end."""
    for row in story.rows:
        if not row.state.final:
            yield f"{row.token} ({row.id}) stays {row.state}: {row.reason}"


def _twice(story: Story) -> Iterator[str]:
    """One attempt of a job has come to a final end, and no other one begins after it."""
    finals: dict[str, dict[int, float]] = defaultdict(dict)
    for event in story.of("settled"):
        if JobState(event.what).final:
            finals[event.job].setdefault(event.attempt, event.at)
    for job, ends in finals.items():
        if len(ends) > 1:
            yield f"{_named(story, job)} came to an end in the attempts {sorted(ends)}"
            continue
        [(last, at)] = ends.items()
        for body in story.bodies_of[job]:
            if body.attempt > last and body.began > at:
                yield f"{_named(story, job)} began again (attempt {body.attempt}) after its end in attempt {last}"


def _begun_twice(story: Story) -> Iterator[str]:
    """What must not run twice begins once."""
    for row in story.rows:
        if not row.repeatable and len(story.bodies_of[row.id]) > 1:
            yield f"{row.token} ({row.id}) must not run twice and began {len(story.bodies_of[row.id])} times"


def _stale(story: Story) -> Iterator[str]:
    """Whoever lost a job changes nothing of it: the end on record is that of the last attempt, and so is the result."""
    began: dict[tuple[str, int], float] = {}
    for body in story.bodies:
        began.setdefault((body.job, body.attempt), body.began)
    latest = {job: max(body.attempt for body in bodies) for job, bodies in story.bodies_of.items() if bodies}
    for event in story.of("settled"):
        later = [began.get((event.job, n)) for n in range(event.attempt + 1, latest.get(event.job, 0) + 1)]
        if any(at is not None and at < event.since for at in later):
            yield f"{_named(story, event.job)}: an end of attempt {event.attempt} was accepted when a later one ran"
    for row in story.rows:
        if row.state is JobState.SUCCEEDED and row.settled_attempt != row.attempt:
            yield f"{row.token} ({row.id}) is in attempt {row.attempt}, and its end is of {row.settled_attempt}"
        if row.state is JobState.SUCCEEDED and row.result != str(row.attempt):
            yield f"{row.token} ({row.id}): the result {row.result} is not that of attempt {row.attempt}"


def _overlaps(story: Story) -> Iterator[str]:
    """One body of a group at a time."""
    for name, bodies in _by_group(story).items():
        before: Body | None = None
        for body in bodies:
            if before is not None and body.began < before.seen:
                seconds = before.seen - body.began
                yield f"group {name}: {_said(story, before)} and {_said(story, body)} ran together for {seconds:.3f} s"
            before = body if before is None or body.seen > before.seen else before


def _order(story: Story) -> Iterator[str]:
    """Jobs of a group begin in the order in which they were stored.

    Of those whose first attempt was seen to begin: one that was killed before it could say so may have had to wait.
    """
    firsts = {body.job: body.began for body in story.bodies if body.attempt == 1}
    by_group: dict[str, list[Row]] = defaultdict(list)
    for row in story.rows:
        if row.group is not None and row.id in firsts:
            by_group[row.group].append(row)
    for name, rows in by_group.items():
        for one, other in pairwise(sorted(rows, key=lambda row: row.position)):
            if firsts[one.id] > firsts[other.id]:
                yield f"group {name}: {other.token} began before {one.token}"


def _keys(story: Story) -> Iterator[str]:
    """One live job per key: the bodies that count never run side by side."""
    by_key: dict[str, list[Body]] = defaultdict(list)
    for row in story.rows:
        if row.key is not None:
            by_key[row.key] += [body for body in story.bodies_of[row.id] if body.attempt == row.settled_attempt]
    for key, bodies in by_key.items():
        for one, other in pairwise(sorted(bodies, key=lambda body: body.began)):
            if other.began < one.seen and one.job != other.job:
                yield f"key {key}: {_said(story, one)} and {_said(story, other)} were live together"


def _early(story: Story) -> Iterator[str]:
    """What comes after another job begins after that one's end."""
    ends = {
        event.job: event.since for event in reversed(list(story.of("settled"))) if JobState(event.what).final
    }  # fmt: skip
    for row in story.rows:
        bodies = story.bodies_of[row.id]
        if row.after in ends and bodies and bodies[0].began < ends[row.after]:
            yield f"{row.token} ({row.id}) began before the end of {_named(story, row.after)}"


def _budget(story: Story) -> Iterator[str]:
    """As many tries as were given, no more and no less; crashes and losses within their limits."""
    for row in story.rows:
        if row.max_attempts is not None and row.tries > row.max_attempts:
            yield f"{row.token} ({row.id}) failed {row.tries} times of {row.max_attempts}"
        spent = row.crashes >= MAX_CRASHES or row.losses >= 10
        if row.kind == "failing" and row.state is JobState.FAILED and not spent and row.tries != row.max_attempts:
            yield f"{row.token} ({row.id}) was given up after {row.tries} of {row.max_attempts} tries"
        if row.kind == "failing" and row.state is JobState.SUCCEEDED:
            yield f"{row.token} ({row.id}) always fails, and is succeeded"
        if row.crashes > MAX_CRASHES:
            yield f"{row.token} ({row.id}) crashed {row.crashes} times"


def _innocent(story: Story) -> Iterator[str]:
    """Nobody fails for what others did, but for a job that was killed itself again and again."""
    for row in story.rows:
        if row.kind in INNOCENT and row.state is JobState.FAILED and story.cuts(row.id) < MAX_CRASHES:
            yield f"{row.token} ({row.id}) is failed: {row.reason}"
        if row.kind == "poison" and row.state.final and row.state is not JobState.FAILED:
            yield f"{row.token} ({row.id}) kills its process, and is {row.state}"


def _fires(story: Story) -> Iterator[str]:
    """Each fire time of a schedule has one job, and none is missing."""
    for fired in story.fires:
        if fired.job is None or fired.job not in story.by_id:
            yield f"schedule {fired.schedule}: {fired.at} has no job"
    for (name, at), count in Counter((fired.schedule, fired.at) for fired in story.fires).items():
        if count > 1:
            yield f"schedule {name} fired {count} times for {at}"
    known = {(fired.schedule, fired.job) for fired in story.fires}
    for name, job in story.scheduled:
        if (name, job) not in known:
            yield f"schedule {name} made job {job} for no time of its own"
    if story.clock_moved:
        return
    by_name = defaultdict(list)
    for fired in story.fires:
        by_name[fired.schedule].append(fired)
    for name, found in by_name.items():
        for one, other in pairwise(sorted(found, key=lambda fired: fired.at)):
            missing = round((other.at - one.at).total_seconds() / one.every) - 1
            if missing > 0:
                yield f"schedule {name} did not fire {missing} times between {one.at} and {other.at}"


def _leaked(story: Story) -> Iterator[str]:
    """Nothing is held by anybody who has no use for it."""
    for row in story.rows:
        if row.state.final and row.slot is not None and not row.keeps_slot:
            yield f"{row.token} ({row.id}) is {row.state} and holds group {row.slot}"
        if row.state is not JobState.RUNNING and row.worker is not None:
            yield f"{row.token} ({row.id}) is {row.state} and belongs to worker {row.worker}"
    for worker in story.alive:
        yield f"worker {worker} has ended and was never marked dead"


def _effects(story: Story) -> Iterator[str]:
    """What a body wrote together with its checkpoints and its end is there once, all of it."""
    written: dict[str, Counter[int]] = defaultdict(Counter)
    for job, number in story.effects:
        written[job][number] += 1
    for job, numbers in written.items():
        twice = [number for number, count in numbers.items() if count > 1]
        if twice:
            yield f"{_named(story, job)} wrote {sorted(twice)} twice"
    for row in story.rows:
        if row.kind == "checkpointed" and row.state is JobState.SUCCEEDED and row.id not in written:
            yield f"{row.token} ({row.id}) succeeded, and nothing of what it wrote is there"
        elif row.kind == "checkpointed" and row.state is JobState.SUCCEEDED:
            missing = set(range(max(written[row.id]) + 1)) - set(written[row.id])
            if missing or -1 not in written[row.id]:
                yield f"{row.token} ({row.id}) succeeded, and misses {sorted(missing) or 'its last write'}"


RULES: Mapping[str, Callable[[Story], Iterator[str]]] = {
    "lost": _lost,
    "there after a rollback": _ghosts,
    "stuck": _stuck,
    "done twice": _twice,
    "unrepeatable begun twice": _begun_twice,
    "stale accepted": _stale,
    "group overlap": _overlaps,
    "order broken": _order,
    "two of one key": _keys,
    "begun too early": _early,
    "budget exceeded": _budget,
    "innocent dead": _innocent,
    "fires missing or doubled": _fires,
    "leaked": _leaked,
    "effects not once": _effects,
}
"""The rules by their names, in the order of the table."""


def _by_group(story: Story) -> Mapping[str, list[Body]]:
    found: dict[str, list[Body]] = defaultdict(list)
    for body in story.bodies:
        row = story.by_id.get(body.job)
        if row is not None and row.group is not None:
            found[row.group].append(body)
    return found


def _named(story: Story, job: str) -> str:
    row = story.by_id.get(job)
    return f"{row.token if row else 'a job that is gone'} ({job})"


def _said(story: Story, body: Body) -> str:
    return f"{_named(story, body.job)} attempt {body.attempt} in process {body.pid}"
