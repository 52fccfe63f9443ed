"""How far a scenario is from its targets, as a function of its ranges, and the search for the least distance.

=================  =====================================================================================================
`Axis`             a range as a stretch from 0 to 1: logarithmic where it is above 0, since hazards are products
`Simulator`        values on the axes -> simulated figures, with the same draws everywhere
`fit`              the least sum of squares from one start: Gauss-Newton in a trust region within the ranges
`side_by_side`     several searches at once
`chance`           how the simulated figures vary by chance, over replications
=================  =====================================================================================================

The objective is the sum of ``((simulated - target) / error)^2``, the error being that of the target and that of the simulation, taken together.

All points run with the same seed. Draws are keyed to account and decision, so that a small step of a parameter moves few accounts and the objective
is smooth down to single accounts. A smooth sum of squares is what Gauss-Newton is made for: it is there in some ten steps, where a search that knows
nothing of slopes, such as Optuna's, takes many hundreds of runs. Slopes are differences over a tenth of a range, in which many accounts move.

References
----------
Branch, Coleman and Li (1999), SIAM Journal on Scientific Computing 21, 1-23: the method, as ``scipy.optimize.least_squares`` has it.
Glasserman and Yao (1992), Management Science 38, 884-908: what common random numbers give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from sim.errors import RunError
from sim.experiments.outputs import Output
from sim.experiments.points import Floats, Point, outcomes_at
from sim.experiments.replications import Engine
from sim.processors import cores
from sim.scenario import Range, Scenario
from sim.scenario.units import UNITS_US

STEP = 0.05
"""Half of the distance over which slopes are taken, as a part of the range."""
REPEATS = 20
"""Replications from which chance is known."""
DIGITS = 6
"""Digits of a fitted value."""
TOLERANCE = 1e-3
"""Relative gain of the objective at which a search ends."""


@dataclass(frozen=True)
class Axis:
    """A range of a scenario, stretched from 0 to 1.

    Attributes
    ----------
    path
        Where it stands in the scenario.
    range_
        What it may be.
    """

    path: str
    range_: Range

    @property
    def log(self) -> bool:
        """Whether equal steps multiply by equal factors."""
        return self.range_.low > 0.0 and self.range_.kind != "count"

    def value(self, unit: float) -> float:
        """Value on the range's own scale at a place from 0 to 1."""
        low, high = self.range_.low, self.range_.high
        found = low * (high / low) ** unit if self.log else low + unit * (high - low)
        return min(max(found, low), high)

    def unit(self, value: float) -> float:
        """Place from 0 to 1 of a value."""
        low, high = self.range_.low, self.range_.high
        return math.log(value / low) / math.log(high / low) if self.log else (value - low) / (high - low)

    def slope(self, unit: float) -> float:
        """Derivative of `value`."""
        low, high = self.range_.low, self.range_.high
        return self.value(unit) * math.log(high / low) if self.log else high - low

    @property
    def factor(self) -> float:
        """What a value is divided by to be in the unit in which the range is written."""
        kind, unit = self.range_.kind, self.range_.unit
        if kind in ("rate", "duration"):
            return 1.0 / UNITS_US[unit] if kind == "rate" else float(UNITS_US[unit])
        return 0.01 if unit == "%" else 1.0

    @property
    def told_unit(self) -> str:
        """The unit in which the range is written, in words."""
        kind, unit = self.range_.kind, self.range_.unit
        return f"per {unit}" if kind == "rate" else f"{unit}s" if kind == "duration" else unit

    def number(self, unit: float) -> float:
        """Value at a place from 0 to 1, in the unit in which the range is written."""
        return self.value(unit) / self.factor

    def told(self, number: float) -> str:
        """A number in that unit, in words."""
        return f"{number:.3g} {self.told_unit}".strip().replace(" %", "%")

    def rounded(self, unit: float) -> float:
        """Value with few digits in that unit, within the range."""
        value = float(f"{self.number(unit):.{DIGITS}g}") * self.factor
        return min(max(value, self.range_.low), self.range_.high)


