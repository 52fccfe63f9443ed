"""Which of the values that are not known matter: Morris's screening and Sobol's indices over the ranges of a scenario.

=================  ===================================================================================================
`morris`           mean effect of a range on an output (`mu_star`) and how uneven the effect is (`sigma`); few runs
`sobol`            share of the output's variance that a range explains alone (`S1`) and with all others (`ST`)
swing              the output with one range at its low and at its high end, all others at their best: the tornado
=================  ===================================================================================================

All points run with the same seed and the same replications, so that the output is a plain function of the parameters and chance
does not blur the indices.

References
----------
Morris (1991), Technometrics 33, 161-174, doi:10.1080/00401706.1991.10484804. Campolongo, Cariboni and Saltelli (2007), Environmental Modelling &
Software 22, 1509-1518, doi:10.1016/j.envsoft.2006.10.004. Saltelli and others (2010), Computer Physics Communications 181, 259-270,
doi:10.1016/j.cpc.2009.09.018. Computed by SALib: Herman and Usher (2017), doi:10.21105/joss.00097.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from sim.experiments.folders import Command, begun, manifest_of, publish
from sim.experiments.outputs import outputs_of
from sim.experiments.points import Floats, Point, outcomes_at, points_at, ranges_of, without_sweep
from sim.experiments.replications import Engine, engine_taken
from sim.experiments.traffic import Traffic
from sim.results.placing import check_target
from sim.scenario import Scenario
from sim.scenario.quantities import MAX_POINTS

Progress = Callable[[float], None]
Method = Literal["morris", "sobol"]
INDICES: dict[str, tuple[str, ...]] = {"sobol": ("S1", "ST"), "morris": ("mu_star", "sigma")}
LEVELS = 4
"""Levels of Morris's grid."""


@dataclass(frozen=True)
class Sensitivity:
    """Indices of every output for every range.

    Attributes
    ----------
    scenario
        The scenario whose ranges were varied.
    method, samples, seed, replications
        As they were asked for.
    outputs, paths
        Names of the outputs and paths of the ranges.
    table
        ``output, path, index, value, low, high``: 95 % limits by bootstrap; NaN where there are none (`sigma`) or the output never changes.
    swings
        ``output, path, low_value, high_value, at_low, at_high, at_best``: the output with this range at either end, the others at their best.
    sentences
        What must be said about indices: which cannot be told from zero, which are negative by chance.
    traffic
        Moves between states, of all accounts: mean, least and most over all points (`sim.experiments.traffic.TRAFFIC`).
    manifest
        What it takes to make the same analysis again.
    """

    scenario: Scenario
    method: Method
    samples: int
    seed: int
    replications: int
    outputs: tuple[str, ...]
    paths: tuple[str, ...]
    table: pd.DataFrame = field(repr=False)
    swings: pd.DataFrame = field(repr=False)
    sentences: tuple[str, ...]
    traffic: pd.DataFrame = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        return {"sensitivity": self.table, "swings": self.swings, "traffic": self.traffic}

    def indices(self, output: str, index: str) -> pd.DataFrame:
        """One index of one output.

        Parameters
        ----------
        output
            One of `outputs`.
        index
            ``S1`` or ``ST`` (Sobol), ``mu_star`` or ``sigma`` (Morris), as in `table`.

        Returns
        -------
        DataFrame
            Columns ``value, low, high``, a row for each range, indexed by its path.
        """
        table = self.table
        return table[(table["output"] == output) & (table["index"] == index)].set_index("path")[
            ["value", "low", "high"]
        ]


def _sampled(method: Method, width: int, samples: int, seed: int) -> Floats:
    """Quantiles of the ranges at which to look."""
    problem = _problem(width)
    if method == "morris":
        from SALib.sample import morris

        return np.asarray(morris.sample(problem, samples, num_levels=LEVELS, seed=seed + 1), dtype=np.float64)
    from SALib.sample import sobol

    return np.asarray(sobol.sample(problem, samples, calc_second_order=False, seed=seed + 1), dtype=np.float64)


def _problem(width: int) -> dict[str, Any]:
    """The unit cube, as SALib is told of it: the ranges' triangles are applied afterwards."""
    return {"num_vars": width, "names": [f"x{k}" for k in range(width)], "bounds": [[0.0, 1.0]] * width}


