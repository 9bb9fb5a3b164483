"""Links: to addresses that are safe, or to routes by name."""

from typing import Any

import pytest

from backburner.errors import InvalidArgument
from backburner.link import Link, checked_link, dumped, loaded


def made(**given: Any) -> Link:
    wanted: dict[str, Any] = {"href": None, "route": None, "params": None, "target": None, **given}
    return checked_link("shop.export", "See it", **wanted)


@pytest.mark.parametrize(
    "given",
    [
        {"href": "/orders/7"},
        {"href": "https://example.org/x", "target": "_blank"},
        {"route": "order"},
        {"route": "admin:shop_order_change", "params": {"id": 7, "all": True, "q": "a b"}, "target": "_blank"},
    ],
)
def test_a_link_is_stored_and_read_as_it_is(given: dict[str, Any]) -> None:
    link = made(**given)
    assert loaded(dumped([link, made(href="/b")])) == (link, Link("See it", "/b"))


def test_links_of_before_are_read() -> None:
    assert loaded('[["Download", "/a.csv"]]') == (Link("Download", "/a.csv"),)
    assert (loaded(None), dumped([])) == ((), None)


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({}, "href"),
        ({"href": "/a", "route": "a"}, "href"),
        ({"href": "javascript:alert(1)"}, "href"),
        ({"href": "//evil.example"}, "href"),
        ({"href": "/\\evil.example"}, "href"),
        ({"href": ""}, "href"),
        ({"route": ""}, "route"),
        ({"route": 7}, "route"),
        ({"route": "a\n"}, "route"),
        ({"route": "x" * 201}, "route"),
        ({"href": "/a", "params": {"a": 1}}, "params"),
        ({"route": "a", "params": {"a": None}}, "params"),
        ({"route": "a", "params": {"a": [1]}}, "params"),
        ({"route": "a", "params": {1: "a"}}, "params"),
        ({"route": "a", "params": {"a": float("nan")}}, "params"),
        ({"route": "a", "params": {"a": "x" * 3000}}, "params"),
        ({"route": "a", "params": "a=1"}, "params"),
        ({"href": "/a", "target": "_top"}, "target"),
        ({"href": "/a", "target": '_blank" onclick="x'}, "target"),
    ],
)
def test_a_link_that_cannot_be(given: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        made(**given)
    assert caught.value.parameter == parameter
