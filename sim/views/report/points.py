"""Reports of what was run at many points: sweeps, draws of ranges, and sensitivities.

A sweep along one axis is a line, along two a heat map, both with values under the pointer; where there is neither, the figures of the results folder
are pictures within the page. Ban rates over time are curves: those of some points of a sweep, the mean of all draws with its band. The ladder tells
from how many to how many moves there are among the points.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.experiments.sensitivity import Sensitivity
from sim.experiments.sweep import Swept
from sim.experiments.uncertainty import Uncertainty
from sim.results.summary import DESK_MEASURES, WRONGED_MEASURES
from sim.scenario import Scenario
from sim.views import charts, words
from sim.views.chart_lines import Lines, line_chart
from sim.views.report.ladder import in_order, ladder_of
from sim.views.report.ledger import remarks
from sim.views.report.page import MOST_ROWS, Cell, Chart, Page, Table, chart_of, render, table_of, unchecked
from sim.views.report.run import limits_text, spreads
from sim.views.result import events_of
from sim.views.scales import Scale, scale_of

_RATES = ("ban_rate", "banned_share", "wrongful_ban_rate")
_DESKS = tuple(name for name, _, _ in DESK_MEASURES)
_MOST_PATHS = 3  # beside numbers; where more are varied they are in the table of points
_UNITS = {name: f" ({unit})" for name, _, unit in DESK_MEASURES if unit != "share"}
_WRONGED = ("wrongful_ban_rate", *WRONGED_MEASURES)


def pictures(folder: Path) -> list[tuple[str, str]]:
    """Figures of a folder as pictures within a page: what they show, and their address."""
    found = []
    for file in sorted(folder.glob("*.svg")):
        address = base64.b64encode(file.read_bytes()).decode("ascii")
        found.append((file.stem.replace("_", " "), f"data:image/svg+xml;base64,{address}"))
    return found


@dataclass(frozen=True)
class Found:
    """What a page says of many points.

    Attributes
    ----------
    facts
        How many there were, in a line.
    headlines
        Tables that come first.
    desks, ledger, rest
        Tables of desks, of wrongful enforcement, and of everything.
    sentences
        What was found, in words.
    charts, pictures
        Those to read values from, and figures of the results folder.
    """

    facts: str
    headlines: Sequence[Table]
    desks: Sequence[Table] = ()
    ledger: Sequence[Table] = ()
    rest: Sequence[Table] = ()
    sentences: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    pictures: Sequence[tuple[str, str]] = ()


def _page(kind: str, scenario: Scenario, manifest: Mapping[str, Any], traffic: pd.DataFrame, found: Found) -> str:
    ladder = ladder_of(in_order(traffic.assign(replication=0), tuple(scenario.spec.ladder.states)))
    page = Page(kind, scenario, manifest, found.charts)
    return render("points.html.j2", page, found=found, ladder=ladder, remarks=remarks(scenario.spec))


def _cell(row: Mapping[Any, Any]) -> Cell:
    """A value with its limits."""
    value, told = float(row["value"]), words.percent if row["unit"] == "share" else words.count
    if math.isnan(value):
        return Cell("")
    return Cell(told(value), value, limits_text(float(row["low"]), float(row["high"]), told))


def _crossed(rows: pd.DataFrame, keys: Mapping[str, str], measures: Sequence[str], caption: str) -> Table:
    """A row for each of some keys (column -> heading), a column for each measure, with limits; measures that no row has are left out."""
    columns = [name for name in measures if (rows["measure"] == name).any()]
    cells: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in rows[rows["measure"].isin(columns)].to_dict("records"):
        cells.setdefault(tuple(str(row[key]) for key in keys), {})[row["measure"]] = _cell(row)
    lines = [
        [*(Cell(text) for text in key), *(found.get(name, Cell("")) for name in columns)]
        for key, found in list(cells.items())[:MOST_ROWS]
    ]
    names = tuple(f"{name.replace('_', ' ')}{_UNITS.get(name, '')}" for name in columns)
    return Table(caption, (*keys.values(), *names), lines, frozenset(names), max(len(cells) - MOST_ROWS, 0))


def _parted(table: pd.DataFrame, keys: Mapping[str, str], among: str) -> dict[str, Any]:
    """Tables of rates, desks and wrongful enforcement, a row for each of some keys."""
    named = table.assign(segment=table["segment"].replace("", "all"))
    parts = {
        "headlines": ({**keys, "segment": "segment"}, _RATES, f"Shares of accounts at the end of the run{among}"),
        "desks": ({**keys, "state": "desk"}, _DESKS, f"Desks over the run{among}"),
        "ledger": ({**keys, "segment": "segment"}, _WRONGED, f"Wrongful enforcement over the run{among}"),
    }
    found = {part: _crossed(named, *wanted) for part, wanted in parts.items()}
    return {part: [made] for part, made in found.items() if made.rows}


def _axis(path: str, rows: pd.DataFrame) -> tuple[Scale, list[str]]:
    texts = rows[path].astype(str).tolist()
    return scale_of(path, texts), texts


def _chart(swept: Swept, measure: str) -> Chart | None:
    """The chart of a measure over one or two axes."""
    axes = [path for path, values in swept.axes.items() if len(values) > 1]
    rows, title = swept.of(measure), measure.replace("_", " ").capitalize()
    if not swept.is_grid or len(axes) not in (1, 2):
        return None
    scales = [_axis(path, rows) for path in axes]
    x, texts = scales[0]
    numbers = {"value": rows["value"], "low": rows["low"], "high": rows["high"]}
    frame = pd.DataFrame({**numbers, "x": x.at if x.numeric else np.asarray(texts), "x_text": texts})
    if len(axes) == 1:
        made = charts.sweep_line(frame, x.label, numeric=x.numeric, shares=measure in _RATES)
        said = "Shaded: 95 % limits." if frame["low"].notna().any() else ""
        return chart_of(f"line_{measure}", title, made, said=said)
    y, across = scales[1]
    frame = frame.assign(y=y.at if y.numeric else np.asarray(across), y_text=across)
    orders = (_ordered(x, texts), _ordered(y, across))
    made = charts.sweep_heat(frame, (x.label, y.label), orders, shares=measure in _RATES)
    return chart_of(f"heat_{measure}", title, made)


def _ordered(scale: Scale, texts: Sequence[str]) -> list[str]:
    """Values as written, each once, in ascending order."""
    return list(dict.fromkeys(texts[place] for place in np.argsort(scale.at, kind="stable")))


def _over_time(swept: Swept) -> Chart:
    """Ban rates over time at some points."""
    varied = [path for path, values in swept.axes.items() if len(values) > 1]
    texts = swept.table.drop_duplicates("point").set_index("point")
    kept = list(dict.fromkeys(swept.curves["point"]))
    names = {point: str(texts.loc[point, varied[0]]) if len(varied) == 1 else f"point {point}" for point in kept}
    wide = swept.curves.pivot(index="time", columns="point", values="ban_rate")[kept]
    mean = wide.to_numpy(dtype=float)
    none = np.full(mean.shape, np.nan)
    lines = Lines(wide.index.to_numpy(dtype="datetime64[us]"), tuple(names.values()), mean, none, none)
    said = f"Of all accounts that joined, by {varied[0]}." if len(varied) == 1 else "Of all accounts that joined."
    points = int(swept.table["point"].nunique())
    more = f" {len(kept)} of {points:,} points." if points > len(kept) else ""
    made = line_chart([lines], "joined accounts ever banned", events=events_of(swept.scenario), legend=False)
    return chart_of("over_time", "Ban rate over time", made, said=said + more, what="Points", points=len(wide))


def sweep_page(swept: Swept, measures: Sequence[str], figures: Path) -> str:
    """The report of a sweep, as HTML, with charts of some measures and the figures of a folder."""
    with unchecked():
        made = [*(_chart(swept, measure) for measure in measures), _over_time(swept)]
    drawn = [chart for chart in made if chart is not None]
    points = int(swept.table["point"].nunique())
    few = len(swept.axes) <= _MOST_PATHS
    keys = {"point": "point", **({path: path for path in swept.axes} if few else {})}
    rates = swept.table[swept.table["measure"].isin(_RATES)]
    rest = table_of(rates.drop(columns="state"), "Rates at every point, as in sweep.csv")
    found = Found(
        facts=f"{points:,} points · seed {swept.seed} · {_each(swept.replications)}",
        rest=[rest],
        charts=drawn,
        pictures=[] if len(drawn) > 1 else pictures(figures),
        **_parted(swept.table, keys, " at every point, with 95 % limits where they are known"),
    )
    return _page("sweep", swept.scenario, swept.manifest, swept.traffic, found)


def _each(replications: int) -> str:
    return f"{replications} replication{'' if replications == 1 else 's'} each"


def _bands(found: Uncertainty) -> Chart:
    """The ban rate over time, mean over all draws, with what 95 % of runs lie between."""
    spec = found.scenario.spec
    times = np.datetime64(spec.start, "us") + np.asarray(found.times).astype("timedelta64[us]")
    curves = found.curves
    lines = Lines(times, tuple(spec.segments), curves.value, curves.low, curves.high)
    log = spreads(curves.value[-1])
    made = line_chart([lines], "joined accounts ever banned", events=events_of(found.scenario), legend=False, log=log)
    said = "Mean of all draws. Shaded: what 95 % of runs lie between, parameters and chance together."
    return chart_of("over_time", "Ban rate over time", made, said=said, points=len(times))


def draws_page(found: Uncertainty, figures: Path) -> str:
    """The report of draws of all ranges, as HTML."""
    named = found.table.assign(segment=found.table["segment"].replace("", "all"))
    with unchecked():
        drawn = [_bands(found)]
    told = Found(
        facts=f"{found.draws:,} draws · seed {found.seed} · {_each(found.replications)}",
        rest=[
            table_of(named, "Every measure with both bands"),
            table_of(found.points, "Draws: values and ban measures"),
        ],
        sentences=[found.sentence()],
        charts=drawn,
        pictures=pictures(figures),
        **_parted(found.table, {}, ": mean of all draws, and what 95 % of runs lie between"),
    )
    return _page("draws", found.scenario, found.manifest, found.traffic, told)


def sensitivity_page(found: Sensitivity, figures: Path) -> str:
    """The report of a sensitivity analysis, as HTML."""
    told = Found(
        facts=f"{found.method} · {found.samples:,} samples · seed {found.seed} · {_each(found.replications)}",
        headlines=[table_of(found.table, "Indices of every output"), table_of(found.swings, "Each range at its ends")],
        sentences=found.sentences,
        pictures=pictures(figures),
    )
    return _page("sensitivity", found.scenario, found.manifest, found.traffic, told)