@dataclass(frozen=True)
class Simulator:
    """Simulates some figures at values on the axes, always with the same draws.

    Attributes
    ----------
    scenario
        Ranges that are not on an axis stay at their best.
    axes, outputs
        The P parameters and the M figures.
    seed, replications
        Of every point; a figure is the mean over its replications.
    folder
        Where finished runs are kept and looked for.
    engine, cluster
        As in `sim.experiments.replications.Settings`; as for `sim.experiments.work.run_tasks`.
    """

    scenario: Scenario
    axes: tuple[Axis, ...]
    outputs: tuple[Output, ...]
    seed: int
    replications: int
    folder: Path | None
    engine: Engine = "auto"
    cluster: str | None = None

    def point(self, units: Floats) -> Point:
        """The scenario at a place of each axis, (P,)."""
        values = {axis.path: axis.value(unit) for axis, unit in zip(self.axes, units.tolist(), strict=True)}
        written = {axis.path: axis.range_.written(values[axis.path]) for axis in self.axes}
        return Point(written, self.scenario.drawn(values))

    def at(
        self, units: Floats, workers: int | None = 1, progress: Callable[[float], None] = lambda share: None
    ) -> Floats:
        """Figures (N, M) at places (N, P)."""
        points = [self.point(row) for row in units]
        found = np.empty((len(points), len(self.outputs)))
        options: dict[str, Any] = {"engine": self.engine, "workers": workers, "cluster": self.cluster}
        options |= {
            "folder": self.folder,
            "force": True,
            "progress": progress,
        }  # how many events there may be was told before
        for place, outcomes in outcomes_at(points, self.seed, self.replications, **options):
            found[place] = [np.mean([output.of(outcome) for outcome in outcomes]) for output in self.outputs]
        return self._checked(found, [point.name for point in points])

    def repeated(self, point: Point, count: int, workers: int | None) -> Floats:
        """Figures (count, M) of single replications at one point."""
        done = outcomes_at(
            [point],
            self.seed,
            count,
            engine=self.engine,
            workers=workers,
            cluster=self.cluster,
            folder=self.folder,
            force=True,
        )
        outcomes = next(done)[1]
        found = np.array([[output.of(outcome) for output in self.outputs] for outcome in outcomes])
        done.close()  # type: ignore[attr-defined]
        return self._checked(found, [point.name] * count)

    def _checked(self, found: Floats, names: Sequence[str]) -> Floats:
        """Refuse figures that are not known.

        Raises
        ------
        RunError
            Nobody has joined by then, or nobody was served.
        """
        for row, column in np.argwhere(~np.isfinite(found))[:1].tolist():
            told = f"{self.outputs[column].text} is not a number at {names[row]}"
            raise RunError(f"{told}: nobody is there to be counted; calibrate to other figures, or narrow the range")
        return found


@dataclass(frozen=True)
class Fit:
    """Where a search ended.

    Attributes
    ----------
    units
        (P,) places on the axes.
    misses
        (M,) simulated less target, in errors.
    slopes
        (M, P) derivatives of the misses; zero for a parameter that was held.
    """

    units: Floats
    misses: Floats
    slopes: Floats

    @property
    def objective(self) -> float:
        """Sum of squares."""
        return float(self.misses @ self.misses)


@dataclass(frozen=True)
class Aim:
    """What is to be met: `wanted` (M,) within `errors` (M,)."""

    wanted: Floats
    errors: Floats

    def misses(self, figures: Floats) -> Floats:
        """Simulated less target, in errors; of one or several points."""
        return (figures - self.wanted) / self.errors


def slopes(simulator: Simulator, aim: Aim, units: Floats, free: Sequence[int], workers: int | None = 1) -> Floats:
    """Central differences (M, P) of the misses; zero for what is not free."""
    found = np.zeros((len(aim.wanted), len(units)))
    if not free:
        return found
    ends = np.repeat(units[None, :], 2 * len(free), axis=0)
    for row, place in enumerate(free):
        ends[2 * row, place] = max(units[place] - STEP, 0.0)
        ends[2 * row + 1, place] = min(units[place] + STEP, 1.0)
    misses = aim.misses(simulator.at(ends, workers))
    for row, place in enumerate(free):
        width = ends[2 * row + 1, place] - ends[2 * row, place]
        found[:, place] = (misses[2 * row + 1] - misses[2 * row]) / width
    return found


