"""The summary: one row a measure, with 95 % limits.

Limits are over replications (Student) where there are several. With one replication they are over accounts (Wilson), for shares of accounts, where no
limited desk lets accounts meet; everything else then has none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from sim.results.columns import SUMMARY
from sim.results.intervals import student, wilson


class Measure(NamedTuple):
    """What a value is of; `segment` is empty for all accounts together, `state` names a state or, for measures of desks, the desk."""

    measure: str
    segment: str
    state: str
    unit: str


DESK_MEASURES = (
    ("desk_served", "served", "accounts"),
    ("desk_left", "left", "accounts"),
    ("desk_mean_wait", "mean_hours", "hours"),
    ("desk_p95_wait", "p95_hours", "hours"),
    ("desk_utilisation", "utilisation", "share"),
)
"""Measures of desks: name, column of the table of waits, unit."""


class Value(NamedTuple):
    """Value of a measure in one replication; of a share of accounts also how many of how many."""

    value: float
    successes: int = -1
    trials: int = -1


def _share(successes: int, trials: int) -> Value:
    return Value(successes / trials if trials else math.nan, successes, trials)


def measures(tables: Mapping[str, pd.DataFrame]) -> dict[Measure, Value]:
    """Every measure of one replication, from its tables."""
    found: dict[Measure, Value] = {}
    bans, occupancy = tables["bans"], tables["occupancy"]
    end = bans["time"].max()
    _ban_measures(bans[bans["time"] == end], found)
    _state_measures(occupancy[occupancy["time"] == end], tables["states"], found)
    for segment, rows in _groups(tables["violations"]):
        found[Measure("violations", segment, "", "violations")] = Value(int(rows["violations"].sum()))
        found[Measure("detected_violations", segment, "", "violations")] = Value(int(rows["detected"].sum()))
    for row in tables["waits"].to_dict("records"):
        for measure, column, unit in DESK_MEASURES:
            found[Measure(measure, "", str(row["desk"]), unit)] = Value(float(row[column]))
    return found


def _groups(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """All rows, then those of each segment in file order; a single segment is not told twice."""
    segments = list(table["segment"].cat.categories)
    each = [(segment, table[table["segment"] == segment]) for segment in segments]
    return [("", table), *each] if len(each) > 1 else each


def _ban_measures(last: pd.DataFrame, found: dict[Measure, Value]) -> None:
    for segment, rows in _groups(last):
        joined = int(rows["joined"].sum())
        for measure, column in (
            ("ban_rate", "ever_banned"),
            ("banned_share", "banned"),
            ("wrongful_ban_rate", "wrongly_banned"),
        ):
            found[Measure(measure, segment, "", "share")] = _share(int(rows[column].sum()), joined)


def _state_measures(last: pd.DataFrame, states: pd.DataFrame, found: dict[Measure, Value]) -> None:
    for (segment, rows), (_, times) in zip(_groups(last), _groups(states), strict=True):
        joined = int(rows["accounts"].sum())
        for state in rows["state"].cat.categories:
            held, stayed = rows[rows["state"] == state], times[times["state"] == state]
            found[Measure("occupancy_share", segment, state, "share")] = _share(int(held["accounts"].sum()), joined)
            found[Measure("ever_share", segment, state, "share")] = _share(int(stayed["accounts_ever"].sum()), joined)
            found[Measure("entries", segment, state, "entries")] = Value(int(stayed["entries"].sum()))
            found[Measure("account_days", segment, state, "account-days")] = Value(float(stayed["account_days"].sum()))
            if (states["audience_days"] > 0).any():
                days = float(stayed["audience_days"].sum())
                found[Measure("audience_days", segment, state, "reader-days")] = Value(days)


def summarise(replications: list[dict[Measure, Value]], *, independent: bool) -> pd.DataFrame:
    """Summary over replications.

    Parameters
    ----------
    replications
        What `measures` gives for each.
    independent
        Whether accounts never meet, so that limits over the accounts of a single replication are honest.

    Returns
    -------
    pandas.DataFrame
        Columns ``measure, segment, state, value, low, high, unit``; `value` is the mean over replications, limits that are not known are NaN.
    """
    rows = []
    for measure in replications[0]:
        values = [replication[measure] for replication in replications]
        numbers = [value.value for value in values]
        if len(values) > 1:
            low, high = student(numbers)
            if values[0].trials >= 0:
                low, high = max(low, 0.0), min(high, 1.0)
        elif independent and values[0].trials >= 0:
            low, high = wilson(values[0].successes, values[0].trials)
        else:
            low, high = math.nan, math.nan
        mean = math.fsum(numbers) / len(numbers)
        rows.append((measure.measure, measure.segment, measure.state, mean, low, high, measure.unit))
    return pd.DataFrame(rows, columns=list(SUMMARY))
