"""Published tables: two multi-state models of the literature, rebuilt as ladders.

Threshold: |z| below `verification.exact.z_limit()`, 5.16: a false-alarm rate of 1e-4 for the whole folder, by Bonferroni over 400 comparisons.
Seeds: 1, 2 in the order of the tests. Tables of queues are in ``test_desks``.
"""

import numpy as np
import pytest

from verification.chains import advance
from verification.exact import multinomial, occupancy, occupied, run

INTENSITIES = {
    "well": {"mild": 0.12787, "dead": 0.04250},
    "mild": {"well": 0.22512, "severe": 0.34261, "dead": 0.04021},
    "severe": {"mild": 0.13062, "dead": 0.30648},
}
"""Per year: the model of ``cav`` (heart transplants) in the R package msm (Jackson 2011, J. Stat. Softw. 38(8))."""

CAV_AT_TEN_YEARS = {"well": 0.30941, "mild": 0.09750, "severe": 0.08787, "dead": 0.50522}


def cav() -> str:
    states = ""
    for state, exits in INTENSITIES.items():
        states += f"    {state}:\n      exits:\n"
        for target, rate in exits.items():
            states += (
                f"        to_{target}: {{to: {target}, after: {{exponential: {{mean: {1 / rate:.12f} years}}}}}}\n"
            )
    return f"""
schema: 1
title: Intensities of cav in msm
start: 2023-01-01
horizon: 10 years
observe: 1 year
segments: {{patients: {{accounts: 40_000}}}}
ladder:
  start: well
  bans: [dead]
  states:
{states}    dead: {{activity: 0}}
"""


def test_cav_intensities(engine, verify):
    """``expm(10 Q)`` gives the published P(state at 10 years | state 1) to its five digits, and the simulated states agree with it."""
    shares = {"well": 1.0}
    result = run(cav(), engine, seed=1)
    comparisons = []
    for year in (1, 2, 5, 10):
        exact = advance(shares, lambda state: INTENSITIES.get(state, {}).items(), float(year))
        comparisons.append(occupancy(result, 365.0 * year, "patients", exact))
    assert exact == pytest.approx(CAV_AT_TEN_YEARS, abs=5.1e-6)
    verify(comparisons)


DEATH = -np.log1p(-0.005)
DIES = {"healthy": 0.005, "sick": -np.expm1(-3.0 * DEATH), "sicker": -np.expm1(-10.0 * DEATH)}
YEARLY = {
    "healthy": {"dead": DIES["healthy"], "sick": 0.15},
    "sick": {"dead": DIES["sick"], "healthy": 0.5, "sicker": 0.105},
    "sicker": {"dead": DIES["sicker"]},
}
"""Chances per year of the Sick-Sicker cohort (Krijkamp et al. 2018, Med. Decis. Making 38(3)); ratios of death rates 3 and 10."""

SICK_SICKER = {10: (0.618410, 0.156775, 0.135055, 0.089760), 30: (0.348684, 0.088396, 0.206529, 0.356391)}


def sick_sicker() -> str:
    """Exits after one year, one of which rings: the first of those written that does, so each has its chance given that none before it rang."""
    states = ""
    for state, exits in YEARLY.items():
        states += f"    {state}:\n      exits:\n"
        left = 1.0
        for target, chance in exits.items():
            states += f"        to_{target}: {{to: {target}, after: 1 year, chance: {chance / left:.15f}}}\n"
            left -= chance
        states += f"        stays: {{to: {state}, after: 1 year}}\n"
    return f"""
schema: 1
title: Sick-Sicker
start: 2023-01-01
horizon: 30 years
observe: 1 year
segments: {{cohort: {{accounts: 10_000}}}}
ladder:
  start: healthy
  bans: [dead]
  states:
{states}    dead: {{activity: 0}}
"""


def test_sick_sicker_cohort(engine, verify):
    """The published shares of the cohort at cycles 10 and 30, as powers of the yearly matrix, and simulated with one-year exits."""
    names = [*YEARLY, "dead"]
    yearly = np.zeros((4, 4))
    for row, state in enumerate(names):
        for target, chance in YEARLY.get(state, {}).items():
            yearly[row, names.index(target)] = chance
        yearly[row, row] = 1.0 - yearly[row].sum()
    result = run(sick_sicker(), engine, seed=2)
    comparisons = []
    for cycle, published in SICK_SICKER.items():
        exact = np.linalg.matrix_power(yearly, cycle)[0]
        assert exact == pytest.approx(published, abs=5.1e-7)
        found = occupied(result, 365.0 * cycle, "cohort")
        comparisons.append(multinomial(f"cohort at cycle {cycle}", [found[name] for name in names], exact.tolist()))
    verify(comparisons)
