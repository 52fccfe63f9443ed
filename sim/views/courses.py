"""A desk over time, before it is drawn: its course with the band around it, and which desk has most waiting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.views.curves import Cube, Floats, names_in, student

MOST_POINTS = 400
OVER_RUNS, DAILY = "95 % over replications (Student t)", "daily range"


@dataclass(frozen=True)
class Course:
    """One quantity over time: line, and the band around it (NaN: none)."""

    times: NDArray[np.datetime64]
    line: Floats
    low: Floats
    high: Floats

    @property
    def bare(self) -> Course:
        """The line alone."""
        none = np.full(self.line.shape, np.nan)
        return Course(self.times, self.line, none, none)


def has_limit(desks: pd.DataFrame) -> bool:
    """Whether a desk ever has some reviewers but not any number; an unlimited desk has none (0) while it is closed."""
    return bool((desks["reviewers"].fillna(0) > 0).any())


def course(summed: Cube, *, most: bool = False) -> tuple[Course, str]:
    """Make the course of one quantity from its cube, and name what its band is (``""``: none).

    Up to 400 grid times: the mean over replications with Student-t limits. More, several a day: the
    mean of each day and its extremes, of the mean over replications; with `most` the highest of
    each day alone.
    """
    values = summed.values[:, :, 0]
    ended = np.maximum(summed.times - np.timedelta64(1, "us"), summed.times[:1])  # midnight ends a day
    days, at_day = np.unique(ended.astype("datetime64[D]"), return_inverse=True)
    if len(summed.times) <= MOST_POINTS or 2 * len(days) > len(summed.times):
        mean, low, high = student(values)
        return Course(summed.times, mean, low, high), OVER_RUNS if len(values) > 1 else ""
    mean = values.mean(axis=0)
    low, high = np.full(len(days), np.inf), np.full(len(days), -np.inf)
    np.minimum.at(low, at_day, mean)
    np.maximum.at(high, at_day, mean)
    dates = days.astype("datetime64[us]")
    if most:
        none = np.full(len(days), np.nan)
        return Course(dates, high, none, none), DAILY
    return Course(dates, np.bincount(at_day, weights=mean) / np.bincount(at_day), low, high), DAILY


def busiest(desks: pd.DataFrame) -> tuple[str, ...]:
    """List the desks, the one with most waiting first (ties: file order)."""
    waiting = desks.groupby("desk", observed=True)["waiting"].mean()
    names = names_in(desks["desk"])
    return tuple(sorted((n for n in names if n in waiting.index), key=lambda name: -float(waiting[name])))
