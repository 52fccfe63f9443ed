"""The report of a comparison: what the second scenario changes, for whom, and by which rule; numbers, ladders and curves of both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sim.experiments.compare import Compared
from sim.views import charts, words
from sim.views.curves import Event
from sim.views.report.ladder import Ladder, in_order, ladder_of
from sim.views.report.ledger import ledger_changes, remarks
from sim.views.report.page import MOST_ROWS, Cell, Chart, Page, Table, chart_of, render, table_of, unchecked
from sim.views.report.run import spreads

RATES = {"ban_rate": "ban rate", "banned_share": "banned at the end", "wrongful_ban_rate": "wrongful ban rate"}
HEADLINES = (*RATES, "restricted_days")
LABELS = ("A", "B")
MOST_LIVES = 6
_FLIPS = {
    "fate_a": "ends in A",
    "fate_b": "ends in B",
    "first_in": "part first in",
    "ends_differently": "ends differently",
}


@dataclass(frozen=True)
class Life:
    """One account's life in both scenarios: what happened, when, and where the lives part."""

    heading: str
    rule: str
    in_a: tuple[tuple[str, bool], ...]
    in_b: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Part:
    """What a page says of one scenario held to the first."""

    name: str
    sentences: Sequence[str]
    headlines: Table
    rates: Sequence[Chart]
    ladders: Sequence[tuple[str, Ladder | None]]
    moving: Sequence[Chart]
    desks: Table | None
    ledger: Table
    remarks: Sequence[str]
    differences: Table
    flips: Table
    lives: Sequence[Life]


def _difference_rows(differences: pd.DataFrame) -> list[list[Cell]]:
    rows = []
    for row in differences.to_dict("records"):
        told = words.percent if row["unit"] == "share" else words.count
        a, b, gap, low, high = (float(row[part]) for part in ("a", "b", "difference", "low", "high"))
        limits = "" if math.isnan(low) else f"{told(low)} to {told(high)}"
        narrower, unknown = float(row["narrower"]), math.isnan(float(row["narrower"]))
        state = str(row["state"])
        name = RATES.get(str(row["measure"]), str(row["measure"]).replace("_", " "))
        rows.append(
            [
                Cell(f"{name} {state}".strip()),
                Cell(str(row["segment"]) or "all"),
                *(
                    Cell("" if math.isnan(value) else told(value), None if math.isnan(value) else value)
                    for value in (a, b)
                ),
                Cell("" if math.isnan(gap) else told(gap), None if math.isnan(gap) else gap, limits),
                Cell("" if unknown else f"{narrower:.3g}", None if unknown else narrower),
                Cell("" if unknown else f"{narrower**2:.3g}"),
            ]
        )
    return rows


def difference_table(differences: pd.DataFrame, caption: str) -> Table:
    """Differences with limits, and what pairing brought: limits so many times narrower, variance so many times smaller."""
    filled = differences.astype({"segment": object, "state": object}).fillna({"segment": "", "state": ""})
    names = ("A", "B", "B less A, 95 % limits", "limits narrower by", "variance smaller by")
    rows = _difference_rows(filled.head(MOST_ROWS))
    return Table(caption, ("measure", "segment", *names), rows, frozenset(names), max(len(filled) - MOST_ROWS, 0))


def _steps(rows: pd.DataFrame, side: str) -> tuple[tuple[str, bool], ...]:
    """Events of one side, and whether the lives have parted by then."""
    steps = []
    for row in rows.to_dict("records"):
        if not pd.isna(row[f"time_{side}"]):
            when = pd.Timestamp(row[f"time_{side}"]).strftime("%Y-%m-%d %H:%M")
            steps.append((f"{when} {row[f'to_{side}']} ({row[f'cause_{side}']})", bool(row["parted"])))
    return tuple(steps)


def lives_of(examples: pd.DataFrame) -> list[Life]:
    """Example histories side by side."""
    lives = []
    keys = ["segment", "account", "fate_a", "fate_b", "rule"]
    for (segment, account, fate_a, fate_b, rule), rows in examples.fillna({"rule": ""}).groupby(keys, sort=False):
        heading = f"{segment}, account {account:,}: {fate_a} in A, {fate_b} in B"
        lives.append(Life(heading, str(rule), _steps(rows, "a"), _steps(rows, "b")))
    return lives[:MOST_LIVES]


