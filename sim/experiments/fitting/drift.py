"""Whether accounts that joined later fare otherwise than those that joined earlier: then a fit to all is a fit to neither, and no forecast.

A fitted ladder knows no dates. So accounts are put into two halves by the date of joining, each with its own Aalen-Johansen estimate of who is where
after how many days, and the two are held to each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.results.estimators import aalen_johansen
from sim.results.spells import DAY_US, Spells

SCORE, POINTS = 4.0, 0.02
"""A difference that counts is so many of its standard errors, and two points at least. Where the halves are alike, the largest of some hundred
differences is beyond four errors less than 1 % of the time (Bonferroni)."""

LOOKS = 24
"""Days that are looked at, evenly spaced in their logarithm: shares change most in the beginning."""


@dataclass(frozen=True)
class Drift:
    """The largest difference between accounts that joined earlier and later.

    Attributes
    ----------
    state, days
        Where it is.
    earlier, later
        Share of the accounts there, in the two halves.
    score
        Difference in standard errors.
    since
        First time of the later half, on the scale of the file.
    """

    state: str
    days: float
    earlier: float
    later: float
    score: float
    since: pd.Timestamp | float


def drift_of(spells: Spells) -> Drift | None:
    """The largest difference between the halves, if one counts."""
    joined = spells.entered_us[spells.first]
    since = int(np.median(joined))
    later = (joined >= since)[np.cumsum(spells.first) - 1]
    if later.all():
        return None
    halves = [aalen_johansen(spells.where(part).since_joining()) for part in (~later, later)]
    until = min(half.observed_until() for half in halves)
    if until <= 0:
        return None
    grid = np.unique(np.rint(np.geomspace(max(until / 1000, 1.0), until, LOOKS)).astype(np.int64))
    (before, before_error), (after, after_error) = (half.at(grid) for half in halves)
    difference = after - before
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.nan_to_num(np.abs(difference) / np.hypot(before_error, after_error), posinf=0.0)
    counts = np.where((score > SCORE) & (np.abs(difference) > POINTS), np.abs(difference), 0.0)
    if not counts.any():
        return None
    row, state = np.unravel_index(int(np.argmax(counts)), counts.shape)
    first = since / DAY_US if spells.start is None else spells.start + pd.Timedelta(microseconds=since)
    shares = (float(before[row, state]), float(after[row, state]))
    return Drift(spells.states[state], float(grid[row]) / DAY_US, *shares, float(score[row, state]), first)
