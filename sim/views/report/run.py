"""The report of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from sim.results.columns import TABLES
from sim.scenario import Scenario
from sim.views import charts, words
from sim.views.chart_lines import MOST_POINTS, Lines, kept_points
from sim.views.courses import busiest, has_limit
from sim.views.curves import Event, cube, leading, names_in, replications
from sim.views.report.ladder import ladder_of
from sim.views.report.ledger import Entry, ledger, remarks
from sim.views.report.page import MOST_ROWS, Cell, Chart, Page, Table, chart_of, render, table_of, unchecked

HEADLINES = (
    ("ban_rate", "ever banned"),
    ("banned_share", "banned at the end"),
    ("wrongful_ban_rate", "wrongly banned"),
)
_LOG_SPREAD = 50.0  # curves whose ends differ more lie on the ground of a linear axis
_SUMMARY = {"state": "state or desk", "low": "95 % low", "high": "95 % high"}


def limits_text(low: float, high: float, told: Any) -> str:
    """Limits in words; empty if there are none."""
    return "" if math.isnan(low) else f"{told(low)} to {told(high)}"


def share_cell(row: Mapping[str, Any]) -> Cell:
    """A share and its limits."""
    value, low, high = (float(row[part]) for part in ("value", "low", "high"))
    text = "none joined" if math.isnan(value) else words.percent(value)
    return Cell(text, None if math.isnan(value) else value, limits_text(low, high, words.percent))


def headlines(summary: pd.DataFrame) -> Table:
    """The rates at the end of the run, by segment."""
    found = {(row["measure"], row["segment"]): row for row in _records(summary) if not row["state"]}
    segments = [segment for measure, segment in found if measure == HEADLINES[0][0]]
    rows = [
        [Cell(segment or "all"), *(share_cell(found[measure, segment]) for measure, _ in HEADLINES)]
        for segment in segments[:MOST_ROWS]
    ]
    titles = tuple(name for _, name in HEADLINES)
    caption = "Shares of the accounts that joined, at the end of the run, with 95 % limits"
    return Table(caption, ("segment", *titles), rows, frozenset(titles))


def ledger_table(entries: Sequence[Entry]) -> Table:
    """The ledger as a table."""
    rows = [
        [
            Cell(entry.measure),
            Cell(entry.segment or "all"),
            Cell(words.count(entry.value), entry.value),
            Cell(limits_text(entry.low, entry.high, words.count)),
            Cell(entry.unit),
        ]
        for entry in entries
    ]
    columns = ("measure", "segment", "value", "95 % limits", "unit")
    return Table("Wrongful enforcement over the run", columns, rows, frozenset(columns[2:4]))


def spreads(ends: Iterable[float]) -> bool:
    """Whether ends of curves are so unlike that a linear axis would hide some."""
    positive = [end for end in ends if end > 0]
    return len(positive) > 1 and bool(max(positive) / min(positive) > _LOG_SPREAD)


def _occupancy_chart(occupancy: pd.DataFrame, events: Sequence[Event], points: int) -> Chart:
    """Accounts in each state, with what it takes to leave segments out: counts by segment, state and time."""
    lines = charts.occupancy_lines(occupancy)
    spread = spreads(lines.mean[-1])
    made = charts.occupancy(occupancy, events=events, legend=False, log=spread)
    said = "Accounts in each state, of the segments chosen together."
    chart = chart_of("occupancy", "States over time", made, said=said, what="States", points=points)
    segments = names_in(occupancy["segment"])
    if len(segments) < 2:
        return chart
    ends = occupancy[occupancy["time"] == occupancy["time"].max()].groupby("segment", observed=False)["accounts"].sum()
    lead, rest = leading(segments, ends.reindex(list(segments)).to_numpy(dtype=float))
    parts = {name: [name] for name in lead}
    if rest:
        parts[f"others ({rest} segments)"] = [name for name in segments if name not in lead]
    counts = [_counts(occupancy[occupancy["segment"].isin(part)], lines) for part in parts.values()]
    return Chart(**{**vars(chart), "sums": {"segments": list(parts), "counts": counts}})


def _counts(occupancy: pd.DataFrame, lines: Lines) -> list[list[float]]:
    """Counts of some segments together in the states that are drawn, (state, time)."""
    states = [name for name in lines.names if name != lines.others]
    drawn = cube(occupancy, "accounts", "state").drawn(states, lines.others or None)
    mean = drawn.values.mean(axis=0)[kept_points(len(drawn.times))]
    return [[int(value) if value == int(value) else round(value, 3) for value in column] for column in mean.T.tolist()]


def _desk_charts(desks: pd.DataFrame, events: Sequence[Event]) -> list[Chart]:
    waiting = charts.desk_waiting(desks, events=events, legend=False)
    said = "On a grid finer than a day: daily means in the band of daily extremes." if _fine(desks) else ""
    found = [chart_of("waiting", "Accounts waiting before desks", waiting, said=said, what="Desks")]
    for number, desk in enumerate(busiest(desks)[:6]):
        made = charts.desk_reviewers(desks, desk=desk, events=events, legend=False, height=200)
        limited = has_limit(desks[desks["desk"] == desk])
        title = f"Reviewers at desk {desk}" + ("" if limited else " (as many as it takes)")
        found.append(chart_of(f"reviewers_{number}", title, made, what="Reviewers"))
    return found


def _fine(desks: pd.DataFrame) -> bool:
    return int(desks["time"].nunique()) > MOST_POINTS


def _charts(
    bans: pd.DataFrame,
    transitions: pd.DataFrame,
    occupancy: pd.DataFrame,
    desks: pd.DataFrame,
    events: Sequence[Event],
) -> list[Chart]:
    """Ban rate, occupancy, flows, and of each desk."""
    points, coupled = int(bans["time"].nunique()), has_limit(desks)
    lines = charts.ban_lines(bans, coupled=coupled)
    rates = charts.ban_rate(bans, coupled=coupled, events=events, legend=False, log=spreads(lines.mean[-1]))
    said = f"Joined accounts ever banned; {lines.said}."
    flows = charts.flows(transitions)
    return [
        chart_of("ban_rate", "Ban rate over time", rates, said=said, points=points),
        _occupancy_chart(occupancy, events, points),
        chart_of("flows", "Moves between states", flows, said="The fifteen most frequent, by cause."),
        *(_desk_charts(desks, events) if len(desks) else ()),
    ]


def run_page(
    scenario: Scenario,
    manifest: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    events: Sequence[Event] = (),
    note: str = "",
) -> str:
    """The report of a run, as HTML.

    Parameters
    ----------
    tables
        Those of the run by name (``occupancy``, ``bans``, ``transitions``, ``desks``, ``waits``) and its ``summary``.
    events
        Phases and waves.
    note
        What must be known of the accounts.
    """
    bans, transitions, occupancy, desks = (tables[name] for name in ("bans", "transitions", "occupancy", "desks"))
    coupled = has_limit(desks)
    with unchecked():
        drawn = _charts(bans, transitions, occupancy, desks, events)
    summary = tables["summary"]
    entries = ledger(scenario.spec, bans, transitions, summary, independent=not coupled)
    numbers = {"summary": _records(summary)[:MOST_ROWS], "ledger": [vars(entry) for entry in entries]}
    page = Page("run", scenario, manifest, drawn, {key: _plain(rows) for key, rows in numbers.items()}, note)
    return render(
        "run.html.j2",
        page,
        ladder=ladder_of(transitions),
        headlines=headlines(summary),
        ledger=ledger_table(entries),
        remarks=remarks(scenario.spec),
        waits=table_of(tables["waits"].drop(columns="replication"), "Waits before desks, by replication", _waits()),
        summary=table_of(summary.assign(segment=summary["segment"].replace("", "all")), "Every measure", _SUMMARY),
        single=replications(bans) == 1,
    )


def _waits() -> dict[str, str]:
    units = {column.name: column.unit for column in TABLES["waits"]}
    names = {
        "mean_hours": "mean wait",
        "p50_hours": "median wait",
        "p95_hours": "95 % within",
        "p99_hours": "99 % within",
    }
    return {name: f"{told} ({units[name]})" for name, told in names.items()}


def _records(summary: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in summary.to_dict("records")]


def _plain(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows as JSON has them: no NaN."""
    return [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for row in rows
    ]
