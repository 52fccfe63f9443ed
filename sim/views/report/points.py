"""Reports of what was run at many points: sweeps, draws of ranges, and sensitivities.

A sweep along one axis is a line, along two a heat map, both with values under the pointer; every figure of the results folder is there besides, as a
picture within the page.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.experiments.sensitivity import Sensitivity
from sim.experiments.sweep import Swept
from sim.experiments.uncertainty import Uncertainty
from sim.scenario import Scenario
from sim.views import charts
from sim.views.report.page import Chart, Page, Table, chart_of, render, table_of, unchecked
from sim.views.scales import Scale, scale_of

_RATES = ("ban_rate", "banned_share", "wrongful_ban_rate")


def pictures(folder: Path) -> list[tuple[str, str]]:
    """Figures of a folder as pictures within a page: what they show, and their address."""
    found = []
    for file in sorted(folder.glob("*.svg")):
        address = base64.b64encode(file.read_bytes()).decode("ascii")
        found.append((file.stem.replace("_", " "), f"data:image/svg+xml;base64,{address}"))
    return found


def _page(
    kind: str,
    scenario: Scenario,
    manifest: Mapping[str, Any],
    tables: Sequence[Table],
    *,
    facts: str,
    sentences: Sequence[str] = (),
    drawn: Sequence[Chart] = (),
    shown: Sequence[tuple[str, str]] = (),
) -> str:
    page = Page(kind, scenario, manifest, drawn)
    return render("points.html.j2", page, tables=tables, facts=facts, sentences=sentences, pictures=shown)


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


def sweep_page(swept: Swept, measures: Sequence[str], figures: Path) -> str:
    """The report of a sweep, as HTML, with charts of some measures and the figures of a folder."""
    with unchecked():
        found = [_chart(swept, measure) for measure in measures]
    drawn = [chart for chart in found if chart is not None]
    points = int(swept.table["point"].nunique())
    table = swept.table[swept.table["measure"].isin(_RATES)]
    rest = table_of(
        table.assign(segment=table["segment"].replace("", "all")).drop(columns="state"), "Rates at every point"
    )
    facts = f"{points:,} points · seed {swept.seed} · {swept.replications} replications each"
    shown = [] if drawn else pictures(figures)
    return _page("sweep", swept.scenario, swept.manifest, [rest], facts=facts, drawn=drawn, shown=shown)


def draws_page(found: Uncertainty, figures: Path) -> str:
    """The report of draws of all ranges, as HTML."""
    tables = [
        table_of(
            found.table.assign(segment=found.table["segment"].replace("", "all")), "Every measure with both bands"
        ),
        table_of(found.points, "Draws: values and ban measures"),
    ]
    facts = f"{found.draws:,} draws · seed {found.seed} · {found.replications} replications each"
    said = [found.sentence()]
    shown = pictures(figures)
    return _page("draws", found.scenario, found.manifest, tables, facts=facts, sentences=said, shown=shown)


def sensitivity_page(found: Sensitivity, figures: Path) -> str:
    """The report of a sensitivity analysis, as HTML."""
    tables = [table_of(found.table, "Indices of every output"), table_of(found.swings, "Each range at its ends")]
    facts = f"{found.method} · {found.samples:,} samples · seed {found.seed}"
    shown = pictures(figures)
    return _page(
        "sensitivity", found.scenario, found.manifest, tables, facts=facts, sentences=found.sentences, shown=shown
    )
