"""Pictures and words of a calibration.

=====================  =====================================================================
`calibrate`            fits the ranges of a scenario to targets: what ``sim.calibrate`` is
`Calibration`          what it found, with its figure
`figure`               how each target is met, and the profile of each parameter
=====================  =====================================================================
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from sim.experiments.calibration import calibrate as calibrating
from sim.experiments.calibration.profiles import FAR, THRESHOLD
from sim.experiments.calibration.targets import Target, read_targets
from sim.experiments.outputs import SHARES
from sim.scenario import Scenario, load
from sim.views.palette import COLOURS, GRID_COLOUR, SMALL_PT
from sim.views.scales import broken
from sim.views.style import axis_label, dress, heading, house_style, new_figure, plain
from sim.views.sweeps import save_figures
from sim.views.words import shorten

MOST_PARAMETERS, MOST_TARGETS = 12, 30
MOST_ABOVE = 12.0
"""Where the axis of the profiles ends."""


@house_style()
def figure(found: calibrating.Calibrated) -> Figure:
    """Draw how far each target is missed, in errors, and below it the profile of each parameter with its fitted value."""
    targets, parameters = found.targets.head(MOST_TARGETS), found.parameters.head(MOST_PARAMETERS)
    columns = min(len(parameters), 3)
    lines = -(-len(parameters) // columns)
    heights = (0.95 + 0.22 * len(targets), 2.4 * lines)
    drawn = new_figure(0.5 + sum(heights))
    grid = drawn.add_gridspec(2, 1, height_ratios=heights)
    upper, lower = drawn.add_subfigure(grid[0]), drawn.add_subfigure(grid[1])
    _met(upper.add_subplot(), targets)
    for place, row in enumerate(parameters.to_dict("records")):
        ax = lower.add_subplot(lines, columns, place + 1)
        rows = found.profiles[found.profiles["path"] == row["path"]]
        _profile(ax, rows, {str(key): value for key, value in row.items()})
        axis_label(ax, y="objective above its least" if place % columns == 0 else None)
    left = (len(found.targets) - len(targets), len(found.parameters) - len(parameters))
    more = f"; {left[0]} more targets and {left[1]} more parameters are in the tables" if any(left) else ""
    plain(drawn.suptitle(f"Calibration of {found.scenario.name}{more}", x=0.012, ha="left", fontsize=10))
    return drawn


def _met(ax: Axes, targets: pd.DataFrame) -> None:
    """Draw how far each target is missed."""
    dress(ax)
    ax.grid(False, axis="y")
    z = targets["z"].to_numpy(dtype=float)
    at = np.arange(len(z))[::-1]
    ax.axvspan(-1.96, 1.96, color=GRID_COLOUR, alpha=0.6, linewidth=0)
    ax.axvline(0.0, color="black", linewidth=0.9)
    ax.hlines(at, 0.0, z, color=COLOURS[0], linewidth=1.4)
    ax.plot(z, at, "o", color=COLOURS[0], markersize=4.5)
    ax.set_yticks(at, [shorten(text, 28) for text in targets["target"]])
    for label in ax.get_yticklabels():
        plain(label)
    reach = max(3.0, float(np.abs(z).max()) * 1.1)
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-0.7, len(z) - 0.3)
    axis_label(ax, x="simulated less target, in errors of both together (grey: within 1.96)")
    heading(ax, "How the targets are met")


def _profile(ax: Axes, rows: pd.DataFrame, parameter: dict[str, object]) -> None:
    """Draw the profile of a parameter."""
    dress(ax)
    known = parameter["verdict"] == "identified"
    hue = COLOURS[0] if known else COLOURS[1]
    low, high = float(str(parameter["range_low"])), float(str(parameter["range_high"]))
    if low > 0 and high / low > 5:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xticks(_log_ticks(low, high))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.axhline(THRESHOLD, color="black", linewidth=0.9, linestyle=(0, (3, 2)))
    plain(
        ax.text(0.99, THRESHOLD, "95 %", transform=ax.get_yaxis_transform(), ha="right", va="bottom", fontsize=SMALL_PT)
    )
    ends = [float(str(parameter[end])) for end in ("low", "high")]
    if known:
        ax.axvspan(ends[0], ends[1], color=hue, alpha=0.15, linewidth=0)
    ax.plot(rows["value"], np.minimum(rows["above"], FAR * 4), "o-", color=hue, linewidth=1.3, markersize=3)
    ax.axvline(float(str(parameter["fitted"])), color=hue, linewidth=0.9)
    ax.set_xlim(low, high)
    ax.set_ylim(-0.4, MOST_ABOVE)
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    unit = f"\n({parameter['unit']})" if parameter["unit"] else ""
    plain(ax.set_xlabel(broken(str(parameter["path"]), 26) + unit, fontsize=SMALL_PT))
    heading(ax, str(parameter["verdict"]) if known or parameter["verdict"] == "not identified" else _limit(parameter))


def _log_ticks(low: float, high: float) -> list[float]:
    """Up to four round places between two values on a logarithmic axis."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        kept = [tick for tick in ticks if low <= tick <= high]
        if len(kept) <= 5:
            break
    return kept[:: max(1, -(-len(kept) // 5))]


def _limit(parameter: dict[str, object]) -> str:
    end = parameter["low"] if parameter["verdict"] == "at least" else parameter["high"]
    return f"{parameter['verdict']} {float(str(end)):.3g} {parameter['unit']}".strip()


class Calibration(calibrating.Calibrated):
    """Ranges of a scenario fitted to targets, with their figure."""

    def plot(self) -> Figure:
        """How each target is met, and the profile of each parameter."""
        return figure(self)


def add_figure(found: calibrating.Calibrated, folder: Path) -> list[Path]:
    """Write the figure of a calibration into a results folder."""
    return save_figures({"calibration": lambda: figure(found)}, folder / "figures")


def calibrate(
    scenario: Scenario | str | os.PathLike[str],
    targets: str | os.PathLike[str] | Sequence[Target],
    *,
    free: Sequence[str] | None = None,
    starts: int = 4,
    scale: float | None = None,
    seed: int = 0,
    replications: int = 1,
    workers: int | None = None,
    cluster: str | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Calibration:
    """Fit the ranges of a scenario to published figures, and tell which ranges these do not identify.

    Parameters
    ----------
    scenario
        A scenario, the name of one that ships, or a file.
    targets
        A CSV file with the columns measure, segment, state, at, value, standard error, source; or targets that were read from one.
    free
        Paths of the ranges to fit; by default all. The others stay at their best.
    starts
        From how many points the search begins.
    scale
        Run this share of every segment.
    seed, replications, workers, cluster, out, force, progress
        As for ``sim.sweep``.

    Returns
    -------
    Calibration
        The fitted scenario, how each target is met, and how well each range is known.

    Raises
    ------
    ScenarioError
        The scenario has no ranges, or the targets have faults: all are told.
    ResultsError
        `out` is in the way or cannot be written.
    RunError
        A target is not known at some point, or runs failed.
    """
    chosen = scenario if isinstance(scenario, Scenario) else load(scenario)
    wanted = read_targets(targets, chosen) if isinstance(targets, (str, os.PathLike)) else list(targets)
    settings: dict[str, Any] = {
        "free": free,
        "starts": starts,
        "scale": scale,
        "seed": seed,
        "replications": replications,
    }
    settings |= {"workers": workers, "cluster": cluster, "force": force, "progress": progress}
    if out is None:
        found = calibrating.calibrate(chosen, wanted, **settings)
    else:
        found = calibrating.calibrate_to_folder(chosen, wanted, Path(out), decorate=add_figure, **settings)
    return Calibration(**vars(found))


def print_calibration(found: calibrating.Calibrated, folder: Path) -> None:
    """Print how each target is met, the fitted values, what is not identified, and where everything lies."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    met = Table(title="Targets", title_justify="left", show_edge=False, pad_edge=False)
    met.add_column("target", overflow="fold")
    for name in ("published", "simulated", "z"):
        met.add_column(name, justify="right", no_wrap=True)
    for row in found.targets.to_dict("records"):
        as_share = row["measure"] in SHARES
        published = f"{_number(row['value'], as_share)} ± {_number(row['standard_error'], as_share)}"
        met.add_row(row["target"], published, _number(row["simulated"], as_share), f"{row['z']:+.2f}")
    fitted = Table(title="Parameters", title_justify="left", show_edge=False, pad_edge=False)
    fitted.add_column("range", overflow="fold")
    for name in ("fitted", "95 % limits", ""):
        fitted.add_column(name, justify="right" if name else "left", no_wrap=bool(name))
    for row in found.parameters.to_dict("records"):
        value = f"{row['fitted']:.4g} {row['unit']}".strip()
        ends = " to ".join("…" if math.isnan(row[end]) else f"{row[end]:.3g}" for end in ("low", "high"))
        at_end = f", at the {row['at_end']} end of its range" if row["at_end"] else ""
        limits = ends if row["verdict"] != "not identified" else "none"
        fitted.add_row(broken(row["path"], 34), value, limits, str(row["verdict"]) + at_end)
    console.print(met)
    console.print(fitted)
    for sentence in found.sentences:
        console.print(sentence, markup=False)
    told = f"The fitted scenario is {folder / calibrating.FITTED}; tables, figure and manifest are beside it"
    console.print(told, markup=False, soft_wrap=True)


def _number(value: float, as_share: bool) -> str:
    return f"{100 * value:.3g} %" if as_share else f"{value:,.4g}"
