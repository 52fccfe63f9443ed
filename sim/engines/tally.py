"""What is counted while accounts live: integer sums, so that no order of summation shows, and the log of chosen histories.

A count of moves per grid interval carries almost everything: occupancy, joins, bans in force, queue lengths and transitions all follow from it
(`sim.results`). Times are summed in two 64-bit words, since 10^9 accounts and a year are more microseconds than one word holds.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from sim.model.jit import Array, inlined
from sim.model.tables import END, Names, Tables

EVENT = np.dtype(
    [
        ("time", "i8"),
        ("account", "u4"),
        ("strikes", "i4"),
        ("move", "i4"),
        ("segment", "u2"),
        ("kind", "i2"),
        ("severity", "i2"),
        ("wrongful", "u1"),
    ],
    align=True,
)
"""One transition of a chosen account; `kind`, `severity` and `strikes` are -1 unless a decision moved it."""

SUB_BUCKETS = 64
WAIT_BUCKETS = 1 + 64 * SUB_BUCKETS
"""Waits are counted in buckets: one for no wait, then 64 for each doubling, at most 1/64 wide: its middle errs by under 0.8 %."""


class Tally(NamedTuple):
    """Counts of one replication (of one share of its accounts, where several work at once).

    ==================  ===================================  =====================================================================
    field               shape                                what
    ==================  ===================================  =====================================================================
    grid                (1,) int64                           microseconds between grid times
    per_grid            (1,) float64                         one over that
    decided             (M,) uint8                           is the move a decision?
    moves               (G, S, M, 2) int64                   moves in the grid interval that ends at a grid time, by mark
    first_bans          (G, S, 2) int64                      accounts that enter a ban for the first time, by mark
    ever                (S, X) int64                         accounts that were ever in a state
    sojourn             (S, X, 2) uint64                     microseconds in a state: low and high word
    audience            (S, X, 2) uint64                     the same, times readers
    wronged             (S, 2, 2, 2) uint64                  time of accounts marked wrongful in states that restrict, and in bans: sum over accounts
                                                             in microseconds, and sum of squares in seconds
    violations          (S, K, V, 2) int64                   violations by kind, severity; not detected, detected
    starts              (G, B) int64                         services started
    waited, worked      (B, 2) uint64                        microseconds waited by those served; served within the run
    waits               (B, WAIT_BUCKETS) int64              histogram of waits
    log                 (L,)                                 `EVENT` rows of chosen accounts
    logged              (1,) int64                           how many of them are filled
    ==================  ===================================  =====================================================================
    """

    grid: Array
    per_grid: Array
    decided: Array
    moves: Array
    first_bans: Array
    ever: Array
    sojourn: Array
    audience: Array
    wronged: Array
    violations: Array
    starts: Array
    waited: Array
    worked: Array
    waits: Array
    log: Array
    logged: Array


BUSY = -1
"""In place of how many first accounts are logged: all that anything may happen to. Those left out stay in the start state from time 0 to the end."""
LOG_ROOM = 65_536
"""Rows of the log; an engine empties it before an account that is logged could overflow it."""


def new_tally(tables: Tables, names: Names, observe_us: int) -> Tally:
    """An empty tally."""
    grid = math.ceil(int(tables.constants[END]) / observe_us) + 1
    segments, states, moves, desks = len(names.segments), len(names.states), len(names.moves), len(names.desks)
    return Tally(
        grid=np.array([observe_us], np.int64),
        per_grid=np.array([1.0 / observe_us]),
        decided=np.array([cause == "decision" for _, _, cause in names.moves], np.uint8),
        moves=np.zeros((grid, segments, moves, 2), np.int64),
        first_bans=np.zeros((grid, segments, 2), np.int64),
        ever=np.zeros((segments, states), np.int64),
        sojourn=np.zeros((segments, states, 2), np.uint64),
        audience=np.zeros((segments, states, 2), np.uint64),
        wronged=np.zeros((segments, 2, 2, 2), np.uint64),
        violations=np.zeros((segments, len(names.kinds), len(names.severities), 2), np.int64),
        starts=np.zeros((grid, desks), np.int64),
        waited=np.zeros((desks, 2), np.uint64),
        worked=np.zeros((desks, 2), np.uint64),
        waits=np.zeros((desks, WAIT_BUCKETS), np.int64),
        log=np.zeros(LOG_ROOM, EVENT),
        logged=np.zeros(1, np.int64),
    )


_LOW = np.uint64(0xFFFFFFFF)
_HALF_WORD = np.uint64(32)
_ONE = np.uint64(1)
TOP_BIT = np.uint64(1 << 63)
"""Highest bit of a sum's high word. No sum that is as large as that passes `sim.results.invariants`, so it must not wrap to a small one either."""


@inlined
def add_product(words: Array, a: Any, b: Any) -> None:
    """Add the product of two non-negative int64 to a 128-bit sum held as (low, high) uint64, whose highest bit stays set once it is."""
    a = np.uint64(a)
    b = np.uint64(b)
    low_low = (a & _LOW) * (b & _LOW)
    low_high = (a & _LOW) * (b >> _HALF_WORD)
    high_low = (a >> _HALF_WORD) * (b & _LOW)
    middle = (low_low >> _HALF_WORD) + (low_high & _LOW) + (high_low & _LOW)
    low = (low_low & _LOW) | ((middle & _LOW) << _HALF_WORD)
    high = (a >> _HALF_WORD) * (b >> _HALF_WORD) + (low_high >> _HALF_WORD) + (high_low >> _HALF_WORD)
    high += middle >> _HALF_WORD
    words[0] += low
    if words[0] < low:
        high += _ONE
    words[1] = (words[1] + high) | (words[1] & TOP_BIT)


