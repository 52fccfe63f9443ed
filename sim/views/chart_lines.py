"""Curves of a page: from numbers on a grid to an Altair chart with bands, events and a pointer that tells values.

A curve has at most 400 points (`MOST_POINTS`): of a longer grid every n-th time is drawn, first and last included. Names from a scenario are values
of rows and titles, never part of an expression. Times are UTC, as tables have no zone.

A chart of curves has three parameters that a page may set: ``shown`` (names of the series drawn), ``logarithmic`` (leaves out what has no logarithm;
the scale of y is a setting of its own) and ``hover`` (the time under the pointer).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from altair import data_transformers
from numpy.typing import NDArray

from sim.views.curves import Event, Floats, log_limits
from sim.views.palette import INK, OTHERS_COLOUR, colour, dash

MOST_POINTS = 400
MOST_LABELS = 6
"""Events beyond these are lines without a label; their names are in the tooltip."""

LABELS = ("baseline", "what-if")
COUNT_LABELS = "datum.value >= 1e4 ? replace(format(datum.value, '.3~s'), 'G', ' bn') : format(datum.value, ',.3~r')"
_PERCENT, _COUNT = ".4~p", ",.4~r"
_MOST_DECADES = 8
_LOG_FLOOR = 1000.0  # a logarithmic axis shows three powers of ten below the lowest end of a curve


@dataclass(frozen=True)
class Lines:
    """Curves on one grid: `mean`, `low` and `high` are (time, name), limits NaN where they are not known.

    Attributes
    ----------
    others
        The name that stands for several pooled together, ``""``: none.
    said
        What the limits are, in words.
    """

    times: NDArray[np.datetime64]
    names: tuple[str, ...]
    mean: Floats
    low: Floats
    high: Floats
    others: str = ""
    said: str = ""

    @property
    def thinned(self) -> Lines:
        """At most `MOST_POINTS` of the grid times, first and last among them."""
        kept = kept_points(len(self.times))
        return Lines(
            self.times[kept], self.names, self.mean[kept], self.low[kept], self.high[kept], self.others, self.said
        )


def kept_points(count: int) -> NDArray[np.int64]:
    """Places of the grid times that are drawn, of `count` there are."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(np.int64))


def _wide(drawn: Sequence[Lines]) -> pd.DataFrame:
    """One row a time; columns ``v<result>_<series>`` and its limits ``l…``, ``h…``."""
    frames = []
    for number, lines in enumerate(drawn):
        columns: dict[str, Floats] = {}
        for place in range(len(lines.names)):
            for mark, values in (("v", lines.mean), ("l", lines.low), ("h", lines.high)):
                columns[f"{mark}{number}_{place}"] = values[:, place]
        times = pd.DatetimeIndex(lines.times.astype("datetime64[ms]"), name="time").tz_localize("UTC")
        frames.append(pd.DataFrame(columns, index=times))
    return pd.concat(frames, axis=1).sort_index().reset_index()


def look(names: Sequence[str], others: str) -> tuple[list[str], list[list[float]]]:
    """Colours and dashes of the series."""
    hues = [OTHERS_COLOUR if name == others else colour(k) for k, name in enumerate(names)]
    dashes = [dash(k) for k in range(len(names))]
    return hues, [[] if style == "-" else [3 * part for part in style[1]] for style in dashes]


def _marks(events: Iterable[Event]) -> list[alt.Chart]:
    """Lines where phases begin and waves strike."""
    rows = [{"time": pd.Timestamp(at).tz_localize("UTC"), "event": label, "kind": kind} for at, label, kind in events]
    if not rows:
        return []
    base = alt.Chart(pd.DataFrame(rows)).encode(x=alt.X("time:T"))
    tips = [alt.Tooltip("event:N"), alt.Tooltip("kind:N")]
    rule = base.mark_rule(color="#777777", strokeDash=[2, 3], aria=False).encode(tooltip=tips)
    if len(rows) > MOST_LABELS:
        return [rule]
    text: dict[str, Any] = {"angle": 270, "align": "right", "dy": -5, "dx": -4, "limit": 120, "aria": False}
    return [rule, base.mark_text(color="#555555", fontSize=11, **text).encode(text="event:N", y=alt.value(0))]


