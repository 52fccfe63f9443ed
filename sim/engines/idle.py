"""Accounts that are surely idle: told from one random word each, without living them.

In a segment where only the violation clock, the exits of the start state and waves can move an account that is there from time 0, each of these moves
it before the end only if one uniform number lies below a threshold. A block of such numbers is drawn at once, which the processor does several at a
time. The thresholds are rounded up: an account below one may still be idle and is lived; one above all of them is idle for certain.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim.engines.tally import Tally, add_product
from sim.model.draws import philox
from sim.model.durations import share_within
from sim.model.jit import Array, inlined
from sim.model.tables import END, START, VIOLATION, Tables

_WORDS = 2.0**32
_ZERO = np.uint64(0)


class Tests(NamedTuple):
    """Draws that tell whether an account of a segment has anything to do.

    Attributes
    ----------
    simple
        (1,) uint8: can the segment be told from draws at all? Otherwise every account is lived.
    codes
        (N,) uint64: names of the draws.
    limits
        (N,) uint32: an account is a candidate if the first word of any of these draws is at most its limit.
    """

    simple: Array
    codes: Array
    limits: Array


def _limit(chance: float) -> int:
    """First word that a uniform number below `chance` can have at most, with something to spare."""
    return min(2**32 - 1, int(chance * (1.0 + 1e-9) * _WORDS) + 2)


def idle_tests(law: Tables, segment: int) -> Tests:
    """Tests of a segment."""
    row, start, end = law.segments[segment], int(law.constants[START]), int(law.constants[END])
    state = law.states[0, start]
    never = row["joins_to"] <= 0 and row["propensity_sigma"] <= 0 and row["audience"] < 0
    if not never or state["desk"] >= 0 or bool((law.states["restart"][:, start] >= 0).any()):
        return Tests(np.zeros(1, np.uint8), np.zeros(0, np.uint64), np.zeros(0, np.uint32))
    codes: list[int] = []
    limits: list[int] = []
    hazard = _integrated_hazard(law, segment)
    if hazard > 0.0:
        codes.append(int(law.codes[VIOLATION]))
        limits.append(_limit(-math.expm1(-hazard)))
    for way in law.exits[0, state["exit_first"] : state["exit_first"] + state["exit_count"]]:
        rings = float(share_within(law.distributions[way["after"]], law.quantiles, float(end) + 1.0))
        codes.append(int(way["chance_code"] if way["chance"] < rings else way["ring_code"]))
        limits.append(_limit(min(float(way["chance"]), rings)))
    for number, wave in enumerate(law.waves):
        if wave["segment"] == segment and wave["at"] <= end and law.wave_moves[number, start] >= 0:
            codes.append(int(wave["code"]))
            limits.append(_limit(float(wave["cut"])))
    return Tests(np.ones(1, np.uint8), np.array(codes, np.uint64), np.array(limits, np.uint32))


def _integrated_hazard(law: Tables, segment: int) -> float:
    """Hazard of an account that stays in the start state, integrated over the run."""
    if law.rates.shape[2] == 0:
        return 0.0
    bounds = np.minimum(law.phase_from, law.constants[END])
    lengths = (
        np.diff(bounds).astype(np.float64) + 1.0
    )  # an event due within the last half microsecond is rounded to the end
    activity = law.states["activity"][:, law.constants[START]]
    return float((lengths * activity * law.rates[:, segment, -1]).sum())


@inlined
def flag_candidates(
    law: Tables, tests: Tests, segment: int, first: int, last: int, keep_below: int, flags: Array
) -> int:
    """Flag the accounts of a block that must be lived; returns how many need not be. Those whose history is kept are always lived."""
    if tests.simple[0] == 0 or first < keep_below:
        flags[:] = 1
        return 0
    flags[:] = 0
    code = law.segments[segment].code
    k0 = law.key[0]
    k1 = law.key[1]
    begin = np.uint64(first)
    for test in range(len(tests.codes)):
        draw = tests.codes[test]
        limit = tests.limits[test]
        for i in range(len(flags)):
            x0, _, _, _ = philox(begin + np.uint64(i), code, draw, _ZERO, k0, k1)
            flags[i] |= np.uint8(np.uint32(x0) <= limit)
    count = min(len(flags), last - first)
    candidates = 0
    for i in range(count):
        candidates += flags[i]
    return count - candidates


@inlined
def count_idle(law: Tables, tally: Tally, segment: int, count: int) -> None:
    """Count accounts that are in the start state from time 0 to the end."""
    state = law.constants[START]
    tally.moves[0, segment, 0, 0] += count
    tally.ever[segment, state] += count
    if law.bans[state] != 0:
        tally.first_bans[0, segment, 0] += count
    add_product(tally.sojourn[segment, state], law.constants[END], count)
