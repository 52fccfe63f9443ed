"""Phases, orders and late joiners, against products of matrix exponentials.

Threshold: |z| below `verification.exact.z_limit()`, 5.16: a false-alarm rate of 1e-4 for the whole folder, by Bonferroni over 400 comparisons.
Seed: 1. The chain was written down from the ladder by hand, with the clocks that an account drew on entry as part of its state.
"""

from collections.abc import Iterator
from itertools import pairwise

import sim
from verification.chains import Shares, advance, gathered, turned
from verification.exact import Comparison, disagreements, occupancy, run

PHASED = """
schema: 1
title: Phases that keep and that restart clocks, an order, late joiners
start: 2023-01-01
horizon: 360 days
observe: 10 days
severities: [minor]
segments:
  founders: {accounts: 20_000}
  newcomers: {accounts: 15_000, joins: {from: 2023-01-21, to: 2023-07-20}}
violations:
  trading:
    rate: {founders: 0.01 per day, newcomers: 0.02 per day}
    severity: {minor: 100%}
    detection: {chance: 50%}
ladder:
  start: compliant
  bans: [banned]
  states:
    compliant:
      on_violation: {minor: rectifying}
    rectifying:
      activity: 40%
      exits:
        rectified: {to: compliant, after: {exponential: {mean: 20 days}}}
        deadline: {to: banned, after: {exponential: {mean: 40 days}}}
      on_violation: {minor: banned}
    suspended:
      activity: 0
      exits: {back: {to: compliant, after: {exponential: {mean: 30 days}}}}
    banned: {activity: 0}
waves:
  order: {at: 2023-08-29, segment: founders, share: 30%, to: suspended, states: [compliant, rectifying]}
phases:
  announced: {from: 2023-03-02, set: {violations.trading.rate.founders: 0.02 per day}}
  enforced:
    from: 2023-05-01
    set:
      violations.trading.detection.chance: 90%
      ladder.states.rectifying.activity: 80%
      ladder.states.rectifying.exits.rectified.after: {exponential: {mean: 5 days}}
  clampdown:
    from: 2023-06-30
    in_progress: restart
    set:
      ladder.states.rectifying.exits.deadline.after: {exponential: {mean: 8 days}}
      ladder.states.compliant.on_violation.minor: suspended
"""

CLOCKS = {0: (1 / 20, 1 / 40), 120: (1 / 5, 1 / 40), 180: (1 / 5, 1 / 8)}
"""Rates of rectified and deadline for those who enter from a day on."""


def phased_chain(segment: str, day: float):
    """Moves of (state, the day whose clocks run) while the law of `day` is in force."""
    rate = {"founders": 0.01 if day < 60 else 0.02, "newcomers": 0.02}[segment] * (0.5 if day < 120 else 0.9)
    activity = 0.4 if day < 120 else 0.8
    clock = max(since for since in CLOCKS if since <= day)

    def moves(account: tuple[str, int]) -> Iterator[tuple[tuple[str, int], float]]:
        state, since = account
        if state == "compliant":
            yield ("rectifying", clock) if day < 180 else ("suspended", 0), rate
        elif state == "rectifying":
            rectified, deadline = CLOCKS[since]
            yield ("compliant", 0), rectified
            yield ("banned", 0), deadline + activity * rate
        elif state == "suspended":
            yield ("compliant", 0), 1 / 30

    return moves


def ordered(account: tuple[str, int]) -> dict[tuple[str, int], float]:
    """The order: 30 % of those in the states named are suspended."""
    return {("suspended", 0): 0.3, account: 0.7} if account[0] in ("compliant", "rectifying") else {account: 1.0}


def restarted(account: tuple[str, int]) -> dict[tuple[str, int], float]:
    """The restart of day 180: everybody in a state whose exits change has the new clocks."""
    return {("rectifying", 180) if account[0] == "rectifying" else account: 1.0}


def phased_comparisons(result: sim.Result) -> Iterator[Comparison]:
    for segment in ("founders", "newcomers"):
        shares: Shares = {("compliant", 0): 1.0} if segment == "founders" else {}
        stops = (0, 20, 60, 120, 130, 180, 190, 200, 240, 250, 360)
        for begin, end in pairwise(stops):
            inflow = {("compliant", 0): 1 / 180} if segment == "newcomers" and 20 <= begin < 200 else {}
            shares = advance(shares, phased_chain(segment, begin), end - begin, inflow)
            shares = turned(shares, restarted) if end == 180 else shares
            shares = turned(shares, ordered) if end == 240 and segment == "founders" else shares
            yield occupancy(result, end, segment, gathered(shares, lambda account: account[0]))


def test_phases_orders_and_late_joiners(engine, verify):
    """One ``expm`` for each stretch of constant law, with the clocks of the law at entry in the state.

    Accounts that join evenly over 180 days are an inflow of 1/180 per day (see `advance`).
    """
    verify(phased_comparisons(run(PHASED, engine, seed=1)))


def test_of_the_test_a_restart_that_is_forgotten(engine):
    """If clocks are kept where the law restarts them, the same comparisons fail."""
    bent = PHASED.replace("in_progress: restart", "in_progress: keep")
    assert disagreements(phased_comparisons(run(bent, engine, seed=1)))
