"""Ladders whose clocks are all exponential, against products of matrix exponentials.

Threshold: |z| below `verification.exact.z_limit()`, 5.16: a false-alarm rate of 1e-4 for the whole folder, by Bonferroni over 400 comparisons.
Seeds: 1, 2, 3 in the order of the tests. Every chain below was written down from its ladder by hand, with what an account carries along
(strikes, marks, open cases, clocks that never ring) as part of the state.
"""

from collections.abc import Iterator

import sim
from verification.chains import Shares, advance, gathered
from verification.exact import Comparison, at_day, disagreements, multinomial, occupancy, run

STRIKES = """
schema: 1
title: Strikes that never expire, severities, thinning, false alarms, activity, targets that are the same state
start: 2023-01-01
horizon: 360 days
observe: 30 days
segments:
  traders: {accounts: 16_000}
  media: {accounts: 16_000}
violations:
  trading:
    rate: {traders: 0.02 per day, media: 0.004 per day}
    severity: {minor: 60%, serious: 30%, severe: 10%}
    detection: {chance: 70%}
  mistaken:
    genuine: false
    rate: {traders: 0.002 per day, media: 0.006 per day}
    severity: {minor: 80%, serious: 20%}
    detection: {chance: 50%}
ladder:
  start: compliant
  bans: [banned]
  states:
    compliant:
      on_violation: {minor: [compliant, warned, restricted], serious: [warned, restricted], severe: banned}
    warned:
      activity: 50%
      exits: {lapsed: {to: compliant, after: {exponential: {mean: 20 days}}}}
      on_violation: {minor: [warned, restricted], serious: restricted, severe: banned}
    restricted:
      activity: 20%
      exits: {restored: {to: compliant, after: {exponential: {mean: 40 days}}}}
      on_violation: {minor: [restricted, restricted, restricted, banned], serious: banned}
    banned:
      activity: 0
      exits: {appealed: {to: compliant, after: {exponential: {mean: 60 days}}, chance: 30%}}
"""

TARGETS = {
    "compliant": {
        "minor": ["compliant", "warned", "restricted"],
        "serious": ["warned", "restricted"],
        "severe": ["banned"],
    },
    "warned": {"minor": ["warned", "restricted"], "serious": ["restricted"], "severe": ["banned"]},
    "restricted": {"minor": ["restricted", "restricted", "restricted", "banned"], "serious": ["banned"]},
    "banned": {},
}
DETECTED = {  # per day: trading (rightful), mistaken (wrongful)
    "traders": {False: 0.02 * 0.7, True: 0.002 * 0.5},
    "media": {False: 0.004 * 0.7, True: 0.006 * 0.5},
}
SEVERITY = {False: {"minor": 0.6, "serious": 0.3, "severe": 0.1}, True: {"minor": 0.8, "serious": 0.2}}
ACTIVITY = {"compliant": 1.0, "warned": 0.5, "restricted": 0.2, "banned": 0.0}
EXITS = {
    "compliant": [],
    "warned": [("compliant", 1 / 20)],
    "restricted": [("compliant", 1 / 40)],
    "banned": [("compliant", 1 / 60)],
}
MOST_STRIKES = 4


def strikes_chain(segment: str):
    """Moves of (state, strikes, does the exit ring, first ban: "", "rightful" or "wrongful")."""

    def enter(state: str, strikes: int, first: str, rate: float) -> Iterator[tuple[tuple, float]]:
        chance = 0.3 if state == "banned" else 1.0
        for rings, share in ((True, chance), (False, 1.0 - chance)):
            yield (state, strikes, rings, first), rate * share

    def moves(account: tuple) -> Iterator[tuple[tuple, float]]:
        state, strikes, rings, first = account
        for target, rate in EXITS[state]:
            yield from enter(target, strikes, first, rate * rings)
        for wrongful, found in DETECTED[segment].items():
            for severity, share in SEVERITY[wrongful].items():
                if severity not in TARGETS[state]:
                    continue
                count = min(strikes + 1, MOST_STRIKES)
                listed = TARGETS[state][severity]
                target = listed[min(count, len(listed)) - 1]
                mark = first or (("wrongful" if wrongful else "rightful") if target == "banned" else "")
                yield from enter(target, count, mark, ACTIVITY[state] * found * share)

    return moves


