"""Desks that open by the week and arrivals at known times: starts worked out by hand, to the microsecond; and waits for a desk to open.

Threshold: |z| below `verification.exact.z_limit()`, 5.16: a false-alarm rate of 1e-4 for the whole folder, by Bonferroni over 400 comparisons.
Seed: 1. By hand there is no chance in it: nothing but equality will do.
"""

import math

import numpy as np
import pandas as pd

from verification.exact import normal, proportion, run

WEEK = """
schema: 1
title: One reviewer from Friday to Monday, a second one from Tuesday on
start: 2023-06-02
horizon: 7 days
observe: 1 hour
segments:
  a: {accounts: 1}
  b: {accounts: 1}
  c: {accounts: 1}
  d: {accounts: 1}
  e: {accounts: 1}
  f: {accounts: 1}
  g: {accounts: 1}
  h: {accounts: 1}
ladder:
  start: outside
  bans: []
  states:
    outside: {}
    queue:
      activity: 0
      desk: review
      service: 3 hours
      outcomes: {done: 100%}
      exits: {gave_up: {to: gone, after: 50 hours}}
    done: {activity: 0}
    gone: {activity: 0}
desks:
  review: {reviewers: 1, hours: {days: mon-fri, from: "09:00", to: "17:00"}}
waves:
"""

BY_HAND = {  # arrival and end of service; None: gave up
    "a": ("2023-06-02 08:00", "2023-06-02 12:00"),  # Friday: waits for the desk to open at 9
    "b": ("2023-06-02 10:00", "2023-06-02 15:00"),  # waits for a's end at 12
    "c": ("2023-06-02 16:00", "2023-06-02 19:00"),  # starts at once; the desk closes at 17, the service goes on
    "d": ("2023-06-03 12:00", "2023-06-05 12:00"),  # Saturday: waits for Monday at 9
    "e": ("2023-06-05 09:00", "2023-06-05 15:00"),  # Monday, at the instant of opening: d entered first
    "f": ("2023-06-03 06:00", None),  # Saturday: patience ends on Monday at 8, an hour before the desk opens
    "g": ("2023-06-05 15:30", "2023-06-05 18:30"),  # Monday: starts at once
    "h": ("2023-06-05 16:00", "2023-06-06 12:00"),  # the reviewer is busy until after closing time: Tuesday at 9
}


def week() -> str:
    waves = [
        f'  to_{name}: {{at: "{at}", segment: {name}, count: 1, to: queue}}\n' for name, (at, _) in BY_HAND.items()
    ]
    return WEEK + "".join(waves) + "phases:\n  more: {from: 2023-06-06, set: {desks.review.reviewers: 2}}\n"


def test_a_week_by_hand(engine, verify):
    """Services of three hours at a desk that is open on weekdays from 9 to 17: starts by hand, and the table of waits that follows from them."""
    result = run(week(), engine, seed=1, histories=None)
    rows = result.histories.set_index(["segment", "cause"])["time"]
    comparisons = []
    for name, (_, end) in BY_HAND.items():
        cause = "served" if end else "exit:gave_up"
        exact = pd.Timestamp(end) if end else pd.Timestamp("2023-06-05 08:00")
        off = (rows.loc[(name, cause)] - exact) / pd.Timedelta(seconds=1)
        comparisons.append(normal(f"seconds by which {name} is off", float(np.squeeze(off)), 0.0, 0.0))
    waits = result.waits.iloc[0]
    by_hand = [1.0, 2.0, 0.0, 45.0, 3.0, 0.0, 17.0]  # a, b, c, d, e, g, h
    open_hours = (
        8 * (1 + 1) + 2 * 8 * 3
    )  # Friday, Monday with one; Tuesday to Thursday with two; the run ends on Friday at 0
    comparisons += [
        normal("served", int(waits["served"]), 7, 0.0),
        normal("left", int(waits["left"]), 1, 0.0),
        normal("mean wait", waits["mean_hours"], sum(by_hand) / 7.0, 1e-12),
        normal("time served over time staffed", waits["utilisation"], 21.0 / open_hours, 1e-12),
    ]
    desk = result.desks.set_index("time")
    seen = {  # waiting, busy, reviewers; a grid time sees what happens at its instant
        "2023-06-02 08:00": (1, 0, 0),
        "2023-06-02 09:00": (0, 1, 1),
        "2023-06-02 11:00": (1, 1, 1),
        "2023-06-02 18:00": (0, 1, 0),
        "2023-06-04 00:00": (2, 0, 0),
        "2023-06-05 09:00": (1, 1, 1),
        "2023-06-06 09:00": (0, 1, 2),
        "2023-06-06 17:00": (0, 0, 0),
    }
    for time, exact in seen.items():
        found = desk.loc[pd.Timestamp(time), ["waiting", "busy", "reviewers"]]
        comparisons.append(normal(f"desk at {time}", float(found.tolist() == list(exact)), 1.0, 0.0))
    verify(comparisons)


OPENING = """
schema: 1
title: Unlimited reviewers who work by night
start: 2023-01-01
horizon: 50 days
segments: {accounts: {accounts: 20_000, joins: {from: 2023-01-01, to: 2023-02-18}}}
ladder:
  start: queue
  bans: []
  states:
    queue:
      activity: 0
      desk: review
      service: 1 minute
      outcomes: {done: 100%}
    done: {activity: 0}
desks: {review: {reviewers: unlimited, hours: {from: "20:00", to: "04:00"}}}
"""


def test_waits_for_the_desk_to_open(engine, verify):
    """Accounts come evenly over 48 days; the desk is open 8 of 24 hours, over midnight: a third does not wait, others evenly up to 16 hours.

    So the mean wait is 16/3 hours with variance 512/9, and P(wait > w) = (16 - w) / 24. The quantiles of the table err by their buckets (0.8 %) and
    by chance: ``sqrt(p (1 - p) / n)`` over the density 1/24.
    """
    result = run(OPENING, engine, seed=1, histories=None)
    rows = result.histories.pivot_table(index="account", columns="cause", values="time", aggfunc="first", observed=True)
    hours = (rows["served"] - rows["joined"]) / pd.Timedelta(hours=1) - 1.0 / 60.0
    waits = result.waits.iloc[0]
    exact = 16.0 / 3.0
    variance = 16.0**3 / 3.0 / 24.0 - exact**2
    comparisons = [
        normal("mean wait", waits["mean_hours"], exact, math.sqrt(variance / 20_000)),
        normal("mean wait of histories", waits["mean_hours"], hours.mean(), 1e-9),
        proportion("no wait", int((hours < 1e-9).sum()), 20_000, 1.0 / 3.0),
        proportion("more than 8 hours", int((hours > 8.0).sum()), 20_000, 1.0 / 3.0),
    ]
    for share in (0.5, 0.95, 0.99):
        at = 24.0 * (share - 1.0 / 3.0)
        bucket, chance = 0.008 * at, 24.0 * math.sqrt(share * (1.0 - share) / 20_000)
        off = waits[f"p{share * 100:.0f}_hours"] - at
        comparisons.append(normal(f"quantile {share}, beyond its bucket", max(abs(off) - bucket, 0.0), 0.0, chance))
    verify(comparisons)
