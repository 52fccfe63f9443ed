"""Solves semi-Markov processes: by the Markov renewal equation on a grid, or by the matrix exponential where every clock is exponential.

**The renewal equation** (Çınlar 1969, Adv. Appl. Prob. 1(2)). Entries into the nodes are held as masses: those at grid times (of clocks that are
fixed), and those within the cells between them, spread evenly. A kernel, the chance to leave for a target at an age, is cut up likewise, from
exact distribution functions. Then a mass at a grid time shifts a kernel exactly; a cell met with a cell fills two cells by halves, which is the
rule of the midpoint: second order in the step, with jumps on the grid kept sharp. Steps are halved until answers hardly change; the last change is
the error.

**Propensity** multiplies rates by a lognormal number: Gauss-Hermite quadrature over its logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm
from scipy.special import ndtr

from sim.experiments.semi_markov import Process, Risk
from sim.model.jit import Array
from sim.scenario import Distribution

FIRST_STEPS, MOST_STEPS = 1_000, 16_000
QUADRATURE = (12, 16)
"""Points of the quadrature over propensity, and of the finer one to which it is held."""


@dataclass(frozen=True)
class Joining:
    """Accounts join evenly between two times (microseconds; both 0: all are there from the start)."""

    begin: int
    until: int


def share_within(after: Distribution, times: Array, *, before: bool = False) -> Array:
    """Distribution function at times above or at 0 (microseconds); its limit from the left with `before`."""
    values = after.values
    side = np.less if before else np.less_equal
    width = {"fixed": 0.0, "lognormal": values[-1], "triangular": values[-1] - values[0]}.get(after.family, 1.0)
    if width == 0.0:
        return np.asarray(side(values[0], times), np.float64)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if after.family == "exponential":
            return np.asarray(-np.expm1(-times / values[0]))
        if after.family == "uniform":
            return np.asarray(np.clip((times - values[0]) / (values[1] - values[0]), 0.0, 1.0))
        if after.family == "weibull":
            return np.asarray(-np.expm1(-((times / values[1]) ** values[0])))
        if after.family == "lognormal":
            return np.asarray(ndtr(np.log(times / values[0]) / values[1]))
        if after.family == "loglogistic":
            return np.asarray(1.0 / (1.0 + (times / values[0]) ** -values[1]))
    if after.family == "triangular":
        return _triangular(values, times)
    return _empirical(values, times, "left" if before else "right")


def _triangular(values: Sequence[float], times: Array) -> Array:
    low, mode, high = values
    rising = (np.clip(times, low, mode) - low) ** 2 / ((high - low) * max(mode - low, 1e-300))
    falling = 1.0 - (high - np.clip(times, mode, high)) ** 2 / ((high - low) * max(high - mode, 1e-300))
    return np.asarray(np.where(times < mode, rising, falling))


def _empirical(values: Sequence[float], times: Array, side: str) -> Array:
    """Straight lines between equally spaced quantiles; values that are repeated are atoms."""
    known, first, count = np.unique(np.array(values), return_index=True, return_counts=True)
    low, high = first / (len(values) - 1), (first + count - 1) / (len(values) - 1)
    below = np.searchsorted(known, times, side=side) - 1  # type: ignore[call-overload]
    place = np.clip(below, 0, len(known) - 2) if len(known) > 1 else np.zeros(len(times), np.int64)
    if len(known) == 1:
        return np.asarray(below >= 0, np.float64)
    part = (times - known[place]) / (known[place + 1] - known[place])
    inside = high[place] + (low[place + 1] - high[place]) * np.clip(part, 0.0, 1.0)
    return np.asarray(np.where(below < 0, 0.0, np.where(below >= len(known) - 1, 1.0, inside)))


@dataclass(frozen=True)
class _Kernel:
    """Of one node: for each target the chance to leave for it at an age, in cells and at grid times; and survival there, from both sides."""

    targets: Array
    cells: Array
    atoms: Array
    alive: Array
    alive_before: Array


def _kernel(risks: Sequence[Risk], rates: dict[int, float], steps: int, step: float) -> _Kernel:
    times = np.arange(steps + 1) * step
    total = sum(rates.values())
    clocks = [
        *risks,
        *(
            [Risk(Distribution("exponential", (1.0 / total,)), 1.0, {to: r / total for to, r in rates.items()})]
            if total
            else []
        ),
    ]
    at = [1.0 - risk.chance * share_within(risk.after, times) for risk in clocks]
    before = [1.0 - risk.chance * share_within(risk.after, times, before=True) for risk in clocks]
    alive = np.prod(at, axis=0) if clocks else np.ones(steps + 1)
    alive_before = np.prod(before, axis=0) if clocks else np.ones(steps + 1)
    targets = sorted({to for risk in clocks for to in risk.targets})
    cells, atoms = np.zeros((len(targets), steps)), np.zeros((len(targets), steps + 1))
    weights = [_weight(number, at, before) for number in range(len(clocks))]
    whole = np.sum(weights, axis=0) if clocks else np.ones(steps)
    gone = np.maximum(alive[:-1] - alive_before[1:], 0.0)
    left = alive_before.copy()
    for number, risk in enumerate(clocks):
        in_cells = gone * np.divide(weights[number], whole, out=np.zeros(steps), where=whole > 0.0)
        rings = 1.0 - np.divide(at[number], before[number], out=np.ones(steps + 1), where=before[number] > 0.0)
        at_times = left * rings
        left = left - at_times
        for to, share in risk.targets.items():
            cells[targets.index(to)] += share * in_cells
            atoms[targets.index(to)] += share * at_times
    return _Kernel(np.array(targets, np.int64), cells, atoms, alive, alive_before)


def _weight(number: int, at: list[Array], before: list[Array]) -> Array:
    """How much of what leaves within each cell leaves by this clock, up to a factor."""
    weight: Array = np.maximum(at[number][:-1] - before[number][1:], 0.0)
    for other in range(len(at)):
        if other != number:
            weight = weight * (at[other][:-1] + before[other][1:]) / 2.0
    return weight


def renewed(
    process: Process, propensity: float, joining: Joining, steps: int, step: float, looks: Sequence[int]
) -> Array:
    """Shares of accounts in each node at grid numbers `looks`: (looks, nodes); those that have not joined are nowhere."""
    count = len(process.nodes)
    kernels = [
        _kernel(risks, {to: rate * propensity for to, rate in rates.items()}, steps, step)
        for risks, rates in zip(process.risks, process.rates, strict=True)
    ]
    atoms, cells, sources = np.zeros((count, steps + 1)), np.zeros((count, steps)), np.zeros((count, steps))
    if joining.until == 0:
        atoms[0, 0] = 1.0
    else:
        edges = np.arange(steps + 1) * step
        span = max(joining.until - joining.begin, 1)
        sources[0] = np.diff(np.clip((edges - joining.begin) / span, 0.0, 1.0))
    shifted, implicit, at_once = [], np.eye(count), np.eye(count)
    for node, kernel in enumerate(kernels):
        both = kernel.cells / 2.0
        both += kernel.atoms[:, :-1]
        both[:, 1:] += kernel.cells[:, :-1] / 2.0
        implicit[kernel.targets, node] -= both[:, 0]
        at_once[kernel.targets, node] -= kernel.atoms[:, 0]
        shifted.append(np.ascontiguousarray(both[:, ::-1]))
    solve, solve_at_once = np.linalg.inv(implicit), np.linalg.inv(at_once)
    busy = [node for node, kernel in enumerate(kernels) if len(kernel.targets)]
    for now in range(steps + 1):
        atoms[:, now] = solve_at_once @ atoms[:, now]  # durations of zero ring within the instant
        if now == steps:
            break
        for node in busy:
            mass, kernel = atoms[node, now], kernels[node]
            if mass > 0.0:
                sources[kernel.targets, now:] += mass * kernel.cells[:, : steps - now]
                atoms[kernel.targets, now + 1 :] += mass * kernel.atoms[:, 1 : steps + 1 - now]
        entering = sources[:, now].copy()
        if now:
            for node in busy:
                entering[kernels[node].targets] += shifted[node][:, steps - 1 - now : steps - 1] @ cells[node, :now]
        cells[:, now] = solve @ entering
    return np.array([[_alive(kernel, atoms[n], cells[n], look) for n, kernel in enumerate(kernels)] for look in looks])


def _alive(kernel: _Kernel, atoms: Array, cells: Array, look: int) -> float:
    """Share of accounts that are in a node at a grid time: entries that have not left."""
    ages = kernel.alive[: look + 1]
    mean = (ages[:-1] + kernel.alive_before[1 : look + 1]) / 2.0
    return float(atoms[: look + 1] @ ages[::-1] + cells[:look] @ mean[::-1])


def generator(process: Process, propensity: float) -> Array:
    """Rates per microsecond between nodes, rows that add up to 0, of a process whose clocks are all exponential."""
    rates = np.zeros((len(process.nodes), len(process.nodes)))
    for node, (risks, reactions) in enumerate(zip(process.risks, process.rates, strict=True)):
        for to, rate in reactions.items():
            rates[node, to] += propensity * rate
        for risk in risks:
            for to, share in risk.targets.items():
                rates[node, to] += share / risk.after.values[0]
    np.fill_diagonal(rates, rates.diagonal() - rates.sum(axis=1))
    return rates


def exponentiated(process: Process, propensity: float, joining: Joining, times: Sequence[int]) -> Array:
    """Shares of accounts in each node at times in microseconds, by the matrix exponential: as `renewed`, without a grid."""
    rates = generator(process, propensity)
    found = np.zeros((len(times), len(rates)))
    begin = np.eye(1, len(rates))[0]
    for row, time in enumerate(times):
        if joining.until == 0:
            found[row] = begin @ expm(rates * float(time))
        elif time > joining.begin:
            flowing = float(min(time, joining.until) - joining.begin)
            span = max(joining.until - joining.begin, 1)
            block = np.zeros((len(rates) + 1, len(rates) + 1))  # one more state, never empty, feeds the first
            block[1:, 1:] = rates
            block[0, 1] = 1.0 / span
            inside = expm(block * flowing)[0, 1:] if flowing else begin
            found[row] = inside @ expm(rates * float(max(0, time - joining.until)))
    return found


def propensities(sigma: float, points: int) -> list[tuple[float, float]]:
    """Multipliers and weights that stand for a lognormal propensity of mean 1 (Gauss-Hermite quadrature)."""
    if sigma == 0.0:
        return [(1.0, 1.0)]
    roots, weights = np.polynomial.hermite_e.hermegauss(points)
    return [
        (math.exp(sigma * root - sigma * sigma / 2.0), weight / math.sqrt(2.0 * math.pi))
        for root, weight in zip(roots.tolist(), weights.tolist(), strict=True)
    ]


def solved(
    process: Process, sigma: float, joining: Joining, times: Sequence[int], enough: float
) -> tuple[Array, Array]:
    """Shares of accounts in each node at times (microseconds), and how far they may be off.

    Parameters
    ----------
    enough
        Steps are halved until answers change by less than this.
    """
    if process.is_markov():
        mixed = [
            sum(w * exponentiated(process, z, joining, times) for z, w in propensities(sigma, points))
            for points in ((2 * QUADRATURE[0], 2 * QUADRATURE[1]) if sigma else (1,))
        ]
        return np.asarray(mixed[-1]), np.abs(np.asarray(mixed[-1]) - np.asarray(mixed[0])) + 1e-12
    base = _common_step(process, times)
    steps = math.ceil(FIRST_STEPS / (times[-1] / base)) * round(times[-1] / base)
    found, off = np.zeros(0), np.zeros(0)
    points = QUADRATURE[0]
    while True:
        step = times[-1] / steps
        looks = [round(time / step) for time in times]
        finer = sum(w * renewed(process, z, joining, steps, step, looks) for z, w in propensities(sigma, points))
        if len(found):
            off = np.abs(np.asarray(finer) - found)
        found = np.asarray(finer)
        if len(off) and (off.max() < enough or 2 * steps > MOST_STEPS):
            return found, off + 1e-12
        steps *= 2
        points = QUADRATURE[1]


def _common_step(process: Process, times: Sequence[int]) -> int:
    """A step that divides the times looked at and, if it is not too small, all fixed durations: then their jumps lie on the grid."""
    fixed = [round(risk.after.values[0]) for risks in process.risks for risk in risks if risk.after.family == "fixed"]
    best = math.gcd(*times, *fixed)
    return best if times[-1] // best <= MOST_STEPS // 4 else math.gcd(*times)
