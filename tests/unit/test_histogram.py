"""Durations in doubling buckets."""

import pytest

from backburner.histogram import BUCKETS, NOTHING, Histogram, bucket_of, edges


def of(*seconds: float) -> Histogram:
    counts = [0] * BUCKETS
    for one in seconds:
        counts[bucket_of(one * 1000)] += 1
    return Histogram(tuple(counts))


@pytest.mark.parametrize(
    ("milliseconds", "bucket"),
    [(-5, 0), (0, 0), (0.9, 0), (1, 1), (1.9, 1), (2, 2), (3.9, 2), (4, 3), (1000, 10), (2**26, 27), (2**60, 27)],
)
def test_buckets_double(milliseconds: float, bucket: int) -> None:
    assert bucket_of(milliseconds) == bucket
    if 0 <= milliseconds < 2**26:
        low, high = edges(bucket)
        assert low <= milliseconds < high


def test_percentiles_lie_in_their_bucket() -> None:
    times = of(*[0.010] * 90, *[1.5] * 10)
    assert times.total == 100
    assert 0.008 <= (times.percentile(0.5) or 0) <= 0.016
    assert 1.024 <= (times.percentile(0.95) or 0) <= 2.048
    assert (times.percentile(0.99) or 0) > (times.percentile(0.95) or 0)
    assert NOTHING.percentile(0.5) is None


def test_two_are_added() -> None:
    assert of(1, 2) + of(2, 4) == of(1, 2, 2, 4)
