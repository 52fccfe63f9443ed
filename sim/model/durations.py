"""Durations: inverse distribution functions, increasing in u, and their means.

A new family takes a number in `FAMILIES`, a branch in `quantile`, a branch in `mean`, an entry in the scenario's grammar and a row in the
parametrised test. Values are in the order of `sim.scenario.Distribution.values`; times are microseconds.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from sim.model.jit import LONGEST, Array, compiled, inlined, ndtri
from sim.model.logarithm import standard_exponential

FAMILIES = ("fixed", "exponential", "uniform", "triangular", "weibull", "lognormal", "loglogistic", "empirical")
FIXED, EXPONENTIAL, UNIFORM, TRIANGULAR, WEIBULL, LOGNORMAL, LOGLOGISTIC, EMPIRICAL = range(8)

DISTRIBUTION = np.dtype([("family", "i4"), ("first", "i4"), ("count", "i4"), ("a", "f8"), ("b", "f8"), ("c", "f8")])
"""One distribution: up to three values, or `count` quantiles from `first` on in the flat table of quantiles."""


@compiled
def quantile(distribution: Any, quantiles: Array, u: float) -> float:
    """Value below which the share `u` of the distribution lies (law, "Random numbers": every continuous quantity is F^-1(u))."""
    family = distribution.family
    a = distribution.a
    b = distribution.b
    if family == FIXED:
        return a
    if family == EXPONENTIAL:
        return a * standard_exponential(u)
    if family == UNIFORM:
        return a + u * (b - a)
    if family == WEIBULL:
        return b * standard_exponential(u) ** (1.0 / a)
    if family == LOGNORMAL:
        return a * math.exp(b * ndtri(u))
    if family == LOGLOGISTIC:
        return a * (u / (1.0 - u)) ** (1.0 / b)
    if family == TRIANGULAR:
        return _triangular(a, b, distribution.c, u)
    return _empirical(quantiles, distribution.first, distribution.count, u)


@inlined
def _triangular(low: float, mode: float, high: float, u: float) -> float:
    width = high - low
    if width <= 0.0:
        return low
    if u < (mode - low) / width:
        return low + math.sqrt(u * width * (mode - low))
    return high - math.sqrt((1.0 - u) * width * (high - mode))


@inlined
def _empirical(quantiles: Array, first: int, count: int, u: float) -> float:
    """Linear between equally spaced quantiles: Hyndman and Fan (1996), type 7, NumPy's ``linear``."""
    place = u * (count - 1)
    below = min(int(place), max(count - 2, 0))
    above = min(below + 1, count - 1)
    low = quantiles[first + below]
    return low + (quantiles[first + above] - low) * (place - below)


@compiled
def share_within(distribution: Any, quantiles: Array, limit: float) -> float:
    """A share u from which on `quantile` is above `limit`: the distribution function at `limit`, rounded up, by bisection."""
    low = 0.0
    high = 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if middle <= 0.0 or middle >= 1.0:
            break
        if quantile(distribution, quantiles, middle) <= limit:
            low = middle
        else:
            high = middle
    return high


@inlined
def microseconds(duration: float) -> int:
    """Sampled duration as the calendar has it: nearest microsecond, ties to even, at least 1, at most `LONGEST` (law, "Clock")."""
    if duration >= LONGEST:
        return LONGEST
    return max(1, int(np.rint(duration)))


def mean(family: str, values: tuple[float, ...]) -> float:
    """Mean of a distribution, in the unit of its values; infinite for a loglogistic of shape 1 or less."""
    if family == "fixed" or family == "exponential":
        return values[0]
    if family == "uniform" or family == "triangular":
        return sum(values) / len(values)
    if family == "weibull":
        return values[1] * math.gamma(1.0 + 1.0 / values[0])
    if family == "lognormal":
        return values[0] * math.exp(values[1] ** 2 / 2.0)
    if family == "loglogistic":
        median, shape = values
        angle = math.pi / shape
        return math.inf if shape <= 1.0 else median * angle / math.sin(angle)
    if family == "empirical":
        return float(np.mean([(low + high) / 2.0 for low, high in pairwise(values)] or values))
    raise ValueError(f"unknown family {family!r}; known: {', '.join(FAMILIES)}")
