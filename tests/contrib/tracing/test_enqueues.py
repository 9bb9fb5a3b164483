"""Spans of calls that enqueue: one by one, many, in a block, in a transaction of the caller's."""

import asyncio

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import SpanKind, StatusCode, TraceState
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from backburner import Job
from backburner.contrib.starlette.background import DurableTasks
from backburner.intake import Call
from tests.contrib.tracing.spans import (
    CANARY,
    Traced,
    attributes,
    identity,
    links,
    nothing,
    parent,
    remote,
    trace_of,
)


def test_many_calls_are_one_span(traced: Traced) -> None:
    pack = traced.jobs.task(name="pack", queue="parcels")(lambda number: None)
    ids = traced.jobs.enqueue_many(pack, [(1,), (2,), (3,)])
    traced.run(*map(traced.jobs.get, ids))
    enqueue = traced.one("enqueue pack")
    assert enqueue.kind is SpanKind.PRODUCER
    assert attributes(enqueue)["messaging.batch.message_count"] == 3
    assert attributes(enqueue)["messaging.destination.name"] == "parcels"
    assert "messaging.message.id" not in attributes(enqueue)
    assert [links(span) for span in traced.all("run pack")] == [[identity(enqueue)]] * 3
    assert traced.jobs.enqueue_many(pack, []) == []
    assert len(traced.all("enqueue pack")) == 1


def test_a_bulk_block_is_one_span_whatever_is_inside(traced: Traced) -> None:
    pack = traced.jobs.task(name="pack", queue="parcels")(lambda number: None)
    with traced.tracer.start_as_current_span("request"), traced.jobs.bulk() as bulk:
        pack.enqueue(1)
        with traced.tracer.start_as_current_span("row"):
            pack.enqueue(2)
        with traced.jobs.bulk():
            traced.jobs.enqueue_many(pack, [(3,), (4,)])
    traced.run(*map(traced.jobs.get, bulk.ids))
    enqueue = traced.one("enqueue")
    assert attributes(enqueue) == {
        "messaging.system": "backburner",
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "messaging.destination.name": "parcels",
        "messaging.batch.message_count": 4,
    }
    assert parent(enqueue) == identity(traced.one("request"))
    assert parent(traced.one("row")) == identity(enqueue)
    assert [links(span) for span in traced.all("run pack")] == [[identity(enqueue)]] * 4
    assert traced.all("enqueue pack") == []


def test_a_bulk_block_for_several_queues_names_none(traced: Traced) -> None:
    pack = traced.jobs.task(name="pack")(nothing)
    with traced.jobs.bulk():
        pack.options(queue="parcels").enqueue()
        pack.options(queue="letters").enqueue()
    assert "messaging.destination.name" not in attributes(traced.one("enqueue"))


def test_a_bulk_block_that_raises_stores_nothing_and_says_so(traced: Traced) -> None:
    pack = traced.jobs.task(name="pack")(nothing)

    def stop_short() -> None:
        with traced.jobs.bulk():
            pack.enqueue()
            raise LookupError(CANARY)

    with pytest.raises(LookupError):
        stop_short()
    span = traced.one("enqueue")
    assert (span.status.status_code, attributes(span)["error.type"]) == (StatusCode.ERROR, "LookupError")
    assert traced.jobs.find() == []
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_in_the_callers_transaction(traced: Traced, sqlite_url: str) -> None:
    pay = traced.jobs.task(name="pay")(nothing)
    engine = create_engine(sqlite_url)
    with engine.connect() as connection:
        with traced.jobs.transaction(connection):
            gone = pay.enqueue()
        connection.rollback()
        with traced.jobs.transaction(connection):
            job = pay.enqueue()
        connection.commit()
    engine.dispose()
    traced.run(job)
    rolled_back, committed = traced.all("enqueue pay")
    assert attributes(rolled_back)["messaging.message.id"] == gone.id
    assert attributes(committed)["messaging.message.id"] == job.id
    assert links(traced.one("run pay")) == [identity(committed)]


def test_in_an_async_session(traced: Traced, sqlite_url: str) -> None:
    pay = traced.jobs.task(name="pay")(nothing)

    async def asked() -> Job:
        engine = create_async_engine(sqlite_url.replace("sqlite:", "sqlite+aiosqlite:"))
        async with AsyncSession(engine) as session:
            with traced.tracer.start_as_current_span("request"):
                async with traced.jobs.transaction(session):
                    job = await pay.aenqueue()
            await session.commit()
        await engine.dispose()
        return job

    job = asyncio.run(asked())
    enqueue = traced.one("enqueue pay")
    assert parent(enqueue) == identity(traced.one("request"))
    assert attributes(enqueue)["messaging.message.id"] == job.id
    assert trace_of(job) == identity(enqueue)


def test_an_equal_job_that_is_there_keeps_its_own_enqueue(traced: Traced) -> None:
    pay = traced.jobs.task(name="pay")(nothing).options(unique="live")
    job, same = pay.enqueue(), pay.enqueue()
    assert same.id == job.id
    first, second = traced.all("enqueue pay")
    assert attributes(second)["messaging.message.id"] == job.id
    assert trace_of(job) == identity(first)


def test_background_tasks_of_a_response(traced: Traced) -> None:
    mail = traced.jobs.task(name="mail")(nothing)
    tasks = DurableTasks(traced.jobs)
    with traced.tracer.start_as_current_span("request"):
        tasks.add_task(mail)
        asyncio.run(tasks.store())
    enqueue = traced.one("enqueue mail")
    assert parent(enqueue) == identity(traced.one("request"))
    assert trace_of(traced.jobs.get(tasks.ids[0])) == identity(enqueue)


def test_a_call_from_outside(traced: Traced) -> None:
    traced.jobs.task(name="export", api=True)(nothing)
    taken = traced.jobs.intake.take(Call("export", "ada", options={"priority": 3}))
    enqueue = traced.one("enqueue export")
    assert attributes(enqueue)["messaging.message.id"] == taken.job.id
    assert trace_of(taken.job) == identity(enqueue)


def test_no_baggage_is_stored(traced: Traced) -> None:
    token = context.attach(baggage.set_baggage("user", CANARY))
    try:
        job = traced.jobs.task(name="export")(nothing).enqueue()
    finally:
        context.detach(token)
    assert job.captured["trace"].keys() == {"traceparent"}


@pytest.mark.parametrize(("length", "kept"), [(100, True), (250, False)])
def test_a_vendors_state_goes_along_unless_it_is_long(traced: Traced, length: int, kept: bool) -> None:
    """All that is captured has one limit: tracing is not to use it up."""
    state = TraceState([(f"vendor{number}", "x" * length) for number in range(3)])
    with remote(state):
        job = traced.jobs.task(name="export")(nothing).enqueue()
    assert ("tracestate" in job.captured["trace"]) is kept
    assert trace_of(job)[0] == 0xA1
