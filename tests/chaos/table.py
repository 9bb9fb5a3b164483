"""What a run has shown, as a table for people."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.checker import counts
from tests.chaos.conduct import Outcome

MOST_SHOWN = 20


def table(outcome: Outcome) -> Iterator[str]:
    """The lines of the report."""
    plan, story = outcome.plan, outcome.story
    place = plan.database + (f" with {plan.broker}" if plan.broker else "")
    yield f"{place}, seed {plan.seed}, {plan.seconds:g} s of harm"
    yield ""
    states = Counter(str(row.state) for row in story.rows)
    yield f"  jobs {len(story.rows)}: " + ", ".join(f"{name} {count}" for name, count in states.most_common())
    cut = sum(1 for body in story.bodies if not body.ended)
    yield f"  bodies begun {len(story.bodies)}, cut off {cut}; enqueues refused {outcome.refused}"
    yield ""
    yield f"  {'rule':26} broken"
    for rule, count in counts(outcome.violations).items():
        yield f"  {rule:26} {count:6}"
    yield ""
    yield f"  {'harm':22} times   until jobs ran again: median     maximum"
    times = outcome.times()
    for name, struck in sorted(outcome.harms.items()):
        if name in times:
            _, middle, most = times[name]
            yield f"  {name:22} {struck:5} {middle:29.2f} s {most:9.2f} s"
        else:
            yield f"  {name:22} {struck:5}"
    for violation in outcome.violations[:MOST_SHOWN]:
        yield f"  ! {violation.rule}: {violation.text}"
    if len(outcome.violations) > MOST_SHOWN:
        yield f"  ! and {len(outcome.violations) - MOST_SHOWN} more"
