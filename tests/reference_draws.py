"""Random numbers of the reference simulator: Philox4x32-10, the draws' names and the inverse distribution functions.

`Draws.uniform` gives the number of a draw from who (segment, account) and what (name, occurrence), as in the table of
`sim/model/README.md`, section *Random numbers*; `quantile` and `choose` turn it into a quantity or a choice.
"""

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, section 3.3 and table 2)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0, product1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (
            (product1 >> 32) ^ c1 ^ k0,
            product1 & 0xFFFFFFFF,
            (product0 >> 32) ^ c3 ^ k1,
            product0 & 0xFFFFFFFF,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


class Draws:
    """The uniform number of each (segment, account, draw's name, occurrence), for one seed and replication."""

    def __init__(self, seed: int, replication: int) -> None:
        first, second = np.random.SeedSequence((seed, replication)).generate_state(2)
        self.key = (int(first), int(second))

    def uniform(self, segment: str, account: int, name: str, occurrence: int) -> float:
        counter = (account, zlib.crc32(segment.encode()), zlib.crc32(name.encode()), occurrence)
        x0, x1, _, _ = philox4x32(counter, self.key)
        # (2^53 - 1 + 1/2) / 2^53 would round to 1 in a double: keep to the open interval.
        return min((((x0 << 32 | x1) >> 11) + 0.5) / 2**53, 1 - 2**-53)


@dataclass(frozen=True)
class Distribution:
    """A family and its parameters by name (microseconds for durations); `empirical` has one, `quantiles`."""

    family: str
    of: dict[str, Any]


def quantile(distribution: Distribution, u: float) -> float:
    """The inverse distribution function at `u`, increasing in `u`."""
    of = distribution.of
    match distribution.family:
        case "fixed":
            return of["value"]
        case "exponential":
            return -of["mean"] * math.log1p(-u)
        case "weibull":
            return of["scale"] * (-math.log1p(-u)) ** (1 / of["shape"])
        case "lognormal":
            return of["median"] * math.exp(of["sigma"] * float(ndtri(u)))
        case "loglogistic":
            return of["median"] * (u / (1 - u)) ** (1 / of["shape"])
        case "uniform":
            return of["low"] + u * (of["high"] - of["low"])
        case "triangular":
            low, mode, high = of["low"], of["mode"], of["high"]
            if u * (high - low) < mode - low:
                return low + math.sqrt(u * (high - low) * (mode - low))
            return high - math.sqrt((1 - u) * (high - low) * (high - mode))
        case "empirical":
            position = u * (len(of["quantiles"]) - 1)
            below = min(int(position), len(of["quantiles"]) - 2)
            left, right = of["quantiles"][below : below + 2]
            return left + (right - left) * (position - below)
    raise ValueError(f"unknown family {distribution.family!r}")


def duration_us(distribution: Distribution, u: float) -> int:
    """A sampled duration: the nearest microsecond (ties to even), at least 1."""
    return max(1, round(quantile(distribution, u)))


def running_total(weights: Iterable[float]) -> float:
    """Plain sum from left to right (Python's own ``sum`` compensates for rounding from 3.12 on)."""
    total = 0.0
    for weight in weights:
        total += weight
    return total


def choose(table: dict[str, float], u: float) -> str:
    """The first entry, in the order written, whose running sum exceeds `u` times the total."""
    total, running = running_total(table.values()), 0.0
    for name, weight in table.items():
        running += weight
        if running > u * total:
            return name
    raise ValueError("a table without weight")
