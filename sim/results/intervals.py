"""Interval estimates: Wilson limits of a share, Student limits of a mean over replications."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
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
