"""Marks of views show through decorators, and are not handed down."""

import functools
from collections.abc import Callable
from typing import Any

from backburner.route_jobs import background_route, is_marked


def wrapping(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def inner(*arguments: Any) -> Any:
        return view(*arguments)

    return inner


@background_route
def marked() -> str:
    return "it stays as it is"


def unmarked() -> None: ...


class Views:
    @background_route
    def get(self) -> None: ...

    def post(self) -> None: ...


@background_route
class Whole:
    def post(self) -> None: ...


class Below(Whole): ...


def test_a_view_stays_as_it_is() -> None:
    assert marked() == "it stays as it is"
    assert is_marked(marked)


def test_what_has_no_mark() -> None:
    assert not any(is_marked(view) for view in (unmarked, wrapping(unmarked), None, 7, "get", object(), Views))


def test_it_shows_through_decorators_on_both_sides() -> None:
    assert is_marked(wrapping(wrapping(marked)))
    assert is_marked(background_route(wrapping(unmarked)))
    assert is_marked(functools.partial(wrapping(marked)))


def test_of_a_class_its_methods_are_marked_one_by_one() -> None:
    assert is_marked(Views, "GET")
    assert not is_marked(Views, "POST")
    assert is_marked(Views().get)
    assert is_marked(Whole, "POST")


def test_a_class_does_not_hand_its_mark_down() -> None:
    assert not is_marked(Below, "POST")


def test_of_a_view_that_was_made_of_a_class() -> None:
    def view() -> None: ...

    vars(view)["view_class"] = Views
    assert (is_marked(view, "GET"), is_marked(view, "POST")) == (True, False)
