"""How many violations, of which kinds and severities, how many detected: Poisson and mixed Poisson counts.

Threshold: |z| below `verification.exact.z_limit()`, 5.16: a false-alarm rate of 1e-4 for the whole folder, by Bonferroni over 400 comparisons.
Seeds: 1, 2, 3 in the order of the tests.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

import sim
from verification.exact import (
    Comparison,
    at_day,
    disagreements,
    kolmogorov,
    multinomial,
    normal,
    poisson_count,
    proportion,
    run,
    sample_mean,
)

HORIZON = 100.0
KINDS = """
schema: 1
title: Kinds, severities and detection, in a state where nothing follows and one that halves activity
start: 2023-01-01
horizon: 100 days
observe: 10 days
segments:
  shops: {accounts: 10_000}
  media: {accounts: 20_000}
violations:
  trading:
    rate: {shops: 0.03 per day, media: 1.8 per month}
    severity: {minor: 60%, serious: 30%, severe: 10%}
    detection: {chance: 35%}
  spam:
    rate: {shops: 0.07 per week}
    severity: {minor: 85%, severe: 15%}
    detection: {chance: 80%, delay: {weibull: {shape: 2, scale: 3 days}}}
  mistaken:
    genuine: false
    rate: {shops: 1.46 per year, media: 7.3 per year}
    severity: {serious: 100%}
    detection: {chance: 50%}
ladder:
  start: compliant
  bans: []
  states:
    compliant:
      exits: {slowed: {to: quiet, after: 60 days}}
    quiet:
      activity: 50%
phases:
  announced: {from: 2023-01-31, set: {violations.trading.rate.shops: 0.01 per day}}
"""

EXPECTED = {  # violations of one account: rate per day x days at full activity (60 days, then 40 at a half: 80)
    ("shops", "trading"): 0.03 * 30 + 0.01 * (30 + 20),
    ("shops", "spam"): 0.01 * 80,
    ("shops", "mistaken"): 0.004 * 80,
    ("media", "trading"): 0.06 * 80,
    ("media", "spam"): 0.0,
    ("media", "mistaken"): 0.02 * 80,
}
SEVERITY = {"trading": (0.6, 0.3, 0.1), "spam": (0.85, 0.0, 0.15), "mistaken": (0.0, 1.0, 0.0)}
DETECTED = {"trading": 0.35, "spam": 0.8, "mistaken": 0.5}
ACCOUNTS = {"shops": 10_000, "media": 20_000}


def kinds_comparisons(result: sim.Result) -> Iterator[Comparison]:
    counts = result.violations.set_index(["segment", "kind", "severity"])
    for (segment, kind), mean in EXPECTED.items():
        told = f"{kind} by {segment}"
        rows = counts.loc[(segment, kind)].reindex(["minor", "serious", "severe"])
        total = int(rows["violations"].sum())
        yield poisson_count(told, total, mean * ACCOUNTS[segment])
        if mean == 0.0:
            continue
        yield multinomial(f"severities of {told}", rows["violations"].tolist(), SEVERITY[kind])
        for severity, row in rows[rows["violations"] > 0].iterrows():
            yield proportion(
                f"detected {severity} {told}", int(row["detected"]), int(row["violations"]), DETECTED[kind]
            )


def test_kinds_severities_and_detection(engine, verify):
    """Thinning and superposition of Poisson processes: counts by kind are independent Poisson with the integrated hazard as their mean.

    Given the counts, severities are multinomial and detections binomial (Kingman 1993, sections 2.2 and 5.1).
    """
    verify(kinds_comparisons(run(KINDS, engine, seed=1)))


@pytest.mark.parametrize(
    ("path", "value"), [("rate.media", "1.854 per month"), ("detection.chance", "36.75%")], ids=["rate", "detection"]
)
def test_of_the_test_chances_that_are_off(engine, path, value):
    """With one rate 3 % or one detection chance 5 % too high the same comparisons fail."""
    bent = sim.loads(KINDS).with_values({f"violations.trading.{path}": value})
    assert disagreements(kinds_comparisons(run(bent, engine, seed=1)))


COUNTS = """
schema: 1
title: Every violation is a decision, and a decision leads back to the same state
start: 2023-01-01
horizon: 100 days
observe: 10 days
severities: [minor]
segments:
  alike: {accounts: 5_000}
  spread: {accounts: 8_000, propensity: {sigma: 0.6}}
  newcomers: {accounts: 4_000, joins: {from: 2023-01-11, to: 2023-03-02}}
violations:
  trading:
    rate: {alike: 0.03 per day, spread: 0.02 per day, newcomers: 0.05 per day}
    severity: {minor: 100%}
    detection: {chance: 100%}
