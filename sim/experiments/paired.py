"""Limits of differences with the accounts as the sample: each account is compared with itself.

Shares of accounts: how many count in one scenario only. Totals (entries, account-days, days of those wronged): the spread of the accounts' own
differences; of segments, whose sizes are fixed, the variances add up. What is not told account by account (violations, desks) has no limits here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from sim.experiments.flips import Lives, Pairs
from sim.model.account import audience_of
from sim.model.jit import NEVER, Array
from sim.model.schedule import DAY_US
from sim.model.tables import Tables, restricted_states
from sim.results.intervals import paired_shares, unpaired_shares
from sim.results.summary import WRONGED_MEASURES, Measure, Value
from sim.results.tables import Codes

MOST_READERS = 200_000
"""Accounts whose readers are looked up; with more of them, audience-days have no limits."""
Z = float(ndtri(0.975))


class Limits(NamedTuple):
    """95 % limits of a difference, and half the width of those that unpaired runs of the same size would have."""

    low: float = math.nan
    high: float = math.nan
    unpaired: float = math.nan


@dataclass(frozen=True)
class Spread:
    """Sums over accounts of a measure's values; values are told less that of an account that stays in the start state."""

    differences: float
    squares: float
    squares_a: float
    squares_b: float
    sum_a: float
    sum_b: float


@dataclass(frozen=True)
class Sample:
    """What accounts did, in both scenarios."""

    pairs: Pairs
    joined: Mapping[str, int]
    """Accounts of each segment that have joined by the end, for segments in which they are the same in both."""
    end_us: int

    def segment_of(self, name: str) -> int:
        """Number of a segment in the words that the scenarios share."""
        return self.pairs.words.segments.index(name)

    def parts(self, segment: str) -> list[str]:
        """Segments that a measure is about; none where they are not all comparable."""
        names = [segment] if segment else list(self.pairs.words.segments)
        return names if all(name in self.joined for name in names) else []


def _counts(sample: Sample, a: Array, b: Array) -> dict[str, tuple[int, int]]:
    """Accounts that count in A only and in B only, by segment."""
    words, segments = sample.pairs.words, sample.pairs.segments
    only = [np.bincount(segments[mask], minlength=len(words.segments)) for mask in (a & ~b, b & ~a)]
    return {name: (int(only[0][k]), int(only[1][k])) for k, name in enumerate(words.segments)}


def _spreads(sample: Sample, a: Array, b: Array, idle: float) -> dict[str, Spread]:
    """Sums over the accounts of each segment; `idle` is the value of an account that stays in the start state."""
    words, segments = sample.pairs.words, sample.pairs.segments
    a, b = a - idle, b - idle
    sums = [
        np.bincount(segments, weights, minlength=len(words.segments))
        for weights in (b - a, (b - a) ** 2, a * a, b * b, a, b)
    ]
    return {name: Spread(*(float(each[k]) for each in sums)) for k, name in enumerate(words.segments)}


def _share_limits(sample: Sample, measure: Measure, a: Value, b: Value, only: dict[str, tuple[int, int]]) -> Limits:
    parts = sample.parts(measure.segment)
    if not parts or a.trials != b.trials:
        return Limits()
    low, high = paired_shares(sum(only[name][0] for name in parts), sum(only[name][1] for name in parts), a.trials)
    unpaired = unpaired_shares(a.successes, a.trials, b.successes, b.trials)
    return Limits(float(low), float(high), float(unpaired[1] - unpaired[0]) / 2.0)


def _variance(total: float, squares: float, count: int) -> float:
    """Variance of the sum of `count` independent values."""
    return max(0.0, squares - total * total / count) * count / (count - 1) if count > 1 else math.nan


def _total_limits(sample: Sample, measure: Measure, difference: float, spreads: dict[str, Spread]) -> Limits:
    parts = sample.parts(measure.segment)
    if not parts:
        return Limits()
    paired = unpaired = 0.0
    for name in parts:
        spread, count = spreads[name], sample.joined[name]
        if count:
            paired += _variance(spread.differences, spread.squares, count)
            unpaired += _variance(spread.sum_a, spread.squares_a, count)
            unpaired += _variance(spread.sum_b, spread.squares_b, count)
    half = Z * math.sqrt(paired)
    return Limits(difference - half, difference + half, Z * math.sqrt(unpaired))


def _stays(lives: Lives, end_us: int) -> Array:
    """Microseconds that each event's state lasts."""
    ends = np.append(lives.events["time"][1:], end_us)[: len(lives.events)]
    ends[lives.first[1:][lives.lengths > 0] - 1] = end_us
    return np.asarray(ends - lives.events["time"])


