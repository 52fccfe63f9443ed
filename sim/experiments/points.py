"""Parameter points: where a sweep, a set of draws or a sensitivity analysis looks, and the tasks that they make.

====================  ===============================================================================
`axes_of`             ``path=v1,v2`` as it is typed -> paths and their values
`grid`                every combination of values
`latin_hypercube`     points that fill all ranges of a scenario evenly (McKay, Beckman and Conover 1979)
`points_at`           points at given quantiles of the ranges
`outcomes_at`         runs the points; outcomes come point by point
====================  ===============================================================================

A range ``{low, best, high}`` is read as the triangular distribution over it. Every point is checked before any is run, and all
faults are told at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.errors import Fault, ScenarioError
from sim.experiments.estimate import check_events
from sim.experiments.replications import Engine
from sim.experiments.work import run_tasks, tasks_of
from sim.results.outcome import Outcome
from sim.scenario import Range, Scenario, Spec
from sim.scenario.quantities import MAX_POINTS
from sim.scenario.yaml_reading import parse
from sim.scenario.yaml_tree import Source, plain

Floats = NDArray[np.float64]
_PAIRS = {"{": "}", "[": "]", "(": ")"}


@dataclass(frozen=True)
class Point:
    """One scenario of many.

    Attributes
    ----------
    values
        Path -> value as a scenario file writes it.
    scenario
        The scenario with these values.
    """

    values: Mapping[str, str]
    scenario: Scenario

    @property
    def name(self) -> str:
        """What the point is called in messages."""
        return ", ".join(f"{path}={value}" for path, value in self.values.items()) or self.scenario.name


def _split(text: str) -> list[str]:
    """The parts between commas, those within brackets and quotes left alone."""
    parts, closing, quote = [""], [""], ""
    for letter in text:
        if letter == "," and len(closing) == 1 and not quote:
            parts.append("")
            continue
        parts[-1] += letter
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _PAIRS:
            closing.append(_PAIRS[letter])
        elif letter == closing[-1]:
            closing.pop()
    return [part.strip() for part in parts]


def axes_of(varied: Sequence[str]) -> dict[str, list[object]]:
    """Paths and their values from texts such as ``ladder.states.rectifying.exits.deadline.after=3 days,7 days``.

    Values are read as in a scenario file.

    Raises
    ------
    ScenarioError
        With every text that has no path, no values, or values that are not YAML; and every path that is given twice.
    """
    axes: dict[str, list[object]] = {}
    faults: list[Fault] = []
    for text in varied:
        path, equals, listed = (part.strip() for part in text.partition("="))
        if not path or not equals:
            faults.append(Fault("--vary", None, text, "is not `path=value,value`", "write a path, `=` and its values"))
            continue
        if path in axes:
            faults.append(Fault("--vary", None, path, "is varied twice", "give all its values at once"))
            continue
        axes[path] = []
        for written in _split(listed):
            node, found = parse(written, Source("--vary", None))
            if node is None or node.value is None or found:
                told = found[0].problem if found else "has an empty value"
                faults.append(Fault("--vary", None, path, told, "write values with commas between them"))
            else:
                axes[path].append(plain(node)[0])
    if faults:
        raise ScenarioError(faults)
    return axes


def shown(value: object) -> str:
    """A value as a column of a table says it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(shown(inner) for inner in value) + "]"
    return str(value)


def _axis_faults(axes: Mapping[str, Sequence[object]]) -> list[Fault]:
    faults = []
    for path, values in axes.items():
        texts = [shown(value) for value in values]
        twice = sorted({text for text in texts if texts.count(text) > 1})
        if not texts:
            faults.append(Fault("--vary", None, path, "has no values", "give at least one"))
        faults += [Fault("--vary", None, path, f"has the value `{text}` twice", "give it once") for text in twice]
    if not axes:
        faults.append(Fault("--vary", None, "", "nothing is varied", "give at least one path with its values"))
    count = math.prod(len(values) for values in axes.values())
    if count > MAX_POINTS:
        faults.append(Fault("--vary", None, "", f"makes {count:,} points", f"at most {MAX_POINTS:,}"))
    return faults


def without_sweep(scenario: Scenario) -> Scenario:
    """The scenario without its `sweep:` section, which is about none of its points."""
    return scenario if scenario.spec.sweep is None else scenario.with_values({"sweep": None})


def grid(scenario: Scenario, axes: Mapping[str, Sequence[object]]) -> list[Point]:
    """Every combination of values, the last path changing fastest.

    Raises
    ------
    ScenarioError
        With every fault of every point, each told once, with the first point that has it.
    """
    faults = _axis_faults(axes)
    if faults:
        raise ScenarioError(faults)
    made, base = _Made(), without_sweep(scenario)
    for chosen in itertools.product(*axes.values()):
        changes = dict(zip(axes, chosen, strict=True))
        made.add({path: shown(value) for path, value in changes.items()}, lambda c=changes: base.with_values(c))  # type: ignore[misc]
    return made.points()


