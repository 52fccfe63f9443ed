"""Bans over time: the ban rate with its bands, and when first bans come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from sim.views import ticks, words
from sim.views.curves import SHARES, Cube, Event, Floats, Share, cube, leading, limits_of, log_limits, only
from sim.views.palette import COLOURS, INK, OTHERS_COLOUR
from sim.views.series import draw_band, draw_line, finish
from sim.views.style import Entry, axis_label, dress, heading, house_style, new_axes, note, plain
from sim.views.words import shorten

_LOG_SPREAD = 50.0  # on a linear axis a curve this much lower than the highest lies on the ground
_MAX_CURVES = 6
_MAX_ROWS = 25


def _rate_axis(ax: Axes, mean: Floats, high: Floats, log: bool | None) -> None:
    """Scale the axis of ban rates."""
    last = mean[-1][mean[-1] > 0]
    if log is None:
        log = last.size > 1 and bool(last.max() / last.min() > _LOG_SPREAD)
    if log and (mean > 0).any():
        floor = float(last.min()) / 1000 if last.size else 0.0
        ticks.value_axis(ax, shares=True, log=True, limits=log_limits(mean, floor=floor))
        return
    peak = float(np.nanmax(mean, initial=0.0))
    most = float(np.nanmax(high, initial=0.0))
    top = max(1.06 * peak, min(1.03 * most, 2 * peak)) if peak > 0 else 1.1 * most
    ticks.value_axis(ax, shares=True, limits=(0.0, top if top > 0 else 0.01))


@house_style()
def ban_rate(
    bans: pd.DataFrame,
    *,
    segments: Sequence[str] | None = None,
    share: Share = "ever_banned",
    events: Iterable[Event] = (),
    log: bool | None = None,
    coupled: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw ban-rate curves by segment with 95 % bands.

    Parameters
    ----------
    bans
        Table `bans` of a run.
    segments
        Segments to draw, all of them; by default those of the table, and beyond twelve the eleven with
        most accounts banned at the end and the rest pooled as "others".
    share
        Which share of joined accounts: those that have ever been banned (the ban rate), those
        banned at the time, or those whose first ban was wrongful.
    events
        ``(time, label, kind)`` each, kind ``"phase"`` or ``"wave"``.
    log
        A logarithmic axis; by default when the rates at the end differ more than fiftyfold.
    coupled
        Whether a limited desk couples the accounts: one replication then tells no limits.
    ax
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes
        With one line per segment, labelled by its name. Bands are Student-t limits over
        replications (cut to 0..1) or, with one replication, Wilson limits over accounts.

    Raises
    ------
    ValueError
        When there is no such segment or share.
    """
    if share not in SHARES:
        raise ValueError(f"share: no {share!r}. Allowed: {', '.join(SHARES)}")
    for name in segments or ():
        only(bans, "segment", name)
    ax, own = new_axes(ax)
    dress(ax)
    title, axis = SHARES[share]
    if bans.empty:
        heading(ax, title)
        note(ax, "no accounts")
        return ax
    counts, joined = cube(bans, share, "segment"), cube(bans, "joined", "segment")
    ranked = counts.values[:, -1].sum(axis=0) + 1e-12 * joined.values[:, -1].sum(axis=0)
    lead, rest = leading(counts.names, ranked) if segments is None else (tuple(segments), 0)
    others = f"others ({rest} segments, pooled)" if rest else None
    counts, joined = counts.drawn(lead, others), joined.drawn(lead, others)
    mean, low, high, said = limits_of(counts, joined, coupled)
    _rate_axis(ax, mean, high, log)
    entries: list[Entry] = []
    for k, name in enumerate(counts.names):
        line = draw_line(ax, counts.times, mean[:, k], k, name, others)
        if np.isfinite(low[:, k]).any():
            draw_band(ax, counts.times, low[:, k], high[:, k], line)
        entries.append((line, shorten(name, 24)))
    banded = np.isfinite(low).any()
    key: Artist = Patch(facecolor="#888888", alpha=0.3, linewidth=0) if banded else Line2D([], [], linestyle="none")
    entries.append((key, said))
    ticks.time_axis(ax, counts.times)
    axis_label(ax, y=axis)
    if not counts.values.any():
        note(ax, "no bans")
    return finish(ax, own, f"{title} by segment", events, entries)


def _reached(times: NDArray[np.datetime64], pooled: Floats, level: float) -> np.datetime64:
    """Find the first grid time by which a share of the last count has come."""
    return np.datetime64(times[int(np.argmax(pooled >= level * pooled[-1] - 1e-9))])


