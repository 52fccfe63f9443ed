"""The law's logarithm: exact to the last bit but one, and the same bits everywhere."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from sim.model.jit import compiled
from sim.model.logarithm import log1p, standard_exponential

BITS = {
    "-0x1.0000000000000p-53": "-0x1.0000000000000p-53",
    "-0x1.5555555555555p-40": "-0x1.555555555638ep-40",
    "-0x1.4a90d6e641e04p-30": "-0x1.4a90d6e99793bp-30",
    "-0x1.0000000000000p-28": "-0x1.0000000800000p-28",
    "-0x1.999999999999ap-5": "-0x1.a431d5bcc1938p-5",
    "-0x1.2bec333018866p-2": "-0x1.62e42fefa39eep-2",
    "-0x1.2bec333018867p-2": "-0x1.62e42fefa39efp-2",
    "-0x1.0000000000000p-1": "-0x1.62e42fefa39efp-1",
    "-0x1.8000000000000p-1": "-0x1.62e42fefa39efp+0",
    "-0x1.f7ffffd1aa16cp-1": "-0x1.0a2b22810b716p+2",
    "-0x1.fffff00000000p-1": "-0x1.d1cb7eea86c0ap+3",
    "-0x1.fffffffffffffp-1": "-0x1.25e4f7b2737fap+5",
}
"""Argument -> value, to the bit: on every machine."""


@compiled
def logarithms(x: np.ndarray, found: np.ndarray) -> None:
    """The logarithm of many numbers."""
    for place in range(len(x)):
        found[place] = log1p(x[place])


@compiled
def quantiles(u: np.ndarray, found: np.ndarray) -> None:
    """The exponential of mean 1 at many numbers."""
    for place in range(len(u)):
        found[place] = standard_exponential(u[place])


def arguments() -> np.ndarray:
    """Numbers in (0, 1) of all sizes, close to both ends, and on both sides of where the algorithm turns."""
    u = np.random.default_rng(2).random(4000)
    turns = np.concatenate([(1.0 - 0.5 ** np.arange(1, 50)), [1.0 - 0.5**0.5, 0.2928932309150695800781250]])
    near = (turns[:, None] + np.arange(-3, 4) * 2.0**-53).ravel()
    found = np.concatenate([u, 10.0 ** (-17 * u), 1.0 - 10.0 ** (-15 * u), near, 2.0 ** -np.arange(1.0, 55.0)])
    return found[(found > 0.0) & (found < 1.0)]


def test_error_is_below_a_unit_in_the_last_place() -> None:
    """Against forty digits."""
    u = arguments()
    found = np.empty_like(u)
    logarithms(-u, found)
    with localcontext() as context:
        context.prec = 60
        exact = [(1 - Decimal(float(each))).ln() for each in u]
        errors = [
            abs(Decimal(float(mine)) - true) / Decimal(math.ulp(mine)) for mine, true in zip(found, exact, strict=True)
        ]
    assert len(errors) > 12_000
    assert max(errors) < 1


@pytest.mark.parametrize("argument", BITS)
def test_bits(argument: str) -> None:
    """The same bits on every machine."""
    found = np.empty(1)
    logarithms(np.array([float.fromhex(argument)]), found)
    assert found[0].hex() == BITS[argument]


def test_one_at_a_time_is_the_same() -> None:
    """Several at a time or one by one: the same bits; and within a unit in the last place of this machine's C library."""
    u = arguments()
    together, single = np.empty_like(u), np.empty(1)
    logarithms(-u, together)
    for place in range(0, len(u), 7):
        logarithms(-u[place : place + 1], single)
        assert single[0] == together[place]
        assert abs(together[place] - math.log1p(-u[place])) <= math.ulp(together[place])


def test_standard_exponential() -> None:
    """Its median is the logarithm of 2, and it increases."""
    u = np.sort(arguments())
    found = np.empty_like(u)
    quantiles(u, found)
    assert (np.diff(found) >= 0.0).all()
    assert found[0] > 0.0
    median = np.empty(1)
    quantiles(np.array([0.5]), median)
    assert median[0] == math.log(2.0)
