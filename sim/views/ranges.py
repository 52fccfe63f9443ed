"""Pictures of what is not known: bands from parameters and from chance, and the tornado of a sensitivity analysis.

=====================  =====================================================================
`draws`, `Draws`       samples all ranges: what ``sim.draws`` is, and what it found
`sensitivity`          varies all ranges: what ``sim.sensitivity`` is
`bands`                ban-rate curves with the band of parameters and the band of chance
`tornado`              swings of an output from the low to the high end of each range, and its indices
=====================  =====================================================================
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sim.experiments import sensitivity as sensing
from sim.experiments import uncertainty as sampling
from sim.experiments.outputs import SHARES
from sim.experiments.sensitivity import Method
from sim.scenario import Scenario, load
from sim.views.palette import COLOURS, SMALL_PT, colour
from sim.views.scales import broken
from sim.views.style import axis_label, dress, heading, house_style, legend_below, new_figure, note, plain
from sim.views.sweeps import save_figures
from sim.views.ticks import CountTicks, PercentTicks, time_axis, value_axis

MOST_SEGMENTS, MOST_BARS = 6, 15
DASHED = (0, (3, 2))


@house_style()
def bands(found: sampling.Uncertainty) -> Figure:
    """Draw the ban rate of each segment: where 95 % of runs lie, where they would with chance taken out, and where chance alone would put them."""
    names = tuple(found.scenario.spec.segments)[:MOST_SEGMENTS]
    start = found.scenario.spec.start
    times = np.array([start + timedelta(microseconds=at) for at in found.times], "datetime64[us]")
    columns = min(len(names), 2)
    lines = -(-len(names) // columns)
    figure = new_figure(0.6 + (3.0 if lines == 1 else 2.3) * lines)
    curves = found.curves
    for place, name in enumerate(names):
        ax = figure.add_subplot(lines, columns, place + 1)
        dress(ax)
        inner = (curves.parameters_low[:, place], curves.parameters_high[:, place])
        outer = (curves.low[:, place], curves.high[:, place])
        ax.fill_between(times, *outer, color="#BBBBBB", alpha=0.45, linewidth=0)
        ax.fill_between(times, *inner, color=COLOURS[0], alpha=0.4, linewidth=0)
        if found.chance_known:
            for limit in (np.maximum(curves.chance_low[:, place], 0.0), curves.chance_high[:, place]):
                ax.plot(times, limit, color=COLOURS[1], linewidth=1.1, linestyle=DASHED)
        ax.plot(times, curves.value[:, place], color="black", linewidth=1.1)
        highest = float(np.nanmax([outer[1], inner[1], curves.chance_high[:, place]]))
        value_axis(ax, shares=True, limits=(0.0, highest * 1.06 or 1.0))
        time_axis(ax, times)
        heading(ax, name)
        axis_label(ax, y="ever banned" if place % columns == 0 else None)
        if place == (lines - 1) * columns:
            legend_below(ax, _entries(found.chance_known), gap_pt=24.0)
    more = len(found.scenario.spec.segments) - len(names)
    told = f"Ban rate over {found.draws:,} draws of the ranges" + (
        f"; {more} more segments are in the table" if more else ""
    )
    plain(figure.suptitle(told, x=0.012, ha="left", fontsize=10))
    return figure


def _entries(chance_known: bool) -> list[tuple[Line2D | Patch, str]]:
    told = "parameters (95 % of draws)" if chance_known else "parameters and chance (95 % of draws)"
    entries: list[tuple[Line2D | Patch, str]] = [
        (Line2D([], [], color="black", linewidth=1.1), "mean"),
        (Patch(color=COLOURS[0], alpha=0.4), told),
    ]
    if chance_known:
        limits = Line2D([], [], color=COLOURS[1], linewidth=1.1, linestyle=DASHED)
        entries.append((limits, "chance (95 % of runs about the mean)"))
    return [*entries, (Patch(color="#BBBBBB", alpha=0.45), "both (95 % of runs)")]


@house_style()
def tornado(found: sensing.Sensitivity, output: str) -> Figure:
    """Draw a tornado: left the output with each range at its low and high end, right the indices with 95 % limits; what matters most is on top."""
    index = sensing.INDICES[found.method][-1 if found.method == "sobol" else 0]
    ranked = found.indices(output, index)["value"].fillna(0.0).sort_values(kind="stable").index.tolist()[-MOST_BARS:]
    figure = new_figure(1.5 + 0.4 * len(ranked))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1.0))
    for ax in (left, right):
        dress(ax)
        ax.grid(False, axis="y")
        ax.xaxis.set_major_locator(MaxNLocator(4 if ax is right and found.method == "sobol" else 3))
    _swings(left, found, output, ranked)
    _indices(right, found, output, ranked)
    left.set_yticks(range(len(ranked)), [broken(path, 34) for path in ranked])
    for label in left.get_yticklabels():
        plain(label)
    left.set_ylim(-0.6, len(ranked) - 0.4)
    method = "Sobol" if found.method == "sobol" else "Morris"
    left_out = len(found.paths) - len(ranked)
    more = f"; {left_out} more ranges are in the table" if left_out else ""
    told = f"What {output} depends on ({method}, {found.samples:,} samples{more})"
    plain(figure.suptitle(told, x=0.012, ha="left", fontsize=10))
    return figure


def _swings(ax: Axes, found: sensing.Sensitivity, output: str, ranked: Sequence[str]) -> None:
    table = found.swings
    rows = table[table["output"] == output].set_index("path")
    best = float(rows["at_best"].iloc[0])
    for column, hue in (("at_low", COLOURS[0]), ("at_high", COLOURS[1])):
        reached = rows.loc[list(ranked), column].to_numpy(dtype=float)
        ax.barh(np.arange(len(ranked)), reached - best, left=best, height=0.55, color=hue)
    ax.axvline(best, color="black", linewidth=0.9)
    ends = rows[["at_low", "at_high"]].to_numpy(dtype=float)
    if np.ptp([ends.min(), ends.max(), best]) == 0.0:
        ax.set_xticks([best])
        note(ax, "no change")
    else:
        ax.margins(x=0.08)
        ax.autoscale_view()
    ax.xaxis.set_major_formatter(PercentTicks() if output.startswith(SHARES) else CountTicks())
    axis_label(ax, x=output)
    heading(ax, "one at a time, others at best")
    low, high = Patch(color=COLOURS[0]), Patch(color=COLOURS[1])
    legend_below(ax, [(low, "at its low end"), (high, "at its high end")])


def _indices(ax: Axes, found: sensing.Sensitivity, output: str, ranked: Sequence[str]) -> None:
    names = {"S1": "alone (S1)", "ST": "with others (ST)", "mu_star": "mean effect (μ*)", "sigma": "unevenness (σ)"}
    shown = sensing.INDICES[found.method]
    entries: list[tuple[Line2D, str]] = []
    for number, index in enumerate(shown):
        rows = found.indices(output, index).loc[list(ranked)]
        value, low, high = (rows[column].to_numpy(dtype=float) for column in ("value", "low", "high"))
        at = np.arange(len(ranked)) + (0.14 if number == 0 else -0.14)
        ax.hlines(at, low, high, color=colour(number + 2), linewidth=1.6)
        (dots,) = ax.plot(value, at, "os"[number], color=colour(number + 2), markersize=4.5, linestyle="none")
        entries.append((dots, names[index]))
    ax.axvline(0.0, color="black", linewidth=0.9)
    if not found.indices(output, shown[0])["value"].notna().any():
        ax.set_xticks([0.0])
        note(ax, "none")
    if found.method == "sobol":
        axis_label(ax, x="share of the variance")
    else:
        ax.xaxis.set_major_formatter(PercentTicks() if output.startswith(SHARES) else CountTicks())
        axis_label(ax, x="change from one end to the other")
    ax.tick_params(labelsize=SMALL_PT)
    heading(ax, "indices, 95 % limits")
    legend_below(ax, entries)


class Draws(sampling.Uncertainty):
    """What a sample of all ranges found, with its figure."""

    def plot(self) -> Figure:
        """Ban-rate curves with both bands."""
        return bands(self)


class Sensitivity(sensing.Sensitivity):
    """Indices of outputs for ranges, with their figure."""

    def plot(self, output: str | None = None) -> Figure:
        """Tornado of an output.

        Parameters
        ----------
        output
            One of `outputs`; the first if none is named.

        Returns
        -------
        Figure
            A bar for each range, the widest on top.
        """
        return tornado(self, output or self.outputs[0])


def add_bands(found: sampling.Uncertainty, folder: Path) -> list[Path]:
    """Write the figure and the report of draws into a results folder."""
    from sim.views.report.points import draws_page

    written = save_figures({"bands": lambda: bands(found)}, folder / "figures")
    report = folder / "report.html"
    report.write_text(draws_page(found, folder / "figures"), encoding="utf-8")
    return [*written, report]


def add_tornados(found: sensing.Sensitivity, folder: Path) -> list[Path]:
    """Write a tornado of each output, and the report, into a results folder."""
    drawings = {f"tornado_{k}": partial(tornado, found, output) for k, output in enumerate(found.outputs, 1)}
    from sim.views.report.points import sensitivity_page

    written = save_figures(drawings, folder / "figures")
    report = folder / "report.html"
    report.write_text(sensitivity_page(found, folder / "figures"), encoding="utf-8")
    return [*written, report]


def draws(
    scenario: Scenario | str | os.PathLike[str],
    draws: int = 100,
    *,
    seed: int = 0,
    replications: int = 1,
    workers: int | None = None,
    cluster: str | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Draws:
    """Sample all ranges of a scenario and tell what comes from them from what comes from chance.

    Parameters
    ----------
    scenario
        A scenario, the name of one that ships, or a file.
    draws
        Draws of the parameters (Latin hypercube, triangular over low, best and high).
    seed
        As for ``sim.sweep``.
    replications
        Of each draw. One is enough where accounts never meet: chance is then binomial.
    workers, cluster, out, force, progress
        As for ``sim.sweep``.

    Returns
    -------
    Draws
        Bands of the curves and of the summary, from both sources of uncertainty.

    Raises
    ------
    ScenarioError
        The scenario has no ranges, or a draw has faults.
    ResultsError
        `out` is in the way or cannot be written.
    RunError
        Some draws failed; the error names them.
    """
    chosen = scenario if isinstance(scenario, Scenario) else load(scenario)
    if out is None:
        found = sampling.uncertainty(
            chosen,
            draws,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            force=force,
            progress=progress,
        )
    else:
        found = sampling.uncertainty_to_folder(
            chosen,
            draws,
            Path(out),
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            force=force,
            progress=progress,
            decorate=add_bands,
        )
    return Draws(**vars(found))


def sensitivity(
    scenario: Scenario | str | os.PathLike[str],
    outputs: Sequence[str] = ("ban_rate@end",),
    *,
    method: Method = "sobol",
    samples: int = 64,
    seed: int = 0,
    replications: int = 1,
    workers: int | None = None,
    cluster: str | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Sensitivity:
    """Tell which ranges of a scenario some outputs depend on.

    Parameters
    ----------
    scenario
        A scenario, the name of one that ships, or a file.
    outputs
        ``measure[:segment][:state]@when``, such as ``ban_rate@end`` or ``occupancy_share:media:warned@90 days``.
    method, samples
        ``sobol`` (samples: a power of 2) or ``morris`` (samples: trajectories).
    seed, replications, workers, cluster, out, force, progress
        As for ``sim.sweep``.

    Returns
    -------
    Sensitivity
        Indices of each output for each range, with limits, and a tornado plot.

    Raises
    ------
    ScenarioError, ResultsError, RunError
        As for ``sim.draws``; also for outputs that are none.
    """
    chosen = scenario if isinstance(scenario, Scenario) else load(scenario)
    if out is None:
        found = sensing.sensitivity(
            chosen,
            outputs,
            method=method,
            samples=samples,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            force=force,
            progress=progress,
        )
    else:
        found = sensing.sensitivity_to_folder(
            chosen,
            outputs,
            Path(out),
            method=method,
            samples=samples,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            force=force,
            progress=progress,
            decorate=add_tornados,
        )
    return Sensitivity(**vars(found))


def print_sensitivity(found: sensing.Sensitivity, folder: Path) -> None:
    """Print the indices of every output, what must be said about them, and where everything lies."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for output in found.outputs:
        table = Table(title=output, title_justify="left", show_edge=False, pad_edge=False)
        table.add_column("range", overflow="fold")
        for index in sensing.INDICES[found.method]:
            table.add_column(index, justify="right", no_wrap=True)
        columns = [found.indices(output, index) for index in sensing.INDICES[found.method]]
        for path in found.paths:
            table.add_row(path, *(_limited(*rows.loc[[path]].to_numpy(dtype=float)[0].tolist()) for rows in columns))
        console.print(table)
    for sentence in found.sentences:
        console.print(sentence, markup=False)
    console.print(f"Tables, figures and manifest are in {folder}", markup=False, soft_wrap=True)


def _limited(value: float, low: float, high: float) -> str:
    """A value with its limits."""
    if np.isnan(value):
        return "none"
    return f"{value:.3g}" if np.isnan(low) else f"{value:.3g} ({low:.2g} to {high:.2g})"
