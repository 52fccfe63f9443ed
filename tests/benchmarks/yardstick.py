"""The yardstick: the benchmark ladder written by hand in vectorised NumPy, for this one ladder and nothing else.

All accounts are advanced by one transition per sweep; those that are past the end or banned drop out. With `tables` it also counts the
moves of each day by kind, from which daily occupancy and ban curves follow, and the time spent in each state: the heart of what a run of the
package leaves behind. Without, it only counts transitions and bans.
"""

from __future__ import annotations

import numpy as np

COMPLIANT, RECTIFYING, RESTRICTED, BANNED = range(4)


def ladder(accounts: int, seed: int, *, tables: bool, days: float = 365.0) -> tuple[int, int]:
    """Transitions made and accounts banned by the end."""
    rng = np.random.default_rng(seed)
    moves = np.zeros((int(days) + 1) * 16, np.int64)
    sojourn = np.zeros(4)
    state = np.zeros(accounts, np.int8)
    time = np.zeros(accounts)
    transitions = banned = 0
    while len(state):
        compliant = state == COMPLIANT
        restricted = state == RESTRICTED
        draw = rng.standard_exponential(len(state))
        rectifying = state == RECTIFYING
        wait = np.where(compliant, draw * 100.0, np.where(rectifying, draw * 5.0, draw * 10.0))
        violation = np.full(len(state), np.inf)
        violation[restricted] = rng.standard_exponential(int(restricted.sum())) / 0.003
        limit = np.where(rectifying, 7.0, np.where(restricted, np.minimum(30.0, violation), np.inf))
        late = wait > limit
        before = time
        time = before + np.minimum(wait, limit)
        severe = rng.random(len(state)) < 0.1
        after = np.where(compliant, np.where(severe, BANNED, RECTIFYING), COMPLIANT)
        after = np.where(late, np.where(rectifying, RESTRICTED, BANNED), after)
        happened = time <= days
        transitions += int(happened.sum())
        ban = after == BANNED
        banned += int((happened & ban).sum())
        on = happened & ~ban
        if tables:
            day = np.ceil(time[happened]).astype(np.int64)
            moves += np.bincount(day * 16 + state[happened] * 4 + after[happened], minlength=len(moves))
            sojourn += np.bincount(state, weights=np.minimum(time, days) - before, minlength=4)
        state, time = after[on].astype(np.int8), time[on]
    return transitions, banned
