"""A fitted ladder in a picture and in words: what was observed, what the fitted scenario does, and how far apart they are.

=====================  =====================================================================
`fit`                  fits histories and writes scenario, tables and figure: what ``sim.fit`` is
`occupancy_figure`     observed shares with their band, and the fitted scenario, a panel for each state
`print_fit`            the exits and the largest differences as tables
`advice`               what the data ask for that the fit has not got
=====================  =====================================================================
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from rich.console import Console
from rich.table import Table

from sim.experiments.fitting.exits import ExitFit
from sim.experiments.fitting.families import Estimate
from sim.experiments.fitting.fit import ALL, Fit, check_targets, fit_histories
from sim.experiments.fitting.scenario_file import cuts_text, duration_text, number_text
from sim.views.palette import COLOURS
from sim.views.style import axis_label, dress, heading, house_style, legend_below, new_figure, plain
from sim.views.sweeps import save_figures
from sim.views.ticks import days_axis, value_axis
from sim.views.words import percent

__all__ = ["Fit", "advice", "exit_table", "fit", "occupancy_figure", "print_fit"]

MOST_PANELS = 12
EARLY = 1 / 20
"""If half of all change is over after this part of the time, time is drawn by its logarithm."""

SIZES = (("d", 1.0), ("h", 1 / 24), ("min", 1 / 1440), ("s", 1 / 86_400))
FIGURE = "occupancy"


def fit(
    histories: str | os.PathLike[str],
    *,
    by_visit: int | Literal["auto"] = 1,
    visits_of: str | None = None,
    by_stay: bool | None = None,
    end: str | None = None,
    since: str | None = None,
    bans: Sequence[str] = (),
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Fit:
    """Fit a ladder to recorded histories.

    Parameters
    ----------
    histories
        CSV file of `account, time, state[, segment]`.
    by_visit, visits_of, by_stay, end, since, bans, seed
        As for `sim.experiments.fitting.fit.fit_histories`.
    out
        Scenario file to write; beside it go the tables of estimates and of occupancy, and the figure.
    force
        Replace files that are there; run the fitted scenario even if that may make more events than `sim.experiments.estimate.LIMIT`.
    progress
        Told the share that is done.

    Returns
    -------
    Fit
        The fitted scenario, its estimates with standard errors, and its occupancy beside that of the data.

    Raises
    ------
    ScenarioError
        With every fault of the file.
    ResultsError
        A file is in the way.
    """
    target = None if out is None else Path(out)
    if target is not None:
        check_targets(target, force=force, source=Path(histories))
    options = {"by_visit": by_visit, "visits_of": visits_of, "by_stay": by_stay, "since": since}
    found = fit_histories(Path(histories), **options, end=end, bans=bans, seed=seed, force=force, progress=progress)  # type: ignore[arg-type]
    if target is not None:
        found.save(target, force=force, decorate=lambda made: add_figure(found, made))
    return found


def add_figure(found: Fit, made: Path) -> list[Path]:
    """Write the figure beside a scenario."""
    return save_figures({f"{made.stem}_{FIGURE}": partial(occupancy_figure, found)}, made.parent)


@house_style()
def occupancy_figure(found: Fit, segment: str = ALL) -> Figure:
    """Draw the share of accounts in each state since joining: observed (Aalen-Johansen, with 95 % limits) and in the fitted scenario.

    Time is drawn by its logarithm where most of what happens happens in the beginning.
    """
    rows = found.occupancy[found.occupancy["segment"] == segment]
    peaks = rows.groupby("state", sort=False)["observed"].max()
    states = [str(state) for state in peaks.index if state in set(peaks.nlargest(MOST_PANELS).index)]
    columns = min(len(states), 3)
    lines = -(-len(states) // columns)
    early = changes_early(rows)
    figure = new_figure(0.9 + 2.1 * lines)
    for place, state in enumerate(states):
        own = rows[rows["state"] == state]
        ax = figure.add_subplot(lines, columns, place + 1)
        dress(ax)
        days = own["days"].to_numpy()
        ax.fill_between(days, own["low"], own["high"], color=COLOURS[0], alpha=0.25, linewidth=0)
        ax.plot(days, own["observed"], color=COLOURS[0], linewidth=1.4)
        ax.plot(days, own["simulated"], color=COLOURS[1], linewidth=1.2, linestyle=(0, (4, 2)))
        highest = float(np.nanmax([own["high"].max(), own["simulated"].max(), 1e-6]))
        value_axis(ax, shares=True, limits=(0.0, min(highest * 1.06, 1.02)))
        days_axis(ax, days, log=early)
        heading(ax, state)
        if place + columns >= len(states):
            axis_label(ax, x="days since joining" + (" (log)" if early else ""))
        if place == (lines - 1) * columns:
            legend_below(ax, _entries())
    left_out = len(peaks) - len(states)
    told = f"Accounts in each state: {found.histories.name}" + (
        f"; {left_out} rarer states are in the table" if left_out else ""
    )
    plain(figure.suptitle(told, x=0.012, ha="left", fontsize=10))
    return figure


def changes_early(rows: pd.DataFrame) -> bool:
    """Whether half of all change in what was observed is over after `EARLY` of the time."""
    shares = rows.pivot_table(index="days", columns="state", values="observed", sort=False).sort_index()
    change = shares.diff().abs().sum(axis=1)
    return bool(change[change.index <= EARLY * shares.index.max()].sum() > 0.5 * change.sum())


def _entries() -> list[tuple[Line2D | Patch, str]]:
    return [
        (Line2D([], [], color=COLOURS[0], linewidth=1.4), "observed"),
        (Patch(color=COLOURS[0], alpha=0.25), "95 %"),
        (Line2D([], [], color=COLOURS[1], linewidth=1.2, linestyle=(0, (4, 2))), "fitted scenario"),
    ]


def print_fit(found: Fit, out: Path | None) -> None:
    """Exits with their estimates, then how far the fitted scenario is from the data, and where everything lies."""
    console = Console(highlight=False)
    spells = found.histories.spells
    read = found.histories
    left_out = f"; {read.earlier:,} rows of accounts that joined before left out" if read.earlier else ""
    left_out += f"; {read.later:,} rows after the end of observation left out" if read.later else ""
    told = f"{read.rows:,} rows, {int(spells.first.sum()):,} accounts, {len(spells.states)} states{left_out}"
    console.print(told, markup=False, soft_wrap=True)
    console.print(exit_table(found.exits), markup=False)
    for state, cuts in found.visits.cuts.items():
        console.print(f"{state}: the stay before counts as {cuts_text(cuts)}", markup=False, soft_wrap=True)
    for told in advice(found):
        console.print(told, markup=False, soft_wrap=True)
    worst = found.largest_difference()
    for row in worst[worst["segment"] == ALL].to_dict("records"):
        told = f"{row['state']}: at most {100 * row['difference']:.2f} points from the data, {row['days']:g} days after joining"
        console.print(told, markup=False, soft_wrap=True)
    parts = worst[worst["segment"] != ALL]
    if len(parts):
        one = parts.iloc[0]
        told = f"By segment, with one ladder for all: {one['segment']} is furthest off, {100 * one['difference']:.1f} points of {one['state']}"
        console.print(told, markup=False, soft_wrap=True)
    where = f" Scenario, estimates, occupancy and figure are at {out.with_suffix('')}*" if out is not None else ""
    console.print(f"{found.seconds:.1f} s.{where}", markup=False, soft_wrap=True)


def advice(found: Fit) -> list[str]:
    """What the data ask for that the fit has not got: more visits apart, or accounts of one time only."""
    told = []
    if found.visits.depth != found.asked:
        visits = f"{found.asked} visits apart" if found.asked > 1 else "no visits apart"
        why = "stays at each of these differ from those at later ones" if found.asked > 1 else "stays are alike"
        told.append(
            f"The data ask for {visits} (--by-visit {found.asked}, or auto): {why}. This fit has {found.visits.depth}."
        )
    drift = found.drift
    if drift is not None:
        half = f"{drift.since:%Y-%m-%d}" if isinstance(drift.since, pd.Timestamp) else number_text(drift.since)
        shares = f"{percent(drift.earlier)} of those that joined before {half} and {percent(drift.later)} of the others"
        told.append(
            f"It makes a difference when accounts joined: {_short(drift.days)} later {drift.state} are {shares}. This scenario is the mean of all; "
            f"to say what comes next, fit the latest: --since {half}, or later."
        )
    return told


def exit_table(exits: Sequence[ExitFit]) -> Table:
    """A line for each exit: how often, and its clock, with standard errors."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("from", overflow="fold")
    table.add_column("to", overflow="fold")
    for column in ("entries", "moves", "chance"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("after", overflow="fold")
    for one in exits:
        counts = (f"{one.entries:,}", f"{one.events:,}")
        table.add_row(one.state, one.to, *counts, _with_error(one.chance), _clock(one))
    return table


def _clock(one: ExitFit) -> str:
    if one.family == "fixed":
        return f"fixed {duration_text(one.parameters[0].value)}"
    if one.family == "empirical":
        return f"empirical, quartiles {', '.join(_short(p.value) for p in one.parameters)}"
    return f"{one.family} {', '.join(f'{p.name} {_with_error(p)}' for p in one.parameters)}"


def _short(days: float) -> str:
    """A duration in three digits and the unit of its size."""
    unit, size = next(((unit, size) for unit, size in SIZES if days >= size), SIZES[-1])
    return f"{number_text(days / size, 3)} {unit}"


def _with_error(one: Estimate) -> str:
    """An estimate and its standard error, which is left out where there is none."""
    known = math.isfinite(one.standard_error) and one.standard_error > 0.0
    if one.unit == "share":
        return f"{percent(one.value)} ± {100 * one.standard_error:.2g}" if known else percent(one.value)
    show = _short if one.unit == "days" else partial(number_text, digits=3)
    return f"{show(one.value)} ± {show(one.standard_error)}" if known else show(one.value)
