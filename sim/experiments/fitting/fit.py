"""From recorded histories to a scenario that lives them again, and how well it does."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from sim.errors import Fault, ResultsError, ScenarioError
from sim.experiments.estimate import check_events
from sim.experiments.fitting.before import split_by_stay, splits_by_stay, visits_asked
from sim.experiments.fitting.drift import Drift, drift_of
from sim.experiments.fitting.exits import ExitFit, fit_exits
from sim.experiments.fitting.reading import Histories, read_histories
from sim.experiments.fitting.scenario_file import Visits, scenario_text, split_by_visit
from sim.experiments.replications import Progress, Settings, run_in_memory
from sim.results.estimators import aalen_johansen
from sim.results.placing import same_file, writing
from sim.results.spells import DAY_US, Spells
from sim.scenario import Scenario, loads
from sim.scenario.names import allowed

LIVED_ACCOUNTS, MOST_REPLICATIONS = 100_000, 200
"""The fitted scenario is run until so many accounts are lived, so that chance in the run is small beside chance in the data."""

ESTIMATES = ("state", "to", "entries", "events", "family", "parameter", "value", "standard_error", "unit", "aic", "gap")
OCCUPANCY = ("segment", "state", "days", "observed", "low", "high", "simulated")
ALL = "all together"
TABLES = ("estimates", "occupancy")
"""Written beside the scenario, as ``<name>_<table>.csv``."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted ladder.

    Attributes
    ----------
    histories, visits, exits
        What was read, its states by visit, and every exit that occurs.
    scenario
        The fitted scenario.
    text
        Its file.
    occupancy
        Columns `OCCUPANCY`: Aalen and Johansen's estimate of the share of accounts in each state of the file, with 95 % limits, and the share in the
        fitted scenario, by days since joining; up to the time after which fewer than a twentieth of the accounts were observed.
    asked
        How many visits the data ask to be separate, as for `sim.experiments.fitting.before.visits_asked`.
    drift
        How the fate of accounts changed from those that joined first to those that joined last; ``None`` where it did not.
    seconds
        Wall time.
    """

    histories: Histories
    visits: Visits
    exits: tuple[ExitFit, ...]
    scenario: Scenario
    text: str
    occupancy: pd.DataFrame
    asked: int
    drift: Drift | None
    seconds: float

    @property
    def estimates(self) -> pd.DataFrame:
        """One row a parameter, columns `ESTIMATES`; durations in days, ``gap`` as in `sim.experiments.fitting.exits`."""
        rows = [
            (
                *(one.state, one.to, one.entries, one.events, one.family),
                p.name,
                p.value,
                p.standard_error,
                p.unit,
                one.aic,
                one.gap,
            )
            for one in self.exits
            for p in (one.chance, *one.parameters)
        ]
        return pd.DataFrame(rows, columns=list(ESTIMATES))

    def largest_difference(self) -> pd.DataFrame:
        """By segment and state: the largest difference between simulated and observed share, and the days since joining at which it is."""
        difference = (self.occupancy["simulated"] - self.occupancy["observed"]).abs()
        rows = self.occupancy.assign(difference=difference).sort_values("difference", ascending=False, kind="stable")
        return rows.drop_duplicates(["segment", "state"])[["segment", "state", "days", "difference"]].reset_index(
            drop=True
        )

    def save(
        self, out: Path, *, force: bool = False, decorate: Callable[[Path], object] = lambda stem: None
    ) -> list[Path]:
        """Write the scenario, and beside it ``<name>_estimates.csv`` and ``<name>_occupancy.csv``.

        Parameters
        ----------
        out
            The scenario file.
        force
            Replace files that are there.
        decorate
            Called with the path of the scenario in the folder in which all files are made, to add more beside it.

        Returns
        -------
        list of Path
            The files, by name.

        Raises
        ------
        ResultsError
            A file is in the way.
        NotWrittenError
            The disk is full, or the place takes no files.
        """
        check_targets(out, force=force)
        with writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(prefix=".fit-", dir=out.parent))
            try:
                self._write(making / out.name)
                decorate(making / out.name)
                made = sorted(making.iterdir())
                for file in made:
                    file.replace(out.parent / file.name)
            finally:
                shutil.rmtree(making, ignore_errors=True)
        return [out.parent / file.name for file in made]

    def _write(self, file: Path) -> None:
        """Write the scenario and the tables beside it."""
        file.write_text(self.text, encoding="utf-8")
        estimates, occupancy = (file.with_name(f"{file.stem}_{table}.csv") for table in TABLES)
        self.estimates.to_csv(estimates, index=False, lineterminator="\n")
        self.occupancy.to_csv(occupancy, index=False, lineterminator="\n", float_format="%.6f")


def check_targets(out: Path, *, force: bool, source: Path | None = None) -> None:
    """Refuse to write over a scenario and its tables; over the histories, `source`, always.

    Raises
    ------
    ResultsError
        A file is in the way.
    """
    targets = (out, *(out.with_name(f"{out.stem}_{table}.csv") for table in TABLES))
    for target in targets:
        if source is not None and same_file(target, source):
            raise ResultsError(f"{target} holds the histories, and is not replaced; take another --out")
        if target.is_dir():
            raise ResultsError(f"{target} is a folder; take another --out")
    taken = [str(target) for target in targets if target.exists()]
    if taken and not force:
        raise ResultsError(f"{', '.join(taken)}: already there; take another --out, or replace with --force")


def fit_histories(
    file: Path,
    *,
    by_visit: int | Literal["auto"] = 1,
    visits_of: str | None = None,
    by_stay: bool | None = None,
    end: str | None = None,
    since: str | None = None,
    bans: Sequence[str] = (),
    seed: int = 0,
    force: bool = False,
    progress: Progress = lambda share: None,
) -> Fit:
    """Fit a ladder to histories.

    Parameters
    ----------
    file, end, since
        As for `sim.experiments.fitting.reading.read_histories`.
    by_visit, visits_of
        Separate states for so many visits, and of which state, as for `sim.experiments.fitting.scenario_file.split_by_visit`; ``"auto"`` for as many
        as the data ask for.
    by_stay
        Split states by the length of the stay before, where that matters (`sim.experiments.fitting.before`); by default where `by_visit` splits too.
    bans
        States of the file that count as a ban.
    seed
        Of the run of the fitted scenario.
    force
        Run it even if it may make more events than `sim.experiments.estimate.LIMIT`.
    progress
        Told the share that is done.

    Raises
    ------
    TooManyEventsError
        It may, and is not forced.
    ScenarioError
        The file has faults, or an option names a state that it has not.
    """
    began = time.perf_counter()
    if by_visit != "auto" and by_visit < 1:
        raise ValueError(f"by_visit must be at least 1, found {by_visit}")
    histories = read_histories(file, end, since)
    _check_states(histories.spells.states, {"--bans": bans, "--visits-of": [visits_of] if visits_of else []})
    progress(0.1)
    asked = visits_asked(histories.spells, visits_of)
    visits = _split(histories.spells, asked if by_visit == "auto" else by_visit, visits_of, by_stay)
    exits = fit_exits(visits.spells)
    progress(0.6)
    accounts = int(histories.spells.first.sum())
    source = f"{file.name}: {histories.rows - histories.later - histories.earlier:,} rows of {accounts:,} accounts, fitted with `fit`"
    text = scenario_text(histories, visits, exits, bans, source)
    scenario = loads(text, name=histories.name)
    check_events([scenario], force=force)
    occupancy = compare_occupancy(histories, visits, scenario, seed)
    drift = drift_of(histories.spells)
    progress(1.0)
    return Fit(histories, visits, exits, scenario, text, occupancy, asked, drift, time.perf_counter() - began)


def _check_states(states: Sequence[str], named: Mapping[str, Sequence[str]]) -> None:
    """Refuse options that name a state that the file has not."""
    faults = [
        Fault(option, None, name, "is not a state of the file", allowed(states, name, what="states"))
        for option, names in named.items()
        for name in names
        if name not in states
    ]
    if faults:
        raise ScenarioError(faults)


def compare_occupancy(histories: Histories, visits: Visits, scenario: Scenario, seed: int) -> pd.DataFrame:
    """Run a fitted scenario and hold its occupancy to the data's, on the grid of the scenario; columns `OCCUPANCY`."""
    accounts = sum(segment.accounts for segment in scenario.spec.segments.values())
    replications = min(-(-LIVED_ACCOUNTS // accounts), MOST_REPLICATIONS)
    lived = run_in_memory(scenario, Settings(seed=seed, replications=replications, histories=0)).table("occupancy")
    lived = lived.assign(state=lived["state"].astype(str).map(lambda name: visits.state_of.get(name)))
    days = (lived["time"] - scenario.spec.start) / pd.Timedelta(days=1)
    shares = (
        lived.assign(days=days)
        .groupby(["segment", "days", "state"], observed=True)["accounts"]
        .sum()
        .unstack("state", fill_value=0)
    )
    spells = histories.spells.since_joining()
    parts = []
    for name in (ALL, *spells.segments) if len(spells.segments) > 1 else (ALL,):
        own = shares.groupby("days").sum() if name == ALL else shares.xs(name)
        observed = aalen_johansen(spells if name == ALL else spells.of_segment(name))
        until = observed.observed_until() / DAY_US
        kept = own[own.index <= until]
        grid = np.rint(kept.index.to_numpy() * DAY_US).astype(np.int64)
        value, (low, high) = observed.at(grid)[0], observed.limits(grid)
        total = float(own.to_numpy().sum(axis=1).max())
        for k, state in enumerate(spells.states):
            simulated = kept[state].to_numpy() / total if state in kept else np.zeros(len(kept))
            columns = (name, state, kept.index.to_numpy(), value[:, k], low[:, k], high[:, k], simulated)
            parts.append(pd.DataFrame(dict(zip(OCCUPANCY, columns, strict=True))))
    return pd.concat(parts, ignore_index=True)


def _split(spells: Spells, by_visit: int, visits_of: str | None, by_stay: bool | None) -> Visits:
    """Split states by visit and by the stay before, as asked."""
    visits = split_by_visit(spells, by_visit, visits_of)
    splits = splits_by_stay(visits.spells) if (visits.depth > 1 if by_stay is None else by_stay) else []
    split, origin = split_by_stay(visits.spells, splits)
    cuts = {visits.spells.states[one.state]: one.cuts for one in splits}
    return Visits(split, {name: visits.state_of[before] for name, before in origin.items()}, cuts, visits.depth)
