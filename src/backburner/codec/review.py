"""`review`: everything that is wrong with the arguments of a call that came from outside, each with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, NamedTuple

from backburner.codec.concealed import Box
from backburner.codec.parameters import Parameters
from backburner.codec.plan import Misfit

_MOST_FAULTS = 100


class Fault(NamedTuple):
    """One thing that is wrong with a call: a JSON pointer to it, and what is wrong."""

    pointer: str
    problem: str


def review(parameters: Parameters, given: Mapping[str, Any], box: Box | None = None) -> tuple[Fault, ...]:
    """What does not fit, in the order of the parameters, at most 100; none when a call can be made of it.

    `given` are arguments in their stored form, by parameter name; `box` opens those that are encrypted already. Values
    are not repeated: they may be secret.
    """
    given = parameters.opened(given, box)
    # One after the other: looking for what was meant by a name takes its time.
    return tuple(islice(chain(_missing_and_wrong(parameters, given), _unknown(parameters, given)), _MOST_FAULTS))


def pointer(keys: Iterable[str]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def _missing_and_wrong(parameters: Parameters, given: Mapping[str, Any]) -> Iterator[Fault]:
    for name in parameters.names:
        if name not in given:
            if parameters.required(name):
                yield Fault(pointer([name]), "is required")
            continue
        try:
            parameters.unpack_one(name, given[name])
        except Misfit as misfit:
            place = pointer([name, *_reached(given[name], misfit.keys)])
            yield Fault(place, misfit.problem if place.count("/") > len(misfit.keys) else misfit.sentence())
        except RecursionError:
            yield Fault(pointer([name]), "is nested too deep")


def _unknown(parameters: Parameters, given: Mapping[str, Any]) -> Iterator[Fault]:
    for name in given:
        if name not in parameters.names:
            close = difflib.get_close_matches(name[:200], parameters.names, 1)
            yield Fault(pointer([name[:200]]), "is no parameter" + (f". Did you mean {close[0]!r}?" if close else ""))


def _reached(value: Any, keys: Iterable[str]) -> Iterator[str]:
    """The keys as far as they lead inside the value: stored forms may have levels that types do not have."""
    for key in keys:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return
        yield key