@dataclass(frozen=True)
class _Told:
    """What each account did in one scenario, a state at a time."""

    sample: Sample
    lives: Lives

    def rows(self, state: str) -> Array:
        words = self.sample.pairs.words
        return np.asarray(words.targets[self.lives.events["move"]] == words.states.index(state))

    def entries(self, state: str) -> Array:
        return np.bincount(self.lives.owner[self.rows(state)], minlength=len(self.lives.lengths)).astype(np.float64)

    def days(self, state: str, *, wronged: bool = False) -> Array:
        rows = self.rows(state)
        if wronged:
            rows = rows & (self.lives.events["wrongful"] == 1)  # the mark changes only where an account moves
        stays = _stays(self.lives, self.sample.end_us)[rows] / DAY_US
        return np.bincount(self.lives.owner[rows], stays, minlength=len(self.lives.lengths))

    def days_in(self, states: Sequence[str], *, wronged: bool = False) -> Array:
        return sum((self.days(state, wronged=wronged) for state in states), start=np.zeros(len(self.lives.lengths)))


def _readers(sample: Sample, law: Tables, names: Sequence[str]) -> Array | None:
    """Readers of each account by the law of A; accounts that are not logged have none."""
    pairs = sample.pairs
    audience = np.zeros(len(pairs.words.segments), bool)
    numbers = np.zeros(len(pairs.words.segments), np.int64)
    for number, name in enumerate(names):
        place = pairs.words.segments.index(name)
        audience[place], numbers[place] = law.segments["audience"][number] >= 0, number
    wanted = np.flatnonzero(audience[pairs.segments])
    if len(wanted) > MOST_READERS:
        return None
    readers = np.zeros(len(pairs.keys))
    for place in wanted.tolist():
        key = int(pairs.keys[place])
        readers[place] = audience_of(law, int(numbers[key >> 32]), key & 0xFFFFFFFF)
    return readers


def account_limits(
    sample: Sample,
    a: Mapping[Measure, Value],
    b: Mapping[Measure, Value],
    law: Tables,
    codes: tuple[Codes, Codes],
) -> dict[Measure, Limits]:
    """Limits of every measure that both scenarios have and that is told account by account.

    Parameters
    ----------
    sample
        The lives of all accounts in both.
    a, b
        Measures of the two runs.
    law
        Scenario A, keyed for the replication: readers are looked up there.
    codes
        Both scenarios as compiled.
    """
    pairs = sample.pairs
    told = [_Told(sample, lives) for lives in (pairs.a, pairs.b)]
    bans = [lives.first_bans(pairs.words) for lives in (pairs.a, pairs.b)]
    last = [lives.final_states(pairs.words) for lives in (pairs.a, pairs.b)]
    readers = _readers(sample, law, codes[0].names.segments)
    start = codes[0].scenario.spec.ladder.start
    ladders = [each.scenario.spec.ladder for each in codes]
    restricted = [restricted_states(ladder) for ladder in ladders]
    found: dict[Measure, Limits] = {}

    def shares(which: list[Measure], marks: list[Array]) -> None:
        only = _counts(sample, *marks)
        found.update({measure: _share_limits(sample, measure, a[measure], b[measure], only) for measure in which})

    def totals(which: list[Measure], values: list[Array], idle: float) -> None:
        spreads = _spreads(sample, values[0], values[1], idle)
        for measure in which:
            found[measure] = _total_limits(sample, measure, b[measure].value - a[measure].value, spreads)

    def by_state(name: str, state: str) -> list[Measure]:
        return [each for each in a if each in b and each.measure == name and each.state == state]

    shares(by_state("ban_rate", ""), [times < NEVER for times, _ in bans])
    shares(by_state("wrongful_ban_rate", ""), [wrongful for _, wrongful in bans])
    shares(
        by_state("banned_share", ""),
        [(states >= 0) & each.lives.bans[states] for states, each in zip(last, told, strict=True)],
    )
    for number, state in enumerate(pairs.words.states):
        idle = float(state == start)
        entries, days = [each.entries(state) for each in told], [each.days(state) for each in told]
        shares(by_state("occupancy_share", state), [states == number for states in last])
        shares(by_state("ever_share", state), [each > 0 for each in entries])
        totals(by_state("entries", state), entries, idle)
        totals(by_state("account_days", state), days, idle * sample.end_us / DAY_US)
        if readers is not None:
            totals(by_state("audience_days", state), [readers * each for each in days], 0.0)
    for name, kept in zip(WRONGED_MEASURES, (restricted, [ladder.bans for ladder in ladders]), strict=True):
        days = [each.days_in(states, wronged=True) for each, states in zip(told, kept, strict=True)]
        totals(by_state(name, ""), days, 0.0)  # whoever stays in the start state was never marked
    if len({start in states for states in restricted}) == 1:
        days = [each.days_in(states) for each, states in zip(told, restricted, strict=True)]
        totals(by_state("restricted_days", ""), days, (start in restricted[0]) * sample.end_us / DAY_US)
    return found
