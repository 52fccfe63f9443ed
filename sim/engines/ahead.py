"""Draws made ahead: the same few draws of a block of accounts at once, which the processor does several at a time.

Keyed draws may be made at any time, and need not be used. So the draws that most accounts come to are made for a whole block of accounts before
the first of them is lived; `sim.model.account` takes them from `Tables.ahead` and makes any other itself. Which draws are worth it is seen
on the first accounts of a shard: a draw made in vain costs a fifth of one made singly.

===========  ==========================================================================================
`note_use`   counts the draws of an account that has been lived
`plan`       how many of each draw to make ahead, after so many accounts
`fill`       makes them for a block
===========  ==========================================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.model.account import UNDRAWN
from sim.model.draws import philox, unit
from sim.model.durations import EXPONENTIAL, microseconds
from sim.model.jit import Array, inlined
from sim.model.logarithm import standard_exponential
from sim.model.tables import AHEAD, VIOLATION, Tables

MOST = 8
"""No draw is made ahead more often than this for an account."""
WORTH = 0.25
"""Share of the accounts that must come to a draw to make it worth while."""
_CLOCK = len(AHEAD)


def uses(law: Tables) -> Array:
    """Empty counts for `note_use`: (A, `MOST`) int64, accounts that came to each draw."""
    return np.zeros((len(law.depth), MOST), np.int64)


@inlined
def note_use(law: Tables, me: Any, entries: Array, used: Array) -> None:
    """Count the draws that an account has come to."""
    for row in range(_CLOCK):
        drawn = me.violation + (1 if row == 0 and me.to_go != UNDRAWN else 0)
        for number in range(min(drawn, MOST)):
            used[row, number] += 1
    for state in range(len(entries)):
        spec = law.states[0, state]
        for way in range(spec.exit_first, spec.exit_first + spec.exit_count):
            for number in range(min(entries[state], MOST)):
                used[_CLOCK + way, number] += 1


def plan(law: Tables, used: Array, accounts: int) -> Array:
    """How many of each draw to make ahead, (A,) int64; none of those that decide nothing or take as long together as one by one."""
    depth = (used >= WORTH * accounts).sum(axis=1)
    kinds = law.kinds
    decides = (True, kinds.shape[1] > 1, (kinds["severity_count"] > 1).any(), (kinds["detection"] < 1.0).any())
    quick = law.exits["ahead"][0] >= 0
    quick &= law.distributions["family"][law.exits["after"][0]] == EXPONENTIAL
    return np.where(np.concatenate([np.array(decides, bool), quick]), depth, 0).astype(np.int64)


@inlined
def fill(law: Tables, segment: int, first: int) -> None:
    """Make the draws of a block of accounts: hazard to the next violation; other draws of its clock; microseconds until an exit rings."""
    code = law.segments[segment].code
    begin = np.uint64(first)
    k0 = law.key[0]
    k1 = law.key[1]
    lanes = law.ahead.shape[2]
    for row in range(len(law.depth)):
        name = law.codes[row + VIOLATION] if row < _CLOCK else law.exits[0, row - _CLOCK].ring_code
        for number in range(law.depth[row]):
            for lane in range(lanes):
                x0, x1, _, _ = philox(begin + np.uint64(lane), code, name, np.uint64(number), k0, k1)
                law.ahead[row, number, lane] = unit(x0, x1)
            if row == 0:
                for lane in range(lanes):
                    law.ahead[row, number, lane] = standard_exponential(law.ahead[row, number, lane])
            elif row >= _CLOCK:
                mean = law.distributions[law.exits[0, row - _CLOCK].after].a
                for lane in range(lanes):
                    law.ahead[row, number, lane] = microseconds(
                        mean * standard_exponential(law.ahead[row, number, lane])
                    )
