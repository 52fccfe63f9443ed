"""What a notebook or a script holds after a run: the tables as attributes, the figures as methods of ``plot``."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sim.experiments.estimate import check_events
from sim.experiments.replications import Collected, Engine, Progress, Settings, never, run_in_memory
from sim.experiments.resumable import run_resumable
from sim.experiments.until import CAP, Watch, precision_of
from sim.results.store import Stored
from sim.scenario import Scenario, load
from sim.views.beside import FIGURES, Artist

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Event = tuple[pd.Timestamp, str, str]


def events_of(scenario: Scenario) -> list[Event]:
    """Phases and waves of a scenario that fall into its run: (time, name, ``"phase"`` or ``"wave"``)."""
    spec = scenario.spec
    dated = [(phase.from_us, name, "phase") for name, phase in spec.phases.items()]
    dated += [(wave.at_us, name, "wave") for name, wave in spec.waves.items()]
    return [
        (pd.Timestamp(spec.start + timedelta(microseconds=at)), name, kind)
        for at, name, kind in sorted(dated)
        if 0 <= at <= spec.end_us
    ]


class Result:
    """Results of a run, in memory or in a folder.

    Attributes
    ----------
    scenario
        The scenario as it was run.
    manifest
        What it takes to make the same run again.
    occupancy, bans, transitions, states, violations, desks, waits, histories, summary
        The tables, as pandas frames; columns and units are in `sim.results.columns`.
    plot
        The figures.
    """

    def __init__(self, source: Collected | Stored, scenario: Scenario) -> None:
        self._source = source
        self.scenario = scenario

    def __repr__(self) -> str:
        return f"<Result of {self.scenario.name!r}, seed {self.manifest['seed']}>"

    @property
    def manifest(self) -> dict[str, Any]:
        """What it takes to make the same run again, and on what it was made."""
        return self._source.manifest

    @property
    def summary(self) -> pd.DataFrame:
        """Measures with 95 % limits, by segment."""
        return self._source.summary

    @property
    def occupancy(self) -> pd.DataFrame:
        """Accounts in each state at each grid time."""
        return self._source.table("occupancy")

    @property
    def bans(self) -> pd.DataFrame:
        """Accounts that have joined, were ever banned and are banned now, at each grid time."""
        return self._source.table("bans")

    @property
    def transitions(self) -> pd.DataFrame:
        """Moves by cause, in each grid interval."""
        return self._source.table("transitions")

    @property
    def states(self) -> pd.DataFrame:
        """Account-days and reader-days in each state."""
        return self._source.table("states")

    @property
    def violations(self) -> pd.DataFrame:
        """What was done, noticed and acted upon, by kind."""
        return self._source.table("violations")

    @property
    def desks(self) -> pd.DataFrame:
        """Accounts waiting, reviewers busy and reviewers there, at each desk over time."""
        return self._source.table("desks")

    @property
    def waits(self) -> pd.DataFrame:
        """How long cases waited, by desk."""
        return self._source.table("waits")

    @property
    def histories(self) -> pd.DataFrame:
        """Whole lives of the first accounts of each segment."""
        return self._source.table("histories")

    @property
    def plot(self) -> Plots:
        """The figures, each by its name."""
        return Plots(self)

    def save_figures(self, folder: Path) -> list[Path]:
        """Write every figure as PNG (150 dpi) and SVG.

        Parameters
        ----------
        folder
            Where to; made if it is not there.

        Returns
        -------
        list of Path
            The files.
        """
        from sim.views import plots  # fetches matplotlib, which `run` has to do while an artist draws

        tables = {name: self._source.table(name) for name in plots.TABLES}
        return plots.save_all(tables, folder, title=self.scenario.spec.title, events=events_of(self.scenario))

    def save_report(self, file: str | os.PathLike[str], *, note: str = "") -> Path:
        """Write the report, one page of HTML that needs nothing else.

        Parameters
        ----------
        file
            Where to; what stands there is replaced.
        note
            A sentence under the title.

        Returns
        -------
        Path
            The file.
        """
        from sim.views.report.run import run_page

        names = ("occupancy", "bans", "transitions", "desks", "waits")
        tables = {**{name: self._source.table(name) for name in names}, "summary": self.summary}
        place = Path(file)
        page = run_page(self.scenario, self.manifest, tables, events_of(self.scenario), note)
        place.write_text(page, encoding="utf-8")
        return place


class Plots:
    """Figures of a result; each method takes the options of its namesake in `sim.views.plots` and returns the Axes."""

    def __init__(self, result: Result) -> None:
        from sim.views import plots

        self._result, self._plots = result, plots

    def _dated(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"events": events_of(self._result.scenario), **options}

    def ban_rate(self, **options: Any) -> Axes:
        """Ban-rate curves by segment with 95 % bands; waves and phases are marked."""
        coupled = self._plots.limited(self._result.desks)
        return self._plots.ban_rate(self._result.bans, **self._dated({"coupled": coupled, **options}))

    def states_over_time(self, **options: Any) -> Axes:
        """Accounts in each state over time."""
        return self._plots.states_over_time(self._result.occupancy, **self._dated(options))

    def flows(self, **options: Any) -> Axes:
        """Flows between states."""
        return self._plots.flows(self._result.transitions, **options)

    def time_to_ban(self, **options: Any) -> Axes:
        """When first bans come."""
        return self._plots.time_to_ban(self._result.bans, **self._dated(options))

    def desk_load(self, **options: Any) -> Axes:
        """Waiting, busy and reviewers over time."""
        return self._plots.desk_load(self._result.desks, **self._dated(options))


def run(
    scenario: Scenario | str | os.PathLike[str],
    seed: int = 0,
    *,
    replications: int = 1,
    until: str | None = None,
    max_replications: int = CAP,
    engine: Engine = "auto",
    histories: int | None = 1000,
    workers: int | None = None,
    cluster: str | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Result:
    """Run a scenario.

    Parameters
    ----------
    scenario
        A scenario, the name of one that ships, or a file.
    seed, replications
        See `sim.experiments.replications.Settings`.
    until
        Instead of `replications`: adds some until a number is known well enough, as in ``ban_rate@365 days ±0.1%`` (`sim.experiments.until`);
        ``manifest["replications"]`` says how many it took.
    max_replications
        Where `until` gives up.
    engine, histories
        See `sim.experiments.replications.Settings`.
    workers
        Processors to use, by default all.
    cluster
        Address of a Dask scheduler (``tcp://host:8786``) whose workers do the replications instead; for a run into `out`.
    out
        A results folder to write; without it the tables stay in memory. Several replications into a folder are saved as they finish: after a
        kill, the same call or ``sim.resume(out)`` goes on.
    force
        Replace `out` if it is a results folder already; run even what may make more events than `sim.experiments.estimate.LIMIT`.

    Returns
    -------
    Result
        Tables, figures and manifest.

    Raises
    ------
    ScenarioError
        The scenario cannot be run.
    ResultsError
        `out` is in the way or cannot be written.
    RunError
        Some replications failed, or the cluster cannot be had.
    """
    chosen = scenario if isinstance(scenario, Scenario) else load(scenario)
    check_events([chosen], force=force)
    watch = None if until is None else Watch(precision_of(until, chosen), max_replications)
    settings = Settings(seed, replications if watch is None else watch.cap, engine, histories)
    if out is None:
        if cluster is not None:
            raise ValueError("a cluster is for runs into a folder: give out")
        return Result(run_in_memory(chosen, settings, enough=watch or never, threads=workers), chosen)
    return run_with_figures(chosen, settings, Path(out), watch=watch, workers=workers, cluster=cluster, force=force)


def run_with_figures(
    scenario: Scenario,
    settings: Settings,
    out: Path,
    *,
    watch: Watch | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    force: bool = False,
    csv: bool = False,
    progress: Progress = lambda share: None,
    artist: Artist | None = None,
) -> Result:
    """Run a scenario into a results folder with figures, which an `artist` draws: see `sim.experiments.resumable.run_resumable`."""
    done = run_resumable(
        scenario,
        settings,
        out,
        watch=watch,
        workers=workers,
        cluster=cluster,
        force=force,
        csv=csv,
        progress=progress,
        decorate=partial(add_figures, artist=artist),
    )
    return open(done)


def add_figures(folder: Path, artist: Artist | None = None) -> None:
    """Add figures and report to a results folder; the figures are an artist's if there is one, and it can."""
    result = open(folder)
    if artist is None:
        result.save_figures(folder / FIGURES)
        result.save_report(folder / "report.html")
        return
    try:
        artist.begin(folder, result.scenario.spec.title, events_of(result.scenario))
        result.save_report(folder / "report.html")
        if not artist.done():
            result.save_figures(folder / FIGURES)
    finally:
        artist.stop()  # before the folder is put in its place, or cleared away


def open(folder: str | os.PathLike[str]) -> Result:
    """Results folder of an earlier run.

    Parameters
    ----------
    folder
        What ``run --out`` or ``sim.run(out=...)`` left.

    Returns
    -------
    Result
        As the run gave it; tables are read when they are asked for.

    Raises
    ------
    ResultsError
        It is not there, or not the results folder of a run.
    """
    stored = Stored(Path(folder))
    stored.check_manifest()
    return Result(stored, stored.scenario)
