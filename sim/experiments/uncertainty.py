"""How sure a result is: what comes from values that are not known, and what from chance.

Every range of the scenario is sampled, and each draw of parameters runs with replications of its own, so that chance at one draw says nothing about
another. Then the law of total variance takes the spread of a measure apart:

===========================  ==========================================================================================
`chance`                     variance within a draw: among its replications, or, with one replication and accounts that
                             never meet, the binomial variance of a share, segment by segment
`parameters`                 variance of the means of draws, less the share of it that is chance
===========================  ==========================================================================================
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from sim.experiments.folders import Command, begun, manifest_of, publish
from sim.experiments.points import Floats, latin_hypercube, outcomes_at, whole
from sim.experiments.replications import Engine, engine_taken
from sim.experiments.traffic import Traffic
from sim.results.outcome import Outcome
from sim.results.placing import check_target
from sim.results.summary import Measure
from sim.scenario import Scenario

Progress = Callable[[float], None]
LEVEL = 0.95
NUMBERS = (
    "value",
    "low",
    "high",
    "parameters_low",
    "parameters_high",
    "chance_low",
    "chance_high",
    "parameters_sd",
    "chance_sd",
    "parameters_share",
)
"""Columns of the table that are `Bands`."""


@dataclass(frozen=True)
class Bands:
    """The spread of some numbers over draws, taken apart.

    Attributes
    ----------
    value
        Mean over draws.
    low, high
        What 95 % of runs lie between, parameters and chance together.
    parameters_low, parameters_high
        What 95 % of draws of the parameters lie between, chance taken out.
    chance_low, chance_high
        What 95 % of runs at known parameters lie between, about the mean.
    parameters_sd, chance_sd
        Standard deviations. Chance is NaN where it is not known: one replication of what is not a share, or of accounts that meet; parameters then
        hold both.
    """

    value: Floats
    low: Floats
    high: Floats
    parameters_low: Floats
    parameters_high: Floats
    chance_low: Floats
    chance_high: Floats
    parameters_sd: Floats
    chance_sd: Floats

    @property
    def parameters_share(self) -> Floats:
        """Share of the variance that comes from parameters; NaN where nothing varies or chance is not known."""
        whole = self.parameters_sd**2 + self.chance_sd**2
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(whole > 0, self.parameters_sd**2 / whole, math.nan)


def bands_of(values: Floats, known_chance: Floats | None = None) -> Bands:
    """Take a spread apart.

    Parameters
    ----------
    values
        (draws, replications, ...).
    known_chance
        (draws, ...) variance by chance of one run at each draw, for a single replication; NaN where it is not known.
    """
    draws, replications = values.shape[:2]
    means = values.mean(axis=1)
    centre = means.mean(axis=0)
    spread = means.var(axis=0, ddof=1) if draws > 1 else np.full(centre.shape, math.nan)
    if replications > 1:
        chance = values.var(axis=1, ddof=1).mean(axis=0)
    elif known_chance is not None:
        chance = known_chance.mean(axis=0)
    else:
        chance = np.full(centre.shape, math.nan)
    left = np.maximum(spread - np.nan_to_num(chance) / replications, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shrink = np.where(spread > 0, np.sqrt(left / spread), 0.0)
    tails = (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)
    low, high = np.quantile(values.reshape(draws * replications, *values.shape[2:]), tails, axis=0)
    inner_low, inner_high = np.quantile(centre + (means - centre) * shrink, tails, axis=0)
    half = float(ndtri(tails[1])) * np.sqrt(chance)
    return Bands(centre, low, high, inner_low, inner_high, centre - half, centre + half, np.sqrt(left), np.sqrt(chance))


@dataclass(frozen=True)
class Uncertainty:
    """What a sample of all ranges found.

    Attributes
    ----------
    scenario
        The scenario whose ranges were sampled.
    draws, replications, seed
        Draws of parameters; replications of each; seed of both.
    table
        One row a measure, the columns of `Bands`: see there.
    points
        One row a draw: its values as written, and the mean of every ban measure of all accounts.
    curves
        ``ban_rate`` over time: Bands of shape (grid, segments).
    times
        Grid times, microseconds since `start`.
    chance_known
        Whether chance could be told apart.
    traffic
        Moves between states, of all accounts: mean, least and most over the draws (`sim.experiments.traffic.TRAFFIC`).
    manifest
        What it takes to make the same draws again.
    """

    scenario: Scenario
    draws: int
    replications: int
    seed: int
    table: pd.DataFrame = field(repr=False)
    points: pd.DataFrame = field(repr=False)
    curves: Bands = field(repr=False)
    times: Sequence[int] = field(repr=False)
    chance_known: bool
    traffic: pd.DataFrame = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        return {"uncertainty": self.table, "draws": self.points, "traffic": self.traffic}

    def sentence(self) -> str:
        """The ban rate of all accounts with both bands, in words."""
        row = self.table[self.table["measure"] == "ban_rate"].iloc[0]
        told = f"ban rate {_percent(row['value'])}, 95 % of runs {_percent(row['low'])} to {_percent(row['high'])}"
        if not self.chance_known:
            return f"{told}. Chance cannot be told apart: accounts meet at a limited desk; give 2 or more replications."
        if math.isnan(row["parameters_share"]):
            return f"{told}: it does not vary."
        share = f"{100 * row['parameters_share']:.3g} %"
        return f"{told}. {share} of the variance comes from parameters, the rest from chance."


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _binomial(outcome: Outcome, measure: Measure) -> float:
    """Variance of a share by chance alone; NaN if it is not a share, or accounts meet. A share of all accounts is that of its segments."""
    value = outcome.measures[measure]
    if value.trials < 1 or not outcome.independent:
        return math.nan
    parts = [value]
    if not measure.segment:
        alike = (measure.measure, measure.state)
        parts = [v for m, v in outcome.measures.items() if m.segment and (m.measure, m.state) == alike] or parts
    total = sum(
        part.trials * part.value * (1.0 - part.value) * part.trials / max(part.trials - 1, 1)
        for part in parts
        if part.trials > 0
    )
    return total / value.trials**2


def uncertainty(
    scenario: Scenario,
    draws: int,
    *,
    seed: int = 0,
    replications: int = 1,
    engine: Engine = "auto",
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    force: bool = False,
    progress: Progress = lambda share: None,
) -> Uncertainty:
    """Sample all ranges and run every draw.

    Raises
    ------
    TooManyEventsError
        A draw may make more events than `sim.experiments.estimate.LIMIT`, and it is not forced.
    ScenarioError
        The scenario has no ranges, or a draw from them has faults.
    ValueError
        There are fewer than two draws.
    TasksFailedError
        After all others have been done, naming the draws of those that failed.
    """
    if draws < 2:
        raise ValueError(f"draws must be at least 2, found {draws}")
    began = time.perf_counter()
    points = latin_hypercube(scenario, draws, seed)
    names: list[Measure] = []
    values: list[list[list[float]]] = []
    chances: list[list[float]] = []
    rates: list[Floats] = []
    joined: list[Floats] = []
    independent, traffic = True, Traffic()
    for _, found in outcomes_at(
        points,
        seed,
        replications,
        paired=False,
        engine=engine,
        workers=workers,
        cluster=cluster,
        folder=folder,
        force=force,
        progress=progress,
    ):
        traffic.add(found)
        names = names or list(found[0].measures)
        values.append([[float(outcome.measures[name].value) for name in names] for outcome in found])
        chances.append([_binomial(found[0], name) for name in names])
        bans = np.stack([outcome.bans[:, :, :2] for outcome in found]).astype(float)
        joined.append(bans[0, :, :, 0])
        with np.errstate(invalid="ignore", divide="ignore"):
            rates.append(np.where(bans[..., 0] > 0, bans[..., 1] / bans[..., 0], 0.0))
        independent &= all(outcome.independent for outcome in found)
    every = np.array(values)
    table = _table(names, bands_of(every, np.array(chances) if replications == 1 else None))
    curves = _curves(np.array(rates), np.array(joined), independent)
    told = _points_table(scenario, [point.values for point in points], names, every.mean(axis=1))
    settings: dict[str, Any] = {
        "sampling": "Latin hypercube",
        "seed": seed,
        "draws": draws,
        "replications": replications,
        "engine": engine_taken(engine),
    }
    tables = {"uncertainty": table, "draws": told, "traffic": traffic.table}
    return Uncertainty(
        scenario=scenario,
        draws=draws,
        replications=replications,
        seed=seed,
        table=table,
        points=told,
        curves=curves,
        times=grid_times(scenario, len(curves.value)),
        chance_known=independent or replications > 1,
        traffic=tables["traffic"],
        manifest=manifest_of("uncertainty", scenario, settings, tables, time.perf_counter() - began),
    )


def grid_times(scenario: Scenario, count: int) -> list[int]:
    """The grid of the curves, microseconds since `start`."""
    spec = scenario.spec
    return [min(place * spec.observe_us, spec.end_us) for place in range(count)]


def _curves(rates: Floats, joined: Floats, independent: bool) -> Bands:
    """Bands of the ban rate at every grid time in every segment."""
    chance = None
    if rates.shape[1] == 1 and independent:
        chance = rates[:, 0] * (1.0 - rates[:, 0]) / np.maximum(joined - 1.0, 1.0)
    return bands_of(rates, chance)


def _table(names: Sequence[Measure], bands: Bands) -> pd.DataFrame:
    found = {
        "measure": [name.measure for name in names],
        "segment": [name.segment for name in names],
        "state": [name.state for name in names],
        **{column: getattr(bands, column) for column in NUMBERS},
        "unit": [name.unit for name in names],
    }
    table = pd.DataFrame(found)
    limits = ["chance_low", "chance_high"]
    table.loc[table["unit"] == "share", limits] = table.loc[table["unit"] == "share", limits].clip(0.0, 1.0)
    return table


def _points_table(
    scenario: Scenario, drawn: Sequence[Mapping[str, str]], names: Sequence[Measure], means: Floats
) -> pd.DataFrame:
    table = pd.DataFrame([{"draw": number, **values} for number, values in enumerate(drawn)])
    for place, name in enumerate(names):
        if name.measure in ("ban_rate", "banned_share", "wrongful_ban_rate"):
            part = name.segment != whole(scenario.spec, name.measure)
            table[f"{name.measure}:{name.segment}" if part else name.measure] = means[:, place]
    return table


def uncertainty_to_folder(
    scenario: Scenario,
    draws: int,
    out: Path,
    *,
    seed: int = 0,
    replications: int = 1,
    workers: int | None = None,
    cluster: str | None = None,
    force: bool = False,
    progress: Progress = lambda share: None,
    decorate: Callable[[Uncertainty, Path], object] = lambda found, folder: None,
) -> Uncertainty:
    """Sample all ranges into a results folder; see `uncertainty` and `sim.experiments.folders.publish`."""
    check_target(out, force=force)
    asked = {"draws": draws, "seed": seed, "replications": replications}
    with begun(out, Command("draws", (scenario,), asked, force)) as folder:
        found = uncertainty(
            scenario,
            draws,
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
