"""States by what was before: whether a stay depends on how often the account has been around, or on how long its stay before was, and where to split.

A ladder knows an account's state and nothing else of its past. Where the past shows, the state has to be several: at the first, second, … visit;
after shorter and after longer stays. The test is the log-rank test of each exit by itself (Mantel 1966; Peto and Peto 1972, doi:10.2307/2344317),
summed over the exits of a state. `visits_asked` goes on from visit to visit as long as one differs from all later ones. A split by the stay before
is the one that the test sees best, and beside it the next best if the data ask for that too; two a state at most, so that the ladder stays readable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from sim.results.estimators import kaplan_meier
from sim.results.spells import CENSORED, DAY_US, Integers, Spells

Floats = NDArray[np.float64]

CUTS = (1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6)
"""Quantiles of the stay before at which a state may be split."""

CHANCE, DIFFERENCE, LEAST = 1e-6, 0.05, 300
"""A split, by visit or by stay, has to be that unlikely by chance, has to move the share that leaves by one of the exits by five points at some time,
and has to leave so many entries on each side."""

MOST_VISITS = 10
WORDS = {1: ("short", "long"), 2: ("short", "middling", "long")}
"""What stays before are called, by the number of cuts between them."""


@dataclass(frozen=True)
class Split:
    """One split state: its number, and the lengths in days at which stays before are cut; one that is as long as a cut counts as shorter."""

    state: int
    cuts: tuple[float, ...]


def visit_numbers(spells: Spells, counted: str | None = None) -> Integers:
    """How often the account of each stay had been in a state up to it.

    Parameters
    ----------
    counted
        The state whose visits are counted; by default the one in which most accounts begin. Whoever begins elsewhere is taken to have been there
        before.
    """
    number = most_begin(spells) if counted is None else spells.states.index(counted)
    again = (spells.state == number) & ~spells.first
    return np.asarray(1 + np.cumsum(again) - np.cumsum(again)[spells.first][np.cumsum(spells.first) - 1], np.int64)


def most_begin(spells: Spells) -> int:
    """Number of the state in which most accounts begin."""
    return int(np.argmax(np.bincount(spells.state[spells.first], minlength=len(spells.states))))


def visits_asked(spells: Spells, counted: str | None = None) -> int:
    """How many visits have to be separate: as long as stays at one visit differ from those at all later ones, in some state."""
    visit = visit_numbers(spells, counted)
    days = (spells.left_us - spells.entered_us) / DAY_US
    for number in range(1, MOST_VISITS):
        differ = False
        for state in np.unique(spells.state):
            here = (spells.state == state) & (visit >= number)
            differ = differ or _are_two(days[here], spells.next[here], visit[here] > number) < CHANCE
        if not differ:
            return number
    return MOST_VISITS


def splits_by_stay(spells: Spells) -> list[Split]:
    """Where the states of some spells have to be split by the length of the stay before."""
    before = np.where(spells.first, np.nan, np.roll(spells.left_us - spells.entered_us, 1) / DAY_US)
    days = (spells.left_us - spells.entered_us) / DAY_US
    found = []
    for number in np.unique(spells.state):
        here = (spells.state == number) & ~spells.first
        chance, cut = _best_cut(before[here], days[here], spells.next[here])
        if chance < CHANCE:
            parts = (here & (before <= cut), here & (before > cut))
            more = min(_best_cut(before[part], days[part], spells.next[part]) for part in parts)
            found.append(Split(int(number), tuple(sorted((cut, more[1])) if more[0] < CHANCE else (cut,))))
    return found


def _best_cut(before: Floats, days: Floats, after: Integers) -> tuple[float, float]:
    """The cut that the test sees best, with its probability by chance; 1 where there is none."""
    best, at = 1.0, np.nan
    quantiles = np.quantile(before, CUTS) if len(before) >= 2 * LEAST else ()
    for cut in sorted({float(f"{value:.2g}") for value in quantiles}):
        chance = _are_two(days, after, before > cut)
        if chance < best:
            best, at = chance, cut
    return best, at


def _are_two(days: Floats, after: Integers, group: NDArray[np.bool_]) -> float:
    """Probability by chance that stays in two groups differ so; 1 where one group is too small, or they do not differ enough."""
    if min(group.sum(), (~group).sum()) < LEAST or not _differs(days, after, group):
        return 1.0
    return _chance(days, after, group)


def _chance(days: Floats, after: Integers, later: NDArray[np.bool_]) -> float:
    """Probability of a log-rank statistic, summed over exits, at least as large where nothing depends on the group."""
    exits = np.unique(after[after != CENSORED])
    total = sum(log_rank(days, after == to, later) for to in exits)
    return float(chdtrc(len(exits), total)) if len(exits) else 1.0


def log_rank(days: Floats, rang: NDArray[np.bool_], group: NDArray[np.bool_]) -> float:
    """Log-rank statistic of two groups: chi-squared with one degree of freedom where their hazards are equal."""
    times, events = np.unique(days[rang], return_counts=True)
    in_group = np.bincount(np.searchsorted(times, days[rang & group]), minlength=len(times))
    ordered, ordered_group = np.sort(days), np.sort(days[group])
    at_risk = len(ordered) - np.searchsorted(ordered, times, side="left")
    share = (len(ordered_group) - np.searchsorted(ordered_group, times, side="left")) / at_risk
    spread = events * share * (1.0 - share) * (at_risk - events) / np.maximum(at_risk - 1, 1)
    excess = float((in_group - events * share).sum())
    return excess**2 / spread.sum() if spread.sum() > 0.0 else 0.0


def _differs(days: Floats, after: Integers, later: NDArray[np.bool_]) -> bool:
    grid = np.quantile(days, np.linspace(0.05, 0.95, 19))
    for to in np.unique(after[after != CENSORED]):
        curves = [kaplan_meier(days[part], (after == to)[part]).at(grid) for part in (later, ~later)]
        if np.abs(curves[0] - curves[1]).max() > DIFFERENCE:
            return True
    return False


def split_by_stay(spells: Spells, splits: list[Split]) -> tuple[Spells, dict[str, str]]:
    """Split states by the stay before.

    Returns
    -------
    spells
        With the split states; who begins in one of them is in a third state, under the old name.
    origin
        Name of each state -> the name it had.
    """
    before = np.where(spells.first, np.nan, np.roll(spells.left_us - spells.entered_us, 1) / DAY_US)
    group = np.zeros(len(spells), np.int64)
    for split in splits:
        here = (spells.state == split.state) & ~spells.first
        group[here] = 1 + np.searchsorted(split.cuts, before[here], side="left")
    cut = {split.state: WORDS[len(split.cuts)] for split in splits}
    names: list[str] = []
    first = np.zeros(len(spells.states), np.int64)
    origin: dict[str, str] = {}
    for number, name in enumerate(spells.states):
        first[number] = len(names)
        own = (name, *(f"{name} after {word}" for word in cut.get(number, ())))
        origin |= dict.fromkeys(own, name)
        names += own
    state = first[spells.state] + group
    following = np.where(spells.next == CENSORED, CENSORED, np.roll(state, -1))
    return replace(spells, state=state, next=following, states=tuple(names)), origin
