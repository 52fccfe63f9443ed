"""Pages of reports: Jinja templates, the numbers and charts they show, and the scripts, all in one file.

Text of a scenario can run nothing. The templates escape it; the numbers lie in the page as JSON without a ``<``; and the page's policy
(Content-Security-Policy) names the two scripts it may run by their hashes, and lets nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from altair.utils.schemapi import debug_mode
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sim.scenario import Scenario
from sim.views.chart_lines import MOST_POINTS, spec_of
from sim.views.report.checklist import checked

REPORT = "report.html"
TEMPLATES = Path(__file__).parent / "templates"
MOST_ROWS = 1000
"""Rows of a table in a page; what has more is in the tables of the run."""
_MOST_OPEN = 80
"""Rows of a table that lies open; one that has more is looked at through a window."""
_LONG_WORD = 20


@dataclass(frozen=True)
class Cell:
    """What a table shows, the number behind it, and what stands under it in small letters."""

    text: str
    value: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page: the first column heads its row, columns whose names are in `numeric` are set to the right."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[str] = frozenset()
    left_out: int = 0


@dataclass(frozen=True)
class Chart:
    """A chart of a page.

    Attributes
    ----------
    name
        Its name in the page, of letters and underscores.
    title, said
        Heading, and how to read it.
    spec
        Vega-Lite, without the rows.
    rows
        For each of its data sets, its columns.
    series
        Names of the curves with colours and dashes, where they can be switched off; `what` says what they are.
    log
        Whether the axis is logarithmic at first; ``None``: it cannot be changed.
    """

    name: str
    title: str
    said: str
    spec: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, Sequence[Any]]]
    series: Sequence[tuple[str, str, str]] = ()
    what: str = "Segments"
    log: bool | None = None
    sums: Mapping[str, Any] | None = None
    thinned: str = ""

    @property
    def segments(self) -> Sequence[str]:
        """Segments that the curves are sums over, where they can be left out."""
        return self.sums["segments"] if self.sums else ()


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Columns of rows; times as milliseconds, which a page reads in the same way everywhere."""
    frame = pd.DataFrame(list(rows))
    columns: dict[str, list[Any]] = {}
    for name in frame.columns:
        values = frame[name]
        if name == "time":
            stamps = pd.DatetimeIndex(pd.to_datetime(values, utc=True)).tz_localize(None).as_unit("ms")
            columns[str(name)] = stamps.asi8.tolist()
        elif values.dtype.kind == "f":
            columns[str(name)] = [None if np.isnan(value) else _short(value) for value in values.tolist()]
        else:
            columns[str(name)] = [None if value is None else value for value in values.tolist()]
    return columns


def _short(value: float) -> float | int:
    """A number to nine digits, whole where it is whole."""
    return int(value) if value == int(value) and abs(value) < 2**53 else float(f"{value:.9g}")


def chart_of(
    name: str, title: str, made: Any, *, said: str = "", what: str = "Segments", scaled: bool = True, points: int = 0
) -> Chart:
    """Take an Altair chart into a page; `points` is how many grid times there are, `scaled` whether it has a switch to a logarithmic axis."""
    spec = spec_of(made)
    rows = {key: _columns(values) for key, values in spec.pop("datasets").items()}
    params = {param["name"]: param.get("value") for param in spec.get("params", ())}
    series: list[tuple[str, str, str]] = []
    if "series_names" in params:
        encoding = next(layer["encoding"] for layer in spec["layer"] if "strokeDash" in layer["encoding"])
        hues = encoding["color"]["scale"]["range"]
        dashes = [" ".join(f"{part:g}" for part in dash) for dash in encoding["strokeDash"]["scale"]["range"]]
        if len(params["result_names"]) > 1:
            dashes = [""] * len(hues)
        series = list(zip(params["series_names"], hues, dashes, strict=True))
    thinned = f"Drawn are {MOST_POINTS} of {points:,} points in time." if points > MOST_POINTS else ""
    log = params["logarithmic"] if "logarithmic" in params and scaled else None
    return Chart(name, title, said, spec, rows, series, what, log, thinned=thinned)


def _cache_folder() -> Path:
    """Where the charts' script is kept once it is put together: beside the package, or in the user's cache if that cannot be written."""
    package = Path(__file__).parents[2]
    if os.access(package, os.W_OK):
        return package / "__pycache__"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "enforcement-sim"


