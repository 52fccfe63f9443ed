"""Ranges of a scenario fitted to published figures: `calibrate`.

1. Which runs vary how much by chance is seen in replications at the best values (`objective.chance`).
2. A Latin hypercube over the ranges is run, and the search begins at its best few points and at the best values of the file.
3. From the best of all, every parameter is profiled (`profiles`). If a profile comes upon a better point, the search goes on from there.
4. The fitted values are rounded, written as a diff to the scenario, and run once more: what is told is of the file that is written.

Every run is a task that is kept as it finishes, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.errors import Fault, ScenarioError
from sim.experiments.calibration.objective import Aim, Axis, Fit, Simulator, chance, fit, side_by_side, slopes
from sim.experiments.calibration.profiles import Profile, profile_of, sentences, walk_all
from sim.experiments.calibration.tables import fit_sentences, parameter_table, profile_table, target_table
from sim.experiments.calibration.targets import Target, as_text
from sim.experiments.estimate import busiest, check_events
from sim.experiments.folders import Command, begun, manifest_of, publish
from sim.experiments.outputs import SHARES
from sim.experiments.points import Floats, Point, ranges_of
from sim.experiments.replications import Engine, engine_taken
from sim.processors import cores
from sim.results.placing import check_target
from sim.results.store import SCENARIO
from sim.scenario import Scenario
from sim.scenario.names import allowed
from sim.scenario.writing import yaml_text

Progress = Callable[[float], None]
STARTS = 4
"""Points from which the search begins, unless asked otherwise."""
FITTED = "fitted.yaml"
SCREENED = 10
"""Points of the Latin hypercube for each parameter."""
SLOPES = 5
"""Replications for the slopes that errors are made of, at least: chance in slopes makes errors too small."""
ROUNDS = 3
"""How often a better point that a profile has come upon is followed."""
BETTER = 0.5
"""By how much it must be better."""
_NOT_SCALED = ("desk_mean_wait", "desk_p95_wait")


@dataclass(frozen=True)
class Calibrated:
    """Ranges of a scenario fitted to targets.

    Attributes
    ----------
    scenario
        The scenario whose ranges were fitted.
    fitted
        The scenario with the fitted values. What is not identified keeps its range, its best moved to the fit.
    changes
        What was set, as ``with_values`` and the `set:` of a file take it.
    targets
        ``target, segment, state, at, value, standard_error, simulated, monte_carlo_error, z, source``: z is simulated less target in errors, both
        taken together.
    parameters
        ``path, fitted, low, high, standard_error, unit, verdict, at_end, range_low, range_high``: limits of 95 % from the profile, NaN where the
        targets give none; the error from the slopes, NaN unless identified.
    profiles
        ``path, value, above`` and the values of all parameters, a column each: the objective above its least.
    objective, freedom
        Least sum of squares; targets less parameters (0 if there are more parameters).
    sentences
        Which parameters the targets do not identify, and whether the targets are met.
    manifest
        What it takes to make the same calibration again.
    """

    scenario: Scenario
    fitted: Scenario
    changes: Mapping[str, object]
    targets: pd.DataFrame = field(repr=False)
    parameters: pd.DataFrame = field(repr=False)
    profiles: pd.DataFrame = field(repr=False)
    objective: float
    freedom: int
    sentences: tuple[str, ...]
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Name -> table, as the results folder has them."""
        return {"targets": self.targets, "parameters": self.parameters, "profiles": self.profiles}


def axes_of(scenario: Scenario, free: Sequence[str] | None = None) -> tuple[Axis, ...]:
    """The ranges that are fitted: all, or those named.

    Raises
    ------
    ScenarioError
        The scenario has no ranges, or a name is not that of one.
    """
    ranges = ranges_of(scenario)
    faults = [
        Fault("--free", None, path, "is not a range of the scenario", allowed(ranges, path, what="ranges"))
        for path in free or ()
        if path not in ranges
    ]
    if faults:
        raise ScenarioError(faults)
    return tuple(Axis(path, range_) for path, range_ in ranges.items() if not free or path in free)


def _check_scaled(axes: Sequence[Axis], targets: Sequence[Target]) -> None:
    """Refuse what a part of the accounts cannot tell."""
    faults = [
        Fault(
            "--scale",
            None,
            axis.path,
            "is a count, which a part of the accounts cannot be fitted to",
            "leave --scale out",
        )
        for axis in axes
        if axis.range_.kind == "count"
    ]
    faults += [
        Fault(
            "--scale",
            None,
            target.output.text,
            "is a number, which a part of the accounts does not reach",
            "use shares",
        )
        for target in targets
        if target.output.measure not in (*SHARES, *_NOT_SCALED)
    ]
    if faults:
        raise ScenarioError(faults)


