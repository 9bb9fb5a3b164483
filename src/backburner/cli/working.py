"""`Working`: what `worker` and `process` both take from the command line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from backburner.checked import checked_queue, checked_text
from backburner.cli.values import DURATION, PRIORITIES, SIZE, WEIGHTED_QUEUE
from backburner.errors import InvalidOption
from backburner.settings import Settings
from backburner.worker import WorkerOptions

_MAX_LABEL = 100


@dataclass(frozen=True, slots=True)
class Working:
    """The shared options, as typed. None means: as the app's settings say."""

    queues: tuple[tuple[str, float | None], ...]
    strict: bool
    priorities: tuple[int, int] | None
    processes: int
    concurrency: int | None
    max_memory: int | None
    grace: float | None
    label: str | None

    def worker_options(self, settings: Settings) -> WorkerOptions:
        """Checked, with the app's settings where nothing was said. Raises `BadParameter`."""
        names = tuple(dict.fromkeys(name for name, _ in self.queues))
        for name in names:
            if settings.queues is not None and name not in settings.queues:
                raise click.BadParameter(
                    f"{name!r} is not among the app's queues: {', '.join(settings.queues)}.", param_hint="--queue"
                )
        try:
            for name in names:
                checked_queue(name, settings)
            if self.label is not None:
                checked_text("label", self.label, _MAX_LABEL)
        except InvalidOption as error:
            raise click.BadParameter(f"{error}.", param_hint=f"--{error.option}") from error
        self._check_priorities(settings)
        said = dict(self.queues)
        weighted = any(weight is not None for weight in said.values())
        if self.strict and (weighted or not names):
            problem = "weights" if weighted else "no queues"
            raise click.BadParameter(
                f"an order that always holds, and {problem}, do not go together. Name queues with -q, in order.",
                param_hint="--strict",
            )
        return WorkerOptions(
            queues=names,
            weights=tuple(said[name] or 1.0 for name in names) if weighted else (),
            strict=self.strict,
            priorities=self.priorities,
            processes=self.processes,
            concurrency=settings.concurrency if self.concurrency is None else self.concurrency,
            label=self.label,
            max_memory=self.max_memory,
            grace=settings.grace if self.grace is None else self.grace,
            lease=settings.lease,
            beat=settings.beat,
            poll=settings.poll,
        )

    def _check_priorities(self, settings: Settings) -> None:
        if self.priorities is None or settings.priorities is None:
            return
        low, high = self.priorities
        if not any(low <= one <= high for one in settings.priorities):
            known = ", ".join(map(str, settings.priorities))
            raise click.BadParameter(f"{low}-{high} selects none of the app's: {known}.", param_hint="--priority")


def working_options(*, label: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the shared options, which it gets as one argument `working`; `label` is the help of --label."""
    options = (
        click.option(
            "-q", "--queue", "queues", multiple=True, type=WEIGHTED_QUEUE,
            help="Take jobs of this queue only; may be given several times. Else of every queue. "
            "They take turns; mails=3 gets three times as many.",
        ),
        click.option(
            "--strict", is_flag=True,
            help="Take the queues in the order given: a later one only when nothing waits in those before.",
        ),
        click.option(
            "--priority", "priorities", type=PRIORITIES,
            help="Take jobs of these priorities only: 10, 20-40, 25- or -20.",
        ),
        click.option(
            "-p", "--processes", type=click.IntRange(1, 256), default=1, metavar="N",
            help="How many processes to run, 1 unless said.",
        ),
        click.option(
            "-c", "--concurrency", type=click.IntRange(1, 1000), metavar="N",
            help="How many jobs one process runs at once. Else the setting concurrency.",
        ),
        click.option(
            "--max-memory", type=SIZE,
            help="Replace a process between jobs when it uses more, such as 512MB.",
        ),
        click.option(
            "--grace", type=DURATION,
            help="How long running jobs may go on after a stop was asked for. Else the setting grace.",
        ),
        click.option("--label", metavar="TEXT", help=label),
    )  # fmt: skip

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def collected(*args: Any, **given: Any) -> None:
            working = Working(**{field.name: given.pop(field.name) for field in fields(Working)})
            function(*args, working=working, **given)

        made: Callable[..., None] = collected
        for option in reversed(options):
            made = option(made)
        return made

    return decorate
