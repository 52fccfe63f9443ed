"""Every exit of a ladder from stays: its chance and how long its clock takes.

In the law each exit draws its own clock on entry and the earliest wins. So the clock of one exit is seen where it wins, and censored where another
wins or observation ends: cause-specific fits, one exit at a time. Whatever the true dependence of the clocks, independent ones with these hazards
give the same chances and times of leaving (Tsiatis 1975, doi:10.1073/pnas.72.1.20).

How the shape of a clock is chosen:

1. **fixed**, if all its events came after one exact time;
2. else the family of least AIC, where a richer one has to be better than a simpler one by `MARGIN`;
3. else, where Kaplan and Meier's curve refutes that family (`gap`), **empirical**: quantiles of that curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.experiments.fitting.families import Candidate, Estimate, FamilyFit, estimated, rank_families
from sim.results.estimators import Survival, kaplan_meier
from sim.results.spells import CENSORED, DAY_US, Spells

Floats = NDArray[np.float64]

MARGIN = 6.0
"""AIC by which a family with one parameter more has to be better (likelihood ratio 8: 0.5 % of the time by chance)."""

CRITICAL, WORTH = 1.25, 0.005
"""A family is refuted if it is further from the curve than this over the root of the number of stays, and if that is worth it: over half a point.
1.25 is the 1 % limit for an exponential distribution with estimated mean (Lilliefors 1969, doi:10.1080/01621459.1969.10500983); those of the other
families are lower."""

FIXED_FROM, MOST_QUANTILES = 5, 201
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class ExitFit:
    """One exit.

    Attributes
    ----------
    state, to
        Names of the state and of the one it leads to.
    entries, events
        Stays in the state, and how many ended with this exit.
    family
        ``fixed``, a family of scenario files, or ``empirical``.
    chance
        That the clock ever rings.
    parameters
        Of the family, durations in days. Of ``empirical``: its quartiles, for the table.
    quantiles
        Of ``empirical``: equally spaced quantiles in days, else empty.
    aic
        NaN where no likelihood was taken.
    gap
        Largest distance between fit and Kaplan and Meier's curve, weighted as in Hall and Wellner's band.
    """

    state: str
    to: str
    entries: int
    events: int
    family: str
    chance: Estimate
    parameters: tuple[Estimate, ...]
    quantiles: tuple[float, ...]
    aic: float
    gap: float


def fit_exits(spells: Spells) -> tuple[ExitFit, ...]:
    """Fit every exit that occurs, by state and within a state the commonest first (what is fixed before all others: it wins ties)."""
    finest = _resolution(spells)
    found: list[ExitFit] = []
    for number in np.unique(spells.state):
        here = spells.state == number
        lengths = (spells.left_us[here] - spells.entered_us[here]) / DAY_US
        after = spells.next[here]
        stays = (lengths > 0) | (after != CENSORED)
        lengths, after = lengths[stays], after[stays]
        targets, counts = np.unique(after[after != CENSORED], return_counts=True)
        exits = [
            fit_exit(lengths, after == to, spells.states[number], spells.states[to], finest)
            for to in targets[np.argsort(-counts, kind="stable")]
        ]
        found += sorted(exits, key=lambda one: one.family != "fixed")
    return tuple(found)


def _resolution(spells: Spells) -> float:
    """Days between the moments that the times of a file can tell apart: a day, a second or a microsecond."""
    times = np.concatenate([spells.entered_us, spells.left_us])
    return next(unit for unit in (DAY_US, 1_000_000, 1) if not np.any(times % unit)) / DAY_US


def fit_exit(days: Floats, rang: NDArray[np.bool_], state: str, to: str, finest: float = 0.0) -> ExitFit:
    """Fit the clock of one exit.

    Parameters
    ----------
    days
        Lengths of all stays in the state.
    rang
        Which of them ended with this exit.
    state, to
        Names for what is returned.
    finest
        Days between the moments that the times can tell apart. Families take a stay of no length for half of it: they have no density at 0.
    """
    curve = kaplan_meier(days, rang)
    events = int(rang.sum())
    if len(curve.times) == 1 and events >= FIXED_FROM:
        after = (Estimate("after", float(curve.times[0]), 0.0, "days"),)
        return ExitFit(state, to, len(days), events, "fixed", _rung(curve), after, (), np.nan, 0.0)
    found, gap = _family(curve, np.maximum(days, finest / 2), rang)
    if found is None:
        quantiles = _quantiles(curve, events)
        return ExitFit(
            state, to, len(days), events, "empirical", _rung(curve), _quartiles(curve), quantiles, np.nan, 0.0
        )
    return ExitFit(state, to, len(days), events, found.family, found.chance, found.parameters, (), found.aic, gap)


def _family(curve: Survival, days: Floats, rang: NDArray[np.bool_]) -> tuple[FamilyFit | None, float]:
    """The family chosen, with its gap; none where the curve refutes it."""
    candidates = rank_families(days, rang, _rung(curve).value)
    while candidates:
        best = chosen(candidates)
        gap = weighted_gap(curve, best, len(days))
        if gap * np.sqrt(len(days)) > CRITICAL and gap > WORTH:
            break
        found = estimated(best, days, rang)
        if found is not None:
            return found, gap
        candidates = [one for one in candidates if one is not best]
    return None, 0.0


def chosen(candidates: list[Candidate]) -> Candidate:
    """The family of least AIC, or a simpler one that is within `MARGIN` of it for each parameter less."""
    best = min(candidates, key=lambda one: one.aic)
    simpler = [one for one in candidates if one.aic <= best.aic + MARGIN * (best.free - one.free)]
    return min(simpler, key=lambda one: (one.free, one.aic))


def weighted_gap(curve: Survival, found: Candidate, stays: int) -> float:
    """Largest distance between a fit and Kaplan and Meier's curve on both sides of its steps; less weight where few are left."""
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = stays * (curve.standard_error / curve.survival) ** 2
        weight = np.where(curve.survival > 0.0, 1.0 / (curve.survival * (1.0 + spread)), 0.0)
    model = 1.0 - found.distribution(curve.times)
    before = np.append(1.0, curve.survival[:-1])
    after_step = np.abs(curve.survival - model) * weight
    before_step = np.abs(before - model) * np.append(1.0, weight[:-1])
    return float(np.maximum(after_step, before_step).max())


def _rung(curve: Survival) -> Estimate:
    """Share of clocks that ring at all: what the curve has come down to at its end."""
    return Estimate("chance", float(1.0 - curve.survival[-1]), float(curve.standard_error[-1]), "share")


def _quantiles(curve: Survival, events: int) -> tuple[float, ...]:
    rung = 1.0 - curve.survival[-1]
    shares = np.linspace(0.0, 1.0, min(max(events, 2), MOST_QUANTILES))
    return tuple(curve.quantile(shares * rung).tolist())


def _quartiles(curve: Survival) -> tuple[Estimate, ...]:
    """Quartiles of the clocks that ring; the error is half the distance of those one standard error away."""
    rung = float(1.0 - curve.survival[-1])
    found = []
    for share in QUARTILES:
        at = float(curve.quantile(share * rung))
        place = int(np.searchsorted(curve.times, at))
        error = float(curve.standard_error[place])
        low, high = curve.quantile(np.clip([share * rung - error, share * rung + error], 0.0, rung))
        found.append(Estimate(f"{share:.0%} quantile", at, float(high - low) / 2.0, "days"))
    return tuple(found)