@inlined
def add(words: Array, a: Any) -> None:
    """Add a non-negative int64 to a 128-bit sum held as (low, high) uint64."""
    a = np.uint64(a)
    words[0] += a
    if words[0] < a:
        words[1] += _ONE


@inlined
def interval(tally: Tally, now: int) -> int:
    """Number of the grid time that first sees an event at `now`."""
    place = int(now * tally.per_grid[0])  # off by one at most: a division of int64 would take longer than all the rest
    while place * tally.grid[0] < now:
        place += 1
    while (place - 1) * tally.grid[0] >= now:
        place -= 1
    return min(max(place, 0), tally.moves.shape[0] - 1)


@inlined
def wait_bucket(wait: int) -> int:
    """Bucket of a wait in microseconds."""
    if wait <= 0:
        return 0
    octave = 0
    while wait >> (octave + 1) > 0:
        octave += 1
    return 1 + octave * SUB_BUCKETS + (((wait - (1 << octave)) * SUB_BUCKETS) >> octave)


def bucket_middle(bucket: int) -> float:
    """Wait in microseconds that stands for a bucket."""
    if bucket == 0:
        return 0.0
    octave, part = divmod(bucket - 1, SUB_BUCKETS)
    return float(2.0**octave * (1.0 + (part + 0.5) / SUB_BUCKETS))


@inlined
def stayed_until(tally: Tally, me: Any, state: int, entered: int, now: int) -> None:
    """An account was in a state from `entered` to `now`."""
    add(tally.sojourn[me.segment, state], now - entered)
    if me.audience > 0:
        add_product(tally.audience[me.segment, state], now - entered, me.audience)


@inlined
def suffered(law: Tables, me: Any, state: int, lasted: int) -> None:
    """An account marked wrongful was in a state for so long."""
    if law.enforced[state] != 0:
        me.wronged[law.enforced[state] - 1] += lasted


@inlined
def count_wronged(tally: Tally, me: Any) -> None:
    """An account is at its end: count how long it was wrongly restricted and wrongly banned."""
    for what in range(2):
        lasted = me.wronged[what]
        if lasted > 0:
            seconds = lasted // 1_000_000
            add(tally.wronged[me.segment, what, 0], lasted)
            add_product(tally.wronged[me.segment, what, 1], seconds, seconds)


@inlined
def is_logged(account: int, keep_below: int) -> bool:
    """Whether the history of an account that is lived is kept: it is one of the first `keep_below`, or `keep_below` is `BUSY`."""
    return account < keep_below or keep_below == BUSY


@inlined
def log_is_full(tally: Tally) -> bool:
    """Whether the log must be emptied before anything happens to an account whose history is kept."""
    return tally.logged[0] + 1 >= tally.log.shape[0]


@inlined
def moved(law: Tables, tally: Tally, me: Any, entries: Array, move: int, now: int) -> None:
    """An account has just made a move."""
    place = interval(tally, now)
    tally.moves[place, me.segment, move, me.wrongful] += 1
    if entries[me.state] == 1:
        tally.ever[me.segment, me.state] += 1
    if law.bans[me.state] != 0 and me.banned == 0:
        me.banned = 1
        tally.first_bans[place, me.segment, me.wrongful] += 1
    if me.logged != 0:
        row = tally.log[tally.logged[0]]
        row.time = now
        row.account = me.account
        row.segment = me.segment
        row.move = move
        row.wrongful = me.wrongful
        decision = tally.decided[move] != 0
        row.kind = me.case_kind if decision else -1
        row.severity = me.case_severity if decision else -1
        row.strikes = me.counted if decision else -1
        tally.logged[0] += 1


@inlined
def served(law: Tables, tally: Tally, me: Any, now: int, ends: int) -> None:
    """A service has just started, after a wait, and will end at `ends`."""
    desk = law.states[me.phase, me.state].desk
    wait = now - me.entered
    tally.starts[interval(tally, now), desk] += 1
    add(tally.waited[desk], wait)
    add(tally.worked[desk], min(ends, law.constants[END]) - now)
    tally.waits[desk, wait_bucket(wait)] += 1


def empty_like(tally: Tally) -> Tally:
    """An empty tally for the same scenario."""
    same = ("grid", "per_grid", "decided")
    return Tally(
        *(
            part if name in same else np.zeros(part.shape, part.dtype)
            for name, part in zip(Tally._fields, tally, strict=True)
        )
    )


def add_tally(total: Tally, part: Tally) -> None:
    """Add the counts of a part to a total; the logs are left alone.

    Raises
    ------
    OverflowError
        A count does not fit its 64 bits.
    """
    for name in ("moves", "first_bans", "ever", "violations", "starts", "waits"):
        mine = getattr(total, name)
        np.add(mine, getattr(part, name), out=mine)
        if mine.size and mine.min() < 0:
            raise OverflowError(f"the count of {name} does not fit 64 bits")
    for name in ("sojourn", "audience", "wronged", "waited", "worked"):
        mine, other = getattr(total, name), getattr(part, name)
        low = mine[..., 0] + other[..., 0]
        large = (mine[..., 1] | other[..., 1]) & TOP_BIT
        mine[..., 1] += other[..., 1] + (low < other[..., 0])
        mine[..., 1] |= large
        mine[..., 0] = low
