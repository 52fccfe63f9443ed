"""Accounts in each state over time: a stack of areas, or lines where states are rare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from sim.views import ticks
from sim.views.curves import Cube, Event, Floats, cube, leading, log_limits, only, student
from sim.views.palette import OTHERS_COLOUR, colour, hatch
from sim.views.series import draw_line, finish
from sim.views.style import Entry, axis_label, dress, heading, house_style, new_axes, note
from sim.views.words import shorten

_RARE_SHARE = 0.05  # a stack in which all states but one stay below this shows one colour


def _shares(states: Cube) -> Floats:
    """Give the share of accounts in each state, mean over replications: (time, state)."""
    totals = states.values.sum(axis=2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return student(states.values / totals)[0]


def _stack(
    ax: Axes, times: NDArray[np.datetime64], values: Floats, names: Sequence[str], others: str | None
) -> list[Entry]:
    """Stack areas (bars when the grid has one time), the first state at the bottom."""
    top = np.concatenate([np.zeros((len(times), 1)), np.cumsum(np.nan_to_num(values), axis=1)], axis=1)
    entries: list[Entry] = []
    for k, name in enumerate(names):
        hue = OTHERS_COLOUR if name == others else colour(k)
        marks = "" if name == others else hatch(k)
        look: dict[str, Any] = {"facecolor": hue, "alpha": 0.85, "edgecolor": "white", "linewidth": 0.4, "hatch": marks}
        if len(times) == 1:
            width = np.timedelta64(8, "h")
            ax.bar(times, top[:, k + 1] - top[:, k], bottom=top[:, k], width=width, label=name, **look)
        else:
            ax.fill_between(times, top[:, k], top[:, k + 1], label=name, **look)
        entries.append((Patch(**look), shorten(name, 24)))
    return entries


def _state_lines(ax: Axes, states: Cube, values: Floats, shares: bool, others: str | None) -> list[Entry]:
    """Draw a line per state on a logarithmic axis; a state is absent while nobody is in it."""
    entries: list[Entry] = []
    for k, name in enumerate(states.names):
        line = draw_line(ax, states.times, np.where(values[:, k] > 0, values[:, k], np.nan), k, name, others)
        entries.append((line, shorten(name, 24)))
    ticks.value_axis(ax, shares=shares, log=True, limits=log_limits(values))
    return entries


@house_style()
def states_over_time(
    occupancy: pd.DataFrame,
    *,
    segment: str | None = None,
    style: Literal["share", "count"] | None = None,
    log: bool | None = None,
    events: Iterable[Event] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw how many accounts are in each state over time.

    Parameters
    ----------
    occupancy
        Table `occupancy` of a run; values are means over its replications.
    segment
        One segment; by default all together.
    style
        ``"share"`` of the accounts that have joined, or ``"count"`` of accounts. By default shares in
        a stack and counts in lines, where one account among a thousand million would be 0.0000001 %.
    log
        False: a stack of areas. True: lines on a logarithmic axis, not stacked, since heights on
        such an axis do not add up. By default lines when every state but one stays below 5 % of the
        accounts at all times, for then a stack shows one colour.
    events
        ``(time, label, kind)`` each, kind ``"phase"`` or ``"wave"``.
    ax
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes
        With the states in file order; beyond twelve the eleven with the highest peaks and the rest
        as "others". States nobody was in are left out.

    Raises
    ------
    ValueError
        When there is no such segment or style.
    """
    if style not in (None, "share", "count"):
        raise ValueError(f"style: no {style!r}. Allowed: share, count")
    table = only(occupancy, "segment", segment)
    ax, own = new_axes(ax)
    dress(ax)
    title = "Accounts in each state" + (f": {segment}" if segment is not None else "")
    if table.empty or not table["accounts"].to_numpy().any():
        heading(ax, title)
        note(ax, "no accounts")
        return ax
    states = cube(table, "accounts", "state")
    peaks = np.nan_to_num(_shares(states)).max(axis=0)
    used = [name for name, peak in zip(states.names, peaks, strict=True) if peak > 0]
    lead, rest = leading(used, peaks[peaks > 0])
    others = f"others ({rest} states)" if rest else None
    states = states.drawn(lead, others)
    if log is None:
        log = len(used) > 1 and bool(np.sort(peaks)[-2] < _RARE_SHARE)
    shares = style == "share" or (style is None and not log)
    values = _shares(states) if shares else states.values.mean(axis=0)
    if log:
        entries = _state_lines(ax, states, values, shares, others)
    else:
        entries = _stack(ax, states.times, values, states.names, others)
        top = 1.0 if shares else float(np.nansum(values, axis=1).max())
        ticks.value_axis(ax, shares=shares, limits=(0.0, top))
    ticks.time_axis(ax, states.times)
    unit = "share of joined accounts" if shares else "accounts"
    axis_label(ax, y=unit + (", logarithmic" if log else ""))
    return finish(ax, own, title, events, entries)
