"""What targets tell about each parameter, and what they do not: profiles of the objective.

A profile holds one parameter at value after value and fits all others anew each time. Where it rises by more than 3.84, the 95 % quantile of a
chi-square with one degree of freedom, the value is refuted (Venzon and Moolgavkar 1988, Applied Statistics 37, 87-94). Raue and others (2009,
Bioinformatics 25, 1923-1929) tell apart what can be seen in it:

=====================  =================================================================================================
``identified``         it rises on both sides: the targets tell the value, within limits
``at least``           it rises on the low side only, ``at most``: on the high side only
``not identified``     it rises nowhere, or only where the range of *another* parameter ends, which then is what limits it
=====================  =================================================================================================

The last case is one that the slopes at the best point do not show well, as chance blurs them. The profile walks along the valley instead, and what
stays constant on the way is what the targets do tell: a product, a ratio, a sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from scipy.special import chdtri

from sim.experiments.calibration.objective import Aim, Axis, Fit, Simulator, fit, side_by_side
from sim.experiments.points import Floats

Verdict = Literal["identified", "at least", "at most", "not identified"]

THRESHOLD = float(chdtri(1, 0.05))
FAR = 30.0
"""Rise of the objective beyond which a profile is not followed."""
EDGE = 0.02
"""What is so near to an end of its range counts as being at it."""
BLURRED = 0.1
"""Singular values of the slopes that are smaller than this part of the greatest may be chance."""
REFINED = 3
"""How often a profile is looked at again between two values of which one is far above the threshold."""
NEAR = 0.12
"""Part of a range within which slopes stay about the same."""
MOVED = 0.1
"""Part of its range that a parameter moves by to count as making up for another."""
CONSTANT = 0.15
"""Spread of a combination, as a part of the spread of its members, that counts as constant."""


@dataclass(frozen=True)
class Profile:
    """Profile of one parameter.

    Attributes
    ----------
    place
        Number of the parameter.
    fits
        The best fit at each value, values ascending.
    above
        How far the objective is above the least one, for each.
    low, high
        95 % limits on the axis (0..1); NaN where the targets do not limit it.
    verdict
        What the targets tell.
    flat
        Which values are not refuted, chance of the simulation allowed for.
    """

    place: int
    fits: tuple[Fit, ...]
    above: Floats
    low: float
    high: float
    verdict: Verdict
    flat: tuple[bool, ...]

    @property
    def units(self) -> Floats:
        """Values looked at, as places on the axis."""
        return np.array([found.units[self.place] for found in self.fits])


def _steps(best: Fit, place: int, direction: int) -> list[float]:
    """Places on the axis to look at, outwards from the best: one, two and three standard errors, and parts of what is left of the range."""
    at = float(best.units[place])
    room = 1.0 - at if direction > 0 else at
    if room < 1e-3:
        return []
    spread = np.linalg.pinv(best.slopes.T @ best.slopes, rcond=1e-10, hermitian=True)
    error = math.sqrt(max(float(spread[place, place]), 0.0))
    offsets = [k * error for k in (1, 2, 3) if 1e-4 < k * error < room] + [
        room * part for part in (0.15, 0.4, 0.7, 1.0)
    ]
    kept: list[float] = []
    for offset in sorted(offsets):
        if not kept or offset - kept[-1] > min(0.02, error / 2):
            kept.append(offset)
    return [min(max(at + direction * offset, 0.0), 1.0) for offset in kept]


def _walk(simulator: Simulator, aim: Aim, best: Fit, place: int, direction: int) -> list[Fit]:
    """Best fits outwards from the best of all, each begun where the slopes of the last one point; closer together where the threshold is crossed."""
    others = [other for other in range(len(best.units)) if other != place]
    answer = np.zeros(len(best.units))
    answer[others] = -np.linalg.pinv(best.slopes[:, others], rcond=BLURRED) @ best.slopes[:, place]

    def stepped(last: Fit, at: float) -> Fit:
        start = np.clip(last.units + answer * (at - last.units[place]), 1e-3, 1.0 - 1e-3)
        start[place] = at
        known = last.slopes if abs(at - last.units[place]) < NEAR else None
        return fit(simulator, aim, start, held=place, known=known, every=0, most=10)

    walked = [best]
    for at in _steps(best, place, direction):
        walked.append(stepped(walked[-1], at))
        if walked[-1].objective - best.objective > FAR:
            break
    for _ in range(REFINED):
        above = np.array([found.objective for found in walked]) - best.objective
        inner = int(np.flatnonzero(above <= THRESHOLD).max())
        if inner + 1 == len(walked) or above[inner + 1] < 4 * THRESHOLD:
            break
        at = float(_crossed(walked, above, inner, place))
        ends = (walked[inner].units[place], walked[inner + 1].units[place])
        beyond = at + 0.2 * (at - ends[0])
        walked.insert(inner + 1, stepped(walked[inner], min(max(beyond, min(ends)), max(ends))))
    return walked[1:]


def _crossed(fits: Sequence[Fit], above: Floats, inner: int, place: int) -> float:
    """Where the root of the rise, which is about a straight line, crosses that of the threshold behind a point that is below it."""
    below, beyond, edge = (math.sqrt(max(rise, 0.0)) for rise in (above[inner], above[inner + 1], THRESHOLD))
    before, after = (float(fits[k].units[place]) for k in (inner, inner + 1))
    return before + (edge - below) / (beyond - below) * (after - before)


def walk_all(
    simulator: Simulator, aim: Aim, best: Fit, workers: int | None, progress: Callable[[float], None]
) -> list[list[Fit]]:
    """For each parameter its best fits at ascending values, the best of all among them."""
    sides = [(place, direction) for place in range(len(best.units)) for direction in (-1, 1)]
    jobs = [partial(_walk, simulator, aim, best, place, direction) for place, direction in sides]
    found = side_by_side(jobs, workers, progress)
    return [[*found[2 * place][::-1], best, *found[2 * place + 1]] for place in range(len(best.units))]


def profile_of(place: int, fits: Sequence[Fit], least: float, blur: float) -> Profile:
    """What a profile says.

    Parameters
    ----------
    fits
        At ascending values, the best of all among them.
    least
        The least objective.
    blur
        By how much chance of the simulation may raise the objective from one point to another.
    """
    above = np.array([found.objective - least for found in fits])
    middle = int(np.argmin(above))
    limits, told = [], []
    for direction in (-1, 1):
        outward = list(range(middle, -1 if direction < 0 else len(fits), direction))
        limit, by_targets = _limit(place, [fits[k] for k in outward], above[outward], least, blur)
        limits.append(limit)
        told.append(by_targets)
    verdicts: dict[tuple[bool, bool], Verdict] = {
        (True, True): "identified",
        (True, False): "at least",
        (False, True): "at most",
        (False, False): "not identified",
    }
    flat = tuple(bool(rise <= THRESHOLD + blur) for rise in above)
    return Profile(place, tuple(fits), above, limits[0], limits[1], verdicts[told[0], told[1]], flat)


def _limit(place: int, fits: Sequence[Fit], above: Floats, least: float, blur: float) -> tuple[float, bool]:
    """Where a profile crosses the threshold for good on its way outwards (NaN: nowhere), and whether the targets are the reason."""
    step = int(np.flatnonzero(above <= THRESHOLD).max(initial=0)) + 1
    if step >= len(fits) or above[step:].max() <= THRESHOLD + blur:
        return math.nan, False
    if _held_by_ranges(place, fits[step], least + THRESHOLD):
        return math.nan, False
    return _crossed(fits, above, step - 1, place), True


def _held_by_ranges(place: int, found: Fit, enough: float) -> bool:
    """Whether other parameters at the ends of their ranges are what keeps the objective up: beyond the ends, slopes say, it would be low enough."""
    others = [other for other in range(len(found.units)) if other != place]
    ends = [other for other in others if not EDGE < found.units[other] < 1.0 - EDGE]
    if not ends:
        return False
    steps = np.zeros(len(found.units))
    steps[others] = -np.linalg.pinv(found.slopes[:, others], rcond=BLURRED) @ found.misses
    outwards = [other for other in ends if (steps[other] > 0) == (found.units[other] > 0.5)]
    if not outwards:
        return False
    steps /= max(1.0, float(np.abs(steps).max()))
    reached = found.misses + found.slopes @ steps
    return float(reached @ reached) <= enough


def sentences(axes: Sequence[Axis], profiles: Sequence[Profile]) -> list[str]:
    """What the targets do not tell, one sentence each."""
    told: list[str] = []
    paired: set[frozenset[int]] = set()
    for profile in profiles:
        axis, place = axes[profile.place], profile.place
        if profile.verdict == "identified":
            continue
        if profile.verdict != "not identified":
            limit = axis.told(axis.number(profile.low if profile.verdict == "at least" else profile.high))
            told.append(f"{axis.path} is {profile.verdict} {limit}: the targets give no limit on the other side.")
            continue
        flat = profile.units[list(profile.flat)]
        low, high = (axis.told(axis.number(float(end))) for end in (flat.min(), flat.max()))
        begun = f"{axis.path} is not identified: the targets are met as well from {low} to {high}"
        partners = _partners(profile)
        if not partners:
            told.append(f"{begun}, whatever the others are.")
        elif len(partners) > 1:
            told.append(f"{begun}, as {' and '.join(axes[other].path for other in partners)} make up for it.")
        else:
            pair = frozenset((place, partners[0]))
            constant = _constant(axes, profile, partners[0])
            told.append(f"{begun}, as {axes[partners[0]].path} makes up for it.")
            if constant and pair not in paired:
                paired.add(pair)
                told.append(constant)
    return told


def _partners(profile: Profile) -> list[int]:
    """Parameters that move in step with this one where its profile is flat."""
    flat = np.array([found.units for found, kept in zip(profile.fits, profile.flat, strict=True) if kept])
    found = []
    for other in range(flat.shape[1]):
        if other == profile.place or len(flat) < 3 or np.ptp(flat[:, other]) < MOVED:
            continue
        if abs(float(np.corrcoef(flat[:, profile.place], flat[:, other])[0, 1])) > 0.8:
            found.append(other)
    return found


def _constant(axes: Sequence[Axis], profile: Profile, other: int) -> str:
    """The combination of two parameters that stays the same where the profile of one is flat; empty if there is none."""
    one, two = axes[profile.place], axes[other]
    kept = [found for found, flat in zip(profile.fits, profile.flat, strict=True) if flat]
    a = np.array([one.number(float(found.units[profile.place])) for found in kept])
    b = np.array([two.number(float(found.units[other])) for found in kept])
    spreads: dict[str, float] = {}
    if (a > 0).all() and (b > 0).all():
        moved = max(float(np.std(np.log(a))), 1e-12)
        spreads["product"] = float(np.std(np.log(a) + np.log(b))) / moved
        spreads["ratio"] = float(np.std(np.log(a) - np.log(b))) / moved
    if one.told_unit == two.told_unit:
        spreads["sum"] = float(np.std(a + b)) / max(float(np.std(a)), 1e-12)
        spreads["difference"] = float(np.std(a - b)) / max(float(np.std(a)), 1e-12)
    name = min(spreads, key=spreads.__getitem__, default="")
    if not name or spreads[name] > CONSTANT:
        return ""
    parts = [1.0 if axis.told_unit != "%" or name in ("sum", "difference") else 0.01 for axis in (one, two)]
    a, b = a * parts[0], b * parts[1]
    combined = {"product": a * b, "ratio": a / b, "sum": a + b, "difference": a - b}[name]
    units = [axis.told_unit for axis, part in zip((one, two), parts, strict=True) if axis.told_unit and part == 1.0]
    unit = units[0] if units and (name in ("sum", "difference") or len(units) == 1) else ""
    low, high = (f"{end:.3g} {unit}".strip() for end in (combined.min(), combined.max()))
    told = f"stays at {low}" if low == high else f"stays between {low} and {high}"
    return f"{one.path} and {two.path} enter only as a {name}, which {told} over these values."