Limits = tuple[float, float, float]


def _analysed(method: Method, quantiles: Floats, values: Floats, seed: int) -> dict[str, list[Limits]]:
    """Index -> value and limits for each range. SALib takes the seed 0 for none at all, hence seeds from 1."""
    width = quantiles.shape[1]
    if not np.isfinite(values).all() or np.ptp(values) == 0.0:
        return {index: [(math.nan, math.nan, math.nan)] * width for index in INDICES[method]}
    if method == "morris":
        from SALib.analyze import morris

        found = morris.analyze(_problem(width), quantiles, values, num_levels=LEVELS, seed=seed + 1)
        star, half = (np.ma.filled(found[key], math.nan).tolist() for key in ("mu_star", "mu_star_conf"))
        return {
            "mu_star": [(v, v - h, v + h) for v, h in zip(star, half, strict=True)],
            "sigma": [(v, math.nan, math.nan) for v in np.asarray(found["sigma"]).tolist()],
        }
    from SALib.analyze import sobol

    found = sobol.analyze(_problem(width), values, calc_second_order=False, num_resamples=1000, seed=seed + 1)
    return {
        index: [(v, v - h, v + h) for v, h in zip(found[index].tolist(), found[f"{index}_conf"].tolist(), strict=True)]
        for index in INDICES["sobol"]
    }


def _check(method: str, samples: int) -> None:
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, found {method!r}")
    if samples < 2:
        raise ValueError(f"samples must be at least 2, found {samples}")
    if method == "sobol" and samples & (samples - 1):
        below = 1 << (samples.bit_length() - 1)
        raise ValueError(
            f"samples of Sobol's sequence are a power of 2, such as {below} or {2 * below}; found {samples}"
        )


def runs_needed(scenario: Scenario, method: Method, samples: int) -> int:
    """Points of an analysis, with the swings."""
    width = len(ranges_of(scenario))
    return samples * (width + (2 if method == "sobol" else 1)) + 2 * width + 1


def _swing_points(scenario: Scenario) -> list[Point]:
    """The scenario at its best values, then with each range at its low and at its high end."""
    ranges = ranges_of(scenario)
    points = [Point({}, without_sweep(scenario))]
    for path, range_ in ranges.items():
        for value, text in ((range_.low, range_.text[0]), (range_.high, range_.text[2])):
            points.append(Point({path: text}, points[0].scenario.drawn({path: value})))
    return points


def sensitivity(
    scenario: Scenario,
    outputs: Sequence[str],
    *,
    method: Method = "sobol",
    samples: int = 64,
    seed: int = 0,
    replications: int = 1,
    engine: Engine = "auto",
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    force: bool = False,
    progress: Progress = lambda share: None,
) -> Sensitivity:
    """Vary all ranges and say which of them the outputs depend on.

    Parameters
    ----------
    outputs
        As in `sim.experiments.outputs`: ``ban_rate@end``.
    samples
        Trajectories of Morris, or base points of Sobol (a power of 2); see `runs_needed`.
    force
        As for `sim.experiments.points.outcomes_at`.

    Raises
    ------
    TooManyEventsError
        A point may make more events than `sim.experiments.estimate.LIMIT`, and it is not forced.
    ScenarioError
        An output is not one, the scenario has no ranges, or a point has faults.
    ValueError
        The method or the number of samples is not one of those allowed.
    TasksFailedError
        After all others have been done, naming the points of those that failed.
    """
    _check(method, samples)
    asked = outputs_of(list(outputs), scenario)
    needed = runs_needed(scenario, method, samples)
    if needed > MAX_POINTS:
        raise ValueError(f"{samples} samples make {needed:,} points; at most {MAX_POINTS:,}")
    began = time.perf_counter()
    paths = tuple(ranges_of(scenario))
    quantiles = _sampled(method, len(paths), samples, seed)
    swings = _swing_points(scenario)
    points = [*swings, *points_at(scenario, quantiles)]
    values, traffic = np.empty((len(points), len(asked))), Traffic()
    for place, found in outcomes_at(
        points,
        seed,
        replications,
        engine=engine,
        workers=workers,
        cluster=cluster,
        folder=folder,
        force=force,
        progress=progress,
    ):
        values[place] = [np.mean([output.of(outcome) for outcome in found]) for output in asked]
        traffic.add(found)
    table = _table([output.text for output in asked], paths, method, quantiles, values[len(swings) :], seed)
    swing_table = _swing_table([output.text for output in asked], swings, values[: len(swings)])
    settings = {
        "seed": seed,
        "replications": replications,
        "engine": engine_taken(engine),
        "method": method,
        "samples": samples,
        "outputs": [output.text for output in asked],
    }
    tables = {"sensitivity": table, "swings": swing_table, "traffic": traffic.table}
    return Sensitivity(
        scenario=scenario,
        method=method,
        samples=samples,
        seed=seed,
        replications=replications,
        outputs=tuple(output.text for output in asked),
        paths=paths,
        table=table,
        swings=swing_table,
        sentences=tuple(sentences(table, samples)),
        traffic=tables["traffic"],
        manifest=manifest_of("sensitivity", scenario, settings, tables, time.perf_counter() - began),
    )


