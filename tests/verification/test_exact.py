"""The yardsticks themselves: thresholds, test statistics and exact answers, where they are known in closed form.

Threshold: the formulas agree to rounding. The calibration draws 2,000 samples (seed 1); the share beyond 1.96 is 5 %, give or take 5.16
deviations.
"""

import math

import numpy as np
import pytest
from scipy import stats

from verification.chains import advance, gathered, generator, turned
from verification.exact import (
    COMPARISONS,
    FALSE_ALARM,
    kolmogorov,
    multinomial,
    normal,
    proportion,
    replicated,
    skewed,
    z_limit,
)
from verification.queues import cobham, erlang_a, erlang_c, pollaczek_khinchine, service_starts, spread_of_mean_wait
from verification.renewal import benchmark_ladder, dead_time_counts, third_strike


def test_limit():
    """Bonferroni: 400 two-sided comparisons at the limit make one false alarm in 10,000 suites."""
    assert z_limit() == pytest.approx(5.158, abs=1e-3)
    assert 2.0 * stats.norm.sf(z_limit()) * COMPARISONS == pytest.approx(FALSE_ALARM)


CELLS = (0.5, 0.3, 0.15, 0.049, 0.001)
STATISTICS = {
    "multinomial": lambda draws: multinomial("", draws.multinomial(5_000, CELLS).tolist(), CELLS),
    "proportion": lambda draws: proportion("", int(draws.binomial(5_000, 0.3)), 5_000, 0.3),
    "replicated": lambda draws: replicated("", draws.normal(3.0, 2.0, 12), 3.0),
    "skewed": lambda draws: skewed("", draws.gamma(2.0, 1.0, 12), 2.0, 0.5**0.5),
    "kolmogorov": lambda draws: kolmogorov("", draws.exponential(1.0, 500), stats.expon.cdf),
}


@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)
def test_calibration(statistic):
    """Where the answer is right, one z in twenty lies beyond 1.96."""
    draws = np.random.default_rng(1)
    beyond = sum(abs(statistic(draws).z) > 1.96 for _ in range(2_000))
    assert abs(proportion("", beyond, 2_000, 0.05).z) < z_limit()


def test_what_cannot_be():
    """What has no chance must not be found, and what leaves no room for chance must be equal."""
    assert multinomial("", [99, 1], [1.0, 0.0]).z == math.inf
    assert multinomial("", [100, 0], [1.0, 0.0]).z == 0.0
    assert proportion("", 99, 100, 1.0).z == math.inf
    assert normal("", 1.0, 1.0, 0.0).z == 0.0


def test_chains():
    """Two states: ``exp(-t/m)``. With an inflow of 1 per day: ``m (1 - exp(-t/m))``. Shares that are moved add up."""

    def moves(state):
        return [("gone", 0.2)] if state == "here" else []

    assert advance({"here": 1.0}, moves, 3.0)["here"] == pytest.approx(math.exp(-0.6))
    filled = advance({}, moves, 3.0, {"here": 1.0})
    assert filled["here"] == pytest.approx(5.0 * -math.expm1(-0.6))
    assert sum(filled.values()) == pytest.approx(3.0)
    assert turned({"here": 0.4, "gone": 0.6}, lambda state: {"gone": 0.5, state: 0.5})["gone"] == pytest.approx(0.5)
    assert gathered({("a", 1): 0.2, ("a", 2): 0.3}, lambda state: state[0]) == pytest.approx({"a": 0.5})


def test_renewal_equations():
    """Before anything is delayed or has expired, the answers are elementary; over all counts the chances add up to 1."""
    days, shares = benchmark_ladder(6.0, 0.01)
    assert shares[-1, 3] == 0.0
    assert shares[:, :3].sum(axis=1) == pytest.approx(1.0 - shares[:, 4])
    days, within = third_strike(0.03, 40.0, 40.0, 0.25)
    assert within == pytest.approx(stats.gamma.cdf(days, 3, scale=1 / 0.03), abs=1e-9)
    forever = third_strike(0.03, 200.0, 120.0, 0.25)[1]
    assert forever[-1] == pytest.approx(stats.gamma.cdf(120.0, 3, scale=1 / 0.03), abs=1e-5)
    chances = list(dead_time_counts(0.1, 5.0, 100.0))
    assert math.fsum(chances) == pytest.approx(1.0)
    assert chances[0] == pytest.approx(math.exp(-0.1 * 95.0))  # nobody is found in time to be decided


def spread_by_fundamental_matrix(load: float, reviewers: int, length: float) -> float:
    """What `spread_of_mean_wait` tells, from the fundamental matrix of the chain, cut off at 120 accounts."""
    size = 120

    def moves(there):
        return [(there + 1, load if there < size - 1 else 0.0), (max(there - 1, 0), float(min(there, reviewers)))]

    rates = generator(list(range(size)), moves)
    balance = np.vstack([rates.T, np.ones(size)])
    shares = np.linalg.lstsq(balance, np.append(np.zeros(size), 1.0), rcond=None)[0]
    waiting = np.maximum(np.arange(size) - reviewers, 0)
    mean = float(shares @ waiting)
    later = np.linalg.solve(np.outer(np.ones(size), shares) - rates, waiting - mean)  # expected excess from a state on
    return math.sqrt(2.0 * float((shares * (waiting - mean)) @ later) / length) / mean


def test_queues():
    """Special cases of each other: M/M/1, one class, patience without end, and a queue that can be followed by eye."""
    assert erlang_c(0.8, 1) == pytest.approx(0.8)
    assert pollaczek_khinchine(0.8, 1.0, 2.0) == pytest.approx(erlang_c(0.8, 1) / (1.0 - 0.8))
    assert cobham([0.8], [1.0], [2.0]) == pytest.approx([4.0])
    first, second = cobham([0.3, 0.5], [1.0, 1.0], [2.0, 2.0])
    assert (0.3 * first + 0.5 * second) / 0.8 == pytest.approx(
        4.0
    )  # conservation: the order of service leaves the mean wait alone
    chance, gives_up, waiting = erlang_a(2.0, 1.0, 1e9, 3)
    assert (chance, gives_up, waiting) == pytest.approx((erlang_c(2.0, 3), 0.0, 2.0 * erlang_c(2.0, 3)), abs=1e-6)
    for load, reviewers in ((0.5, 1), (2.0, 3)):
        spread = spread_of_mean_wait(load, reviewers, 100.0)
        assert spread == pytest.approx(spread_by_fundamental_matrix(load, reviewers, 100.0), rel=1e-6)
    assert service_starts(np.array([0, 1, 2, 20]), 10, 2).tolist() == [0, 1, 10, 20]
