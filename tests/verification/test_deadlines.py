"""Deterministic deadlines: closed forms, and semi-Markov ladders against their renewal equations.

Threshold: |z| below `verification.exact.z_limit()`, 5.16: a false-alarm rate of 1e-4 for the whole folder, by Bonferroni over 400 comparisons.
Seeds: 1, 2, 3 in the order of the tests. Where an exact answer leaves no room for chance (everybody has left at the deadline), none is given.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

import sim
from verification.exact import Comparison, disagreements, normal, occupancy, occupied, proportion, run
from verification.renewal import LADDER_STATES, benchmark_ladder

ACCOUNTS = 40_000
RECTIFIED, CHANCE, DEADLINE = 5.0, 0.8, 7.0

RACE = """
schema: 1
title: A fixed deadline races an exponential clock that may never ring; two exits at one instant
start: 2023-01-01
horizon: 10 days
observe: 0.5 days
segments: {accounts: {accounts: 40_000}}
ladder:
  start: rectifying
  bans: [banned]
  states:
    rectifying:
      exits:
        rectified: {to: compliant, after: {exponential: {mean: 5 days}}, chance: 80%}
        deadline: {to: restricted, after: 7 days}
    compliant: {activity: 0}
    restricted:
      exits:
        first: {to: banned, after: 2 days, chance: 40%}
        second: {to: released, after: 48 hours}
    banned: {activity: 0}
    released: {activity: 0}
"""


def race_comparisons(result: sim.Result) -> Iterator[Comparison]:
    def rectified(day: float) -> float:
        return CHANCE * -math.expm1(-day / RECTIFIED)

    for day in (0.5, 3.0, 6.5):
        yield occupancy(result, day, "accounts", {"rectifying": 1.0 - rectified(day), "compliant": rectified(day)})
    done = rectified(DEADLINE)
    yield occupancy(result, DEADLINE, "accounts", {"compliant": done, "restricted": 1.0 - done})
    yield occupancy(result, 8.5, "accounts", {"compliant": done, "restricted": 1.0 - done})
    yield occupancy(
        result, 9.0, "accounts", {"compliant": done, "banned": 0.4 * (1.0 - done), "released": 0.6 * (1.0 - done)}
    )
    # mean of min(X, d): X exponential with the chance c, never otherwise
    left = math.exp(-DEADLINE / RECTIFIED)
    mean = CHANCE * RECTIFIED * (1.0 - left) + (1.0 - CHANCE) * DEADLINE
    square = CHANCE * 2.0 * RECTIFIED**2 * (1.0 - left * (1.0 + DEADLINE / RECTIFIED)) + (1.0 - CHANCE) * DEADLINE**2
    spent = result.states.set_index("state")["account_days"]
    yield normal(
        "mean days in rectifying", spent["rectifying"] / ACCOUNTS, mean, math.sqrt((square - mean**2) / ACCOUNTS)
    )
    yield normal(
        "days in restricted",
        round(spent["restricted"], 6),
        2.0 * occupied(result, DEADLINE, "accounts")["restricted"],
        0.0,
    )


def test_a_deadline_and_an_exponential_clock(engine, verify):
    """P(rectified by t) = c (1 - exp(-t/m)) up to the deadline d, where all the others leave; E min(X, d) and its variance by parts.

    Two exits ring at one instant: the one written first wins whenever it rings (its chance is 40 %). An observation sees what happens at its instant.
    """
    verify(race_comparisons(run(RACE, engine, seed=1)))


@pytest.mark.parametrize(
    ("path", "value"),
    [("deadline.after", "7.14 days"), ("rectified.after", {"exponential": {"mean": "5.4 days"}})],
    ids=["deadline", "mean"],
)
def test_of_the_test_clocks_that_are_off(engine, path, value):
    """With a deadline 2 % or a mean 8 % too long the same comparisons fail."""
    bent = sim.loads(RACE).with_values({f"ladder.states.rectifying.exits.{path}": value})
    assert disagreements(race_comparisons(run(bent, engine, seed=1)))


BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
STEP_DAYS = 0.02


def by_renewal(day: float, review: float | None) -> dict[str, float]:
    """Occupancy at a day; the answer may not depend on the step by more than 1e-6."""
    coarse = benchmark_ladder(day, 2.0 * STEP_DAYS if review is None else STEP_DAYS, review=review)[1][-1]
    fine = benchmark_ladder(day, STEP_DAYS if review is None else STEP_DAYS / 2.0, review=review)[1][-1]
    assert abs(fine - coarse).max() < 1e-6
    return dict(zip(LADDER_STATES, fine.tolist(), strict=True))


def test_benchmark_ladder(engine, verify):
    """The ladder of ``tests/benchmarks/ladder.yaml``: 32.96 % ever banned at day 365 by its delay equations (see `benchmark_ladder`)."""
    scenario = sim.load(BENCHMARKS / "ladder.yaml").scaled(0.3)
    result = run(scenario, engine, seed=2)
    comparisons = []
    for day in (5, 20, 36, 90, 365):
        exact = by_renewal(day, None)
        del exact["under_review"]
        comparisons.append(occupancy(result, day, "accounts", exact))
    assert exact["banned"] == pytest.approx(0.3296, abs=5e-5)
    banned = int(result.bans["ever_banned"].iloc[-1])
    comparisons.append(
        proportion("ever banned at day 365", banned, scenario.spec.segments["accounts"].accounts, exact["banned"])
    )
    verify(comparisons)


def test_benchmark_ladder_with_reviews(engine, verify):
    """The ladder of ``tests/benchmarks/desk.yaml`` before an unlimited desk: 34.29 % ever banned at day 365 by its delay equations."""
    scenario = sim.load(BENCHMARKS / "desk.yaml").scaled(0.15).with_values({"desks.review.reviewers": "unlimited"})
    result = run(scenario, engine, seed=3)
    comparisons = []
    for day in (36, 365):
        exact = by_renewal(day, 0.02)
        comparisons.append(occupancy(result, day, "accounts", exact))
    assert exact["banned"] == pytest.approx(0.3429, abs=6e-5)
    verify(comparisons)