@cache
def charts_script() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script (BSD-3-Clause), as vl-convert-python holds them; put together once and kept."""
    kept = _cache_folder() / f"vega-{version('vl-convert-python')}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except OSError:
        pass
    import vl_convert

    script = (
        str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
        .replace("</script", "<\\/script")
        .replace("<!--", "<\\!--")
    )
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=kept.parent, delete=False, encoding="utf-8", newline="") as beside:
            beside.write(script)
        Path(beside.name).replace(kept)
    except OSError:
        pass  # kept nowhere: it is put together again next time
    return script


def _hashed(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def as_json(value: object) -> str:
    """JSON that may stand in a script element: no character in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter, escape in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(letter, escape)
    return text


@dataclass(frozen=True)
class Page:
    """What every report has, whatever it reports.

    Attributes
    ----------
    kind
        What was done, in a word.
    scenario
        The scenario, or the first of several.
    manifest
        What it takes to make the same again.
    charts
        In the order of the page.
    note
        What must be known of the accounts, under the title.
    """

    kind: str
    scenario: Scenario
    manifest: Mapping[str, Any]
    charts: Sequence[Chart] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def title(self) -> str:
        """What the scenario is called."""
        return self.scenario.spec.title or self.scenario.name

    @property
    def command(self) -> str:
        """The command as a shell takes it."""
        words = [str(word) for word in self.manifest.get("command", [])]
        return shlex.join(["enforcement-sim", *words[1:]])

    @property
    def numbers(self) -> dict[str, Any]:
        """Numbers of the page, as they lie in it."""
        charts = {
            chart.name: {"spec": chart.spec, "rows": chart.rows, "sums": chart.sums, "shares": _in_percent(chart.spec)}
            for chart in self.charts
        }
        return {"charts": charts, **self.data}


def _in_percent(spec: Mapping[str, Any]) -> bool:
    return any("~p" in str(layer.get("encoding", {}).get("y", {}).get("axis", "")) for layer in spec.get("layer", ()))


def unchecked() -> AbstractContextManager[object]:
    """Charts made within are not held to Vega-Lite's schema, which takes longer than making them; the tests hold them to it."""
    return debug_mode(False)


def _breakable(text: str) -> Markup:
    """Text with places in its long words, such as paths into a scenario, where a line may end."""
    return Markup(" ").join(
        Markup("{}").format(word)
        if len(word) <= _LONG_WORD
        else Markup("<wbr>").join(Markup("{}").format(part) for part in re.findall(r"(?s).[^._:]*", word))
        for word in text.split(" ")
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["breakable"] = _breakable
    made.globals["most_open"] = _MOST_OPEN
    return made


def render(template: str, page: Page, **parts: Any) -> str:
    """Fill a template."""
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template(template)
        .render(
            page=page,
            scripts=(charts_script(), script),
            policy=" ".join(_hashed(each) for each in (charts_script(), script)),
            style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
            numbers=as_json(page.numbers),
            checklist=checked(page.scenario, page.manifest),
            **parts,
        )
    )


def table_of(frame: pd.DataFrame, caption: str, texts: Mapping[str, str] | None = None) -> Table:
    """A table as it is: columns by their names or what `texts` calls them, numbers to six digits."""
    shown = frame.head(MOST_ROWS)
    numeric = {str(name) for name in shown.columns if shown[name].dtype.kind in "iuf"}
    rows = [
        [_cell(value, str(name) in numeric) for name, value in zip(shown.columns, row, strict=True)]
        for row in shown.itertuples(index=False)
    ]
    names = texts or {}
    titles = tuple(names.get(str(name), str(name).replace("_", " ")) for name in shown.columns)
    right = frozenset(names.get(name, name.replace("_", " ")) for name in numeric)
    return Table(caption, titles, rows, right, len(frame) - len(shown))


def _cell(value: Any, numeric: bool) -> Cell:
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return Cell("")
    if numeric:
        whole = float(value) == int(value)
        return Cell(f"{int(value):,}" if whole and abs(value) < 1e15 else f"{value:.6g}", float(value))
    return Cell("yes" if value is True else "no" if value is False else str(value))
