"""Limits of shares and means, against published values, SciPy and the equations that define them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sim.results.intervals import paired_shares, student, unpaired_shares, welch, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_published(successes: int, trials: int, low: float, high: float) -> None:
    """Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I, method 3."""
    assert wilson(successes, trials) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 1), (1, 1), (1, 3), (5, 10), (7, 1000), (999, 1000), (12345, 10**9)]
)
def test_wilson_solves_its_equation(successes: int, trials: int, level: float) -> None:
    """The limits are the shares at which the score test is just significant: (p - share)^2 = z^2 p (1 - p) / n."""
    z2, share = float(stats.norm.ppf(0.5 + level / 2)) ** 2 / trials, successes / trials
    roots = sorted(np.roots([1 + z2, -(2 * share + z2), share * share]).real)
    assert wilson(successes, trials, level) == (
        pytest.approx(roots[0], rel=1e-6, abs=1e-12),
        pytest.approx(roots[1], rel=1e-6),
    )


@pytest.mark.parametrize("trials", [1, 2, 17, 1000, 10**6, 10**9])
def test_wilson_stays_within_0_and_1(trials: int) -> None:
    """Limits enclose the share, never leave 0 to 1, and mirror each other."""
    for successes in {0, 1, trials // 3, trials - 1, trials}:
        low, high = wilson(successes, trials)
        assert 0.0 <= low <= successes / trials <= high <= 1.0
        mirrored = wilson(trials - successes, trials)
        assert mirrored == (pytest.approx(1.0 - high, abs=1e-12), pytest.approx(1.0 - low, abs=1e-12))
    assert wilson(0, trials)[0] == 0.0
    assert wilson(trials, trials)[1] == 1.0


def test_no_trials() -> None:
    """A share of nobody has no limits."""
    assert all(math.isnan(limit) for limit in wilson(0, 0))


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(
    "values", [(1.0, 2.0), (0.1, 0.2, 0.4), (5.0, 5.0, 5.0, 5.5), tuple(np.geomspace(1, 1e6, 30))], ids=len
)
def test_student_equals_scipy(values: tuple[float, ...], level: float) -> None:
    """Limits of the mean are SciPy's."""
    found = student(values, level)
    expected = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
    assert found == (pytest.approx(expected[0], rel=1e-9), pytest.approx(expected[1], rel=1e-9))


def test_one_trial_is_enough_for_limits_of_a_difference() -> None:
    """None is not, on either side."""
    assert np.isfinite([*paired_shares(0, 1, 1), *unpaired_shares(0, 1, 1, 1)]).all()
    assert np.isnan([*paired_shares(0, 0, 0), *unpaired_shares(0, 0, 1, 1), *unpaired_shares(1, 1, 0, 0)]).all()


def test_welch_of_few() -> None:
    """One replication on either side has no spread."""
    assert math.isnan(welch([0.1], [0.2, 0.3]))
    assert math.isnan(welch([0.2, 0.3], [0.1]))
    assert welch([0.2, 0.3], [0.1, 0.3]) > 0.0


def test_student_of_few() -> None:
    """One replication tells nothing about its spread; equal ones have none."""
    assert all(math.isnan(limit) for values in ((), (3.0,)) for limit in student(values))
    assert student((2.0, 2.0, 2.0)) == (2.0, 2.0)
    assert all(math.isnan(limit) for limit in student((1.0, math.nan)))


def test_coverage_of_wilson() -> None:
    """Over 2,000 samples of 200 with a share of 0.07, 95 % limits cover it in 93 % to 97 % (false alarms: under 1 in 10,000)."""
    rng = np.random.default_rng(0)
    covered = [low <= 0.07 <= high for low, high in (wilson(int(n), 200) for n in rng.binomial(200, 0.07, 2000))]
    assert 0.93 < np.mean(covered) < 0.97
