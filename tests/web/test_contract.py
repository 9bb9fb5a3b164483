"""The contract in the code against the routes that are there, what they answer, and the document made of it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from starlette.routing import Mount

from backburner import Backburner, Job
from backburner.web import User, api_token, job_token, web_app
from backburner.web.contract import CONTRACT
from backburner.web.dashboard.routes import DASHBOARD
from backburner.web.route import Audience, Route
from backburner.worker import Worker
from tests.web.shop import Caller, Shop, as_user, by_header

load_all_checks()


@dataclass
class Line:
    name: str
    price: Annotated[int, msgspec.Meta(ge=0)] = 0


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.fixture(autouse=True)
def open_tasks(jobs: Backburner) -> None:
    @jobs.task(name="open.add", api=True)
    def add(a: int, b: float = 1.0) -> float:
        """Adds two numbers."""
        return a + b

    @jobs.task(name="open.order", api=True)
    def order(
        customer: str, lines: list[Line], colour: Colour = Colour.RED, due: date | None = None,
        mode: Literal["a", "b"] = "a", extra: dict[str, int | str] | None = None,
    ) -> None: ...  # fmt: skip


@pytest.fixture
def done(shop: Shop, worker: Worker) -> Job:
    shop.gate.set()
    job = shop.export.options(owner="lena").enqueue("October")
    assert job.wait(30)
    return job.refresh()


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every route of the app, found without knowing them."""
    pending = list(app.routes)
    while pending:
        route = pending.pop()
        inner = getattr(route, "original_router", None)
        if isinstance(route, APIRoute):
            yield from ((method, route.path) for method in sorted(route.methods or ()))
        elif inner is not None:
            pending += inner.routes
        elif isinstance(route, Mount):
            assert route.path == "/static"
        else:
            raise AssertionError(f"a route of an unknown kind: {route!r}")


def test_every_route_is_in_the_contract_once(shop: Shop) -> None:
    listed = [(route.method, route.path) for route in CONTRACT]
    assert sorted(listed) == sorted(routes_of(web_app(shop.jobs)))


