"""The app's views of a picture: charts of `sim.views.charts` over its tables, and what is written beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pandas as pd

from sim.views import charts
from sim.views.app.picture import ALL, MOST_PICTURES, Picture, desk_lines, flip_lines
from sim.views.app.sample import is_limited
from sim.views.chart_lines import spec_of
from sim.views.report.page import unchecked
from sim.views.result import events_of

SHARES = {"ban_rate": "ever_banned", "wrongful_ban_rate": "wrongly_banned", "banned_share": "banned"}
"""Measure of the headlines -> column of the table of bans."""


@dataclass(frozen=True)
class Asked:
    """What of a picture is asked for.

    Attributes
    ----------
    measure
        A key of `SHARES`.
    segment
        For views of one segment; `ALL`: of all together.
    log
        Whether curves of shares have a logarithmic axis.
    changed
        Whether the what-if differs from the baseline; if not, the baseline is drawn alone.
    """

    measure: str
    segment: str
    log: bool
    changed: bool


@dataclass(frozen=True)
class Drawing:
    """A chart (Altair's, or as Vega-Lite) or a table with a heading."""

    heading: str
    chart: Any = None
    table: pd.DataFrame | None = None


def _tables(picture: Picture, name: str, asked: Asked) -> list[pd.DataFrame]:
    runs = [picture.baseline, picture.what_if] if asked.changed else [picture.baseline]
    return [run.table(name) for run in runs]


def _only(asked: Asked) -> list[str]:
    return [] if asked.segment == ALL else [asked.segment]


def ban_rates(picture: Picture, asked: Asked) -> Iterator[Drawing]:
    """Ban-rate curves by segment, of the measure of the headlines."""
    coupled = is_limited(picture.baseline.scenario) or is_limited(picture.what_if.scenario)
    events = events_of(picture.baseline.scenario)
    options: dict[str, Any] = {"share": SHARES[asked.measure], "coupled": coupled, "log": asked.log, "events": events}
    yield Drawing("Ban rates over time, by segment", charts.ban_rate(*_tables(picture, "bans", asked), **options))


def states(picture: Picture, asked: Asked) -> Iterator[Drawing]:
    """Accounts in each state but the first, which would dwarf the others."""
    ladder = picture.baseline.scenario.spec.ladder
    tables, words = _tables(picture, "occupancy", asked), "Accounts in each state"
    if len(ladder.states) > 1:
        tables, words = [table[table["state"] != ladder.start] for table in tables], f"{words} but {ladder.start}"
    options: dict[str, Any] = {"segments": _only(asked), "events": events_of(picture.baseline.scenario)}
    yield Drawing(f"{words}: {asked.segment}", charts.occupancy(*tables, **options))


def flows(picture: Picture, asked: Asked) -> Iterator[Drawing]:
    """Moves between states."""
    tables = _tables(picture, "transitions", asked)
    segment = None if asked.segment == ALL else asked.segment
    yield Drawing(f"Moves between states: {asked.segment}", charts.flows(*tables, segment=segment))


def desks(picture: Picture, asked: Asked) -> Iterator[Drawing]:
    """What waits before desks and what they did."""
    names = list(picture.baseline.scenario.spec.desks)
    if not names:
        yield Drawing("This scenario has no desks.")
        return
    tables = _tables(picture, "desks", asked)
    yield Drawing("Accounts waiting before each desk", charts.desk_waiting(*tables))
    for name in names[:6]:
        yield Drawing(f"Reviewers at the desk {name}", charts.desk_reviewers(*tables, desk=name, height=200))
    yield Drawing("Over the whole run", table=desk_lines(picture))


def differences(picture: Picture, asked: Asked) -> Iterator[Drawing]:
    """Paired differences over time, and the accounts that end differently."""
    if not asked.changed:
        yield Drawing("Nothing has been moved: there is no difference.")
        return
    curves = picture.compared.curves
    curves = curves if picture.sample.even else curves[curves["segment"] != ""]
    measure = "wrongful_ban_rate" if asked.measure == "wrongful_ban_rate" else "ban_rate"
    events = events_of(picture.baseline.scenario)
    yield Drawing("What-if less baseline, the same accounts", charts.difference(curves, measure, events=events))
    table = flip_lines(picture)
    yield Drawing("Accounts that end differently" if len(table) else "No account ends differently.", table=table)


PANELS: dict[str, Callable[[Picture, Asked], Iterator[Drawing]]] = {
    "Ban rates": ban_rates,
    "States": states,
    "Flows": flows,
    "Desks": desks,
    "Differences": differences,
}

OPENING = (next(iter(PANELS)), Asked("ban_rate", ALL, True, False))
"""What a page shows first of a scenario with several segments."""


@lru_cache(maxsize=MOST_PICTURES)
def drawings(picture: Picture, view: str, asked: Asked) -> tuple[Drawing, ...]:
    """What a view draws of a picture, charts as Vega-Lite; kept, as a page is drawn anew for each move of its reader."""
    with unchecked():
        found = list(PANELS[view](picture, asked))
        return tuple(
            each if each.chart is None else replace(each, chart=_with_times(spec_of(each.chart))) for each in found
        )


def _with_times(spec: dict[str, Any]) -> dict[str, Any]:
    """A chart whose rows are frames, times as such."""
    frames = {name: pd.DataFrame(rows) for name, rows in spec["datasets"].items()}
    timed = {
        name: frame.assign(time=pd.to_datetime(frame["time"], utc=True)) if "time" in frame else frame
        for name, frame in frames.items()
    }
    return {**spec, "datasets": timed}