ladder:
  start: active
  bans: []
  states:
    active: {on_violation: {minor: active}}
"""


def per_account(result: sim.Result, segment: str) -> np.ndarray:
    """Decisions of every account of a segment."""
    rows = result.histories
    decided = rows[(rows["segment"] == segment) & (rows["cause"] == "decision")]["account"]
    return np.bincount(decided, minlength=result.scenario.spec.segments[segment].accounts)


def histogram(what: str, counts: np.ndarray, chances: np.ndarray) -> Comparison:
    """Compare counts of accounts with the chances of 0, 1, 2, … (what is beyond them is the last cell)."""
    cells = np.bincount(np.minimum(counts, len(chances)), minlength=len(chances) + 1)
    return multinomial(what, cells.tolist(), [*chances, 1.0 - chances.sum()])


def mixed_moments(chances: np.ndarray) -> tuple[float, float, float]:
    """Mean, variance and fourth central moment of a distribution on 0, 1, 2, …"""
    values = np.arange(len(chances))
    mean = float(values @ chances)
    return mean, float((values - mean) ** 2 @ chances), float((values - mean) ** 4 @ chances)


def test_counts_of_one_account(engine, verify):
    """Counts of single accounts: Poisson; Poisson mixed by a lognormal propensity of mean 1; Poisson with an evenly distributed time under risk.

    The lognormal mixture (Bulmer 1974): mean m and variance m + m^2 (exp(sigma^2) - 1); its probabilities by Gauss-Hermite quadrature.
    Joining evenly in [a, b]: P(k) is the mean of Poisson probabilities over T - b to T - a, which by parts is a difference of gamma functions.
    """
    result = run(COUNTS, engine, seed=2, histories=None)
    numbers = np.arange(200)
    alike, spread, newcomers = (per_account(result, segment) for segment in ("alike", "spread", "newcomers"))
    comparisons = [
        histogram("counts, all alike", alike, stats.poisson.pmf(numbers[:15], 3.0)),
        sample_mean("mean count, all alike", alike, 3.0, 3.0),
    ]

    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    propensity = np.exp(0.6 * nodes - 0.6**2 / 2.0)
    mixture = (weights / weights.sum()) @ stats.poisson.pmf(numbers[None, :], 2.0 * propensity[:, None])
    mean, variance, fourth = mixed_moments(mixture)
    assert math.isclose(mean, 2.0, rel_tol=1e-6)
    assert math.isclose(variance, 2.0 + 4.0 * math.expm1(0.6**2), rel_tol=1e-4)
    comparisons += [
        histogram("counts with a propensity", spread, mixture[:40]),
        sample_mean("mean count with a propensity", spread, mean, variance),
        normal(
            "variance of counts with a propensity",
            float(spread.var()),
            variance,
            math.sqrt((fourth - variance**2) / len(spread)),
        ),
    ]

    low, high = 0.05 * 40.0, 0.05 * 90.0
    late = (stats.gamma.cdf(high, numbers + 1) - stats.gamma.cdf(low, numbers + 1)) / (high - low)
    between = (high - low) ** 2 / 12.0
    comparisons += [
        histogram("counts of newcomers", newcomers, late[:15]),
        sample_mean("mean count of newcomers", newcomers, (low + high) / 2.0, (low + high) / 2.0 + between),
    ]
    for day, share in ((10.0, 0.0), (30.0, 0.4), (60.0, 1.0)):
        joined = int(at_day(result.bans, result, day, "newcomers")["joined"].iloc[0])
        comparisons.append(proportion(f"newcomers that have joined by day {day:g}", joined, 4_000, share))
    verify(comparisons)


def test_times_of_violations(engine, verify):
    """Given their number, the points of a Poisson process are evenly distributed (Kingman 1993, section 2.4).

    The time to the first is exponential, cut off at the horizon.
    """
    result = run(COUNTS, engine, seed=3, histories=3_000)
    rows = result.histories[(result.histories["segment"] == "alike") & (result.histories["cause"] == "decision")]
    times = ((rows["time"] - result.bans["time"].iloc[0]) / np.timedelta64(1, "D")).to_numpy()
    first = rows.groupby("account")["time"].min()
    firsts = ((first - result.bans["time"].iloc[0]) / np.timedelta64(1, "D")).to_numpy()
    within = -math.expm1(-0.03 * HORIZON)
    verify(
        [
            kolmogorov("times of violations", times, stats.uniform(0, HORIZON).cdf),
            proportion("accounts with any violation", len(firsts), 3_000, within),
            kolmogorov("first violations", firsts, lambda t: -np.expm1(-0.03 * t) / within),
        ]
    )
