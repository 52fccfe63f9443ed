"""Pictures of sweeps: a line for one axis, a heat map for two, small multiples of heat maps for three, dots for samples of ranges.

=====================  =====================================================================
`sweep`                sweeps a scenario: what ``sim.sweep`` is
`Sweep`                what it found, with its figures
`line`                 a measure along one axis, with 95 % limits
`heat_map`             a measure over two axes
`dots`                 a measure against every value that was sampled
=====================  =====================================================================
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sim.experiments.sweep import Swept, run_sweep, sweep_points, sweep_to_folder, what_to_vary
from sim.scenario import Scenario, load
from sim.views.curves import Floats
from sim.views.palette import LABEL_PT, SMALL_PT, colour
from sim.views.scales import Scale, broken, name_of, scale_of
from sim.views.style import axis_label, dress, figure_of, heading, house_style, new_axes, new_figure, plain
from sim.views.ticks import CountTicks, PercentTicks, value_axis
from sim.views.words import percent

HEADLINES = ("ban_rate", "banned_share", "wrongful_ban_rate")
"""Measures of which a results folder has figures."""

MOST_DOTS, MOST_TICKS, MOST_PANELS = 12, 9, 12
_LIMITS_TEXT = "95 % limits"


def _title(swept: Swept, measure: str, segment: str | None, state: str) -> str:
    name = measure.replace("_", " ")
    told = name[0].upper() + name[1:]
    return told + "".join(f", {part}" for part in (segment, state) if part)


def _values_axis(ax: Axes, rows: pd.DataFrame, axis: str) -> None:
    """Name the axis of a measure with its unit."""
    shares = rows["unit"].iloc[0] == "share"
    bounds = rows[["value", "low", "high"]].to_numpy()
    top = float(np.nanmax(bounds, initial=0.0)) or 1.0
    value_axis(ax, shares=shares, limits=(0.0, top * 1.05))
    axis_label(ax, y=axis if shares or not axis else f"{axis} ({rows['unit'].iloc[0]})")


@house_style()
def line(
    swept: Swept, measure: str = "ban_rate", segment: str | None = None, state: str = "", *, ax: Axes | None = None
) -> Axes:
    """Draw a measure along the only axis of a sweep, with 95 % limits where they are known."""
    ax, _ = new_axes(ax)
    dress(ax)
    rows = swept.of(measure, segment, state)
    path = next(iter(swept.axes))
    scale = scale_of(path, swept.axes[path])
    order = np.argsort(scale.at, kind="stable")
    at, rows = scale.at[order], rows.iloc[order]
    limits = bool(rows["low"].notna().any())
    if limits:
        low, high = rows["low"].to_numpy(dtype=float), rows["high"].to_numpy(dtype=float)
        ax.fill_between(at, low, high, color=colour(0), alpha=0.2, linewidth=0)
    marks = "o" if len(at) <= 60 else ""
    ax.plot(at, rows["value"].to_numpy(dtype=float), marks + "-", color=colour(0), linewidth=1.4, markersize=3.5)
    if not scale.numeric:
        ax.set_xticks(scale.at, [text if len(text) <= 24 else text[:23] + "…" for text in scale.texts])
    _values_axis(ax, rows, measure.replace("_", " "))
    axis_label(ax, x=scale.label)
    about = f"{_title(swept, measure, segment, state)} ({_LIMITS_TEXT} shaded)" if limits else None
    heading(ax, about or _title(swept, measure, segment, state))
    return ax


def _cells(ax: Axes, x: Scale, y: Scale, values: Floats, top: tuple[float, float], shares: bool) -> QuadMesh:
    """Draw cells of equal size: axes are ordered by value, every value named if there is room."""
    mesh = ax.pcolormesh(
        np.arange(len(x.at) + 1), np.arange(len(y.at) + 1), values, cmap="viridis", vmin=top[0], vmax=top[1]
    )
    mesh.set_rasterized(values.size > 400)
    for axis, scale, most in ((ax.xaxis, x, MOST_TICKS), (ax.yaxis, y, MOST_TICKS + 3)):
        step = -(-len(scale.at) // most)
        kept = range(0, len(scale.at), step)
        axis.set_ticks([place + 0.5 for place in kept], [scale.texts[place][:16] for place in kept])
    if max(values.shape) <= 7 and values.size <= 36:
        middle = (top[0] + top[1]) / 2
        for (row, column), value in np.ndenumerate(values):
            ink = "black" if value > middle else "white"
            text = percent(value) if shares else f"{value:,.4g}"
            plain(ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=SMALL_PT, color=ink))
    ax.grid(False)
    return mesh


def _ordered(scale: Scale) -> tuple[Scale, NDArray[np.intp]]:
    """The scale in ascending order, and the order."""
    order = np.argsort(scale.at, kind="stable")
    return Scale(scale.label, scale.at[order], tuple(scale.texts[k] for k in order), scale.numeric), order


def _cube(swept: Swept, rows: pd.DataFrame) -> Floats:
    """Values of a measure, an axis each in the order of the paths."""
    return rows["value"].to_numpy(dtype=float).reshape([len(values) for values in swept.axes.values()])


def _span(values: Floats) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))


def _bar(figure: Figure, mesh: QuadMesh, axes: Sequence[Axes], rows: pd.DataFrame, measure: str) -> None:
    unit = rows["unit"].iloc[0]
    bar = figure.colorbar(mesh, ax=list(axes), pad=0.02, fraction=0.06, aspect=26)
    bar.ax.yaxis.set_major_formatter(PercentTicks() if unit == "share" else CountTicks())
    bar.ax.tick_params(labelsize=SMALL_PT)
    name = measure.replace("_", " ")
    plain(bar.ax.yaxis.label)
    bar.set_label(name if unit == "share" else f"{name} ({unit})", fontsize=LABEL_PT)


@house_style()
def heat_map(
    swept: Swept, measure: str = "ban_rate", segment: str | None = None, state: str = "", *, ax: Axes | None = None
) -> Axes:
    """Draw a measure over the two axes of a sweep: the first upwards, the second to the right."""
    ax, _ = new_axes(ax, height_in=4.2)
    dress(ax)
    rows = swept.of(measure, segment, state)
    (up, up_values), (right, right_values) = swept.axes.items()
    y, y_order = _ordered(scale_of(up, up_values, most=40))
    x, x_order = _ordered(scale_of(right, right_values))
    values = _cube(swept, rows)[np.ix_(y_order, x_order)]
    mesh = _cells(ax, x, y, values, _span(values), rows["unit"].iloc[0] == "share")
    axis_label(ax, x=x.label, y=y.label)
    _bar(figure_of(ax), mesh, [ax], rows, measure)
    heading(ax, _title(swept, measure, segment, state))
    return ax


def _panels(count: int, height_in: float) -> tuple[Figure, list[Axes]]:
    """A figure with so many small Axes, three to a row."""
    columns = min(count, 3)
    lines = -(-count // columns)
    figure = new_figure(0.4 + height_in * lines)
    axes = [figure.add_subplot(lines, columns, place + 1) for place in range(count)]
    for ax in axes:
        dress(ax)
    return figure, axes


def _small_label(ax: Axes, path: str, scale: Scale) -> None:
    """Name the x axis of a small panel, in several lines."""
    _, bracket, unit = scale.label.partition(" (")
    plain(ax.set_xlabel(broken(path, 26 - len(unit)) + bracket + unit, fontsize=SMALL_PT))


@house_style()
def heat_maps(swept: Swept, measure: str = "ban_rate", segment: str | None = None, state: str = "") -> Figure:
    """Draw a sweep over three axes: a heat map over the first two for each value of the third, all of one colour scale."""
    rows = swept.of(measure, segment, state)
    (up, up_values), (right, right_values), (third, third_values) = swept.axes.items()
    y, y_order = _ordered(scale_of(up, up_values, most=26))
    x, x_order = _ordered(scale_of(right, right_values, most=30))
    _, z_order = _ordered(scale_of(third, third_values))
    cube = _cube(swept, rows)[np.ix_(y_order, x_order, z_order)]
    shown = z_order[:MOST_PANELS]
    figure, axes = _panels(len(shown), 2.4)
    span = _span(cube)
    mesh: QuadMesh | None = None
    for place, ax in enumerate(axes):
        mesh = _cells(ax, x, y, cube[:, :, place], span, rows["unit"].iloc[0] == "share")
        heading(ax, third_values[z_order[place]])
        if place % 3 == 0:
            axis_label(ax, y=y.label)
        if place >= len(axes) - min(3, len(axes)):
            _small_label(ax, right, x)
    assert mesh is not None
    _bar(figure, mesh, axes, rows, measure)
    left = len(z_order) - len(shown)
    more = f"; {left} more values are in the table" if left else ""
    title = f"{_title(swept, measure, segment, state)}, by {name_of(third, 60)}{more}"
    plain(figure.suptitle(title, x=0.012, ha="left", fontsize=10))
    return figure


@house_style()
def dots(swept: Swept, measure: str = "ban_rate", segment: str | None = None, state: str = "") -> Figure:
    """Draw a measure against each value that was varied, a dot for each point."""
    rows = swept.of(measure, segment, state)
    paths = list(swept.axes)[:MOST_DOTS]
    figure, axes = _panels(len(paths), 2.3)
    for place, (ax, path) in enumerate(zip(axes, paths, strict=True)):
        scale = scale_of(path, rows[path].astype(str).tolist(), most=26)
        ax.plot(scale.at, rows["value"].to_numpy(dtype=float), "o", color=colour(0), markersize=2.6, alpha=0.6)
        _values_axis(ax, rows, measure.replace("_", " ") if place % 3 == 0 else "")
        low, high = _span(rows["value"].to_numpy(dtype=float))
        ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        _small_label(ax, path, scale)
    more = f"; {len(swept.axes) - len(paths)} more are in the table" if len(swept.axes) > len(paths) else ""
    title = f"{_title(swept, measure, segment, state)} at {len(rows):,} points{more}"
    plain(figure.suptitle(title, x=0.012, ha="left", fontsize=10))
    return figure


def draw(swept: Swept, measure: str = "ban_rate", segment: str | None = None, state: str = "") -> Figure:
    """Draw a measure in the way that suits the number of axes; axes of a single value do not count."""
    if swept.is_grid:
        axes = {path: values for path, values in swept.axes.items() if len(values) > 1} or dict(swept.axes)
        kept = replace(swept, axes=axes)
        if len(axes) == 1:
            return figure_of(line(kept, measure, segment, state))
        if len(axes) == 2:
            return figure_of(heat_map(kept, measure, segment, state))
        if len(axes) == 3:
            return heat_maps(kept, measure, segment, state)
    return dots(swept, measure, segment, state)


@house_style()
def save_figures(drawings: Mapping[str, Callable[[], Figure]], folder: Path) -> list[Path]:
    """Write figures as PNG (150 dpi) and SVG; the same results give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, drawing in drawings.items():
        figure = drawing()
        for suffix in (".png", ".svg"):
            path = folder / f"{name}{suffix}"
            figure.savefig(path, dpi=150, metadata={"Date": None} if suffix == ".svg" else {"Software": None})
            written.append(path)
    return written


