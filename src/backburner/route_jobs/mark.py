"""`@background_route`: the mark without which no route runs as a job."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, TypeVar

from backburner.errors import InvalidOption
from backburner.target import METHODS

V = TypeVar("V", bound=Callable[..., Any])

Marked: TypeAlias = Callable[[str, str], bool]
"""Whether a method and a path, decoded and as the app's router sees it, lead to a marked route."""

_MARK = "__backburner_background__"


def background_route(view: V) -> V:
    """Allow a view, a function or a class of views, to run as a job. It stays as it is, and may stand among other
    decorators: the mark shows through those that are made with `functools.wraps`.
    """
    setattr(view, _MARK, True)
    return view


def is_marked(view: object, method: str = "") -> bool:
    """Whether a view is marked, below its decorators too; of a class of views: itself, or its method for that."""
    return any(vars(layer).get(_MARK) is True for layer in _layers(view, method.lower()) if hasattr(layer, "__dict__"))


def listed(routes: Iterable[str]) -> Marked:
    """Marks of an app without a router that could be asked: "POST /reports/build". Raises `InvalidOption`."""
    if isinstance(routes, str):
        raise InvalidOption("marked", routes, "is one text", 'Give a list, for example ["POST /reports/build"]')
    known = set()
    for route in routes:
        method, _, path = str(route).partition(" ")
        if method not in METHODS or not path.startswith("/"):
            raise InvalidOption("marked", route, "is no method and path", "For example POST /reports/build")
        known.add((method, path))
    return lambda method, path: (method, path) in known


def _layers(view: object, method: str) -> Iterator[object]:
    """A view and what is inside its decorators. A mark of a class is its own: subclasses have none by it."""
    seen: set[int] = set()
    left = [view]
    while left:
        layer = left.pop()
        if layer is None or id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        left.extend(getattr(layer, name, None) for name in ("__wrapped__", "__func__", "func", "view_class", "cls"))
        if inspect.isclass(layer) and method:
            left.append(inspect.getattr_static(layer, method, None))
