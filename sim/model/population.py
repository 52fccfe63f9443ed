"""Draws over a whole segment: who is hit by an order for an exact count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sim.model.draws import uniform
from sim.model.jit import Array, compiled


@compiled
def _draws_below(
    key: Array, segment_code: Any, accounts: int, draw_code: Any, threshold: float, draws: Array, numbers: Array
) -> int:
    """Collect draws below a threshold with their accounts, as many as there is room for; returns how many there are."""
    found = 0
    for account in range(accounts):
        u = uniform(key, segment_code, account, draw_code, 0)
        if u < threshold:
            if found < len(draws):
                draws[found] = u
                numbers[found] = account
            found += 1
    return found


def cutoff(key: Array, segment_code: int, accounts: int, draw_code: int, count: int) -> tuple[float, int]:
    """Draw and index of the last of the `count` accounts of a segment with the smallest draws (law, "Waves"; ties by index).

    Memory is proportional to `count`, not to `accounts`: one pass collects the draws below a threshold that almost always leaves enough of them.
    """
    share = count / accounts
    threshold = min(1.0, share + (8.0 * math.sqrt(count) + 16.0) / accounts)
    while True:
        room = min(accounts, int(threshold * accounts + 8.0 * math.sqrt(threshold * accounts) + 64))
        draws, numbers = np.empty(room), np.empty(room, np.int64)
        found = _draws_below(key, np.uint64(segment_code), accounts, np.uint64(draw_code), threshold, draws, numbers)
        if count <= found <= room:
            last = np.lexsort((numbers[:found], draws[:found]))[count - 1]
            return float(draws[last]), int(numbers[last])
        threshold = 1.0 if found < count else threshold * 0.9
