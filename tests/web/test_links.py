"""Links to routes are made when they are shown, lead to this site alone, and are texts when they lead nowhere."""

from collections.abc import Mapping
from typing import Any

import pytest

from backburner.link import Link
from backburner.progress import Progress
from backburner.web.links import Links, ShownLink

ROUTES = {"order": "/orders/{id}", "found": "/search?q={id}"}


def resolve(name: str, params: Mapping[str, Any]) -> str:
    return ROUTES[name].format(**params)


def shown(link: Link, rule: Any = resolve) -> ShownLink:
    (found,) = Links(rule).of(Progress(links=(link,)))
    return found


def test_a_route_becomes_the_address_that_it_has_now() -> None:
    link = Link("The order", "", "order", {"id": 7}, "_blank")
    assert shown(link) == ShownLink("The order", "/orders/7", "_blank")
    assert shown(link, lambda name, params: f"/shop/{name}") == ShownLink("The order", "/shop/order", "_blank")


@pytest.mark.parametrize(("route", "params"), [("gone", {}), ("order", {"number": 7}), ("order", None)])
def test_a_route_that_is_gone_is_a_text(route: str, params: dict[str, Any] | None) -> None:
    assert shown(Link("The order", "", route, params)) == ShownLink("The order", None)


def test_without_a_rule_it_is_a_text() -> None:
    assert shown(Link("The order", "", "order", {"id": 7}), None) == ShownLink("The order", None)


@pytest.mark.parametrize(
    "answer",
    [
        "//evil.example", "/\\evil.example", "http://evil.example/", "https://evil.example", "javascript:alert(1)",
        "/a\r\nSet-Cookie: x", "/a b", "", "orders/7", "?a", "#a", None, 7, "/\t/evil.example", "\\\\evil",
    ],
)  # fmt: skip
def test_a_rule_leads_nowhere_else(answer: Any) -> None:
    assert shown(Link("The order", "", "order", {}), lambda name, params: answer) == ShownLink("The order", None)


def test_what_comes_by_parameters_does_not_lead_elsewhere() -> None:
    assert shown(Link("x", "", "plain", {"id": "/evil.example"}), lambda name, params: f"/{params['id']}").href is None