def _table(
    outputs: Sequence[str], paths: Sequence[str], method: Method, quantiles: Floats, values: Floats, seed: int
) -> pd.DataFrame:
    rows = []
    for column, output in enumerate(outputs):
        for index, found in _analysed(method, quantiles, values[:, column], seed).items():
            rows += [(output, path, index, *limits) for path, limits in zip(paths, found, strict=True)]
    return pd.DataFrame(rows, columns=["output", "path", "index", "value", "low", "high"])


def _swing_table(outputs: Sequence[str], points: Sequence[Point], values: Floats) -> pd.DataFrame:
    rows = []
    for column, output in enumerate(outputs):
        best = float(values[0, column])
        for place in range(1, len(points), 2):
            (path, low), (_, high) = (next(iter(point.values.items())) for point in points[place : place + 2])
            rows.append((output, path, low, high, float(values[place, column]), float(values[place + 1, column]), best))
    columns = ["output", "path", "low_value", "high_value", "at_low", "at_high", "at_best"]
    return pd.DataFrame(rows, columns=columns)


def sentences(table: pd.DataFrame, samples: int) -> list[str]:
    """What must be said lest an index be misread, one sentence each."""
    told = []
    for output, rows in table.groupby("output", sort=False):
        if rows["value"].isna().all():
            told.append(f"{output} is the same at every point, or not known at some: it has no indices.")
            continue
        for row in rows[rows["index"] != "sigma"].to_dict("records"):
            name = f"{row['index']} of {row['path']} on {output}"
            if row["value"] == 0 == row["high"]:
                told.append(f"{name} is 0: the output never changed with it in {samples:,} samples.")
            elif row["value"] < 0:
                meant = "negative by chance, as no such index is below zero. Read it as zero."
                told.append(f"{name} is {row['value']:.2g}: {meant}")
            elif row["low"] <= 0:
                told.append(f"{name} is {row['value']:.2g} and cannot be told from zero with {samples:,} samples.")
    return told


def sensitivity_to_folder(
    scenario: Scenario,
    outputs: Sequence[str],
    out: Path,
    *,
    method: Method = "sobol",
    samples: int = 64,
    seed: int = 0,
    replications: int = 1,
    workers: int | None = None,
    cluster: str | None = None,
    force: bool = False,
    progress: Progress = lambda share: None,
    decorate: Callable[[Sensitivity, Path], object] = lambda found, folder: None,
) -> Sensitivity:
    """Analyse into a results folder; see `sensitivity` and `sim.experiments.folders.publish`."""
    check_target(out, force=force)
    asked = {
        "outputs": list(outputs),
        "method": method,
        "samples": samples,
        "seed": seed,
        "replications": replications,
    }
    with begun(out, Command("sensitivity", (scenario,), asked, force)) as folder:
        found = sensitivity(
            scenario,
            outputs,
            method=method,
            samples=samples,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            folder=folder,
            force=force,
            progress=progress,
        )
        publish(
            out, found.manifest, scenario, found.tables, force=force, decorate=lambda folder: decorate(found, folder)
        )
    return found