def _rate_charts(curves: pd.DataFrame, number: int, events: Sequence[Event]) -> list[Chart]:
    """Ban rates of both, and differences of rates."""
    quiet: dict[str, Any] = {"events": events, "legend": False}
    made = [
        ("rates", "Ban rate in A and B", charts.rates(curves, labels=LABELS, **quiet), "Dashed: A. Solid: B.", True),
        ("difference", "Difference of the ban rate, B less A", charts.difference(curves, **quiet), "", False),
    ]
    if curves.loc[curves["measure"] == "wrongful_ban_rate", "difference"].abs().max() > 0:
        wrongful = charts.difference(curves, "wrongful_ban_rate", **quiet)
        made.append(("wrongful", "Difference of the wrongful ban rate, B less A", wrongful, "", False))
    points = int(curves["time"].nunique())
    return [
        chart_of(f"{kind}_{number}", title, chart, said=said, scaled=scaled, points=points)
        for kind, title, chart, said, scaled in made
    ]


def _moving_charts(
    curves: pd.DataFrame, moves: Sequence[pd.DataFrame], number: int, events: Sequence[Event]
) -> list[Chart]:
    """States over time and moves between them, of both."""
    ends = curves[(curves["measure"] == "occupancy_share") & (curves["time"] == curves["time"].max())]
    log = spreads(ends["a"])
    made = charts.states(curves, labels=LABELS, events=events, legend=False, log=log)
    said = "Of all accounts that joined. Dashed: A. Solid: B."
    points = int(curves["time"].nunique())
    flows = charts.flows(*moves, labels=LABELS)
    return [
        chart_of(f"states_{number}", "States over time in A and B", made, said=said, what="States", points=points),
        chart_of(
            f"flows_{number}", "Moves between states in A and B", flows, said="The fifteen most frequent, by cause."
        ),
    ]


def _part(found: Compared, name: str, number: int, events: Sequence[Event], sentences: Sequence[str]) -> Part:
    """All that is said of one scenario held to the first."""
    own = {table: frame[frame["scenario"] == name] for table, frame in found.tables.items()}
    specs = found.scenarios[0].spec, found.scenarios[number].spec
    states = dict.fromkeys(state for spec in specs for state in spec.ladder.states)
    every = in_order(found.transitions, tuple(states))
    moves = every[every["scenario"] == found.names[0]], every[every["scenario"] == name]
    differences, of_desks = own["differences"], own["differences"]["measure"].str.startswith("desk_")
    flips = own["flips"][own["flips"]["ends_differently"]].drop(columns=["scenario", "ends_differently"])
    flips.insert(0, "accounts", flips.pop("accounts"))
    held = f"{name} (B) held to {found.names[0]} (A)"
    return Part(
        name=name,
        sentences=sentences,
        headlines=difference_table(
            differences[differences["measure"].isin(HEADLINES)], f"At the end of the run: {held}"
        ),
        rates=_rate_charts(own["curves"], number, events),
        ladders=[
            (f"{label}: {told}", ladder_of(each))
            for label, told, each in zip(LABELS, (found.names[0], name), moves, strict=True)
        ],
        moving=_moving_charts(own["curves"], moves, number, events),
        desks=difference_table(differences[of_desks], f"Desks over the run: {held}") if of_desks.any() else None,
        ledger=difference_table(
            ledger_changes(specs, differences, moves), f"Wrongful enforcement over the run: {held}"
        ),
        remarks=remarks(specs[1]),
        differences=difference_table(differences, f"Every measure: {held}"),
        flips=table_of(
            flips, "Accounts that end differently, by how they end and by the move at which their lives part", _FLIPS
        ),
        lives=lives_of(own["examples"]),
    )


def comparison_page(
    found: Compared, sentences: Mapping[str, Sequence[str]], events: Sequence[Event] = (), note: str = ""
) -> str:
    """The report of a comparison, as HTML; `sentences` tell each scenario's outcome in words, `note` what must be known of the accounts."""
    with unchecked():
        parts = [
            _part(found, name, number, events, sentences.get(name, ()))
            for number, name in enumerate(found.names[1:], start=1)
        ]
    drawn = [chart for part in parts for chart in (*part.rates, *part.moving)]
    page = Page("comparison", found.scenarios[0], found.manifest, drawn, note=note)
    scenarios = list(zip(found.names, found.scenarios, strict=True))
    titles = [scenario.spec.title or name for name, scenario in scenarios]
    return render("comparison.html.j2", page, parts=parts, scenarios=scenarios, titles=titles)