def test_what_a_path_does_not_take_is_told_what_it_takes(shop: Shop) -> None:
    app, host = web_app(shop.jobs, resolve_user=by_header), FastAPI()
    host.mount("/bb", app)
    for caller, root in ((Caller(app), ""), (Caller(host), "/bb")):
        for path, allowed in (("/jobs", "GET, POST"), ("/jobs/x", "DELETE, GET"), ("/jobs/x/cancel", "POST")):
            answer = caller.ask("PUT", root + path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
            assert answer.headers["content-type"] == "application/problem+json"


# The walker: each route as each kind of visitor.

LET_IN = frozenset({200, 202, 204, 303, 409, 422})
"""What somebody gets for whom a route is open."""


def expected(route: Route, visitor: str) -> frozenset[int]:
    """What the contract says that a visitor of a job of lena's gets."""
    audience, operator = route.audience, visitor == "operator"
    if route.path in ("/dashboard/login", "/dashboard/logout"):
        # Not there where the app itself says who its users are.
        return frozenset({404})
    scopes = {"reading token": ("read",), "writing token": ("enqueue",)}.get(visitor)
    if scopes is not None and route.scope is not None and route.scope not in scopes:
        return frozenset({403})
    if audience is Audience.ANYBODY or operator:
        # The walker fills in names that nothing on the pages has.
        return LET_IN | ({404} if route.needs is not None else set())
    if visitor == "nobody":
        return frozenset({audience.value})
    if audience is Audience.SIGNED_IN:
        return LET_IN
    if audience is Audience.OPERATORS:
        return frozenset({403})
    if visitor == "other":
        return frozenset({404})
    # The owner, or a token that speaks for them; deleting is for operators.
    return frozenset({403}) if route.method == "DELETE" else LET_IN


@pytest.mark.parametrize("visitor", ["nobody", "other", "owner", "operator", "reading token", "writing token"])
def test_each_route_is_open_to_whom_the_contract_says(shop: Shop, done: Job, visitor: str) -> None:
    if visitor.endswith("token"):
        scopes = frozenset({"read"} if visitor == "reading token" else {"enqueue"})
        token = api_token(shop.jobs, User("lena", scopes=scopes), 60)
        caller = Caller(web_app(shop.jobs), {"authorization": f"Bearer {token}"})
    else:
        names = {"nobody": "", "other": "other", "owner": "lena", "operator": "boss"}
        caller = as_user(shop, names[visitor])
    [file] = shop.jobs.control.files_of([done.id])[done.id]
    for route in CONTRACT:
        # What changes a job gets one of its own, which waits.
        job = done if route.method == "GET" else shop.add.options(owner="lena", delay=3600).enqueue(1, 2)
        address = (
            re.sub(r"\{\w+(:path)?\}", "none", route.path)
            if route in DASHBOARD
            else route.path.format(job_id=job.id, file_id=file.id, verb="cancel")
        )
        address += f"?ids={done.id}" if route.path == "/jobs/feed" else ""
        body = {"task": "open.add", "arguments": {"a": 1}} if (route.method, route.path) == ("POST", "/jobs") else None
        answer = caller.ask(route.method, address, json=body)
        assert answer.status_code in expected(route, visitor), (visitor, route.method, route.path, answer.text[:300])


def test_a_token_of_one_job_opens_what_is_of_that_job_and_nothing_else(shop: Shop, done: Job) -> None:
    other, nobody = shop.add.options(owner="lena").enqueue(1, 2), as_user(shop, "")
    [file] = shop.jobs.control.files_of([done.id])[done.id]
    token = job_token(shop.jobs, done, 60)
    for route in CONTRACT:
        if route.audience is Audience.OF_A_JOB and route.method == "GET":
            for job, found in ((done, LET_IN), (other, frozenset({404}))):
                file_id = file.id if job is done else job.id
                answer = nobody.get(route.path.format(job_id=job.id, file_id=file_id) + f"?token={token}")
                assert answer.status_code in found, (route.path, answer.text[:300])


# The document


def document_of(caller: Caller) -> dict[str, Any]:
    answer = caller.get("/openapi.json")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_document_lists_the_tasks_that_one_may_start(shop: Shop) -> None:
    def tasks(caller: Caller) -> list[str]:
        calls = document_of(caller)["components"]["schemas"]["Call"].get("oneOf", [])
        return [call["properties"]["task"]["const"] for call in calls]

    assert tasks(as_user(shop, "lena")) == ["open.add", "open.order"]
    for scope, names in (("enqueue:open.a*", ["open.add"]), ("read", [])):
        token = api_token(shop.jobs, User("lena", scopes=frozenset({scope})), 60)
        assert tasks(Caller(web_app(shop.jobs), {"authorization": f"Bearer {token}"})) == names


def test_the_document_names_nothing_that_is_not_there(shop: Shop) -> None:
    document = document_of(as_user(shop, "lena"))
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    assert "$defs" not in text
    pending: list[Any] = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if "$ref" in value:
                assert value["$ref"].removeprefix("#/components/schemas/") in schemas
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) == sum(bool(route.answers) for route in CONTRACT)
    # A token is never asked for in vain: what needs one says so.
    assert all(document["paths"][path][verb]["security"] == [{"bearer": []}]
               for path, verb in (("/jobs", "get"), ("/jobs", "post"), ("/openapi.json", "get")))  # fmt: skip


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
def test_schemathesis_finds_nothing(shop: Shop, done: Job) -> None:
    app = web_app(shop.jobs, resolve_user=by_header)
    boss, later = {"x-user": "boss"}, shop.add.options(owner="lena", delay=3600)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=boss)
    for path in schema.raw_schema["paths"].values():
        for operation in path.values():
            # Who asks is said by x-user here; tokens that are no good have tests of their own.
            operation.pop("security", None)
    conforming = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    asked: set[tuple[str, int]] = set()

    def examine(operation: Any, mode: GenerationMode) -> None:
        # Whether a time is past, or two options fit together, is more than a schema can say.
        strict = {
            GenerationMode.POSITIVE: [] if operation.label == "POST /jobs" else [checks.positive_data_acceptance],
            GenerationMode.NEGATIVE: [checks.negative_data_rejection],
        }[mode]

        @settings(
            max_examples=8, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode), fresh=st.booleans())
        def one(case: Any, fresh: bool) -> None:
            if mode is GenerationMode.POSITIVE and "job_id" in (case.path_parameters or {}):
                # A stream of a job that waits is as long as streams are.
                waits = fresh and not operation.path.endswith("/events")
                case.path_parameters["job_id"] = later.enqueue(1, 2).id if waits else done.id
            answer = case.call(headers=boss)
            asked.add((operation.label, answer.status_code))
            case.validate_response(answer, checks=[*conforming, *strict])

        one()

    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        examine(operation, GenerationMode.POSITIVE)
        if len(operation.query) + len(operation.headers) + len(operation.path_parameters) or operation.body:
            examine(operation, GenerationMode.NEGATIVE)
    # It came beyond the doors, and found what is behind them.
    assert {
        ("GET /jobs", 200), ("GET /jobs", 422), ("POST /jobs", 202), ("POST /jobs", 422), ("GET /jobs/{job_id}", 200),
        ("GET /jobs/{job_id}/result", 202), ("POST /jobs/{job_id}/cancel", 202), ("DELETE /jobs/{job_id}", 204),
    } <= asked, asked  # fmt: skip
