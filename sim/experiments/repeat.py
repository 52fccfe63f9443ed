"""Experiments made again from their manifests: what `sim.experiments.reproduce` holds to the tables of a folder.

===============  ==========================================================================================================
experiment       what its manifest must tell, besides seed, replications and engine
===============  ==========================================================================================================
`compare`        every scenario, resolved; how many events are held in memory, and of how many first accounts otherwise
`sweep`          the values of each axis, as shown and as a scenario writes them; or the number of samples
`uncertainty`    the number of draws
`sensitivity`    method, samples, outputs
`calibrate`      free, starts, scale, wanted (its targets)
===============  ==========================================================================================================

Only `compare` has its scenarios in the manifest, as they are several; those of the others lie beside it, in ``scenario.resolved.yaml``. The values
of ranges come out again by themselves: samples are drawn from the seed.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping
from io import StringIO
from operator import index
from pathlib import Path
from typing import Any

import pandas as pd

from sim.errors import ResultsError, ScenarioError
from sim.experiments.calibration.calibrate import calibrate
from sim.experiments.calibration.targets import targets_in
from sim.experiments.compare import compare_scenarios
from sim.experiments.estimate import TooManyEventsError, check_events
from sim.experiments.points import Point, grid, latin_hypercube
from sim.experiments.replications import Engine
from sim.experiments.sensitivity import sensitivity
from sim.experiments.sweep import run_sweep
from sim.experiments.uncertainty import uncertainty
from sim.results.store import OTHER_SCENARIO, Stored, regular
from sim.scenario import loads

Tables = Mapping[str, pd.DataFrame]
Repeat = Callable[[Mapping[str, Any], Stored, dict[str, Any]], Tables]
"""Takes the manifest, the folder, and `engine`, `workers`, `force`, `progress`, `seed` and `replications`; gives the tables."""


def _compare(told: Mapping[str, Any], stored: Stored, settings: dict[str, Any]) -> Tables:
    scenarios = [loads(str(each["resolved"]), name=str(each["name"])) for each in told["scenarios"]]
    check_events(scenarios, force=settings.pop("force"))
    settings |= {"most_rows": index(told["most_rows"]), "first": index(told["first"])}
    return compare_scenarios(scenarios, **settings).tables


def _sweep(told: Mapping[str, Any], stored: Stored, settings: dict[str, Any]) -> Tables:
    scenario, is_grid = stored.scenario, told["sampling"] == "grid"
    if is_grid:
        labels = itertools.product(*(map(str, shown) for shown in told["axes"].values()))
        points = [
            Point(dict(zip(told["axes"], shown, strict=True)), made.scenario)
            for shown, made in zip(labels, grid(scenario, told["values"]), strict=True)
        ]
    else:
        points = latin_hypercube(scenario, index(told["points"]), settings["seed"])
    return run_sweep(scenario, points, is_grid=is_grid, **settings).tables


def _uncertainty(told: Mapping[str, Any], stored: Stored, settings: dict[str, Any]) -> Tables:
    return uncertainty(stored.scenario, index(told["draws"]), **settings).tables


def _sensitivity(told: Mapping[str, Any], stored: Stored, settings: dict[str, Any]) -> Tables:
    outputs = [str(output) for output in told["outputs"]]
    options = {"method": told["method"], "samples": index(told["samples"]), **settings}
    return sensitivity(stored.scenario, outputs, **options).tables


def _calibrate(told: Mapping[str, Any], stored: Stored, settings: dict[str, Any]) -> Tables:
    scenario = stored.scenario
    targets = targets_in(str(told["wanted"]), "<targets>", scenario)
    options = {"free": told["free"], "starts": index(told["starts"]), "scale": told["scale"], **settings}
    return calibrate(scenario, targets, **options).tables


REPEATS: dict[str, Repeat] = {
    "calibrate": _calibrate,
    "compare": _compare,
    "sweep": _sweep,
    "uncertainty": _uncertainty,
    "sensitivity": _sensitivity,
}
"""Experiment, as manifests call it -> how it is made again."""


def engine_of(stored: Stored, engine: Engine | None) -> Engine:
    """The engine that is asked for, or that of the folder."""
    told: Engine = stored.manifest.get("engine", "compiled")
    return engine or told


def repeated(
    stored: Stored, engine: Engine | None, workers: int | None, force: bool, progress: Callable[[float], None]
) -> dict[str, pd.DataFrame]:
    """The tables of an experiment, made again.

    Raises
    ------
    ResultsError
        The manifest does not tell what it takes.
    TooManyEventsError
        It may make more events than `sim.experiments.estimate.LIMIT`, and is not forced.
    RunError
        Tasks failed.
    """
    told = stored.manifest
    repeat = REPEATS.get(str(told.get("experiment")))
    if repeat is None:
        raise ResultsError(f"{stored.folder} holds a {told.get('experiment')}; known are {', '.join(REPEATS)}")
    try:
        settings: dict[str, Any] = {"seed": index(told["seed"]), "replications": index(told["replications"])}
        settings |= {"engine": engine_of(stored, engine), "workers": workers, "force": force, "progress": progress}
        return dict(repeat(told, stored, settings))
    except TooManyEventsError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, ScenarioError) as error:
        raise ResultsError(
            f"{stored.folder} does not tell what it takes to make it again: {type(error).__name__} {error}"
        ) from error


def scenarios_changed(stored: Stored) -> bool:
    """Whether a scenario in the folder, or in its manifest, is not the one that the manifest gives the hash of."""
    told = stored.manifest
    pairs = [(stored.scenario_text, told["scenario"]["sha256"])]
    for number, each in enumerate(told.get("scenarios", ()), start=1):
        pairs.append((str(each["resolved"]), each["sha256"]))
        beside = OTHER_SCENARIO.format(number)  # of the first there is none: it is the one above
        if (stored.folder / beside).exists():
            pairs.append((stored.text(beside), each["sha256"]))
    return any(hashlib.sha256(text.encode()).hexdigest() != sha256 for text, sha256 in pairs)


def cells_of(table: pd.DataFrame) -> pd.DataFrame:
    """A table as the text of its cells, as its CSV file has them: floats to their last digit, empty where nothing is known."""
    return _read_cells(StringIO(table.to_csv(index=False)))


def cells_in(folder: Path, name: str) -> pd.DataFrame | None:
    """The same of a table in a folder; ``None`` if it is not there.

    Raises
    ------
    ResultsError
        It cannot be read.
    """
    csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    try:
        if csv.exists():
            return _read_cells(regular(csv))
        return cells_of(pd.read_parquet(regular(parquet))) if parquet.exists() else None
    except (OSError, ValueError) as error:
        raise ResultsError(f"{folder / name} cannot be read: {error}") from error


def _read_cells(source: Any) -> pd.DataFrame:
    return pd.read_csv(source, dtype=str, keep_default_na=False)
