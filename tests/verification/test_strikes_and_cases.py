"""Strikes with and without expiry, and cases that stay open for a fixed delay.

Threshold: |z| below `verification.exact.z_limit()`, 5.16: a false-alarm rate of 1e-4 for the whole folder, by Bonferroni over 400 comparisons.
Seeds: 1, 2, 3 in the order of the tests.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

import sim
from verification.exact import Comparison, disagreements, multinomial, proportion, run
from verification.renewal import dead_time_counts, third_strike

STRIKES = """
schema: 1
title: The third strike bans
start: 2023-01-01
horizon: 360 days
observe: 10 days
severities: [minor]
segments: {accounts: {accounts: 50_000}}
violations:
  trading:
    rate: {accounts: 0.03 per day}
    severity: {minor: 100%}
    detection: {chance: 50%}
ladder:
  start: active
  bans: [banned]
  states:
    active: {on_violation: {minor: [active, active, banned]}}
    banned: {activity: 0}
"""
FOUND_PER_DAY = 0.015


def bans_comparisons(result: sim.Result, distribution: np.ndarray) -> Iterator[Comparison]:
    """Compare bans per interval of the grid, and no ban, with a distribution function at the grid times (0 first)."""
    ever = result.bans["ever_banned"].to_numpy()
    accounts = int(result.bans["joined"].iloc[-1])
    counts = [*np.diff(ever), accounts - ever[-1]]
    yield multinomial("times of bans", counts, [*np.diff(distribution), 1.0 - distribution[-1]])
    yield proportion("ever banned", int(ever[-1]), accounts, float(distribution[-1]))


def test_third_strike_without_expiry(engine, verify):
    """The third strike of a Poisson process comes after an Erlang time: gamma with shape 3."""
    result = run(STRIKES, engine, seed=1)
    verify(bans_comparisons(result, stats.gamma.cdf(np.arange(0, 361, 10), 3, scale=1 / FOUND_PER_DAY)))


def expiring(days: int) -> sim.Scenario:
    return sim.loads(STRIKES).with_values({"ladder.strikes.expire": f"{days} days"})


def exact_expiring(expire: float, step: float) -> np.ndarray:
    return third_strike(FOUND_PER_DAY, expire, 360.0, step)[1][:: round(10.0 / step)]


def test_third_strike_within_ninety_days(engine, verify):
    """Three strikes within less than 90 days: the scan statistic of a Poisson process, by an integral equation (see `third_strike`).

    Up to 90 days nothing has expired, and the answer must be the Erlang time of the test above; halving the step changes it by less than 1e-5.
    """
    exact = exact_expiring(90.0, 0.5)
    assert exact[:10] == pytest.approx(stats.gamma.cdf(np.arange(0, 91, 10), 3, scale=1 / FOUND_PER_DAY), abs=1e-9)
    assert abs(exact - exact_expiring(90.0, 1.0)).max() < 1e-5
    verify(bans_comparisons(run(expiring(90), engine, seed=2), exact))


def test_of_the_test_strikes_that_expire_early(engine):
    """If strikes expire after 85 days the comparison with 90 fails."""
    assert disagreements(bans_comparisons(run(expiring(85), engine, seed=2), exact_expiring(90.0, 0.5)))


DELAY, GENUINE, FALSE = 6.0, 0.05, 0.03  # days; detected per day
CASES = """
schema: 1
title: Cases open for a fixed delay, decided without consequence but a mark
start: 2023-01-01
horizon: 100 days
observe: 10 days
segments: {accounts: {accounts: 8_000}}
violations:
  trading:
    rate: {accounts: 0.1 per day}
    severity: {minor: 70%, serious: 20%, severe: 10%}
    detection: {chance: 50%, delay: 6 days}
  mistaken:
    genuine: false
    rate: {accounts: 0.04 per day}
    severity: {minor: 80%, serious: 20%}
    detection: {chance: 75%, delay: 144 hours}
ladder:
  start: active
  bans: []
  states:
    active: {on_violation: {minor: active, serious: noted, severe: watched}}
    noted: {on_violation: {minor: active, serious: noted, severe: watched}}
    watched: {on_violation: {minor: active, serious: noted, severe: watched}}
"""


def marks() -> list[float]:
    """Chances of worst severity and mark of a case: (minor, serious, severe) rightful, then wrongful.

    A case holds its first violation and Poisson(rate x delay) more. All of them lie in a set that one violation hits with the chance a with
    probability a exp(-rate delay (1 - a)); sets are "at most this severity" and "at most this severity and false".
    """
    rate = GENUINE + FALSE

    def all_in(a: float) -> float:
        return a * math.exp(-rate * DELAY * (1.0 - a))

    anyhow = np.array([all_in((GENUINE * g + FALSE * f) / rate) for g, f in ((0.7, 0.8), (0.9, 1.0), (1.0, 1.0))])
    false = np.array([all_in(FALSE * f / rate) for f in (0.8, 1.0, 1.0)])
    wrongful = np.diff(false, prepend=0.0)
    return [*(np.diff(anyhow, prepend=0.0) - wrongful), *wrongful]


def cases_comparisons(result: sim.Result) -> Iterator[Comparison]:
    decided = result.histories[result.histories["cause"] == "decision"]
    counts = np.bincount(np.bincount(decided["account"], minlength=8_000))
    chances = list(dead_time_counts(GENUINE + FALSE, DELAY, 100.0))
    yield multinomial("decisions of one account", [*counts, *[0] * (len(chances) - len(counts))], chances)
    moves = result.transitions[result.transitions["cause"] == "decision"]
    table = moves.groupby(["wrongful", "to_state"], observed=False)["transitions"].sum()
    found = [int(table.get((mark, state), 0)) for mark in (False, True) for state in ("active", "noted", "watched")]
    yield multinomial("severities and marks of cases", found, marks())
    severities = decided.groupby("severity", observed=False).size()
    yield multinomial(
        "severities in histories",
        [int(severities[s]) for s in ("minor", "serious", "severe")],
        np.add(marks()[:3], marks()[3:]).tolist(),
    )


def test_cases_with_a_fixed_delay(engine, verify):
    """Decisions form a counter of type I (see `dead_time_counts`); a case has the worst severity in it and is wrongful if all of it is false."""
    verify(cases_comparisons(run(CASES, engine, seed=3, histories=None)))


def test_of_the_test_a_delay_that_is_off(engine):
    """With a delay of 5.7 instead of 6 days the same comparisons fail."""
    delays = {f"violations.{kind}.detection.delay": "5.7 days" for kind in ("trading", "mistaken")}
    assert disagreements(cases_comparisons(run(sim.loads(CASES).with_values(delays), engine, seed=3, histories=None)))