class _Made:
    """Points as they are made, and the faults of those that cannot be."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._faults: dict[tuple[str | None, int | None, str, str, str], Fault] = {}

    def add(self, values: Mapping[str, str], make: Callable[[], Scenario]) -> None:
        """Make a point, or keep its faults."""
        try:
            self._points.append(Point(values, make()))
        except ScenarioError as error:
            for fault in error.faults:
                found = fault if fault.file != "<set>" else replace(fault, file="--vary")
                key = (found.file, found.line, found.path, found.problem, found.remedy)
                if key not in self._faults:
                    place = ", ".join(f"{path}={value}" for path, value in values.items() if path != found.path)
                    told = f"{found.problem} (at {place})" if place and found.path not in values else found.problem
                    self._faults[key] = replace(found, problem=told)

    def points(self) -> list[Point]:
        """All points, or all faults."""
        if self._faults:
            raise ScenarioError(self._faults.values())
        return self._points


def ranges_of(scenario: Scenario) -> dict[str, Range]:
    """The ranges of a scenario that leave anything open.

    Raises
    ------
    ScenarioError
        There are none.
    """
    found = {path: range_ for path, range_ in scenario.ranges().items() if range_.low < range_.high}
    if not found:
        file = None if scenario.file is None else str(scenario.file)
        remedy = "write what is not known for sure as {low: ..., best: ..., high: ...}"
        raise ScenarioError([Fault(file, None, "", "has no ranges to sample", remedy)])
    return found


def triangular(quantiles: Floats, range_: Range) -> Floats:
    """Values of the triangular distribution over a range at some quantiles (0..1)."""
    low, best, high = range_.low, range_.best, range_.high
    width = high - low
    rising = low + np.sqrt(quantiles * width * (best - low))
    falling = high - np.sqrt((1.0 - quantiles) * width * (high - best))
    return np.clip(np.where(quantiles * width < best - low, rising, falling), low, high)


def whole(spec: Spec, measure: str) -> str:
    """Under which segment a summary tells a measure of all accounts: none, or the only one there is; desks have none."""
    segments = tuple(spec.segments)
    return segments[0] if len(segments) == 1 and not measure.startswith("desk_") else ""


def points_at(scenario: Scenario, quantiles: Floats) -> list[Point]:
    """Points at quantiles of the ranges, a row of `quantiles` each, a column for each range that leaves anything open.

    Raises
    ------
    ScenarioError
        With every fault of every point.
    """
    ranges = ranges_of(scenario)
    values = np.column_stack([triangular(quantiles[:, k], range_) for k, range_ in enumerate(ranges.values())])
    made, base = _Made(), without_sweep(scenario)
    for row in values.tolist():
        drawn = dict(zip(ranges, row, strict=True))
        written = {path: ranges[path].written(value) for path, value in drawn.items()}
        made.add(written, lambda d=drawn: base.drawn(d))  # type: ignore[misc]
    return made.points()


def latin_hypercube(scenario: Scenario, count: int, seed: int) -> list[Point]:
    """So many points that fill all ranges evenly: each range is cut into `count` parts of equal chance, and each part is met once.

    Raises
    ------
    ScenarioError
        The scenario has no ranges, or a point has a fault.
    ValueError
        `count` is not 1 to 100,000.

    Notes
    -----
    McKay, Beckman and Conover (1979), "A comparison of three methods for selecting values of input variables in the analysis of output from
    a computer code", Technometrics 21, 239-245, doi:10.1080/00401706.1979.10489755.
    """
    if not 1 <= count <= MAX_POINTS:
        raise ValueError(f"a sample has 1 to {MAX_POINTS:,} points, found {count}")
    from scipy.stats import qmc  # takes half a second, which a plain run need not spend

    sampler = qmc.LatinHypercube(len(ranges_of(scenario)), seed=np.random.default_rng([seed, 1979]))
    return points_at(scenario, sampler.random(count))


def outcomes_at(
    points: Sequence[Point],
    seed: int,
    replications: int,
    *,
    paired: bool = True,
    engine: Engine = "auto",
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[tuple[int, list[Outcome]]]:
    """Run every point: its number and the outcomes of its replications, in order.

    Parameters
    ----------
    paired
        All points have the same replications, and so the same draws; otherwise every point has its own, and chance at one tells nothing
        about another.
    engine
        As in `sim.experiments.replications.Settings`.
    workers, cluster, folder, progress
        As for `sim.experiments.work.run_tasks`.
    force
        Run even points that may make more events than `sim.experiments.estimate.LIMIT`.

    Raises
    ------
    TooManyEventsError
        With every such point, before any is run.
    ValueError
        There is less than one replication.
    TasksFailedError
        After all others have been done, naming the points of those that failed.
    """
    if replications < 1:
        raise ValueError(f"replications must be at least 1, found {replications}")
    check_events((point.scenario for point in points), force=force)
    tasks = []
    for number, point in enumerate(points):
        first = 0 if paired else number * replications
        tasks += tasks_of(point.scenario, seed, range(first, first + replications), point=point.name, engine=engine)
    found: list[Outcome] = []
    current = place = 0
    for task, outcome in run_tasks(tasks, workers=workers, cluster=cluster, folder=folder, progress=progress):
        while tasks[place] != task:  # failed
            place += 1
        if place // replications != current:
            current, found = place // replications, []
        found.append(outcome)
        place += 1
        if len(found) == replications:
            yield current, found
