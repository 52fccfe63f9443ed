"""Desk load: accounts waiting, reviewers busy and reviewers there are, over time.

Waiting counts accounts and may run to thousands; reviewers count people. They share the time axis
but not the scale: waiting is read on the left, reviewers on the right. A grid finer than a day over
a long run is a daily saw-tooth: then the queue is a line of daily means in the band of daily extremes, and
reviewers are those of the fullest grid time of each day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sim.views.courses import DAILY, Course, busiest, course, has_limit
from sim.views.curves import Event, cube, names_in, only
from sim.views.marks import ROW_PT, mark
from sim.views.palette import LABEL_PT, SMALL_PT, WIDTH_IN
from sim.views.style import (
    Entry,
    axis_label,
    dress,
    families,
    figure_of,
    heading,
    house_style,
    legend_below,
    new_axes,
    new_figure,
    note,
    plain,
)
from sim.views.ticks import CountTicks, time_axis

MAX_PANELS = 6
_WAITING, _BUSY, _REVIEWERS = "#0072B2", "#D55E00", "#777777"


def _line(ax: Axes, run: Course, hue: str, *, name: str, steps: bool = False) -> Line2D:
    """Draw one course with its band."""
    single = len(run.times) == 1
    style = "steps-post" if steps else "default"
    (line,) = ax.plot(run.times, run.line, color=hue, linewidth=1.2, drawstyle=style, label=name)
    if single:
        line.set_marker("o")
    if np.isfinite(run.low).any() and not single:
        ax.fill_between(
            run.times,
            np.maximum(run.low, 0),
            run.high,
            color=hue,
            alpha=0.2,
            linewidth=0,
            label=f"_band:{name}",
        )
    return line


def _peak(run: Course) -> float:
    """Give the highest value of a course and its band."""
    return float(np.nanmax(np.where(np.isfinite(run.high), run.high, run.line)))


def _right_axis(ax: Axes, top: float) -> Axes:
    """Add the axis of reviewers at the right."""
    right = ax.twinx()
    right.tick_params(labelsize=SMALL_PT, labelfontfamily=list(families()), color="#888888", labelcolor=_BUSY)
    for side in ("top", "left", "bottom"):
        right.spines[side].set_visible(False)
    right.spines["right"].set_color("#888888")
    ax.set_zorder(right.get_zorder() + 1)  # the queue in front of the reviewers
    ax.patch.set_visible(False)
    right.set_ylim(0, max(top * 1.12, 1.0))
    right.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    right.yaxis.set_major_formatter(CountTicks())
    plain(right.set_ylabel("reviewers", fontsize=LABEL_PT, color=_BUSY))
    return right


def _crew(table: pd.DataFrame, name: str) -> Course | None:
    """Make the course of reviewers there are; ``None`` for an unlimited desk."""
    if not has_limit(table):
        return None
    known = table.assign(reviewers=table["reviewers"].astype("Float64").fillna(0).astype(float))
    return course(cube(known, "reviewers", "desk").drawn([name], None), most=True)[0]


def _draw(ax: Axes, table: pd.DataFrame, name: str) -> list[Entry]:
    """Draw one desk on dressed Axes; return entries for the legend."""
    waiting, band = course(cube(table, "waiting", "desk").drawn([name], None))
    busy, _ = course(cube(table, "busy", "desk").drawn([name], None), most=True)
    crew = _crew(table, name)
    ax.set_ylim(0, max(_peak(waiting) * 1.08, 1.0))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.yaxis.set_major_formatter(CountTicks())
    ax.tick_params(axis="y", labelcolor=_WAITING)
    plain(ax.set_ylabel("accounts waiting", fontsize=LABEL_PT, color=_WAITING))
    right = _right_axis(ax, max(_peak(run) for run in (busy, crew) if run is not None))
    mean, most = (", daily mean", ", most of the day") if band == DAILY else ("", "")
    entries: list[Entry] = []
    if crew is not None:
        line = _line(right, crew, _REVIEWERS, name="reviewers", steps=True)
        line.set(linewidth=0.8)
        right.fill_between(crew.times, crew.line, color=_REVIEWERS, alpha=0.22, linewidth=0, step="post")
        entries.append((Patch(facecolor=(*to_rgb(_REVIEWERS), 0.22), edgecolor=_REVIEWERS), f"reviewers{most} (right)"))
    entries += [
        (_line(right, busy, _BUSY, name="busy"), f"reviewers busy{most} (right)"),
        (_line(ax, waiting, _WAITING, name="waiting"), f"accounts waiting{mean} (left)"),
    ]
    if band:
        entries.append((Patch(facecolor=_WAITING, alpha=0.25, linewidth=0), f"band: {band}"))
    time_axis(ax, waiting.times)
    return entries


def _panel(
    ax: Axes, desks: pd.DataFrame, name: str, events: Sequence[Event], *, labels: bool = True
) -> tuple[list[Entry], int]:
    """Fill one panel; return the entries of its legend and the rows of its event labels."""
    table = only(desks, "desk", name)
    dress(ax)
    entries = _draw(ax, table, name)
    marked = mark(ax, events, labels=labels)
    unlimited = "" if has_limit(table) else " (reviewers: unlimited)"
    heading(ax, f"Load of desk {name}{unlimited}", pad_pt=6 + marked.rows * ROW_PT)
    return [*entries, *marked.entries], marked.rows


@house_style()
def desk_load(
    desks: pd.DataFrame, *, desk: str | None = None, events: Iterable[Event] = (), ax: Axes | None = None
) -> Axes:
    """Draw the load of one desk over time.

    Parameters
    ----------
    desks
        Table `desks` of a run.
    desk
        Which desk; by default the one with most accounts waiting on average.
    events
        ``(time, label, kind)`` each, kind ``"phase"`` or ``"wave"``.
    ax
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes
        Accounts waiting on its left axis; reviewers busy and present on a twin at the right. An
        unlimited desk has no line of reviewers and the title says so.

    Raises
    ------
    ValueError
        When there is no such desk.
    """
    ax, own = new_axes(ax)
    if desk is not None:
        only(desks, "desk", desk)
    if desks.empty:
        heading(ax, "Desk load")
        note(ax, "no desks")
        return ax
    name = desk if desk is not None else busiest(desks)[0]
    entries, rows = _panel(ax, desks, name, tuple(events))
    axis_label(ax, x="simulated date")
    _, lines = legend_below(ax, entries)
    if own:
        figure_of(ax).set_figheight(2.9 + 0.17 * lines + rows * ROW_PT / 72)
    return ax


@house_style()
def desk_panels(desks: pd.DataFrame, *, events: Iterable[Event] = ()) -> Figure:
    """Draw every desk on a panel of its own, below each other; at most six, those with most waiting.

    Parameters
    ----------
    desks
        Table `desks` of a run, not empty.
    events
        ``(time, label, kind)`` each.

    Returns
    -------
    Figure
        As high as it has panels.
    """
    names = busiest(desks)
    shown = [name for name in names_in(desks["desk"]) if name in names[:MAX_PANELS]]
    figure = new_figure(2.4 * len(shown) + 0.8)
    panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    seen = tuple(events)
    rows, entries = 0, dict[str, Artist]()
    for ax, name in zip(panels, shown, strict=True):
        own, used = _panel(ax, desks, name, seen, labels=ax is panels[0])
        rows += used
        entries.update({text: artist for artist, text in own})
    axis_label(panels[-1], x="simulated date")
    if len(names) > len(shown):
        entries[f"{len(names) - len(shown)} desks with fewer waiting are not drawn"] = Line2D([], [], linestyle="none")
    _, lines = legend_below(panels[-1], [(artist, text) for text, artist in entries.items()])
    figure.set_size_inches(WIDTH_IN, 2.2 * len(shown) + 0.7 + 0.17 * lines + rows * ROW_PT / 72)
    return figure