def first_bans(result: sim.Result, day: float, segment: str, never: float, wrongful: float) -> Comparison:
    """Compare never, rightfully, wrongfully banned at a grid time."""
    row = at_day(result.bans, result, day, segment).iloc[0]
    counts = [row["joined"] - row["ever_banned"], row["ever_banned"] - row["wrongly_banned"], row["wrongly_banned"]]
    return multinomial(f"first bans of {segment} at day {day:g}", counts, [never, 1.0 - never - wrongful, wrongful])


def strikes_comparisons(result: sim.Result) -> Iterator[Comparison]:
    for segment in ("traders", "media"):
        shares: Shares = {("compliant", 0, True, ""): 1.0}
        for begin, end in ((0, 60), (60, 180), (180, 360)):
            shares = advance(shares, strikes_chain(segment), end - begin)
            yield occupancy(result, end, segment, gathered(shares, lambda account: account[0]))
            firsts = gathered(shares, lambda account: account[3])
            yield first_bans(result, end, segment, firsts[""], firsts["wrongful"])


def test_strikes_severities_and_false_alarms(engine, verify):
    """Occupancy and first bans of two segments: ``expm(Q t)`` with the number of strikes and the mark of the first ban in the state."""
    verify(strikes_comparisons(run(STRIKES, engine, seed=1)))


def test_of_the_test_an_exit_that_rings_too_often(engine):
    """With 40 instead of 30 % of appeals the same comparisons fail."""
    bent = sim.loads(STRIKES).with_values({"ladder.states.banned.exits.appealed.chance": "40%"})
    assert disagreements(strikes_comparisons(run(bent, engine, seed=1)))


COMPETING = """
schema: 1
title: Clocks that may never ring compete, an unlimited desk decides by the mark
start: 2023-01-01
horizon: 200 days
observe: 10 days
severities: [minor, severe]
segments: {accounts: {accounts: 25_000}}
violations:
  trading:
    rate: {accounts: 0.02 per day}
    severity: {minor: 70%, severe: 30%}
    detection: {chance: 100%}
  mistaken:
    genuine: false
    rate: {accounts: 0.02 per day}
    severity: {minor: 60%, severe: 40%}
    detection: {chance: 50%}
ladder:
  start: flagged
  bans: [banned]
  states:
    flagged:
      exits:
        rectified: {to: compliant, after: {exponential: {mean: 5 days}}, chance: 80%}
        deadline: {to: restricted, after: {exponential: {mean: 9 days}}, chance: 60%}
        gone: {to: departed, after: {exponential: {mean: 30 days}}, chance: 50%}
      on_violation: {minor: flagged, severe: restricted}
    compliant:
      on_violation: {minor: flagged, severe: banned}
    restricted:
      activity: 50%
      exits: {closed: {to: banned, after: {exponential: {mean: 20 days}}, chance: 70%}}
      on_violation: {severe: banned}
    banned:
      activity: 0
      exits: {appealed: {to: appealing, after: {exponential: {mean: 5 days}}, chance: 50%}}
    appealing:
      desk: appeals
      service: {exponential: {mean: 3 days}}
      outcomes:
        rightful: {upheld: 90%, compliant: 10%}
        wrongful: {upheld: 20%, compliant: 80%}
    upheld: {activity: 0}
    departed: {activity: 0}
desks: {appeals: {reviewers: unlimited}}
"""

RINGS = {  # state: exits as (target, rate per day, chance)
    "flagged": [("compliant", 1 / 5, 0.8), ("restricted", 1 / 9, 0.6), ("departed", 1 / 30, 0.5)],
    "compliant": [],
    "restricted": [("banned", 1 / 20, 0.7)],
    "banned": [("appealing", 1 / 5, 0.5)],
    "appealing": [],
    "upheld": [],
    "departed": [],
}
DECIDED = {  # state: severity: target
    "flagged": {"minor": "flagged", "severe": "restricted"},
    "compliant": {"minor": "flagged", "severe": "banned"},
    "restricted": {"severe": "banned"},
}
FOUND = {False: {"minor": 0.02 * 0.7, "severe": 0.02 * 0.3}, True: {"minor": 0.01 * 0.6, "severe": 0.01 * 0.4}}


def entered(state: str, wrongful: bool, first: str) -> Iterator[tuple[tuple, float]]:
    """Chances of the clocks that ring, at entry: one independent draw for each exit."""
    if state == "banned" and not first:
        first = "wrongful" if wrongful else "rightful"
    sets = [((), 1.0)]
    for number, (_, _, chance) in enumerate(RINGS[state]):
        sets = [
            pair
            for ringing, share in sets
            for pair in (((*ringing, number), share * chance), (ringing, share * (1 - chance)))
        ]
    for ringing, share in sets:
        yield (state, ringing, wrongful, first), share


