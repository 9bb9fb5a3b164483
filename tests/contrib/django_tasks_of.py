"""Tasks of Django's framework, for the tests of its backend."""

import sys
from typing import Any

from tests.contrib.django_project import configure

configure()

# What needs the settings comes behind them.
try:
    from django.tasks import task
except ImportError:
    from django_tasks import task


class Unheard(Exception):
    """One that is no builtin."""


@task()
def add(a: int, b: int = 1) -> int:
    return a + b


@task()
async def multiply(a: int, b: int) -> int:
    return a * b


@task()
def returns(value: Any) -> Any:
    return value


@task()
def opaque() -> Any:
    return object()


@task()
def fails(kind: str) -> None:
    if kind == "exit":
        sys.exit(3)
    raise {"value": ValueError, "own": Unheard}[kind]("This failed\nfor a reason")


@task(takes_context=True)
def attempts(context: Any, least: int) -> list[Any]:
    if context.attempt < least:
        raise ValueError("once more")
    return [context.attempt, context.task_result.id, context.task_result.status]


@task(backend="patient", takes_context=True)
def patient(context: Any, least: int) -> int:
    if context.attempt < least:
        raise ValueError("once more")
    return int(context.attempt)


@task(priority=50, queue_name="mail")
def urgent() -> None: ...


ALL = (add, multiply, returns, opaque, fails, attempts, patient, urgent)
