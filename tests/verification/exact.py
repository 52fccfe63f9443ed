"""How the simulator is compared with an exact answer: thresholds, test statistics, and how a scenario is run for it.

Every comparison ends in one number, ``z``: how many standard deviations lie between what was found and what is exact. A statistic that is not normal
(chi-square, Kolmogorov-Smirnov, Student's t) is turned into the z of the same two-sided p-value, so that one limit serves all.

========================================  ==========================================================================
false-alarm rate of the whole folder      `FALSE_ALARM`: how often a faultless simulator with another seed would fail
comparisons in the whole folder           at most `COMPARISONS`; the fixture ``verify`` counts them
limit of one comparison                   `z_limit`: Bonferroni, each comparison has ``FALSE_ALARM / COMPARISONS``
seeds                                     1, 2, 3 … in the order of the tests of a file, chosen before the first run
========================================  ==========================================================================

The engines make the same events, so another engine repeats these comparisons and adds none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

import sim

ENGINES = ("process", "compiled")
"""Engines that every verification test runs."""

FALSE_ALARM = 1e-4
COMPARISONS = 400

SMALLEST_CELL = 25.0
"""Expected count below which a cell of a chi-square test is pooled with its neighbours: the limit lies far out in the tail."""


def z_limit(comparisons: int = COMPARISONS) -> float:
    """Largest acceptable ``|z|`` of one of so many comparisons: 5.16 for 400."""
    return float(stats.norm.isf(FALSE_ALARM / comparisons / 2.0))


@dataclass(frozen=True)
class Comparison:
    """Something found in a run beside what it is exactly."""

    what: str
    found: float
    exact: float
    z: float

    def __str__(self) -> str:
        return f"{self.what}: found {self.found:.6g}, exactly {self.exact:.6g}, z = {self.z:+.2f}"


def disagreements(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Those that lie beyond the limit."""
    return [one for one in comparisons if not abs(one.z) <= z_limit()]


def normal(what: str, found: float, exact: float, deviation: float) -> Comparison:
    """Compare with a quantity that is normal around its exact value; with a `deviation` of 0 the two must be equal."""
    if deviation == 0.0:
        return Comparison(what, found, exact, 0.0 if found == exact else math.inf)
    return Comparison(what, found, exact, (found - exact) / deviation)


def _of_p_value(p: float) -> float:
    return float(stats.norm.isf(p / 2.0))


def proportion(what: str, count: int, trials: int, chance: float) -> Comparison:
    """Compare a count with a binomial distribution; a chance of 0 or 1 admits no difference."""
    deviation = math.sqrt(max(chance * (1.0 - chance), 0.0) / trials)
    return normal(what, count / trials, chance, deviation)


def poisson_count(what: str, count: int, mean: float) -> Comparison:
    """Compare a count with a Poisson distribution."""
    return normal(what, count, mean, math.sqrt(mean))


def sample_mean(what: str, sample: np.ndarray, mean: float, variance: float) -> Comparison:
    """Compare the mean of independent values with its expectation; `variance` is the exact one of a value."""
    return normal(what, float(np.mean(sample)), mean, math.sqrt(variance / len(sample)))


def multinomial(what: str, counts: Sequence[int], chances: Sequence[float]) -> Comparison:
    """Pearson's chi-square of counts with exact chances; nothing may be found where the chance is 0.

    ``found`` is the chi-square, ``exact`` its expectation: the degrees of freedom.
    """
    observed, share = np.asarray(counts, float), np.asarray(chances, float)
    assert observed.shape == share.shape
    assert abs(share.sum() - 1.0) < 1e-6, f"{what}: the chances add up to {share.sum()}"
    if observed[share < 1e-12].any():
        return Comparison(what, math.inf, 0.0, math.inf)
    observed, expected = _pooled(observed, share * observed.sum())
    if len(observed) == 1:
        return Comparison(what, 0.0, 0.0, 0.0)
    chi_square = float(((observed - expected) ** 2 / expected).sum())
    return Comparison(
        what, chi_square, len(observed) - 1, _of_p_value(float(stats.chi2.sf(chi_square, len(observed) - 1)))
    )