def competing_moves(account: tuple) -> Iterator[tuple[tuple, float]]:
    """Moves of (state, exits that will ring, mark, first ban)."""
    state, ringing, wrongful, first = account
    for number in ringing:
        target, rate, _ = RINGS[state][number]
        for after, share in entered(target, wrongful, first):
            yield after, rate * share
    if state == "appealing":  # in service: no violations
        for target, chance in {"upheld": 0.2 if wrongful else 0.9, "compliant": 0.8 if wrongful else 0.1}.items():
            for after, share in entered(target, wrongful, first):
                yield after, chance / 3 * share
    for mark, found in FOUND.items():
        for severity, target in DECIDED.get(state, {}).items():
            activity = 0.5 if state == "restricted" else 1.0
            for after, share in entered(target, mark, first):
                yield after, activity * found[severity] * share


def test_clocks_that_may_never_ring(engine, verify):
    """Competing risks with defective clocks: at entry each of 2^n sets of ringing exits has its chance, then rates add up; a mixture of ``expm``."""
    result = run(COMPETING, engine, seed=2)
    shares: Shares = dict(entered("flagged", False, ""))
    comparisons = []
    for begin, end in ((0, 10), (10, 50), (50, 200)):
        shares = advance(shares, competing_moves, end - begin)
        comparisons.append(occupancy(result, end, "accounts", gathered(shares, lambda account: account[0])))
        firsts = gathered(shares, lambda account: account[3])
        comparisons.append(first_bans(result, end, "accounts", firsts[""], firsts["wrongful"]))
    verify(comparisons)


CASES = """
schema: 1
title: Cases that others join while their delay runs
start: 2023-01-01
horizon: 120 days
observe: 5 days
severities: [minor, severe]
segments: {accounts: {accounts: 20_000}}
violations:
  trading:
    rate: {accounts: 0.05 per day}
    severity: {minor: 80%, severe: 20%}
    detection: {chance: 80%, delay: {exponential: {mean: 8 days}}}
  mistaken:
    genuine: false
    rate: {accounts: 0.1 per day}
    severity: {minor: 70%, severe: 30%}
    detection: {chance: 60%, delay: {exponential: {mean: 3 days}}}
ladder:
  start: compliant
  bans: [banned]
  states:
    compliant:
      on_violation: {minor: restricted, severe: banned}
    restricted:
      activity: 50%
      exits: {restored: {to: compliant, after: {exponential: {mean: 15 days}}}}
      on_violation: {severe: banned}
    banned:
      activity: 0
"""


def case_moves(account: tuple) -> Iterator[tuple[tuple, float]]:
    """Moves of (state, open case); a case is (worst severity, is every violation a false alarm, rate of its decision) or None."""
    state, case = account
    if state.startswith("banned"):
        return
    activity = 0.5 if state == "restricted" else 1.0
    if state == "restricted":
        yield ("compliant", case), 1 / 15
    detected = [("minor", False, 0.032), ("severe", False, 0.008), ("minor", True, 0.042), ("severe", True, 0.018)]
    for severity, false, rate in detected:
        if case is None:
            opened = (severity, false, 1 / 3 if false else 1 / 8)
        else:
            opened = ("severe" if "severe" in (severity, case[0]) else "minor", false and case[1], case[2])
        yield (state, opened), activity * rate
    if case is not None:
        target = {"severe": "banned wrongfully" if case[1] else "banned", "minor": "restricted"}[case[0]]
        yield (target, None), case[2]


def test_cases_with_an_exponential_delay(engine, verify):
    """The open case is part of the state: its worst severity, whether all of it is false, and the rate of the delay of its first violation."""
    result = run(CASES, engine, seed=3)
    shares: Shares = {("compliant", None): 1.0}
    comparisons = []
    for begin, end in ((0, 5), (5, 30), (30, 120)):
        shares = advance(shares, case_moves, end - begin)
        comparisons.append(occupancy(result, end, "accounts", gathered(shares, lambda account: account[0].split()[0])))
        ends = gathered(shares, lambda account: account[0])
        wrongful = ends["banned wrongfully"]
        comparisons.append(first_bans(result, end, "accounts", 1.0 - ends["banned"] - wrongful, wrongful))
    verify(comparisons)