def _ban_curves(ax: Axes, counts: Cube, runs: int) -> list[Entry]:
    """Draw one cumulative curve per segment, with median and quartiles."""
    ticks.value_axis(ax, shares=True, limits=(0.0, 1.03))
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axis_label(ax, y="share of first bans in the run")
    entries: list[Entry] = []
    for k, name in enumerate(counts.names):
        pooled = counts.values[:, :, k].sum(axis=0)
        line = draw_line(ax, counts.times, pooled / pooled[-1], k, name, None)
        line.set_drawstyle("steps-post")
        for level, size in ((0.25, 4.0), (0.5, 7.0), (0.75, 4.0)):
            at = _reached(counts.times, pooled, level)
            height = float(pooled[np.searchsorted(counts.times, at)] / pooled[-1])
            (dot,) = ax.plot([at], [height], "o", color=line.get_color(), markersize=size, markeredgecolor="white")
            dot.set(zorder=4, label=f"_quantile {level:g}:{name}")
        middle = str(_reached(counts.times, pooled, 0.5).astype("datetime64[D]"))
        entries.append((line, f"{shorten(name, 14)}: median {middle}, {words.count(pooled[-1] / runs)} bans"))
    entries.append((Line2D([], [], marker="o", color=INK, linestyle="none", markersize=5), "median (small: quartiles)"))
    return entries


def _ban_rows(ax: Axes, counts: Cube, runs: int, others: str | None) -> list[Entry]:
    """Draw one row per segment: a bar between the quartiles, a line from 5 % to 95 %, a dot at the median."""
    looks: dict[str, dict[str, Any]] = {
        "5 % to 95 % of first bans": {"linewidth": 1.2},
        "quartiles": {"linewidth": 6.0, "solid_capstyle": "butt"},
        "median": {"marker": "o", "markersize": 6.5, "markeredgecolor": "white", "linestyle": "none"},
    }
    levels = {"5 % to 95 % of first bans": (0.05, 0.95), "quartiles": (0.25, 0.75), "median": (0.5,)}
    hues = {"median": COLOURS[1]}
    for row, name in enumerate(counts.names):
        pooled = counts.values[:, :, row].sum(axis=0)
        for what, own in levels.items():
            at = [_reached(counts.times, pooled, level) for level in own]
            hue = hues.get(what, OTHERS_COLOUR if name == others else COLOURS[0])
            ax.plot(at, [row] * len(at), color=hue, label=f"_{what}:{name}", **looks[what])
    bans = [f"{words.count(number)} bans" for number in counts.values[:, -1].sum(axis=0) / runs]
    names = [f"{shorten(name, 16)}, {number}" for name, number in zip(counts.names, bans, strict=True)]
    ax.set_yticks(range(len(names)), names)
    for text in ax.get_yticklabels():
        plain(text)
    ax.set_ylim(len(names) - 0.4, -0.6)
    return [(Line2D([], [], color=hues.get(what, COLOURS[0]), **looks[what]), what) for what in levels]


@house_style()
def time_to_ban(bans: pd.DataFrame, *, events: Iterable[Event] = (), ax: Axes | None = None) -> Axes:
    """Draw when first bans come, with median and quartiles of each segment.

    Parameters
    ----------
    bans
        Table `bans` of a run; replications are pooled.
    events
        ``(time, label, kind)`` each, kind ``"phase"`` or ``"wave"``.
    ax
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes
        Up to six segments with bans: one line each. Of the segment's first bans within the run it gives
        the share that has come by each date, so every curve ends at 100 %, whatever the ban rate. A
        large dot marks the median, small ones the quartiles; the legend gives the median date and
        the number of bans (mean over replications). More segments: one row each with
        median, quartiles, 5 % and 95 %; beyond 25 those with most bans and the rest pooled as
        "others". A quantile is the first grid time by which that share has come.
    """
    ax, own = new_axes(ax)
    dress(ax)
    counts = cube(bans, "ever_banned", "segment")
    runs = max(len(counts.values), 1)
    final = counts.values[:, -1].sum(axis=0) if len(counts.times) else np.zeros(0)
    if len(counts.times):
        ticks.time_axis(ax, counts.times)
    if not final.any():
        ticks.value_axis(ax, shares=True, limits=(0.0, 1.03))
        axis_label(ax, y="share of first bans in the run")
        note(ax, "no bans")
        return finish(ax, own, "When first bans come", events, [])
    banned = [name for name, number in zip(counts.names, final, strict=True) if number > 0]
    lead, rest = leading(banned, final[final > 0], most=_MAX_ROWS)
    others = f"others ({rest} segments)" if rest else None
    counts = counts.drawn(lead, others)
    if len(banned) <= _MAX_CURVES:
        return finish(ax, own, "When first bans come", events, _ban_curves(ax, counts, runs))
    entries = _ban_rows(ax, counts, runs, others)
    height_in = max(0.9 + 0.19 * len(counts.names), 3.2)
    return finish(ax, own, "When first bans come, by segment", events, entries, height_in)
