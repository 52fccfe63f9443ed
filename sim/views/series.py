"""What the figures over time share: a line and its band in the house's look, and the finish of a figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from sim.views.curves import Event, Floats
from sim.views.marks import ROW_PT, mark
from sim.views.palette import OTHERS_COLOUR, colour, dash, marker
from sim.views.style import Entry, axis_label, figure_of, heading, legend_below


def _look(k: int, name: str, others: str | None) -> dict[str, Any]:
    """Give the look of the k-th line."""
    if name == others:
        return {"color": OTHERS_COLOUR, "linestyle": (0, (2, 1)), "linewidth": 1.4}
    return {"color": colour(k), "linestyle": dash(k), "linewidth": 1.5}


def draw_line(ax: Axes, times: NDArray[np.datetime64], values: Floats, k: int, name: str, others: str | None) -> Line2D:
    """Draw one series; a grid of one time is a dot, the eighth series and later carry markers."""
    (line,) = ax.plot(times, values, label=name, **_look(k, name, others))
    if len(times) == 1:
        line.set(marker=marker(k) or "o", markersize=5, linestyle="none")
    elif marker(k) and name != others:
        stride = max(len(times) // 8, 1)
        line.set(marker=marker(k), markersize=3.5, markevery=(k % 7 * stride // 7, stride))
    return line


def draw_band(ax: Axes, times: NDArray[np.datetime64], low: Floats, high: Floats, line: Line2D) -> None:
    """Draw the limits around a series."""
    hue = line.get_color()
    label = f"_band:{line.get_label()}"
    if ax.get_yscale() == "log":
        low = np.maximum(low, ax.get_ylim()[0] / 10)  # zero lies below the picture, not nowhere
    if len(times) == 1:
        ax.vlines(times, low, high, color=hue, linewidth=1.2, label=label)
    else:
        ax.fill_between(times, low, high, color=hue, alpha=0.18, linewidth=0, label=label)


def finish(
    ax: Axes, own: bool, title: str, events: Iterable[Event], entries: Sequence[Entry], height_in: float = 3.2
) -> Axes:
    """Mark events, set title and legend, and give a figure made here the height they need."""
    axis_label(ax, x="simulated date")
    marked = mark(ax, events)
    heading(ax, title, pad_pt=6 + marked.rows * ROW_PT)
    _, lines = legend_below(ax, [*entries, *marked.entries])
    if own:
        figure_of(ax).set_figheight(height_in + 0.17 * lines + marked.rows * ROW_PT / 72)
    return ax
