"""Secret arguments for type checkers: each comment names an error that has to be there.

The annotation is what a caller has to pass, so it is a `Secret`; that plain values are taken at run time is for what
comes from outside, where no checker looks.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=error

from typing import assert_type

from backburner import Backburner, Job, Secret

jobs = Backburner("sqlite:///never-opened.db")


@jobs.task
def sync(shop: int, token: Secret[str], pin: Secret[int] | None = None) -> int:
    """Takes two secrets."""
    assert_type(token.reveal(), str)
    token.reveal().upper()
    token.upper()  # type: ignore[attr-defined]
    pin.reveal()  # type: ignore[union-attr]
    return len(token)  # type: ignore[arg-type]


assert_type(sync.enqueue(7, Secret("x")), Job)
assert_type(sync.enqueue(7, token=Secret("x"), pin=Secret(1234)), Job)
assert_type(sync(7, Secret("x")), int)
assert_type(sync.options(priority=1).enqueue(7, Secret("x"), None), Job)

sync.enqueue(7, "x")  # type: ignore[arg-type]
sync.enqueue(7, Secret(b"x"))  # type: ignore[arg-type]
sync(7, "x")  # type: ignore[arg-type]


def widened(part: Secret[str]) -> Secret[object]:
    """Who takes anything secret takes a secret text."""
    return part


def narrowed(whole: Secret[object]) -> Secret[str]:
    """And not the other way round: what it holds may be anything."""
    return whole  # type: ignore[return-value]
