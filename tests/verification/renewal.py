"""Exact answers where clocks are not exponential: renewal and delay equations, solved on a grid fine enough to be exact for a test."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

LADDER_STATES = ("compliant", "rectifying", "under_review", "restricted", "banned")
HAZARD, ACTIVITY_RESTRICTED = 0.01, 0.3
RECTIFIED, RECTIFIED_LATE, SECOND_DEADLINE = 5.0, 10.0, 30.0


def benchmark_ladder(
    length: float, step: float, deadline: float = 7.0, review: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Occupancy of the ladders in ``tests/benchmarks``: semi-Markov processes with two fixed deadlines.

    With C, R, V, S, B for the shares of the five states and h = 0.01 per day, accounts enter R at the rate r(t) = 0.9 h C(t). Those who entered
    d days ago and have not left by an exponential clock of mean 5 days move on together: r(t - d) exp(-d / 5). A review lasts an exponential time of
    mean v and sends one in ten to S. So S is entered at the rate s(t) = r(t - d) exp(-d / 5) + 0.1 V / v and left by its deadline at the rate
    e(t) = s(t - D) exp(-(1 / 10 + 0.3 h) D) with D = 30 days:

        C' = 0.9 V / v - h C
        R' = r(t) - R / 5 - r(t - d) exp(-d / 5)
        V' = R / 5 + S / 10 - V / v
        S' = s(t) - S / 10 - 0.3 h S - e(t)
        B' = 0.1 h C + 0.3 h S + e(t)

    by Heun's rule (second order). Without a review, V is passed through at once and all of it goes to C. Delays are multiples of the step, so
    that jumps in the delayed rates fall on the grid.

    Parameters
    ----------
    length, step, deadline, review
        In days; `deadline` is d, `review` is v.

    Returns
    -------
    days, shares
        The grid, and shares of `LADDER_STATES` on it, (grid, 5).
    """
    steps, short, long = round(length / step), round(deadline / step), round(SECOND_DEADLINE / step)
    assert math.isclose(short * step, deadline)
    late = 1.0 / RECTIFIED_LATE + ACTIVITY_RESTRICTED * HAZARD
    shares, entering = (
        np.zeros((steps + 1, 5)),
        np.zeros((steps + 1, 2)),
    )  # s(t) as seen from the step before and from the step after
    shares[0, 0] = 1.0

    def delayed(number: int, step_number: int) -> tuple[float, float]:
        """Accounts at the first and at the second deadline, at a grid point, during the step: both ends are seen from the same side of a jump."""
        side = 1 if number == step_number else 0
        first = (
            0.9 * HAZARD * shares[number - short, 0] * math.exp(-deadline / RECTIFIED) if step_number >= short else 0.0
        )
        second = entering[number - long, side] * math.exp(-late * SECOND_DEADLINE) if step_number >= long else 0.0
        return first, second

    def slope(now: np.ndarray, first: float, second: float) -> tuple[np.ndarray, float]:
        c, r, v, s, _ = now
        done = r / RECTIFIED + s / RECTIFIED_LATE
        back, refused, kept = (
            (done, 0.0, 0.0) if review is None else (0.9 * v / review, 0.1 * v / review, done - v / review)
        )
        more, gone = first + refused, ACTIVITY_RESTRICTED * HAZARD * s + second
        into = 0.9 * HAZARD * c
        change = [
            back - HAZARD * c,
            into - r / RECTIFIED - first,
            kept,
            more - s / RECTIFIED_LATE - gone,
            0.1 * HAZARD * c + gone,
        ]
        return np.array(change), more

    for number in range(steps):
        here, entering[number, 1] = slope(shares[number], *delayed(number, number))
        there, _ = slope(shares[number] + step * here, *delayed(number + 1, number))
        shares[number + 1] = shares[number] + step * (here + there) / 2.0
        _, entering[number + 1, 0] = slope(shares[number + 1], *delayed(number + 1, number))
    return np.arange(steps + 1) * step, shares


def _trapezoid_tails(values: np.ndarray, step: float) -> np.ndarray:
    """Integrals from each grid point to the last one."""
    pieces = (values[1:] + values[:-1]) * step / 2.0
    return np.append(np.cumsum(pieces[::-1])[::-1], 0.0)


def third_strike(rate: float, expire: float, length: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Chance that three points of a Poisson process have fallen into less than `expire` days: a scan statistic.

    Let G(t; x) be the chance of no ban within t after a strike that came x after the one before it. The next strike comes y later; it is the third
    within `expire` when x + y < `expire`. So

        G(t; x) = exp(-rate t) + integral over y from expire - x to t of rate exp(-rate y) G(t - y; y),

    where a gap above `expire` counts like `expire`, and the first strike is one with no other before it: its answer is G(t; expire) folded once more
    with the first gap. (Trapezoids, second order; G(t; 0) needs only later gaps, so each t follows from those before it.)

    Parameters
    ----------
    rate
        Strikes per day.
    expire, length, step
        In days.

    Returns
    -------
    days, chance
        The grid and the distribution function of the time of the ban on it.
    """
    steps, window = round(length / step), round(expire / step)
    grid = np.arange(steps + 1) * step
    survive = np.zeros((steps + 1, window + 1))  # (t, gap before the strike)
    for now in range(steps + 1):
        gaps = np.arange(now + 1)
        density = rate * np.exp(-rate * grid[: now + 1])
        known = density * survive[now - gaps, np.minimum(gaps, window)]
        known[0] = 0.0  # the gap 0 is filled in below
        tails = _trapezoid_tails(known, step)
        lower = window - np.arange(window + 1)
        inside = lower <= now
        survive[now] = math.exp(-rate * grid[now])
        survive[now, inside] += tails[lower[inside]]
        if now > 0:
            survive[now, window] += rate * survive[now, 0] * step / 2.0
    free = np.array(
        [
            math.exp(-rate * grid[now])
            + np.trapezoid(rate * np.exp(-rate * grid[: now + 1]) * survive[now - np.arange(now + 1), window], dx=step)
            for now in range(steps + 1)
        ]
    )
    return grid, 1.0 - free


def dead_time_counts(rate: float, delay: float, length: float) -> Iterator[float]:
    """Chances of 0, 1, 2, … decisions within `length`, when a case stays open for a fixed `delay` and takes in all that is found meanwhile.

    A counter of type I (Cox 1962, Renewal Theory; dead time that is not prolonged): the k-th decision falls at k delays plus the sum of k
    exponential gaps, so P(at least k) = P(Erlang(k, rate) <= length - k delay).
    """
    at_least = 1.0
    for number in range(1, math.ceil(length / delay) + 2):
        rest = length - number * delay
        after = 0.0
        if rest > 0.0:
            terms = [math.exp(-rate * rest)]
            for n in range(1, number):
                terms.append(terms[-1] * rate * rest / n)
            after = 1.0 - math.fsum(terms)
        yield at_least - after
        at_least = after
