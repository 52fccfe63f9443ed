"""Events on a time axis: phases that start and waves that strike, with labels that do not overlap.

An event is ``(time, label, kind)``, with `kind` either ``"phase"`` (dashed line) or ``"wave"``
(dotted line). Labels stand in rows above the Axes, each beside its own line. A later event takes
the lower row, so that the lines of later events pass under the labels of earlier ones, not
through them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sim.views.curves import Event
from sim.views.palette import SMALL_PT
from sim.views.style import Entry, figure_of, plain
from sim.views.ticks import days_of
from sim.views.words import shorten

ROW_PT = 11.0
MAX_ROWS = 4
_GAP_PT = 3.0
_LINES: dict[str, Any] = {"phase": (0, (5, 2)), "wave": (0, (1, 1.4))}
_SIGNS = {"phase": "▸", "wave": "▾"}
_KINDS = {"phase": ("phase starts", "phases start"), "wave": ("wave", "waves")}
_COLOUR = "#555555"


@dataclass(frozen=True)
class Marked:
    """What `mark` has drawn: rows of labels used, and entries for the legend."""

    rows: int
    entries: tuple[Entry, ...]


def rows_of(lefts: Sequence[float], rights: Sequence[float], *, most: int = MAX_ROWS) -> list[int | None]:
    """Place intervals in rows so that none overlap.

    Parameters
    ----------
    lefts, rights
        Ends of the intervals (labels), in points, in the order of their events.
    most
        Rows there are.

    Returns
    -------
    The row of each interval, 0 the lowest; ``None`` where no row was free.
    """
    rows: list[int | None] = [None] * len(lefts)
    taken: list[list[tuple[float, float]]] = [[] for _ in range(most)]
    for k in sorted(range(len(lefts)), key=lambda k: (-lefts[k], k)):
        left, right = lefts[k] - _GAP_PT, rights[k] + _GAP_PT
        lowest = 0
        for row in range(most):
            if any(left < other_right and other_left < right for other_left, other_right in taken[row]):
                lowest = row + 1  # stay above every label it would lie over, so that no line crosses it
        if lowest == most:
            free = (
                row
                for row in range(most)
                if not any(left < other_right and other_left < right for other_left, other_right in taken[row])
            )
            lowest = next(free, most)
        if lowest < most:
            rows[k] = lowest
            taken[lowest].append((left, right))
    return rows


def mark(ax: Axes, events: Iterable[Event], *, labels: bool = True) -> Marked:
    """Mark events on Axes whose x axis is a calendar and whose limits are set.

    Events outside the limits are left out. A label for which no row is free is left out too, and
    the legend says how many are labelled.

    Parameters
    ----------
    ax
        Axes with their final width; under a layout engine it is run first.
    events
        ``(time, label, kind)`` each.
    labels
        False draws the lines only, for a panel below one that has the labels.

    Raises
    ------
    ValueError
        For a kind other than ``"phase"`` and ``"wave"``.
    """
    low, high = ax.get_xlim()
    seen: list[tuple[float, str, str]] = []
    for time, label, kind in events:
        if kind not in _LINES:
            raise ValueError(f"events: kind {kind!r}; allowed: phase, wave")
        at = days_of(time)
        if low <= at <= high:
            seen.append((at, label, kind))
    if not seen:
        return Marked(0, ())
    seen.sort(key=lambda event: event[0])
    for at, label, kind in seen:
        ax.axvline(at, color=_COLOUR, linewidth=0.9, linestyle=_LINES[kind], zorder=1.5, label=f"_event:{label}")
    if not labels:
        return Marked(0, ())
    figure = figure_of(ax)
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
    rows = _label(ax, seen, 72.0 / figure.dpi)
    return Marked(max((row + 1 for row in rows if row is not None), default=0), _entries(seen, rows))


def _label(ax: Axes, seen: list[tuple[float, str, str]], points_per_pixel: float) -> list[int | None]:
    """Draw the labels of events, in the order of time, and the stems under them; return the row of each."""
    width_pt = ax.get_window_extent().width * points_per_pixel
    low, high = ax.get_xlim()
    texts, lefts, rights = [], [], []
    for at, label, kind in seen:
        text = ax.annotate(
            f"{_SIGNS[kind]} {shorten(label)}",
            xy=(at, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(2, 0),
            textcoords="offset points",
            fontsize=SMALL_PT,
            color="#333333",
            va="bottom",
            annotation_clip=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
            label=f"_label:{label}",
        )
        plain(text)
        long_pt = text.get_window_extent().width * points_per_pixel
        left = (at - low) / (high - low) * width_pt + 2
        texts.append(text)
        lefts.append(max(min(left, width_pt - long_pt), 0.0))
        rights.append(lefts[-1] + long_pt)
    rows = rows_of(lefts, rights)
    for (at, label, _), text, row, left in zip(seen, texts, rows, lefts, strict=True):
        if row is None:
            text.remove()
            continue
        raised = 2 + row * ROW_PT
        at_pt = (at - low) / (high - low) * width_pt
        text.xyann = (left - at_pt, raised)
        stem = {"arrowstyle": "-", "color": _COLOUR, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
        ax.annotate(
            "",
            xy=(at, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, raised + ROW_PT - 2),
            textcoords="offset points",
            arrowprops=stem,
            annotation_clip=False,
            zorder=2.0,
            label=f"_stem:{label}",
        )
    return rows


def _entries(seen: list[tuple[float, str, str]], rows: list[int | None]) -> tuple[Entry, ...]:
    """Make one entry of the legend for each kind of event."""
    entries: list[Entry] = []
    for kind, line in _LINES.items():
        labelled = [row is not None for (_, _, own), row in zip(seen, rows, strict=True) if own == kind]
        if labelled:
            one, many = _KINDS[kind]
            name = f"{_SIGNS[kind]} {one if len(labelled) == 1 else many}"
            if not all(labelled):
                name += f" ({sum(labelled)} of {len(labelled)} labelled)"
            entries.append((Line2D([], [], color=_COLOUR, linewidth=0.9, linestyle=line), name))
    return tuple(entries)
