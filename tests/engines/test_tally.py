"""Integer sums of a tally: 128-bit arithmetic at its limits, merging, grid intervals and buckets of waits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim.engines.tally import (
    SUB_BUCKETS,
    WAIT_BUCKETS,
    Tally,
    add,
    add_product,
    add_tally,
    bucket_middle,
    empty_like,
    interval,
    new_tally,
    wait_bucket,
)
from sim.experiments.replications import codes_of
from sim.scenario import load

DESK = Path(__file__).parents[1] / "golden" / "desk.yaml"
SHARED = ("grid", "per_grid", "decided")
"""Parts of a tally that are no counts."""
LARGEST = 2**63 - 1
INTERESTING = [0, 1, 2, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**48 + 12345, 2**62, LARGEST - 1, LARGEST]


def value(words: np.ndarray) -> int:
    """Number that two words stand for."""
    return int(words[0]) + (int(words[1]) << 64)


def new() -> Tally:
    """An empty tally of the golden desk scenario."""
    codes = codes_of(load(DESK))
    return new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)


@pytest.mark.parametrize("a", INTERESTING)
@pytest.mark.parametrize("b", INTERESTING)
def test_add_product_at_extremes(a: int, b: int) -> None:
    """Products of any two non-negative int64, on top of sums that carry."""
    for before in (0, 1, 2**64 - 1, 2**64, 2**96 + 2**64 - 3):
        words = np.array([before % 2**64, before >> 64], np.uint64)
        add_product(words, a, b)
        assert value(words) == before + a * b


def test_a_sum_that_is_too_large_stays_so() -> None:
    """The highest bit of a sum is never lost again, so that one that wraps is not taken for a small one."""
    words = np.array([2**64 - 1, 2**64 - 1], np.uint64)
    add_product(words, LARGEST, LARGEST)
    assert value(words) >= 2**127
    total, part = new(), new()
    for name in ("sojourn", "audience", "wronged", "waited", "worked"):
        for mine, other in ((2**63, 2**63), (2**64 - 1, 1), (1, 2**64 - 1)):
            getattr(total, name)[..., 1], getattr(part, name)[..., 1] = mine, other
            add_tally(total, part)
            assert (getattr(total, name)[..., 1] >= 2**63).all(), name


@pytest.mark.parametrize("a", INTERESTING)
def test_add_at_extremes(a: int) -> None:
    """One number on top of sums that carry."""
    for before in (0, 2**64 - 1, 2**64 - LARGEST, 2**64 - LARGEST - 1, 5 * 2**64 + 2**63):
        words = np.array([before % 2**64, before >> 64], np.uint64)
        add(words, a)
        assert value(words) == before + a


def test_random_sums() -> None:
    """A thousand random products and numbers, against Python's integers."""
    rng = np.random.default_rng(0)
    words, total = np.zeros(2, np.uint64), 0
    for _ in range(1000):
        a, b = (int(rng.integers(0, 2 ** int(bits))) for bits in rng.integers(1, 60, 2))
        add_product(words, a, b)
        add(words, a)
        total += a * b + a
    assert value(words) == total


def test_interval() -> None:
    """The grid time that first sees an event: at 0 the first, exactly on the grid that one, else the next; the last takes the rest."""
    tally = new()
    day, last = int(tally.grid[0]), len(tally.moves) - 1
    times = [0, 1, day - 1, day, day + 1, 2 * day, last * day - 1, last * day]
    assert [interval(tally, time) for time in times] == [0, 1, 1, 1, 2, 2, last, last]