def _pooled(observed: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add up neighbouring cells until each expects at least `SMALLEST_CELL`."""
    pooled: list[list[float]] = [[0.0, 0.0]]
    for pair in zip(observed, expected, strict=True):
        if pooled[-1][1] >= SMALLEST_CELL:
            pooled.append([0.0, 0.0])
        pooled[-1][0] += pair[0]
        pooled[-1][1] += pair[1]
    if len(pooled) > 1 and pooled[-1][1] < SMALLEST_CELL:
        last = pooled.pop()
        pooled[-1][0] += last[0]
        pooled[-1][1] += last[1]
    cells = np.array(pooled)
    return cells[:, 0], cells[:, 1]


def replicated(what: str, values: Iterable[float], exact: float) -> Comparison:
    """Student's t of independent replications, whose values may come from correlated events within each: for values without much skewness."""
    found = np.asarray(list(values), float)
    t = (found.mean() - exact) / (found.std(ddof=1) / math.sqrt(len(found)))
    z = _of_p_value(2.0 * float(stats.t.sf(abs(t), len(found) - 1)))
    return Comparison(what, float(found.mean()), exact, math.copysign(z, t))


def skewed(what: str, values: Iterable[float], exact: float, spread: float) -> Comparison:
    """Compare the mean of independent positive values, skewed to the right as mean waits are, with a gamma distribution of the exact mean.

    `spread` is the coefficient of variation of one value, or more. (Student's t would not do: the mean of 20 values of skewness 2 comes
    out too low by 5.16 deviations 3 times in 10,000.)
    """
    found = np.asarray(list(values), float)
    shape = len(found) / spread**2
    scaled = shape * found.mean() / exact
    tail = min(float(stats.gamma.cdf(scaled, shape)), float(stats.gamma.sf(scaled, shape)))
    return Comparison(what, float(found.mean()), exact, math.copysign(_of_p_value(2.0 * tail), found.mean() - exact))


def kolmogorov(what: str, sample: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray]) -> Comparison:
    """Kolmogorov-Smirnov: ``found`` is the largest distance between the distribution functions."""
    test = stats.kstest(sample, cdf)
    return Comparison(what, float(test.statistic), 0.0, _of_p_value(float(test.pvalue)))


def run(
    scenario: sim.Scenario | str, engine: str, seed: int, *, replications: int = 1, histories: int | None = 0
) -> sim.Result:
    """Run a scenario or the text of one."""
    chosen = sim.loads(scenario) if isinstance(scenario, str) else scenario
    return sim.run(chosen, seed, replications=replications, engine=engine, histories=histories)  # type: ignore[arg-type]


def days(times: pd.Series, result: sim.Result) -> pd.Series:
    """Times of a table in days since the start."""
    return (times - pd.Timestamp(result.scenario.spec.start)) / pd.Timedelta(days=1)


def at_day(table: pd.DataFrame, result: sim.Result, day: float, segment: str) -> pd.DataFrame:
    """Rows of a table over the grid at one of its times, for a segment."""
    rows = table[(table["segment"] == segment) & (days(table["time"], result) == day)]
    assert len(rows), f"day {day} is not on the grid"
    return rows


def occupied(result: sim.Result, day: float, segment: str) -> dict[str, int]:
    """Accounts of a segment by state at a grid time."""
    rows = at_day(result.occupancy, result, day, segment)
    return dict(zip(rows["state"].astype(str), rows["accounts"].tolist(), strict=True))


def occupancy(result: sim.Result, day: float, segment: str, chances: Mapping[str, float]) -> Comparison:
    """Compare the states of a segment's accounts, independent of each other, with their chances.

    Accounts that have not joined are a cell of their own: the chances may add up to less than 1.
    """
    counts = occupied(result, day, segment)
    absent = result.scenario.spec.segments[segment].accounts - sum(counts.values())
    shares = [chances.get(state, 0.0) for state in counts]
    assert set(chances) <= set(counts)
    cells = [*counts.values(), absent], [*shares, max(0.0, 1.0 - math.fsum(shares))]
    return multinomial(f"states of {segment} at day {day:g}", *cells)
