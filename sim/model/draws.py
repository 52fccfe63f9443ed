"""Random numbers of the law: counter-based, so that a draw depends on who and what, never on when it is asked for.

==========================  =====================================================================
the law ("Random numbers")  here
==========================  =====================================================================
Philox4x32-10               `philox` (Salmon, Moraes, Dror, Shaw 2011, doi:10.1145/2063384.2063405)
key                         `key`
names                       `name_code` (CRC-32)
uniform                     `uniform`
==========================  =====================================================================
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from sim.model.jit import Array, compiled, inlined

_LOW = np.uint64(0xFFFFFFFF)
_HALF_WORD = np.uint64(32)
_MULTIPLY_0 = np.uint64(0xD2511F53)
_MULTIPLY_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_TOP_53 = np.uint64(11)
_STEP = 2.0**-53
_BELOW_ONE = 1.0 - 2.0**-53


def key(seed: int, replication: int) -> Array:
    """Key of a replication: two 32-bit words, held in uint64."""
    return np.random.SeedSequence((seed, replication)).generate_state(2).astype(np.uint64)


def name_code(name: str) -> int:
    """CRC-32 of a name in UTF-8: the word by which a segment or a draw enters the counter."""
    return zlib.crc32(name.encode("utf-8"))


@inlined
def _round(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    p0 = _MULTIPLY_0 * c0
    p1 = _MULTIPLY_1 * c2
    return (p1 >> _HALF_WORD) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF_WORD) ^ c3 ^ k1, p0 & _LOW


@inlined
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Four 32-bit output words of Philox4x32-10 for a counter and a key; every word is a uint64 below 2**32."""
    c0, c1, c2, c3 = (
        c0 & _LOW,
        c1 & _LOW,
        c2 & _LOW,
        c3 & _LOW,
    )  # so that the compiler knows: a product of halves is quicker
    k0, k1 = k0 & _LOW, k1 & _LOW
    for turn in range(10):
        if turn > 0:
            k0 = (k0 + _WEYL_0) & _LOW
            k1 = (k1 + _WEYL_1) & _LOW
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    return c0, c1, c2, c3


@inlined
def unit(x0: Any, x1: Any) -> float:
    """Number in (0, 1) from two output words: their top 53 bits plus one half, over 2**53.

    In double precision the largest of these sums rounds up to 1, which the open interval excludes: that one value is read as the double just below 1.
    """
    top = ((np.uint64(x0) << _HALF_WORD) | np.uint64(x1)) >> _TOP_53
    return min((np.float64(top) + 0.5) * _STEP, _BELOW_ONE)


@compiled
def uniform(key: Array, segment_code: int, account: int, draw_code: int, occurrence: int) -> float:
    """Uniform number in (0, 1) of one draw of one account (law, "Random numbers")."""
    x0, x1, _, _ = philox(
        np.uint64(account), np.uint64(segment_code), np.uint64(draw_code), np.uint64(occurrence), key[0], key[1]
    )
    return unit(x0, x1)
