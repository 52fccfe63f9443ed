"""Sweeps: the same runs at many parameter points, on a grid or at a Latin hypercube over the ranges.

Every point runs with the same seed and the same replications. As draws are keyed to account and decision, points are paired: what differs between two
of them is what the parameters do, hardly ever chance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sim.errors import Fault, ScenarioError
from sim.experiments.folders import Command, begun, manifest_of, publish
from sim.experiments.points import Point, grid, latin_hypercube, outcomes_at, whole
from sim.experiments.replications import Engine, engine_taken
from sim.experiments.traffic import Curves, Traffic
from sim.results.placing import check_target
from sim.results.summary import summarise
from sim.scenario import Scenario

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Swept:
    """What a sweep found.

    Attributes
    ----------
    scenario
        The scenario whose values were varied.
    axes
        Paths that were varied -> their values as written, each once, in the order given (on a grid) or of the points.
    is_grid
        Whether the points are all combinations of the values; otherwise they are a Latin hypercube.
    seed, replications
        Of every point.
    table
        ``point`` (from 0), a column for each path, and the columns of a summary. Limits are over replications where there are several, else over
        accounts, where accounts never meet.
    curves
        Ban rate of all accounts over time at some points (`sim.experiments.traffic.CURVES`).
    traffic
        Moves between states, of all accounts: mean, least and most over the points (`sim.experiments.traffic.TRAFFIC`).
    manifest
        What it takes to make the same sweep again.
    """

    scenario: Scenario
    axes: Mapping[str, tuple[str, ...]]
    is_grid: bool
    seed: int
    replications: int
    table: pd.DataFrame = field(repr=False)
    curves: pd.DataFrame = field(repr=False)
    traffic: pd.DataFrame = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        return {"sweep": self.table, "curves": self.curves, "traffic": self.traffic}

    def of(self, measure: str, segment: str | None = None, state: str = "") -> pd.DataFrame:
        """Rows of one measure, one for each point.

        Parameters
        ----------
        measure
            A measure of the summary, such as ``"ban_rate"``.
        segment
            Its segment; all accounts together if none is named.
        state
            For measures of a state.

        Returns
        -------
        DataFrame
            Columns of `table`, in the order of points.

        Raises
        ------
        ValueError
            There are no such rows.
        """
        table = self.table
        if segment is None:
            segment = whole(self.scenario.spec, measure)
        rows = table[(table["measure"] == measure) & (table["segment"] == segment) & (table["state"] == state)]
        if rows.empty:
            known = ", ".join(dict.fromkeys(table["measure"]))
            raise ValueError(f"no rows of {measure!r}, segment {segment!r}, state {state!r}; measures: {known}")
        return rows.reset_index(drop=True)


Axes = Mapping[str, Sequence[object]]


def what_to_vary(
    scenario: Scenario, axes: Axes | None = None, samples: int | None = None
) -> tuple[Axes | None, int | None]:
    """What is asked for, or else what the `sweep:` section of the scenario says: values by path, or a number of samples.

    Raises
    ------
    ScenarioError
        Nothing is asked for, and there is no section.
    ValueError
        Both are asked for.
    """
    if axes is not None and samples is not None:
        raise ValueError("a sweep is over values that are given, or over so many samples of the ranges: one of the two")
    section = scenario.spec.sweep
    if axes is None and samples is None:
        if section is None:
            file = None if scenario.file is None else str(scenario.file)
            remedy = "give --vary (once or more) or --samples, or write a `sweep:` section into the file"
            raise ScenarioError([Fault(file, None, "sweep", "there is nothing to vary", remedy)])
        return (section.vary, None) if section.samples is None else (None, section.samples)
    return axes, samples


def sweep_points(
    scenario: Scenario, axes: Axes | None = None, *, samples: int | None = None, seed: int = 0
) -> list[Point]:
    """Points of a sweep: a grid over `axes`, or so many `samples` of all ranges; without either, as the scenario says (`what_to_vary`).

    Raises
    ------
    ScenarioError
        With every fault of every point; or nothing is varied.
    ValueError
        Both `axes` and `samples` are given.
    """
    axes, samples = what_to_vary(scenario, axes, samples)
    if samples is not None:
        return latin_hypercube(scenario, samples, seed)
    return grid(scenario, axes or {})


def run_sweep(
    scenario: Scenario,
    points: Sequence[Point],
    *,
    is_grid: bool = True,
    seed: int = 0,
    replications: int = 1,
    engine: Engine = "auto",
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    force: bool = False,
    progress: Progress = lambda share: None,
) -> Swept:
    """Run every point.

    Parameters
    ----------
    engine
        As in `sim.experiments.replications.Settings`.
    workers, cluster, folder
        As for `sim.experiments.work.run_tasks`.
    force
        As for `sim.experiments.points.outcomes_at`.

    Raises
    ------
    TooManyEventsError
        With every point that may make too many events, before any is run.
    TasksFailedError
        After all others have been done, naming the points of those that failed.
    """
    began = time.perf_counter()
    parts: list[pd.DataFrame] = []
    curves, traffic = Curves(len(points)), Traffic()
    done = outcomes_at(
        points,
        seed,
        replications,
        engine=engine,
        workers=workers,
        cluster=cluster,
        folder=folder,
        force=force,
        progress=progress,
    )
    for place, found in done:
        part = summarise([outcome.measures for outcome in found], independent=found[0].independent)
        for path, value in reversed(list(points[place].values.items())):
            part.insert(0, path, value)
        part.insert(0, "point", place)
        parts.append(part)
        curves.add(place, found, points[place].scenario.spec)
        traffic.add(found)
    table = pd.concat(parts, ignore_index=True)
    axes = {path: tuple(dict.fromkeys(point.values[path] for point in points)) for path in points[0].values}
    settings: dict[str, Any] = {
        "seed": seed,
        "replications": replications,
        "engine": engine_taken(engine),
        "points": len(points),
        "axes": {path: list(values) for path, values in axes.items()} if is_grid else list(axes),
        "sampling": "grid" if is_grid else "Latin hypercube",
    }
    if is_grid:
        settings["values"] = {path: _values(points, path) for path in axes}
    tables = {"sweep": table, "curves": curves.table, "traffic": traffic.table}
    told = manifest_of("sweep", scenario, settings, tables, time.perf_counter() - began)
    return Swept(scenario, axes, is_grid, seed, replications, table, tables["curves"], tables["traffic"], told)


def _values(points: Sequence[Point], path: str) -> list[object]:
    """The values of an axis as the resolved file writes them, files of observed values read in."""
    return list({point.values[path]: point.scenario.value(path) for point in points}.values())


def sweep_to_folder(
    scenario: Scenario,
    axes: Mapping[str, Sequence[object]] | None,
    out: Path,
    *,
    samples: int | None = None,
    seed: int = 0,
    replications: int = 1,
    workers: int | None = None,
    cluster: str | None = None,
    force: bool = False,
    progress: Progress = lambda share: None,
    decorate: Callable[[Swept, Path], object] = lambda swept, folder: None,
) -> Swept:
    """Run a sweep into a results folder, which appears whole or not at all; one that was killed goes on where it was.

    Parameters
    ----------
    axes, samples
        As for `sweep_points`.
    decorate
        Called with what was found and the folder before it is put in its place: adds figures.

    Raises
    ------
    ResultsError
        The folder is in the way, cannot be written, or is being worked on.
    TasksFailedError
        Some tasks failed; the finished ones are kept for the next time.
    """
    check_target(out, force=force)
    points = sweep_points(scenario, axes, samples=samples, seed=seed)
    asked = {"vary": axes, "samples": samples, "seed": seed, "replications": replications}
    with begun(out, Command("sweep", (scenario,), asked, force)) as folder:
        swept = run_sweep(
            scenario,
            points,
            is_grid=samples is None,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            folder=folder,
            force=force,
            progress=progress,
        )
        publish(
            out, swept.manifest, scenario, swept.tables, force=force, decorate=lambda folder: decorate(swept, folder)
        )
    return swept