def calibrate(
    scenario: Scenario,
    targets: Sequence[Target],
    *,
    free: Sequence[str] | None = None,
    starts: int = STARTS,
    scale: float | None = None,
    seed: int = 0,
    replications: int = 1,
    engine: Engine = "auto",
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    force: bool = False,
    progress: Progress = lambda share: None,
) -> Calibrated:
    """Fit ranges of a scenario to targets.

    Parameters
    ----------
    targets
        As `sim.experiments.calibration.targets.read_targets` reads them.
    free
        Paths of the ranges to fit; by default all. The others stay at their best.
    starts
        From how many points the search begins.
    scale
        Run this share of every segment.
    seed, replications, engine
        Of every point.
    workers, cluster
        As for `sim.experiments.work.run_tasks`.
    folder
        Where finished runs are kept, so that a calibration that was stopped goes on.
    force
        Run it even if it may make more events than `sim.experiments.estimate.LIMIT` somewhere in the ranges.

    Raises
    ------
    TooManyEventsError
        It may, and is not forced.
    ScenarioError
        The scenario has no ranges, a path is not that of one, or `scale` does not suit what is fitted.
    RunError
        A target is not known at some point, or runs failed.
    ValueError
        There is no target, no start, or no replication.
    """
    if not targets or starts < 1:
        raise ValueError("a calibration needs at least one target and one start")
    began = time.perf_counter()
    axes = axes_of(scenario, free)
    if scale is not None:
        _check_scaled(axes, targets)
    run = scenario if scale is None else scenario.scaled(scale)
    if not force:
        check_events([run, busiest(run, [axis.path for axis in axes])])
    outputs = tuple(target.output for target in targets)
    simulator = Simulator(run, axes, outputs, seed, replications, folder, engine, cluster)
    best, aim, blurred = _search(simulator, targets, starts, workers, lambda share: progress(0.4 * share))
    best, profiles = _profiled(simulator, best, aim, blurred, workers, lambda share: progress(0.4 + 0.58 * share))
    changes = _changes(scenario, axes, best, profiles)
    final = Point({}, run.with_values(_changes(run, axes, best, profiles)))
    simulated = simulator.repeated(final, replications, workers).mean(axis=0)
    spread = chance(simulator, final, workers)
    progress(1.0)
    several = replace(simulator, replications=max(replications, SLOPES))
    steep = slopes(several, aim, best.units, range(len(axes)), workers)
    met = target_table(targets, simulated, spread)
    objective, freedom = float((met["z"] ** 2).sum()), max(len(targets) - len(axes), 0)
    tables = {
        "targets": met,
        "parameters": parameter_table(axes, best, steep, aim, spread, targets, profiles),
        "profiles": profile_table(axes, profiles),
    }
    told = (*fit_sentences(objective, freedom, met), *sentences(axes, profiles))
    settings = {
        "seed": seed,
        "replications": replications,
        "scale": scale,
        "starts": starts,
        "free": [axis.path for axis in axes],
        "objective": objective,
        "freedom": freedom,
        "sentences": list(told),
        "wanted": as_text(targets),
        "engine": engine_taken(engine),
    }
    return Calibrated(
        scenario=scenario,
        fitted=scenario.with_values(changes),
        changes=changes,
        objective=objective,
        freedom=freedom,
        sentences=told,
        manifest=manifest_of("calibrate", scenario, settings, tables, time.perf_counter() - began),
        **tables,
    )


def _aim(targets: Sequence[Target], spread: Floats) -> tuple[Aim, float]:
    """What is to be met, and by how much chance of the simulation may raise the objective from one point to another."""
    published = np.array([target.standard_error for target in targets])
    errors = np.sqrt(published**2 + np.diag(spread))
    return Aim(np.array([target.value for target in targets]), errors), float(np.sum(np.diag(spread) / errors**2))


