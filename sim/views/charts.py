"""Charts for pages: functions that take tables and return Altair charts, for the report and the app alike.

=====================  =====================================================================
`ban_rate`             ban-rate curves by segment, with 95 % bands
`occupancy`            accounts in each state, of all segments or some
`flows`                moves between states, as bars
`desk_waiting`         accounts waiting before each desk
`desk_reviewers`       reviewers busy and present at one desk
`difference`           how far ban rates lie from those of a first scenario, with 95 % bands
`rates`                ban rates of the two scenarios of a comparison
`sweep_line`           a measure along one axis of a sweep
`sweep_heat`           a measure over two axes of a sweep
=====================  =====================================================================

The first five take a second table of the same kind, drawn beside the first: of two curves the first is dashed. What a chart of curves lets
a page set, and how it is thinned, is told in `sim.views.chart_lines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from sim.views import words
from sim.views.chart_lines import COUNT_LABELS, LABELS, Lines, layered, line_chart
from sim.views.courses import Course, busiest, course, has_limit
from sim.views.curves import SHARES, Share, cube, leading, limits_of, only, replications, student
from sim.views.palette import COLOURS
from sim.views.scales import broken

MOST_BARS = 15
ACCENT = COLOURS[0]
FAINT = "#9AA3AB"


def ban_lines(
    bans: pd.DataFrame, share: Share = "ever_banned", *, coupled: bool = False, segments: Sequence[str] = ()
) -> Lines:
    """Ban-rate curves of a table `bans`, as `sim.views.bans.ban_rate` draws them.

    Parameters
    ----------
    share
        Which share of the joined accounts.
    coupled
        Whether a limited desk couples the accounts: one replication then tells no limits.
    segments
        Segments to draw; by default all, and beyond twelve the eleven with most bans and the rest pooled.
    """
    counts, joined = cube(bans, share, "segment"), cube(bans, "joined", "segment")
    weights = counts.values[:, -1].sum(axis=0) + 1e-12 * joined.values[:, -1].sum(axis=0)
    lead, rest = (tuple(segments), 0) if segments else leading(counts.names, weights)
    others = f"others ({rest} segments, pooled)" if rest else None
    counts, joined = counts.drawn(lead, others), joined.drawn(lead, others)
    mean, low, high, said = limits_of(counts, joined, coupled)
    return Lines(counts.times, counts.names, mean, low, high, others or "", said)


def _courses(courses: dict[str, Course], said: str) -> Lines:
    first = next(iter(courses.values()))
    mean, low, high = (
        np.stack([getattr(each, part) for each in courses.values()], axis=1) for part in ("line", "low", "high")
    )
    return Lines(first.times, tuple(courses), mean, np.maximum(low, 0.0), high, said=said)


def _both(first: pd.DataFrame, second: pd.DataFrame | None) -> list[pd.DataFrame]:
    return [first] if second is None else [first, second]


def ban_rate(
    bans: pd.DataFrame,
    other: pd.DataFrame | None = None,
    *,
    labels: Sequence[str] = LABELS,
    share: Share = "ever_banned",
    coupled: bool = False,
    segments: Sequence[str] = (),
    **options: Any,
) -> alt.LayerChart:
    """Ban-rate curves by segment with 95 % bands, of a table `bans` or of two (see `ban_lines`; `options` are those of `line_chart`)."""
    first = ban_lines(bans, share, coupled=coupled, segments=segments)
    drawn = [first]
    if other is not None:
        lead = [name for name in first.names if name != first.others]
        drawn.append(ban_lines(other, share, coupled=coupled, segments=lead if first.others else first.names))
    title, axis = SHARES[share]
    return line_chart(drawn, axis, labels=labels, **{"described": f"{title} by segment over time", **options})


def occupancy_lines(occupancy: pd.DataFrame, segments: Sequence[str] = (), *, states: Sequence[str] = ()) -> Lines:
    """Accounts in each state, means over replications; beyond twelve states the eleven with the highest peaks, the rest as "others"."""
    table = occupancy[occupancy["segment"].isin(list(segments))] if segments else occupancy
    counts = cube(table, "accounts", "state")
    peaks = counts.values.mean(axis=0).max(axis=0)
    used = list(states) or [name for name, peak in zip(counts.names, peaks, strict=True) if peak > 0]
    lead, rest = leading(used, np.array([peaks[counts.names.index(name)] for name in used]))
    others = f"others ({rest} states)" if rest else None
    counts = counts.drawn(lead, others)
    if len(counts.values) > 1:
        mean, low, high = student(counts.values)
        return Lines(counts.times, counts.names, mean, np.maximum(low, 0.0), high, others or "")
    none = np.full(counts.values.shape[1:], np.nan)
    return Lines(counts.times, counts.names, counts.values[0], none, none, others or "")


def occupancy(
    occupancy: pd.DataFrame,
    other: pd.DataFrame | None = None,
    *,
    segments: Sequence[str] = (),
    labels: Sequence[str] = LABELS,
    **options: Any,
) -> alt.LayerChart:
    """Accounts in each state, of all segments or of some together, of a table `occupancy` or of two (`options` are those of `line_chart`)."""
    first = occupancy_lines(occupancy, segments)
    drawn = [first]
    if other is not None:
        drawn.append(occupancy_lines(other, segments, states=[name for name in first.names if name != first.others]))
    told = {"described": "Accounts in each state over time", **options}
    return line_chart(drawn, "accounts", labels=labels, shares=False, **told)


def desk_waiting(
    desks: pd.DataFrame, other: pd.DataFrame | None = None, *, labels: Sequence[str] = LABELS, **options: Any
) -> alt.LayerChart:
    """Accounts waiting before each desk, of a table `desks` or of two: means over replications with 95 % bands, or daily means and extremes."""
    names, drawn = busiest(desks)[:12], []
    for table in _both(desks, other):
        found = {name: course(cube(only(table, "desk", name), "waiting", "desk").drawn([name], None)) for name in names}
        drawn.append(_courses({name: run for name, (run, _) in found.items()}, found[names[0]][1]))
    told = {"described": "Accounts waiting before each desk over time", **options}
    return line_chart(drawn, "accounts waiting", labels=labels, shares=False, **told)


def desk_reviewers(
    desks: pd.DataFrame,
    other: pd.DataFrame | None = None,
    *,
    desk: str | None = None,
    labels: Sequence[str] = LABELS,
    **options: Any,
) -> alt.LayerChart:
    """Reviewers busy and reviewers present at one desk (that with most waiting); on a grid finer than a day those of the fullest grid time."""
    name, drawn = desk if desk is not None else busiest(desks)[0], []
    tables = [only(table, "desk", name) for table in _both(desks, other)]
    limited = all(has_limit(table) for table in tables)
    for table in tables:
        known = table.assign(reviewers=table["reviewers"].astype("Float64").fillna(0).astype(float))
        columns = {"busy": "busy", "present": "reviewers"} if limited else {"busy": "busy"}
        found = {
            told: course(cube(known, column, "desk").drawn([name], None), most=True)[0].bare
            for told, column in columns.items()
        }
        drawn.append(_courses(found, ""))
    told = {"described": "Reviewers busy and present over time", **options}
    return line_chart(drawn, "reviewers", labels=labels, shares=False, **told)


def move_counts(transitions: pd.DataFrame, segment: str | None = None) -> pd.DataFrame:
    """Moves between states by cause, mean over replications, most first: ``from_state, to_state, cause, moves``; joining is not one."""
    table = only(transitions, "segment", segment)
    moved = table[table["from_state"].notna() & (table["from_state"].astype(str) != "")]
    texts = {column: moved[column].astype(str) for column in ("from_state", "to_state", "cause")}
    runs = max(replications(transitions), 1)
    counted = pd.DataFrame({**texts, "moves": moved["transitions"].to_numpy(dtype=float) / runs})
    summed = counted.groupby(["from_state", "to_state", "cause"], sort=False)["moves"].sum().reset_index()
    return summed.sort_values("moves", ascending=False, kind="stable", ignore_index=True)


def flows(
    transitions: pd.DataFrame,
    other: pd.DataFrame | None = None,
    *,
    segment: str | None = None,
    labels: Sequence[str] = LABELS,
    described: str = "Moves between states by cause",
) -> alt.LayerChart:
    """Moves between states by cause, as bars: the fifteen with most moves of a table `transitions`, or of two side by side."""
    tables = [
        move_counts(table, segment).assign(result=label)
        for table, label in zip(_both(transitions, other), labels, strict=False)
    ]
    for table in tables:
        table["move"] = table["from_state"] + " → " + table["to_state"] + "  (" + table["cause"] + ")"
        table["text"] = [words.count(moves) for moves in table["moves"]]
    rows = pd.concat(tables, ignore_index=True)
    peaks = rows.groupby("move", sort=False)["moves"].max().sort_values(ascending=False, kind="stable")
    order = [str(name) for name in peaks.index[:MOST_BARS]]
    rows = rows.loc[rows["move"].isin(order), ["move", "result", "moves", "text"]]
    used = [str(label) for label in labels[: len(tables)]]
    hues = alt.Scale(domain=used, range=[ACCENT] if len(used) == 1 else [FAINT, ACCENT])
    key = alt.Legend(title=None, orient="bottom") if len(used) > 1 else None
    most = float(rows["moves"].max()) if len(rows) else 1.0
    beside = 7 * max((len(text) for text in rows["text"]), default=0) + 4  # pixels of the numbers beside the bars
    room = alt.Scale(domainMax=alt.ExprRef(f"{most!r} * width / max(width - {beside}, width / 3)"))
    base = alt.Chart().encode(
        x=alt.X("moves:Q", axis=alt.Axis(title="moves", labelExpr=COUNT_LABELS, tickCount=5), scale=room),
        y=alt.Y("move:N", sort=order, axis=alt.Axis(title=None, labelLimit=330, domain=False, ticks=False)),
        yOffset=alt.YOffset("result:N", sort=used),
        tooltip=[alt.Tooltip("move:N"), alt.Tooltip("result:N"), alt.Tooltip("moves:Q", format=",.6~r")],
    )
    bars = base.mark_bar(aria=False).encode(color=alt.Color("result:N", scale=hues, legend=key))
    told = base.mark_text(align="left", dx=4, color="#444444", fontSize=11, aria=False).encode(text="text:N")
    height = alt.Step(24 if len(used) == 1 else 15)
    return layered([bars, told], rows, height, described)


def _curve_lines(
    curves: pd.DataFrame, measure: str, scenario: str | None, parts: Sequence[str], by: str = "segment"
) -> Lines:
    """Curves of a comparison: `parts` are the columns of the middle and, if there are three, of the limits; beyond twelve the highest in A."""
    table = curves[curves["measure"] == measure]
    table = table[table["scenario"] == scenario] if scenario is not None else table
    table = table.assign(segment=table["segment"].fillna("").replace("", "all"))
    if by == "state":  # of all accounts together, which come first
        table = table[table["segment"] == table["segment"].iloc[0]]
    wide = {part: table.pivot(index="time", columns=by, values=part) for part in parts}
    names = tuple(dict.fromkeys(table[by]))
    ends = table[table["time"] == table["time"].max()].set_index(by)["a"].reindex(list(names))
    lead, _ = leading(names, ends.fillna(0.0).to_numpy(dtype=float))
    mean, *limits = (frame.reindex(columns=list(lead)).to_numpy(dtype=float) for frame in wide.values())
    low, high = limits or [np.full(mean.shape, np.nan)] * 2
    return Lines(wide[parts[0]].index.to_numpy(dtype="datetime64[us]"), lead, mean, low, high)


def difference(
    curves: pd.DataFrame, measure: str = "ban_rate", *, scenario: str | None = None, **options: Any
) -> alt.LayerChart:
    """Difference of a rate over time, with 95 % bands, by segment: of a table `curves` of a comparison (`options` are those of `line_chart`)."""
    lines = _curve_lines(curves, measure, scenario, ("difference", "low", "high"))
    told = {"described": "Difference over time, by segment", **options}
    return line_chart([lines], "difference, in percentage points", **told)


def rates(
    curves: pd.DataFrame, measure: str = "ban_rate", *, scenario: str | None = None, **options: Any
) -> alt.LayerChart:
    """A rate over time in both scenarios, by segment: of a table `curves` of a comparison (`options` are those of `line_chart`)."""
    of_a, of_b = (_curve_lines(curves, measure, scenario, (part,)) for part in ("a", "b"))
    told = {"described": "Rates of both scenarios over time, by segment", **options}
    return line_chart([of_a, of_b], "joined accounts ever banned", **told)


def states(curves: pd.DataFrame, *, scenario: str | None = None, **options: Any) -> alt.LayerChart:
    """Share of all accounts in each state in both scenarios: of a table `curves` of a comparison (`options` are those of `line_chart`)."""
    of_a, of_b = (_curve_lines(curves, "occupancy_share", scenario, (part,), "state") for part in ("a", "b"))
    told = {"described": "Shares of accounts in each state of both scenarios over time", **options}
    return line_chart([of_a, of_b], "joined accounts in the state", **told)


def _in_lines(label: str) -> list[str]:
    """A path as the title of an axis, in lines that a phone has room for."""
    return broken(label, 34).split("\n")


def sweep_line(rows: pd.DataFrame, label: str, *, numeric: bool, shares: bool) -> alt.LayerChart:
    """A measure along one axis of a sweep, with its limits: ``x, x_text, value, low, high``, a row for each point."""
    kind: Any = "quantitative" if numeric else "nominal"
    x = alt.X("x", type=kind, sort=None, scale=alt.Undefined if not numeric else alt.Scale(zero=False))
    x = x.axis(alt.Axis(title=_in_lines(label), grid=False))
    told: dict[str, Any] = {"format": ".3~p"} if shares else {"labelExpr": COUNT_LABELS}
    y = alt.Y("value:Q", axis=alt.Axis(title=None, tickCount=6, **told), scale=alt.Scale(zero=False))
    written = ".4~p" if shares else ",.6~r"
    tips = [alt.Tooltip("x_text:N", title=label)]
    tips += [alt.Tooltip(f"{part}:Q", format=written) for part in ("value", "low", "high")]
    base = alt.Chart().encode(x=x)
    band = base.mark_area(opacity=0.16, color=ACCENT, aria=False).encode(y=y.copy(), y2="high:Q")
    band = band.encode(y=alt.Y("low:Q", axis=alt.Axis(title=None, tickCount=6, **told), scale=alt.Scale(zero=False)))
    line = base.mark_line(color=ACCENT, aria=False, point={"filled": True, "size": 55}).encode(y=y, tooltip=tips)
    layers = [band, line] if rows["low"].notna().any() else [line]
    return layered(layers, rows, 300, f"A line along {label}")


def sweep_heat(
    rows: pd.DataFrame, labels: tuple[str, str], orders: tuple[Sequence[str], Sequence[str]], *, shares: bool
) -> alt.LayerChart:
    """A measure over two axes of a sweep: ``x_text, y_text, value, low, high``; the first axis upwards, the second to the right."""
    up, right = orders
    above, below = (_in_lines(label) for label in labels)
    written = ".4~p" if shares else ",.6~r"
    tips = [alt.Tooltip("x_text:N", title=labels[0]), alt.Tooltip("y_text:N", title=labels[1])]
    tips += [alt.Tooltip(f"{part}:Q", format=written) for part in ("value", "low", "high")]
    base = alt.Chart().encode(
        y=alt.Y(
            "x_text:N",
            sort=list(up)[::-1],
            axis=alt.Axis(title=above, titleAngle=0, titleAlign="left", titleX=0, titleY=-14 * len(above)),
        ),
        x=alt.X("y_text:N", sort=list(right), axis=alt.Axis(title=below, labelAngle=0)),
        tooltip=tips,
    )
    key = alt.Legend(title=None, format=".3~p" if shares else ".3~s", orient="bottom", gradientLength=180, tickCount=3)
    cells = base.mark_rect(aria=False).encode(
        color=alt.Color("value:Q", scale=alt.Scale(scheme="blues", zero=False), legend=key)
    )
    layers = [cells]
    if len(rows) <= 100:
        middle = float(rows["value"].min() + rows["value"].max()) / 2
        ink = alt.condition(alt.datum.value > middle, alt.value("white"), alt.value("#1d2327"))
        text = base.mark_text(fontSize=12, aria=False)
        layers.append(text.encode(text=alt.Text("value:Q", format=".3~p" if shares else ",.4~r"), color=ink))
    height = alt.Step(34 if len(up) <= 20 else 14)
    described = f"Colours over {labels[0]} and {labels[1]}"
    return layered(layers, rows, height, described)