def add_figures(swept: Swept, folder: Path) -> list[Path]:
    """Write the report, and a figure of each ban measure but of none that is zero everywhere, into a results folder."""
    drawn = [measure for measure in HEADLINES if measure == HEADLINES[0] or (swept.of(measure)["value"] > 0).any()]
    written = save_figures({measure: partial(draw, swept, measure) for measure in drawn}, folder / "figures")
    from sim.views.report.points import sweep_page

    report = folder / "report.html"
    report.write_text(sweep_page(swept, drawn, folder / "figures"), encoding="utf-8")
    return [*written, report]


class Sweep(Swept):
    """What a sweep found, with its figures."""

    def plot(self, measure: str = "ban_rate", segment: str | None = None, state: str = "") -> Figure:
        """Draw a measure of the summary over the points.

        Parameters
        ----------
        measure, segment, state
            As for `of`.

        Returns
        -------
        Figure
            Of a grid a curve, a map or several maps, for one, two or three axes; of anything else dots over each axis.

        Raises
        ------
        ValueError
            There are no such rows.
        """
        return draw(self, measure, segment, state)


def sweep(
    scenario: Scenario | str | os.PathLike[str],
    vary: Mapping[str, Sequence[object]] | None = None,
    *,
    samples: int | None = None,
    seed: int = 0,
    replications: int = 1,
    workers: int | None = None,
    cluster: str | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Sweep:
    """Run a scenario at many parameter points, all with the same draws.

    Parameters
    ----------
    scenario
        A scenario, the name of one that ships, or a file.
    vary
        Path -> values, as in ``Scenario.with_values``: every combination is a point. Without this and `samples`: as the file's `sweep:` says.
    samples
        Instead of `vary`: so many points that fill all ranges of the scenario evenly (Latin hypercube, triangular).
    seed, replications
        Of every point.
    workers
        How many tasks at once; by default as many as there are processors.
    cluster
        Address of a Dask scheduler (``tcp://host:8786``) whose workers do the tasks instead.
    out
        A results folder to write; while it is not complete, the same call goes on where it was stopped.
    force
        Replace `out` if it is a results folder already; run even what may make more events than `sim.experiments.estimate.LIMIT`.
    progress
        Told the share of the runs that are done.

    Returns
    -------
    Sweep
        One row for each point, replication and measure, with figures.

    Raises
    ------
    ScenarioError
        With every fault of every point, before anything runs.
    ResultsError
        `out` is in the way or cannot be written.
    RunError
        Some points failed; the error names them, and the others are kept if there is an `out`.
    """
    chosen = scenario if isinstance(scenario, Scenario) else load(scenario)
    vary, samples = what_to_vary(chosen, vary, samples)
    if out is None:
        found = run_sweep(
            chosen,
            sweep_points(chosen, vary, samples=samples, seed=seed),
            is_grid=samples is None,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            force=force,
            progress=progress,
        )
    else:
        found = sweep_to_folder(
            chosen,
            vary,
            Path(out),
            samples=samples,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            force=force,
            progress=progress,
            decorate=add_figures,
        )
    return Sweep(**vars(found))