def _search(
    simulator: Simulator, targets: Sequence[Target], starts: int, workers: int | None, progress: Progress
) -> tuple[Fit, Aim, float]:
    """The best fit from several starts, and the aim with the errors that hold there."""
    from scipy.stats import qmc  # takes half a second, which a refused call need not spend

    width = len(simulator.axes)
    middle = np.array([axis.unit(axis.range_.best) for axis in simulator.axes])
    aim, _ = _aim(targets, chance(simulator, simulator.point(middle), workers))
    cube = qmc.LatinHypercube(width, seed=np.random.default_rng([simulator.seed, 1999])).random(SCREENED * width)
    places = np.vstack([middle, cube])
    figures = simulator.at(places, workers, lambda share: progress(0.3 * share))
    ranked = np.argsort((aim.misses(figures) ** 2).sum(axis=1), kind="stable")
    chosen = [0, *(place for place in ranked.tolist() if place != 0)][:starts]
    jobs = [partial(_alone, simulator, aim, places[place]) for place in chosen]
    ends = side_by_side(jobs, workers, lambda share: progress(0.3 + 0.6 * share))
    best = min((found for (found,) in ends), key=lambda found: found.objective)
    aim, blur = _aim(targets, chance(simulator, simulator.point(best.units), workers))
    best = fit(simulator, aim, best.units, every=1, workers=workers or cores())
    progress(1.0)
    return best, aim, blur


def _alone(simulator: Simulator, aim: Aim, start: Floats) -> list[Fit]:
    return [fit(simulator, aim, start)]


def _profiled(
    simulator: Simulator, best: Fit, aim: Aim, blur: float, workers: int | None, progress: Progress
) -> tuple[Fit, list[Profile]]:
    """Profiles of all parameters; a better point on one of them is followed."""
    for _ in range(ROUNDS):
        walked = walk_all(simulator, aim, best, workers, progress)
        lowest = min((found for side in walked for found in side), key=lambda found: found.objective)
        if lowest.objective > best.objective - BETTER - blur:
            break
        best = fit(simulator, aim, lowest.units, every=1, workers=workers or cores())
    least = min(best.objective, lowest.objective)
    return best, [profile_of(place, side, least, blur) for place, side in enumerate(walked)]


def _changes(scenario: Scenario, axes: Sequence[Axis], best: Fit, profiles: Sequence[Profile]) -> dict[str, object]:
    """Fitted values as a scenario file writes them; what is not identified keeps its range about the fit."""
    values = {axis.path: axis.rounded(unit) for axis, unit in zip(axes, best.units.tolist(), strict=True)}
    changes = {path: _tidy(str(text)) for path, text in scenario.changes_at(values).items()}
    kept: dict[str, object] = dict(changes)
    for axis, profile in zip(axes, profiles, strict=True):
        if profile.verdict == "not identified":
            low, _, high = axis.range_.text
            kept[axis.path] = {"low": low, "best": changes[axis.path], "high": high}
    return kept


def _tidy(text: str) -> str:
    """A number with its unit, without the last digits in which nothing but the arithmetic shows."""
    number, space, unit = text.partition(" ")
    tail = "%" if number.endswith("%") else ""
    return f"{float(number.removesuffix('%')):.12g}{tail}{space}{unit}"


def calibrate_to_folder(
    scenario: Scenario,
    targets: Sequence[Target],
    out: Path,
    *,
    free: Sequence[str] | None = None,
    starts: int = STARTS,
    scale: float | None = None,
    seed: int = 0,
    replications: int = 1,
    workers: int | None = None,
    cluster: str | None = None,
    force: bool = False,
    progress: Progress = lambda share: None,
    decorate: Callable[[Calibrated, Path], object] = lambda found, folder: None,
) -> Calibrated:
    """Calibrate into a results folder, which appears whole or not at all; see `calibrate` and `sim.experiments.folders.publish`."""
    check_target(out, force=force)
    asked = {
        "targets": as_text(targets),
        "free": free,
        "starts": starts,
        "scale": scale,
        "seed": seed,
        "replications": replications,
    }
    with begun(out, Command("calibrate", (scenario,), asked, force)) as tasks:
        found = calibrate(
            scenario,
            targets,
            free=free,
            starts=starts,
            scale=scale,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            folder=tasks,
            force=force,
            progress=progress,
        )

        def finish(folder: Path) -> None:
            (folder / FITTED).write_text(fitted_yaml(found), encoding="utf-8")
            decorate(found, folder)

        publish(out, found.manifest, scenario, found.tables, force=force, decorate=finish)
    return found


def fitted_yaml(found: Calibrated) -> str:
    """The fitted scenario as a diff to what was calibrated, which lies beside it."""
    figures = ", ".join(found.targets["target"])
    unknown = found.parameters.loc[found.parameters["verdict"] == "not identified", "path"]
    written: dict[str, Any] = {
        "title": f"{found.scenario.spec.title or found.scenario.name}, calibrated",
        "extends": SCENARIO,
        "sources": [f"calibrated: {', '.join(found.parameters['path'])} fitted to {figures}"],
    }
    if len(unknown):
        written["assumed"] = [
            f"{path}: the targets do not identify it; one value of many that meet them" for path in unknown
        ]
    return yaml_text({**written, "set": dict(found.changes)})
