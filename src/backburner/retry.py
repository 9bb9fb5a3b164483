"""`RetryPolicy`: whether a failed job runs again, and when."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backburner.errors import InvalidOption

MAX_ATTEMPTS = 10
"""The default limit. With the default delays the tenth try comes about 1 h 35 min after the first."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed job runs again.

    The delay before try n + 1 is `base * factor ** (n - 1)` seconds, at most `cap`; the default is 1, 2, 4,
    8, 16, 16 ... minutes. `jitter` is the part of the delay by which chance moves it, up or down: with 0.1 a
    delay of 60 s becomes 54 to 66 s, so that jobs that failed together do not come back together.

    `max_attempts` counts tries that failed by the task's own doing, the first one included; 10 by default.
    `None` retries for ever and must be asked for.

    `by_type` maps exception types to policies of their own; the most specific class of the error decides, and
    its policy then holds wholly, its `max_attempts` included. Errors of the types in `permanent` are never
    retried, unless a more specific type is in `by_type`.

        RetryPolicy(by_type={ConnectionError: RetryPolicy.fixed(5)}, permanent=(ValueError,))

    Raises `InvalidOption` for values that make no sense.
    """

    base: float = 60.0
    cap: float = 960.0
    factor: float = 2.0
    jitter: float = 0.1
    max_attempts: int | None = MAX_ATTEMPTS
    by_type: Mapping[type[BaseException], RetryPolicy] = field(default_factory=dict, hash=False)
    permanent: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        """Check every value; copy `by_type`, so that the policy stays as it was made."""
        _number("base", self.base, 0.0, math.inf)
        _number("cap", self.cap, 0.0, math.inf)
        _number("factor", self.factor, 1.0, math.inf)
        _number("jitter", self.jitter, 0.0, 1.0)
        if self.cap < self.base:
            raise InvalidOption("cap", self.cap, f"is less than base ({self.base})", "Give a cap of at least base")
        _limit("max_attempts", self.max_attempts)
        if not isinstance(self.by_type, Mapping):
            raise InvalidOption("by_type", self.by_type, "is no mapping", "For example {OSError: RetryPolicy.fixed(5)}")
        for kind, policy in self.by_type.items():
            _exception_type("by_type", kind)
            if not isinstance(policy, RetryPolicy):
                raise InvalidOption("by_type", policy, "is no RetryPolicy", "For example RetryPolicy.fixed(5)")
        if not isinstance(self.permanent, tuple):
            raise InvalidOption("permanent", self.permanent, "is no tuple", "For example permanent=(ValueError,)")
        for kind in self.permanent:
            _exception_type("permanent", kind)
            if kind in self.by_type:
                raise InvalidOption("permanent", kind, "is in by_type too", "Name it in one of the two")
        object.__setattr__(self, "by_type", dict(self.by_type))

    @classmethod
    def exponential(
        cls,
        base: float = 60.0,
        cap: float = 960.0,
        factor: float = 2.0,
        *,
        jitter: float = 0.1,
        max_attempts: int | None = MAX_ATTEMPTS,
    ) -> RetryPolicy:
        """`base` seconds first, then `factor` times as long each time, at most `cap` seconds."""
        return cls(base, cap, factor, jitter, max_attempts)

    @classmethod
    def fixed(cls, seconds: float, *, jitter: float = 0.1, max_attempts: int | None = MAX_ATTEMPTS) -> RetryPolicy:
        """The same delay every time, in seconds."""
        return cls(seconds, seconds, 1.0, jitter, max_attempts)

    @classmethod
    def none(cls) -> RetryPolicy:
        """Never: the first failure is final."""
        return cls(max_attempts=1)

    def decide(
        self,
        tries: int,
        error: BaseException,
        random: Callable[[], float],
        max_attempts: int | None = None,
    ) -> float | None:
        """The seconds to wait after failure number `tries` (from 1), or None when it was the last one.

        `random` gives numbers from 0 to 1, 1 excluded. `max_attempts` is the job's own limit; it takes the
        place of the policy's, but gives no second try to an error that is permanent.
        """
        if tries < 1:
            raise InvalidOption("tries", tries, "is no count of failures", "Give 1 after the first failure")
        _limit("max_attempts", max_attempts)
        policy = self.for_error(error)
        if policy is None or policy.max_attempts == 1:
            return None
        limit = policy.max_attempts if max_attempts is None else max_attempts
        if limit is not None and tries >= limit:
            return None
        return policy.delay(tries, random)

    def for_error(self, error: BaseException) -> RetryPolicy | None:
        """The policy that holds for this error; None when it is permanent."""
        for kind in type(error).__mro__:
            if kind in self.by_type:
                policy = self.by_type[kind]
                # A policy of a type may divide further, by the types below it.
                return policy.for_error(error) if policy.by_type or policy.permanent else policy
            if kind in self.permanent:
                return None
        return self

    def delay(self, tries: int, random: Callable[[], float]) -> float:
        """The seconds after failure number `tries`, jitter included."""
        try:
            seconds = min(self.cap, self.base * self.factor ** (tries - 1))
        except OverflowError:
            seconds = self.cap
        return seconds * (1.0 + self.jitter * (2.0 * random() - 1.0))


def _number(option: str, value: Any, low: float, high: float) -> None:
    good = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    if not good or not low <= value <= high:
        wanted = f"from {low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
        raise InvalidOption(option, value, "is out of range", f"Give a finite number, {wanted}")


def _limit(option: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidOption(option, value, "is no number of attempts", "Give 1 or more, or None for no limit")


def _exception_type(option: str, kind: object) -> None:
    if not isinstance(kind, type) or not issubclass(kind, BaseException):
        raise InvalidOption(option, kind, "is no exception type", "Give the class, for example ConnectionError")
