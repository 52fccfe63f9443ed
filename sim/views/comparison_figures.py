"""Figures of a comparison: functions that take its tables and return Axes.

=======================  ===============================================================
`difference_curves`      difference of a ban rate over time, a panel for each segment
`flip_bars`              how many accounts end differently, and the rules behind it
`example_lives`          lives of the same account side by side, as lanes of states
=======================  ===============================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sim.views import ticks, words
from sim.views.curves import Event
from sim.views.marks import ROW_PT, mark
from sim.views.palette import INK, OTHERS_COLOUR, SMALL_PT, colour, hatch
from sim.views.series import draw_band, draw_line
from sim.views.style import (
    Entry,
    axis_label,
    dress,
    figure_of,
    heading,
    house_style,
    legend_below,
    new_axes,
    new_figure,
    note,
    plain,
)
from sim.views.words import shorten

Rate = Literal["ban_rate", "banned_share", "wrongful_ban_rate", "occupancy_share"]
_RATES = {
    "ban_rate": "ban rate",
    "banned_share": "share now banned",
    "wrongful_ban_rate": "wrongful ban rate",
    "occupancy_share": "share now in",
}
MOST_PANELS = 6
MOST_BARS = 12
MOST_LIVES = 6
MOST_RULES = 6


def _panel_segments(curves: pd.DataFrame) -> list[str]:
    """Segments to draw: all, or all together and those with the highest rates."""
    names = list(dict.fromkeys(curves["segment"]))
    if len(names) <= MOST_PANELS:
        return names
    last = curves[curves["time"] == curves["time"].max()]
    size = last.groupby("segment", sort=False)["difference"].agg(lambda values: values.abs().max())
    chosen = set(size.drop("", errors="ignore").nlargest(MOST_PANELS - 1).index)
    return [name for name in names if name == "" or name in chosen]


def _limit_axis(ax: Axes, rows: pd.DataFrame) -> None:
    """Scale the axis of differences: zero is always in the picture."""
    found = rows[["difference", "low", "high"]].to_numpy(dtype=float)
    found = found[np.isfinite(found)]
    low, high = min(0.0, float(found.min(initial=0.0))), max(0.0, float(found.max(initial=0.0)))
    room = 0.06 * (high - low) or 0.01
    ticks.value_axis(ax, shares=True, limits=(low - room, high + room))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.axhline(0.0, color=INK, linewidth=0.8, zorder=1.8)


@house_style()
def difference_curves(
    curves: pd.DataFrame,
    *,
    measure: Rate = "ban_rate",
    state: str = "",
    base: str = "A",
    said: str = "",
    events: Iterable[Event] = (),
) -> Axes:
    """Draw the difference of a ban rate, or of the share in a state, over time, with 95 % bands: a panel for each segment, a line for each scenario.

    Parameters
    ----------
    curves
        Table `curves` of a comparison.
    measure
        Which rate.
    state
        For ``occupancy_share``: of which state.
    base
        Name of the scenario that the others are compared with.
    said
        What the bands are.
    events
        ``(time, label, kind)`` each, kind ``"phase"`` or ``"wave"``.

    Returns
    -------
    Axes
        The first panel; beyond six segments those that differ most are drawn.

    Raises
    ------
    ValueError
        There is no curve of such a measure.
    """
    if measure not in _RATES:
        raise ValueError(f"measure: no {measure!r}. Allowed: {', '.join(_RATES)}")
    rows = curves[(curves["measure"] == measure) & (curves["state"] == state)]
    if rows.empty:
        known = ", ".join(dict.fromkeys(curves.loc[curves["measure"] == measure, "state"]))
        raise ValueError(f"state: no {state!r}. Allowed: {known or 'none'}")
    names, seen = _panel_segments(rows), tuple(events)
    figure = new_figure(1.1 + 1.25 * len(names))
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    entries: list[Entry] = []
    for number, (ax, segment) in enumerate(zip(panels, names, strict=True)):
        dress(ax)
        own = rows[rows["segment"] == segment]
        _limit_axis(ax, own)
        for k, scenario in enumerate(dict.fromkeys(own["scenario"])):
            each = own[own["scenario"] == scenario]
            times = each["time"].to_numpy(dtype="datetime64[us]")
            line = draw_line(ax, times, each["difference"].to_numpy(dtype=float), k, scenario, None)
            low, high = (each[name].to_numpy(dtype=float) for name in ("low", "high"))
            if np.isfinite(low).any():
                draw_band(ax, times, low, high, line)
            if number == 0:
                entries.append((line, f"{shorten(scenario, 30)} less {shorten(base, 30)}"))
        ticks.time_axis(ax, times)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        name = ax.text(0.008, 0.95, shorten(segment or "all accounts", 30), transform=ax.transAxes, va="top", bbox=box)
        plain(name).set_fontsize(SMALL_PT)
    marked = mark(panels[0], seen)
    for ax in panels[1:]:
        mark(ax, seen, labels=False)
    heading(
        panels[0], f"Difference of the {_RATES[measure]} {shorten(state, 36)}".rstrip(), pad_pt=6 + marked.rows * ROW_PT
    )
    axis_label(panels[-1], x="simulated date")
    key: Artist = Patch(facecolor="#888888", alpha=0.3, linewidth=0) if said else Line2D([], [], linestyle="none")
    entries.append((key, said or "no bands: one replication"))
    legend_below(panels[-1], [*entries, *marked.entries])
    first: Axes = panels[0]
    return first


@house_style()
def flip_bars(flips: pd.DataFrame, *, scenario: str | None = None, base: str = "A", ax: Axes | None = None) -> Axes:
    """Draw how many accounts end differently, by (fate in A, fate in B); colours tell the rule by which the lives part.

    Parameters
    ----------
    flips
        Table `flips` of a comparison; segments are pooled.
    scenario
        Which comparison; by default the first.
    base
        Name of the scenario that it is compared with.
    ax
        Axes to draw on; by default those of a new figure.
    """
    names = list(dict.fromkeys(flips["scenario"]))
    chosen = scenario or (names[0] if names else "")
    rows = flips[(flips["scenario"] == chosen) & flips["ends_differently"]]
    ax, own = new_axes(ax)
    dress(ax)
    title = f"Accounts that end differently in {shorten(chosen or 'B', 36)} than in {shorten(base, 36)}"
    if rows.empty:
        heading(ax, title)
        ax.set_axis_off()
        note(ax, "no account ends differently")
        return ax
    told = rows.assign(bar=rows["fate_a"] + " → " + rows["fate_b"])
    sizes = told.groupby("bar")["accounts"].sum().sort_values(ascending=False, kind="stable")
    bars = list(sizes.index[:MOST_BARS])
    rules = list(told.groupby("rule")["accounts"].sum().sort_values(ascending=False, kind="stable").index)
    told["shown"] = told["rule"].where(told["rule"].isin(rules[:MOST_RULES]), "other rules")
    counts = told.groupby(["bar", "shown"])["accounts"].sum()
    left = np.zeros(len(bars))
    entries: list[Entry] = []
    for k, rule in enumerate([*rules[:MOST_RULES], *(["other rules"] if len(rules) > MOST_RULES else [])]):
        width = np.array([float(counts.get((bar, rule), 0)) for bar in bars])
        look: dict[str, Any] = {"color": OTHERS_COLOUR if rule == "other rules" else colour(k), "hatch": hatch(k)}
        ax.barh(range(len(bars)), width, left=left, height=0.72, edgecolor="white", linewidth=0.4, label=rule, **look)
        entries.append((Patch(facecolor=look["color"], hatch=look["hatch"], edgecolor="white"), shorten(rule, 46)))
        left += width
    for row, bar in enumerate(bars):
        ax.text(left[row] + 0.008 * left.max(), row, words.count(float(sizes[bar])), va="center", fontsize=SMALL_PT)
    ax.set_yticks(range(len(bars)), [shorten(bar, 34) for bar in bars])
    for text in ax.get_yticklabels():
        plain(text)
    ax.set_ylim(len(bars) - 0.45, -0.55)
    ax.set_xlim(0.0, 1.12 * left.max())
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.xaxis.set_major_formatter(ticks.CountTicks())
    ax.grid(False, axis="y")
    rest = int(sizes.iloc[MOST_BARS:].sum())
    axis_label(ax, x="accounts" + (f" (not drawn: {rest:,} with {len(sizes) - len(bars)} rarer ends)" if rest else ""))
    heading(ax, title)
    _, lines = legend_below(ax, entries)
    if own:
        figure_of(ax).set_figheight(1.3 + 0.24 * len(bars) + 0.17 * lines)
    return ax


def _lane(ax: Axes, row: float, times: Sequence[Any], states: Sequence[str], end: Any, colours: dict[str, int]) -> None:
    """Draw one life as a lane of states."""
    bounds = [*(ticks.days_of(time) for time in times), ticks.days_of(end)]
    for begin, finish, state in zip(bounds, bounds[1:], states, strict=False):
        k = colours[state]
        ax.barh(
            row,
            finish - begin,
            left=begin,
            height=0.36,
            color=colour(k),
            hatch=hatch(k),
            edgecolor="white",
            linewidth=0.3,
        )


@house_style()
def example_lives(
    examples: pd.DataFrame, end: pd.Timestamp, *, scenario: str | None = None, base: str = "A", ax: Axes | None = None
) -> Axes:
    """Draw lives of the same account side by side: in A above, in B below, a tick where they part.

    Parameters
    ----------
    examples
        Table `examples` of a comparison.
    end
        End of the run.
    scenario, base, ax
        As for `flip_bars`.
    """
    names = list(dict.fromkeys(examples["scenario"]))
    chosen = scenario or (names[0] if names else "")
    rows = examples[examples["scenario"] == chosen]
    ax, own = new_axes(ax)
    dress(ax)
    title = f"The same accounts in {shorten(base, 36)} (upper lane) and in {shorten(chosen or 'B', 36)} (lower lane)"
    if rows.empty:
        heading(ax, title)
        ax.set_axis_off()
        note(ax, "no account ends differently")
        return ax
    lives = list(rows.groupby(["segment", "account"], sort=False))[:MOST_LIVES]
    shown = pd.concat([life for _, life in lives])
    states = dict.fromkeys(state for column in ("to_a", "to_b") for state in shown[column] if state)
    colours = {state: k for k, state in enumerate(states)}
    begin = min(shown["time_a"].min(), shown["time_b"].min())
    labels = []
    for number, ((segment, account), life) in enumerate(lives):
        for lane, side in enumerate("ab"):
            there = life[life[f"to_{side}"] != ""]
            _lane(ax, number + 0.4 * lane, list(there[f"time_{side}"]), list(there[f"to_{side}"]), end, colours)
        parted = life[life["parted"]].iloc[0]
        at = min(time for time in (parted["time_a"], parted["time_b"]) if not pd.isna(time))
        ax.plot([at, at], [number - 0.26, number + 0.66], color=INK, linewidth=1.6, zorder=4)
        labels.append(f"{shorten(str(segment), 16)}\n{account:,}")
    ax.set_yticks([number + 0.2 for number in range(len(lives))], labels)
    for text in ax.get_yticklabels():
        plain(text)
    ax.set_ylim(len(lives) - 0.2, -0.4)
    ax.grid(False, axis="y")
    ticks.time_axis(ax, np.array([begin, end], dtype="datetime64[us]"))
    axis_label(ax, x="simulated date")
    heading(ax, title)
    entries: list[Entry] = [
        (Patch(facecolor=colour(k), hatch=hatch(k), edgecolor="white"), shorten(state, 24))
        for state, k in colours.items()
    ]
    entries.append((Line2D([], [], color=INK, linewidth=1.6), "the lives part"))
    _, lines = legend_below(ax, entries)
    if own:
        figure_of(ax).set_figheight(1.2 + 0.42 * len(lives) + 0.17 * lines)
    return ax
