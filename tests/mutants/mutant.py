"""`Mutant`: something that keeps us safe, switched off.

A mutant is put over a function by its name, in the memory of the process and of what it forks; no file is changed.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Mutant(NamedTuple):
    """`switch_off` breaks the rule in this process; `tests` are what pytest is given, one of which must fail."""

    rule: str
    switch_off: Callable[[], None]
    tests: Sequence[str]


def put(owner: Any, name: str, made: Any) -> None:
    """Put `made` in the place of what `owner` calls so."""
    assert hasattr(owner, name), f"{owner} has no {name}: the mutant would change nothing"
    setattr(owner, name, made)


def put_everywhere(function: Any, made: Any) -> None:
    """Put `made` in the place of a function in all modules of ours that have imported it by its name."""
    name, found = function.__name__, 0
    for module in [module for key, module in sys.modules.items() if key.partition(".")[0] == "backburner"]:
        if vars(module).get(name) is function:
            setattr(module, name, made)
            found += 1
    assert found, f"no module has {name}: the mutant would change nothing"
