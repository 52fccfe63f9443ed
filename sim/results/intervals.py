"""Interval estimates: Wilson limits of a share, Student limits of a mean over replications, limits of differences with and without pairing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit


def wilson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Limits of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953); NaN where there are no trials."""
    if trials == 0:
        return math.nan, math.nan
    z = float(ndtri(0.5 + level / 2.0))
    share = successes / trials
    centre = share + z * z / (2.0 * trials)
    half_width = z * math.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials))
    scale = 1.0 + z * z / trials
    low = 0.0 if successes == 0 else (centre - half_width) / scale
    high = 1.0 if successes == trials else (centre + half_width) / scale
    return low, high


def student(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Limits of the mean of independent replications (Student 1908); NaN for fewer than two values."""
    count = len(values)
    if count < 2:
        return math.nan, math.nan
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / math.sqrt(count)
    half_width = float(stdtrit(count - 1, 0.5 + level / 2.0)) * error
    return mean - half_width, mean + half_width


def normal(value: float, error: float, level: float = 0.95) -> tuple[float, float]:
    """Limits of an estimate with a known standard error, from many independent parts."""
    half_width = float(ndtri(0.5 + level / 2.0)) * error
    return value - half_width, value + half_width


Numbers = NDArray[np.float64]


def paired_shares(
    only_a: ArrayLike, only_b: ArrayLike, trials: ArrayLike, level: float = 0.95
) -> tuple[Numbers, Numbers]:
    """Limits of the difference (B less A) of two shares of the same accounts; NaN where there are no trials.

    Half an account is added to each of the four counts (Agresti and Min 2005, doi:10.1002/sim.1781), which keeps the coverage where few or no
    accounts fare differently.

    Parameters
    ----------
    only_a, only_b
        Accounts that count in A but not in B, and in B but not in A.
    trials
        All accounts.
    """
    a, b, n = (np.asarray(part, dtype=np.float64) for part in (only_a, only_b, trials))
    z, all_in = float(ndtri(0.5 + level / 2.0)), n + 2.0
    half_width = z * np.sqrt(a + b + 1.0 - (b - a) ** 2 / all_in) / all_in
    return _within(-1.0, (b - a) / all_in, half_width, n > 0)


def unpaired_shares(
    in_a: ArrayLike, trials_a: ArrayLike, in_b: ArrayLike, trials_b: ArrayLike, level: float = 0.95
) -> tuple[Numbers, Numbers]:
    """Limits of the difference (B less A) of two shares of different accounts; NaN where there are no trials.

    One success and one failure are added to each (Agresti and Caffo 2000, doi:10.1080/00031305.2000.10474560): the counterpart of `paired_shares`.
    """
    a, n_a, b, n_b = (np.asarray(part, dtype=np.float64) for part in (in_a, trials_a, in_b, trials_b))
    z = float(ndtri(0.5 + level / 2.0))
    share_a, share_b = (a + 1.0) / (n_a + 2.0), (b + 1.0) / (n_b + 2.0)
    variance = share_a * (1.0 - share_a) / (n_a + 2.0) + share_b * (1.0 - share_b) / (n_b + 2.0)
    return _within(-1.0, share_b - share_a, z * np.sqrt(variance), (n_a > 0) & (n_b > 0))


def _within(lowest: float, centre: Numbers, half_width: Numbers, known: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Limits around a centre, cut to what a difference of shares can be."""
    low, high = np.maximum(centre - half_width, lowest), np.minimum(centre + half_width, -lowest)
    return np.where(known, low, math.nan), np.where(known, high, math.nan)


def welch(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> float:
    """Half-width of the limits of a difference of means of two sets of independent replications (Welch 1947, doi:10.1093/biomet/34.1-2.28)."""
    if min(len(a), len(b)) < 2:
        return math.nan
    of_a, of_b = float(np.var(a, ddof=1)) / len(a), float(np.var(b, ddof=1)) / len(b)
    if of_a + of_b == 0.0:
        return 0.0
    freedom = (of_a + of_b) ** 2 / (of_a**2 / (len(a) - 1) + of_b**2 / (len(b) - 1))
    return float(stdtrit(freedom, 0.5 + level / 2.0)) * math.sqrt(of_a + of_b)