def _folded(wide: pd.DataFrame, floor: float) -> alt.Chart:
    """Curves in long form: time, name, result, value, low, high; what is not shown is left out."""
    keys: list[str | alt.FieldName] = [column for column in wide.columns if column[0] == "v"]
    return (
        alt.Chart()
        .transform_fold(keys, as_=["key", "raw"])
        .transform_calculate(
            name="series_names[+split(datum.key, '_')[1]]",
            result="result_names[+substring(split(datum.key, '_')[0], 1)]",
            value=f"isValid(datum.raw) && (!logarithmic || datum.raw >= {floor!r}) ? datum.raw : null",
        )
        .transform_calculate(
            low=f"logarithmic ? max(datum[replace(datum.key, 'v', 'l')], {floor!r}) : datum[replace(datum.key, 'v', 'l')]",
            high="datum[replace(datum.key, 'v', 'h')]",
        )
        .transform_filter("indexof(shown, datum.name) >= 0")
    )


def _hover(wide: pd.DataFrame, drawn: Sequence[Lines], labels: Sequence[str], number_format: str) -> list[alt.Chart]:
    """An upright line under the pointer, and stripes that tell every curve's value and limits at its time."""
    clock = "%Y-%m-%d" if (wide["time"].dt.normalize() == wide["time"]).all() else "%Y-%m-%d %H:%M"
    texts, tips = {"date": f"utcFormat(datum.time, '{clock}')"}, [alt.Tooltip(field="date", type="nominal")]
    for number, lines in enumerate(drawn):
        for place, name in enumerate(lines.names):
            own = f"{number}_{place}"
            value, low, high = (f"format(datum.{mark}{own}, '{number_format}')" for mark in "vlh")
            limits = f"(isValid(datum.l{own}) ? ' (' + {low} + ' to ' + {high} + ')' : '')"
            texts[f"t{own}"] = f"isValid(datum.v{own}) ? {value} + {limits} : ''"
            title = name if len(drawn) == 1 else f"{name}, {labels[number]}"
            tips.append(alt.Tooltip(field=f"t{own}", type="nominal", title=title))
    under = alt.selection_point(name="hover", on="pointerover", clear="pointerout", fields=["time"], empty=False)
    base = alt.Chart().transform_calculate(**texts).encode(x=alt.X("time:T"))
    line = base.mark_rule(color=INK, aria=False).encode(opacity=alt.condition(under, alt.value(0.45), alt.value(0)))
    # Stripes, each as wide as its share of the chart: the nearest point of a selection has lost its fields in Vega-Lite 6.
    stripe = alt.ExprRef(f"max(width / {len(wide)}, 2) + 1")
    stripes = base.mark_rule(strokeWidth=stripe, opacity=0, aria=False).encode(tooltip=tips).add_params(under)
    return [line, stripes]


def _decades(floor: float, values: Floats) -> alt.ExprRef:
    """Where a logarithmic axis has its ticks if it spans three decades or more: at powers of ten, not at every digit."""
    top = float(np.nanmax(values, initial=floor))
    first, last = math.floor(math.log10(floor)), math.ceil(math.log10(max(top, floor)))
    powers = list(range(first, last + 1, math.ceil((last - first + 1) / _MOST_DECADES)))
    told = ", ".join(f"1e{power}" for power in powers)
    return alt.ExprRef(f"logarithmic && domain('y')[1] >= 1000 * domain('y')[0] ? [{told}] : null")