@pytest.mark.parametrize("grid", [1, 3, 7, 3_600_000_000, 86_400_000_000, 604_800_000_000])
def test_interval_divides_exactly(grid: int) -> None:
    """Just before, on and just after grid times, near and far: the quotient rounded up, in exact arithmetic."""
    tally = new()._replace(
        grid=np.array([grid]), per_grid=np.array([1.0 / grid]), moves=np.zeros((2_000_000, 0, 0, 2), np.int64)
    )
    rng = np.random.default_rng(grid)
    for number in (0, 1, 2, 3, 1000, 1_999_997, *rng.integers(0, 1_999_998, 50).tolist()):
        for shift in (-1, 0, 1):
            time = max(0, number * grid + shift)
            assert interval(tally, time) == -(-time // grid)


@pytest.mark.parametrize(
    ("observe", "last"), [("7 days", 18), ("120 days", 1), ("200 days", 1), ("119 days", 2), ("1 day", 120)]
)
def test_grid_has_room_for_the_end(observe: str, last: int) -> None:
    """The end is a grid time of its own where the grid misses it."""
    codes = codes_of(load(DESK).with_values({"observe": observe}))
    tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
    assert len(tally.moves) == last + 1 == len(codes.grid)
    assert interval(tally, codes.scenario.spec.end_us) == last
    assert codes.grid[0] == 0
    assert codes.grid[-1] == codes.scenario.spec.end_us
    assert np.all(np.diff(codes.grid) > 0)


def fill(tally: Tally, rng: np.random.Generator) -> None:
    """Random counts everywhere."""
    for name in ("moves", "first_bans", "ever", "violations", "starts", "waits"):
        part = getattr(tally, name)
        part[:] = rng.integers(0, 2**40, part.shape)
    for name in ("sojourn", "audience", "wronged", "waited", "worked"):
        part = getattr(tally, name)
        part[:] = rng.integers(0, 2**64, part.shape, dtype=np.uint64)
        part[..., 1] >>= np.uint64(8)
        part.reshape(-1, 2)[0, 0] = 2**64 - 1  # must carry


def test_add_tally_adds_every_count_and_carries() -> None:
    """A total is the sum of its parts in every field; low words carry into high ones; logs are left alone."""
    rng = np.random.default_rng(1)
    one, other = new(), empty_like(new())
    fill(one, rng)
    fill(other, rng)
    one.logged[0], other.logged[0] = 3, 4
    before = {name: getattr(one, name).copy() for name in one._fields}
    add_tally(one, other)
    for name in one._fields:
        mine, was, came = getattr(one, name), before[name], getattr(other, name)
        if name in (*SHARED, "log", "logged"):
            assert np.array_equal(mine, was)
        elif mine.dtype == np.uint64:
            pairs = zip(was.reshape(-1, 2), came.reshape(-1, 2), mine.reshape(-1, 2), strict=True)
            assert all(value(a) + value(b) == value(c) for a, b, c in pairs), name
        else:
            assert np.array_equal(mine, was + came), name


@pytest.mark.parametrize("name", ["moves", "first_bans", "ever", "violations", "starts", "waits"])
def test_add_tally_refuses_to_wrap(name: str) -> None:
    """A count that does not fit 64 bits is an error, not a negative number."""
    one, other = new(), new()
    getattr(one, name).flat[0] = LARGEST
    getattr(other, name).flat[0] = 1
    with pytest.raises(OverflowError, match=f"the count of {name} does not fit"):
        add_tally(one, other)


def test_empty_like() -> None:
    """Nothing is counted yet, memory of counts is its own, and grid and decisions are shared."""
    tally = new()
    fill(tally, np.random.default_rng(2))
    other = empty_like(tally)
    for name in tally._fields:
        mine, theirs = getattr(tally, name), getattr(other, name)
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        if name in SHARED:
            assert np.array_equal(mine, theirs)
        else:
            assert theirs.tobytes().count(0) == theirs.nbytes
            assert not np.shares_memory(mine, theirs)


def test_wait_buckets_err_little() -> None:
    """The middle of its bucket is off by less than 0.8 % for every wait; no wait has a bucket of its own."""
    assert wait_bucket(0) == 0
    assert bucket_middle(0) == 0.0
    rng = np.random.default_rng(3)
    waits = {
        *range(1, 2000),
        *(2**n + d for n in range(1, 56) for d in (-1, 0, 1)),
        *(int(w) for w in np.exp(rng.uniform(0, 38, 3000))),
    }
    for wait in waits - {0}:
        assert abs(bucket_middle(wait_bucket(wait)) / wait - 1.0) < 0.008, wait


def test_wait_buckets_increase() -> None:
    """A longer wait is never in a lower bucket; every bucket of a decade is used; the longest run has its bucket."""
    buckets = [wait_bucket(wait) for wait in range(2**15)]
    assert buckets == sorted(buckets)
    assert buckets[2**6 :] == sorted(buckets[2**6 :])
    assert set(range(wait_bucket(2**7), wait_bucket(2**15 - 1) + 1)) <= set(buckets)
    middles = [bucket_middle(bucket) for bucket in range(WAIT_BUCKETS)]
    assert middles == sorted(middles)
    assert wait_bucket(2**55) < WAIT_BUCKETS
    assert wait_bucket(2**55) - wait_bucket(2**54) == SUB_BUCKETS
