"""A link that a job offers: text, route or address, parameters, target; an address only when it is shown."""

from collections.abc import Mapping
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request

from backburner import Backburner, current_job
from backburner.errors import InvalidArgument
from backburner.web import User, web_app
from tests.parity.conftest import StartWorker
from tests.parity.running import done

ROUTES = {"order": "/orders/{id}"}


def path_of(name: str, params: Mapping[str, Any]) -> str:
    return ROUTES[name].format(**params)


def boss(request: Request) -> User:
    return User("boss", operator=True)


def test_out_12_a_link_is_made_when_it_is_shown(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task
    def sell() -> None:
        current_job().link("The order", route="order", params={"id": 7}, target="_blank")
        current_job().link("All orders", "/orders")
        current_job().link("The invoice", route="invoice", params={"id": 7})
        with pytest.raises(InvalidArgument):
            current_job().link("Elsewhere", "javascript:alert(1)")

    start_worker()
    job = done(sell.enqueue())
    client = TestClient(web_app(jobs, resolve_user=boss, resolve_link=path_of))

    def links() -> list[dict[str, Any]]:
        return list(client.get(f"/jobs/{job.id}").json()["links"])

    assert links() == [
        {"text": "The order", "href": "/orders/7", "target": "_blank"},
        {"text": "All orders", "href": "/orders", "target": None},
        {"text": "The invoice", "href": None, "target": None},
    ]
    page = client.get(f"/dashboard/jobs/{job.id}").text
    assert '<a class="link" href="/orders/7" target="_blank" rel="noopener noreferrer">The order</a>' in page
    assert '<span class="quiet">The invoice</span>' in page
    ROUTES["order"] = "/shop/orders/{id}"
    assert links()[0]["href"] == "/shop/orders/7", "the stored link has no address of its own"