def line_chart(
    drawn: Sequence[Lines],
    axis: str,
    *,
    labels: Sequence[str] = LABELS,
    shares: bool = True,
    log: bool = False,
    events: Iterable[Event] = (),
    legend: bool = True,
    height: int = 320,
    described: str = "",
) -> alt.LayerChart:
    """Draw curves with their bands.

    Parameters
    ----------
    drawn
        The curves; of a second result beside the first two of them, with series of the same names.
    axis
        Title of the upright axis.
    labels
        What the results are called, in the order of `drawn`.
    shares
        Numbers are shares, written in percent.
    log
        A logarithmic axis; zeros are not on it.
    legend
        False where the page has one of its own.
    height
        In pixels; the chart is as wide as what holds it.
    described
        What a screen reader says of the chart.
    """
    thin = [lines.thinned for lines in drawn]
    wide, first = _wide(thin), thin[0]
    ends = np.concatenate([lines.mean[-1][lines.mean[-1] > 0] for lines in thin])
    every = np.concatenate([lines.mean.ravel() for lines in thin])
    floor = float(ends.min()) / _LOG_FLOOR if ends.size else 0.0
    floor = log_limits(every, floor=floor)[0] if (every > 0).any() else 1e-12
    params = [
        alt.param(name="series_names", value=list(first.names)),
        alt.param(name="result_names", value=list(labels[: len(thin)])),
        alt.param(name="shown", value=list(first.names)),
        alt.param(name="logarithmic", value=log),
    ]
    hues, dashes = look(first.names, first.others)
    number_format = _PERCENT if shares else _COUNT
    key = (
        alt.Legend(title=None, orient="bottom", columns=3, labelLimit=240, symbolType="stroke", symbolOpacity=1)
        if legend
        else None
    )
    colour = alt.Color("name:N", scale=alt.Scale(domain=list(first.names), range=hues), legend=key)
    if len(thin) > 1:
        scale = alt.Scale(domain=list(labels[: len(thin)]), range=[[5, 4], [1, 0]])
        dash = alt.StrokeDash("result:N", scale=scale, legend=key)
    else:
        dash = alt.StrokeDash("name:N", scale=alt.Scale(domain=list(first.names), range=dashes), legend=None)
    x = alt.X(
        "time:T",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(title=None, grid=False, labelOverlap="greedy", labelSeparation=6),
    )
    told: dict[str, Any] = {"format": ".3~p"} if shares else {"labelExpr": COUNT_LABELS}
    ticks = alt.Axis(title=axis, tickCount=6, labelOverlap=True, values=_decades(floor, every), **told)
    y_scale = alt.Scale(type="log" if log else "linear", nice=not log)
    if not log and not np.nanmax(every, initial=0.0) > 0:
        y_scale["domainMax"] = 0.01 if shares else 1.0  # nothing but zeros: they lie on the ground
    base = _folded(wide, floor)
    grouped = {"x": x, "detail": ["name:N", "result:N"]}
    layers: list[alt.Chart] = []
    if any(np.isfinite(lines.low).any() for lines in thin):
        band = base.transform_filter("isValid(datum.value) && isValid(datum.low)").mark_area(opacity=0.16, aria=False)
        layers.append(band.encode(y=alt.Y("low:Q", scale=y_scale, axis=ticks), y2="high:Q", color=colour, **grouped))
    point = len(first.times) == 1
    line = base.mark_point(filled=True, size=60, aria=False) if point else base.mark_line(strokeWidth=2, aria=False)
    layers.append(line.encode(y=alt.Y("value:Q", scale=y_scale, axis=ticks), color=colour, strokeDash=dash, **grouped))
    layers += _marks(events)
    layers += _hover(wide, thin, labels, number_format)
    return layered(layers, wide, height, described).add_params(*params)


def spec_of(chart: Any) -> dict[str, Any]:
    """A chart as Vega-Lite, all rows under ``datasets``; it is not held to the schema, which takes longer than all else: tests do that."""
    with data_transformers.enable("default", max_rows=None):  # a sweep may have more points than Altair's 5,000 rows
        spec: dict[str, Any] = chart.to_dict(validate=False)
    return spec


_LOOK = alt.Config(
    font="system-ui, sans-serif",
    autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    view=alt.ViewConfig(stroke=None),
    axis=alt.AxisConfig(
        labelColor="#444444",
        titleColor="#444444",
        titleFontWeight="normal",
        titleFontSize=12,
        labelFontSize=12,
        gridColor="#E6E6E6",
        domainColor="#999999",
        tickColor="#999999",
    ),
    legend=alt.LegendConfig(labelFontSize=12, labelColor=INK),
)


def layered(layers: Sequence[alt.Chart], data: pd.DataFrame, height: int | alt.Step, described: str) -> alt.LayerChart:
    """Charts over one another in the house's look, as wide as what holds them.

    The data are given here and not to each layer: those would be hashed and compared. All is said at once: each word more copies the whole chart.
    """
    return alt.LayerChart(
        layer=list(layers), data=data, width="container", height=height, description=described, config=_LOOK
    )
