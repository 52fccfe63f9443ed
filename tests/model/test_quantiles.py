"""Durations: inverse distribution functions and means against SciPy's and NumPy's; rounding to microseconds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from sim.model.durations import DISTRIBUTION, FAMILIES, mean, microseconds, quantile, share_within
from sim.model.jit import LONGEST
from sim.scenario import Distribution

DAY = 86_400e6
U = np.concatenate(
    ([2.0**-54, 1e-12, 1e-6], np.linspace(0.001, 0.999, 333), 1.0 - np.array([1e-6, 1e-12, 2.0**-53])),
)
"""Uniform numbers, the two ends of the open interval among them."""

CASES = [
    ("exponential", (3 * DAY,), stats.expon(scale=3 * DAY)),
    ("exponential", (1.0,), stats.expon()),
    ("uniform", (2.0, 7.5), stats.uniform(2.0, 5.5)),
    ("uniform", (4.0, 4.0), None),
    ("triangular", (1.0, 2.0, 6.0), stats.triang(0.2, 1.0, 5.0)),
    ("triangular", (1.0, 1.0, 6.0), stats.triang(0.0, 1.0, 5.0)),
    ("triangular", (1.0, 6.0, 6.0), stats.triang(1.0, 1.0, 5.0)),
    ("triangular", (3.0, 3.0, 3.0), None),
    ("weibull", (0.8, 30 * DAY), stats.weibull_min(0.8, scale=30 * DAY)),
    ("weibull", (1.0, 5.0), stats.expon(scale=5.0)),
    ("weibull", (3.5, 5.0), stats.weibull_min(3.5, scale=5.0)),
    ("lognormal", (3 * DAY, 0.8), stats.lognorm(0.8, scale=3 * DAY)),
    ("lognormal", (2.0, 2.5), stats.lognorm(2.5, scale=2.0)),
    ("loglogistic", (5 * DAY, 1.7), stats.fisk(1.7, scale=5 * DAY)),
    ("loglogistic", (2.0, 4.0), stats.fisk(4.0, scale=2.0)),
]
IDS = [f"{family}{values}" for family, values, _ in CASES]
EMPIRICAL = [(5.0,), (1.0, 4.0), (0.0, 1.0, 3.0, 8.0, 40.0), (2.0, 2.0, 2.0, 9.0), tuple(np.geomspace(1, 1e9, 101))]


def row(family: str, values: tuple[float, ...]) -> tuple[np.void, np.ndarray]:
    """A distribution as compiled code has it, with its table of quantiles (which begins with those of another)."""
    if family == "empirical":
        table = np.array([(FAMILIES.index(family), 3, len(values), 0.0, 0.0, 0.0)], DISTRIBUTION)
        return table[0], np.array([-1.0, -2.0, -3.0, *values, 1e300])
    a, b, c = (*values, 0.0, 0.0)[:3]
    return np.array([(FAMILIES.index(family), 0, 0, a, b, c)], DISTRIBUTION)[0], np.zeros(1)


def sampled(family: str, values: tuple[float, ...], uniforms: np.ndarray = U) -> np.ndarray:
    """Quantiles by the compiled function."""
    distribution, quantiles = row(family, values)
    return np.array([quantile(distribution, quantiles, float(u)) for u in uniforms])


def test_every_family_is_tested() -> None:
    """The scenario's grammar, the law and this file know the same families."""
    assert {family for family, _, _ in CASES} | {"fixed", "empirical"} == set(FAMILIES)
    assert Distribution("fixed", (1.0,)).family in FAMILIES


@pytest.mark.parametrize(("family", "values", "theirs"), CASES, ids=IDS)
def test_quantile_equals_scipy(family: str, values: tuple[float, ...], theirs: object) -> None:
    """Inverse distribution functions are SciPy's, in each half the one that keeps its digits."""
    expected = np.full(len(U), values[0]) if theirs is None else np.where(U < 0.5, theirs.ppf(U), theirs.isf(1.0 - U))
    np.testing.assert_allclose(sampled(family, values), expected, rtol=1e-11)