class _Slopes:
    """Slopes along a search: differences now and then, in between what each step itself tells of them (Broyden 1965, doi:10.2307/2003941).

    A step of the search costs one run in this way; differences would cost two for each parameter.
    """

    def __init__(self, measured: Callable[[Floats], Floats], known: Floats | None, every: int) -> None:
        self._measured, self._every = measured, every
        self._slopes = known
        self._asked = 0
        self._last: tuple[Floats, Floats] | None = None

    def at(self, place: Floats, misses: Floats) -> Floats:
        """Slopes (M, F) at a place at which the misses are known."""
        last, self._last = self._last, (place.copy(), misses)
        fresh = self._slopes is None or (self._every and self._asked % self._every == 0)
        self._asked += 1
        if fresh or self._slopes is None:
            self._slopes = self._measured(place)
        elif last is not None:
            moved = place - last[0]
            if float(np.abs(moved).max()) > STEP / 4:  # less is lost in chance
                wrong = misses - last[1] - self._slopes @ moved
                self._slopes = self._slopes + np.outer(wrong, moved) / float(moved @ moved)
        return self._slopes


def fit(
    simulator: Simulator,
    aim: Aim,
    start: Floats,
    *,
    held: int | None = None,
    known: Floats | None = None,
    every: int = 3,
    workers: int | None = 1,
    most: int = 20,
) -> Fit:
    """Search the least sum of squares from a start.

    Parameters
    ----------
    held
        Number of a parameter that stays where it is.
    known
        (M, P) slopes to begin with.
    every
        At every such step slopes are differences; 0 for none but the first, where none are known.
    most
        Steps at most.
    """
    free = [place for place in range(len(start)) if place != held]
    whole = np.clip(start, 0.0, 1.0)
    seen: dict[bytes, Floats] = {}

    def placed(moved: Floats) -> Floats:
        units = whole.copy()
        units[free] = np.clip(moved, 0.0, 1.0)
        return units

    def misses(moved: Floats) -> Floats:
        key = moved.tobytes()
        if key not in seen:
            seen[key] = aim.misses(simulator.at(placed(moved)[None, :], workers))[0]
        return seen[key]

    if not free:
        return Fit(whole, misses(whole[free]), np.zeros((len(aim.wanted), len(whole))))
    steep = _Slopes(
        lambda moved: np.asarray(slopes(simulator, aim, placed(moved), free, workers)[:, free]),
        None if known is None else known[:, free],
        every,
    )

    def steepness(moved: Floats) -> Floats:
        return steep.at(moved, misses(moved))

    found = least_squares(
        misses,
        np.clip(whole[free], 1e-4, 1.0 - 1e-4),
        jac=steepness,
        bounds=(0.0, 1.0),
        ftol=TOLERANCE,
        xtol=1e-3,
        max_nfev=most,
    )
    told = np.zeros((len(aim.wanted), len(whole)))
    told[:, free] = np.asarray(found.jac)
    return Fit(placed(found.x), np.asarray(found.fun), told)


def side_by_side(
    jobs: Sequence[Callable[[], list[Fit]]], workers: int | None, progress: Callable[[float], None]
) -> list[list[Fit]]:
    """Do searches at once, each on one processor; what they find is in their order."""
    pool = ThreadPoolExecutor(min(workers or cores(), len(jobs)))
    try:
        futures = [pool.submit(job) for job in jobs]
        found = []
        for number, future in enumerate(futures, 1):
            found.append(future.result())
            progress(number / len(jobs))
        return found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def chance(simulator: Simulator, point: Point, workers: int | None) -> Floats:
    """Covariance (M, M) of the simulated figures at a point by chance: of the mean of so many replications as the simulator makes."""
    figures = simulator.repeated(point, REPEATS, workers)
    spread = np.cov(figures, rowvar=False).reshape(len(simulator.outputs), len(simulator.outputs))
    return np.asarray(spread / simulator.replications, dtype=np.float64)
