"""When a failed job runs again."""

import math
import pickle

import pytest

from backburner.errors import InvalidOption
from backburner.retry import MAX_ATTEMPTS, RetryPolicy


def middle() -> float:
    return 0.5


def delays(policy: RetryPolicy, error: BaseException, tries: int = 12) -> list[float | None]:
    return [policy.decide(n, error, middle) for n in range(1, tries + 1)]


def test_default_is_powers_of_two_minutes_up_to_sixteen_and_ends_after_ten() -> None:
    minutes = [d and d / 60 for d in delays(RetryPolicy(), OSError())]
    assert minutes == [1, 2, 4, 8, 16, 16, 16, 16, 16, None, None, None]
    assert MAX_ATTEMPTS == 10


def test_without_limit_it_goes_on_and_never_overflows() -> None:
    policy = RetryPolicy(max_attempts=None)
    assert policy.decide(100_000, OSError(), middle) == 960


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 54.0), (0.5, 60.0), (0.999999, 66.0)])
def test_jitter_moves_the_delay_both_ways(chance: float, seconds: float) -> None:
    assert RetryPolicy().decide(1, OSError(), lambda: chance) == pytest.approx(seconds, abs=0.001)


def test_fixed_none_and_exponential() -> None:
    assert delays(RetryPolicy.fixed(5, max_attempts=3), OSError(), 4) == [5, 5, None, None]
    assert delays(RetryPolicy.none(), OSError(), 1) == [None]
    assert delays(RetryPolicy.exponential(1, cap=10, factor=3, max_attempts=5), OSError(), 5) == [
        1,
        3,
        9,
        10,
        None,
    ]


def test_the_most_specific_type_decides() -> None:
    policy = RetryPolicy(
        by_type={
            OSError: RetryPolicy.fixed(7),
            ConnectionError: RetryPolicy.fixed(5),
            LookupError: RetryPolicy.none(),
        }
    )
    assert policy.decide(1, ConnectionResetError(), middle) == 5
    assert policy.decide(1, FileNotFoundError(), middle) == 7
    assert policy.decide(1, KeyError(), middle) is None
    assert policy.decide(1, RuntimeError(), middle) == 60


def test_permanent_types_are_never_retried_unless_a_more_specific_policy_says_so() -> None:
    policy = RetryPolicy(permanent=(ValueError,), by_type={UnicodeError: RetryPolicy.fixed(3)})
    assert policy.decide(1, ValueError(), middle) is None
    assert policy.decide(1, UnicodeDecodeError("utf-8", b"", 0, 1, ""), middle) == 3
    assert policy.decide(1, TypeError(), middle) == 60


def test_a_policy_of_a_type_may_divide_further() -> None:
    inner = RetryPolicy(base=7, cap=7, permanent=(FileNotFoundError,))
    policy = RetryPolicy(by_type={OSError: inner})
    assert policy.decide(1, FileNotFoundError(), middle) is None
    assert policy.decide(1, PermissionError(), middle) == 7


def test_the_limit_of_the_job_takes_the_place_of_the_policys() -> None:
    policy = RetryPolicy(max_attempts=3, by_type={KeyError: RetryPolicy.none()}, permanent=(ValueError,))
    assert policy.decide(3, OSError(), middle) is None
    assert policy.decide(3, OSError(), middle, max_attempts=5) == 240
    assert policy.decide(1, OSError(), middle, max_attempts=1) is None
    assert policy.decide(1, KeyError(), middle, max_attempts=5) is None
    assert policy.decide(1, ValueError(), middle, max_attempts=5) is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("base", -1.0),
        ("base", math.nan),
        ("base", math.inf),
        ("base", True),
        ("base", "60"),
        ("cap", 1.0),
        ("factor", 0.5),
        ("jitter", 1.5),
        ("jitter", math.nan),
        ("max_attempts", 0),
        ("max_attempts", -3),
        ("max_attempts", 2.5),
        ("max_attempts", True),
        ("by_type", {"OSError": RetryPolicy()}),
        ("by_type", {OSError: 5}),
        ("by_type", [OSError]),
        ("permanent", ValueError),
        ("permanent", ("ValueError",)),
    ],
)
def test_nonsense_is_refused_by_name(option: str, value: object) -> None:
    with pytest.raises(InvalidOption) as caught:
        RetryPolicy(**{option: value})  # type: ignore[arg-type]
    assert caught.value.option == option
    assert option in str(caught.value)


def test_one_type_cannot_be_both_permanent_and_retried() -> None:
    with pytest.raises(InvalidOption, match="by_type too"):
        RetryPolicy(permanent=(OSError,), by_type={OSError: RetryPolicy.fixed(1)})


def test_counting_starts_at_one() -> None:
    with pytest.raises(InvalidOption, match="tries"):
        RetryPolicy().decide(0, OSError(), middle)


def test_a_policy_stays_as_it_was_made_compares_hashes_and_pickles() -> None:
    types: dict[type[BaseException], RetryPolicy] = {OSError: RetryPolicy.fixed(5)}
    policy = RetryPolicy(by_type=types)
    types.clear()
    assert policy.decide(1, OSError(), middle) == 5
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert hash(RetryPolicy()) == hash(RetryPolicy())
    assert policy != RetryPolicy()