@pytest.mark.parametrize(("family", "values", "theirs"), CASES, ids=IDS)
def test_quantile_undoes_the_distribution_function(family: str, values: tuple[float, ...], theirs: object) -> None:
    """F(F^-1(u)) = u, with SciPy's F."""
    if theirs is not None:
        middle = U[(U > 1e-5) & (U < 1 - 1e-5)]
        np.testing.assert_allclose(theirs.cdf(sampled(family, values, middle)), middle, rtol=1e-9)


@pytest.mark.parametrize(("family", "values", "theirs"), CASES, ids=IDS)
def test_quantile_increases(family: str, values: tuple[float, ...], theirs: object) -> None:
    """A larger u never gives a shorter duration: what makes what-ifs paired."""
    found = sampled(family, values, np.sort(U))
    assert np.all(np.diff(found) >= 0.0)
    assert np.all(np.isfinite(found))


@pytest.mark.parametrize(("family", "values", "theirs"), CASES, ids=IDS)
def test_share_within_is_the_distribution_function(family: str, values: tuple[float, ...], theirs: object) -> None:
    """SciPy's, and from there on every duration is longer; 0 below the shortest, 1 from the longest on."""
    distribution, quantiles = row(family, values)
    for share in (0.01, 0.3, 0.8) if theirs is not None else ():
        limit = float(theirs.ppf(share))
        found = share_within(distribution, quantiles, limit)
        assert found == pytest.approx(share, rel=1e-9)
        assert quantile(distribution, quantiles, float(np.nextafter(found, 1.0)) + 1e-15) > limit
    assert share_within(distribution, quantiles, 0.0) < 1e-15
    assert share_within(distribution, quantiles, 1e300) == 1.0


def test_fixed() -> None:
    """A fixed duration does not look at u."""
    assert set(sampled("fixed", (7.25,))) == {7.25}


@pytest.mark.parametrize("values", EMPIRICAL, ids=len)
def test_empirical_equals_numpy(values: tuple[float, ...]) -> None:
    """Linear between quantiles, as `numpy.quantile` has it by default."""
    np.testing.assert_allclose(sampled("empirical", values), np.quantile(values, U), rtol=1e-12)


@pytest.mark.parametrize(("family", "values", "theirs"), CASES, ids=IDS)
def test_mean_equals_scipy(family: str, values: tuple[float, ...], theirs: object) -> None:
    """Means are SciPy's."""
    expected = values[0] if theirs is None else theirs.mean()
    assert mean(family, values) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("values", EMPIRICAL, ids=len)
def test_mean_of_empirical(values: tuple[float, ...]) -> None:
    """The integral of the quantile function, piece by piece."""
    knots = np.linspace(0.0, 1.0, max(len(values), 2))
    pieces = itertools.pairwise(knots)
    expected = math.fsum(integrate.quad(lambda u: float(np.quantile(values, u)), *piece)[0] for piece in pieces)
    assert mean("empirical", values) == pytest.approx(expected, rel=1e-9)


def test_mean_of_others() -> None:
    """A loglogistic of shape 1 or less has no finite mean; an unknown family is refused with the names that are known."""
    assert mean("fixed", (4.0,)) == 4.0
    assert mean("loglogistic", (4.0, 1.0)) == math.inf
    assert mean("loglogistic", (4.0, 0.3)) == math.inf
    with pytest.raises(ValueError, match="unknown family 'gamma'; known: fixed, exponential"):
        mean("gamma", (1.0, 2.0))


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        *((0.0, 1), (1e-300, 1), (0.5, 1), (1.0, 1), (1.49, 1)),
        *((1.5, 2), (2.5, 2), (3.5, 4), (4.5, 4), (2.5000001, 3)),
        *((1e15 + 0.5, 10**15), (1e15 + 1.5, 10**15 + 2), (2.0**53 + 2, 2**53 + 2)),
        *((float(2**61 - 2**10), 2**61 - 2**10), (float(LONGEST), LONGEST), (1e300, LONGEST), (math.inf, LONGEST)),
    ],
)
def test_microseconds(duration: float, expected: int) -> None:
    """Nearest microsecond, ties to even, at least 1; too long never rings."""
    found = microseconds(duration)
    assert found == expected
    assert isinstance(found, int)
