"""The summary: one row a measure, with 95 % limits.

Limits are over replications (Student) where there are several. With one replication they are over accounts, where no limited desk lets accounts meet:
for shares of accounts (Wilson) and for sums of which the squares are known too (normal). Everything else then has none.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from sim.model.jit import Array
from sim.model.tables import RESTRICTED, Names
from sim.results.columns import SUMMARY
from sim.results.intervals import normal, student, wilson
from sim.results.tables import BAN_COLUMNS, Codes, Counts


class Measure(NamedTuple):
    """What a value is of; `segment` is empty for all accounts together, `state` names a state or, for measures of desks, the desk."""

    measure: str
    segment: str
    state: str
    unit: str


BAN_MEASURES = {"ban_rate": "ever_banned", "banned_share": "banned", "wrongful_ban_rate": "wrongly_banned"}
"""Shares of the accounts that have joined -> column of the table of bans."""

DESK_MEASURES = (
    ("desk_served", "served", "accounts"),
    ("desk_left", "left", "accounts"),
    ("desk_mean_wait", "mean_hours", "hours"),
    ("desk_p95_wait", "p95_hours", "hours"),
    ("desk_utilisation", "utilisation", "share"),
)
"""Measures of desks: name, column of the table of waits, unit."""


WRONGED_MEASURES = ("wrongly_restricted_days", "wrongly_banned_days")
"""Time of accounts marked wrongful in states that restrict them, and in bans."""


class Value(NamedTuple):
    """Value of a measure in one replication; of a share of accounts also how many of how many, of a sum over accounts its standard error."""

    value: float
    successes: int = -1
    trials: int = -1
    error: float = math.nan


def _share(successes: int, trials: int) -> Value:
    return Value(successes / trials if trials else math.nan, successes, trials)


def measures(counts: Counts, codes: Codes) -> dict[Measure, Value]:
    """Every measure of one replication at its end."""
    names, found = codes.names, dict[Measure, Value]()
    restricted = codes.law.enforced == RESTRICTED
    for segment, chosen in _groups(names):
        _ban_measures(segment, counts.bans[-1, chosen], found)
    for segment, chosen in _groups(names):
        _state_measures(segment, chosen, counts, names, found)
    for segment, chosen in _groups(names):
        days = float(counts.account_days[chosen, restricted].sum())
        found[Measure("restricted_days", segment, "", "account-days")] = Value(days)
        joined = int(counts.bans[-1, chosen, 0].sum())
        for place, measure in enumerate(WRONGED_MEASURES):
            total, squares = (float(part) for part in counts.wronged[chosen, place].sum(axis=0))
            error = math.sqrt(max(squares - total * total / joined, 0.0)) if joined else math.nan
            found[Measure(measure, segment, "", "account-days")] = Value(total, error=error)
    for segment, chosen in _groups(names):
        happened, detected = counts.violations[chosen].sum(axis=(0, 1, 2)).tolist()
        found[Measure("violations", segment, "", "violations")] = Value(happened)
        found[Measure("detected_violations", segment, "", "violations")] = Value(detected)
    for desk, row in zip(names.desks, counts.waits, strict=True):
        for measure, column, unit in DESK_MEASURES:
            found[Measure(measure, "", desk, unit)] = Value(float(row[column]))
    return found


def _groups(names: Names) -> list[tuple[str, slice]]:
    """All segments, then each in file order; a single segment is not told twice."""
    each = [(segment, slice(number, number + 1)) for number, segment in enumerate(names.segments)]
    return [("", slice(None)), *each] if len(each) > 1 else each


def _ban_measures(segment: str, last: Array, found: dict[Measure, Value]) -> None:
    counted = dict(zip(BAN_COLUMNS, last.sum(axis=0).tolist(), strict=True))
    for measure, column in BAN_MEASURES.items():
        found[Measure(measure, segment, "", "share")] = _share(counted[column], counted["joined"])


def _state_measures(segment: str, chosen: slice, counts: Counts, names: Names, found: dict[Measure, Value]) -> None:
    held, ever = counts.occupancy[-1, chosen].sum(axis=0).tolist(), counts.tally.ever[chosen].sum(axis=0).tolist()
    entries, joined = counts.entries[chosen].sum(axis=0).tolist(), sum(held)
    audience = bool((counts.audience_days > 0).any())
    for number, state in enumerate(names.states):
        days, readers = counts.account_days[chosen, number], counts.audience_days[chosen, number]
        found[Measure("occupancy_share", segment, state, "share")] = _share(held[number], joined)
        found[Measure("ever_share", segment, state, "share")] = _share(ever[number], joined)
        found[Measure("entries", segment, state, "entries")] = Value(entries[number])
        found[Measure("account_days", segment, state, "account-days")] = Value(float(days.sum()))
        if audience:
            found[Measure("audience_days", segment, state, "reader-days")] = Value(float(readers.sum()))


def summarise(replications: Iterable[dict[Measure, Value]], *, independent: bool) -> pd.DataFrame:
    """Summary over replications.

    Parameters
    ----------
    replications
        What `measures` gives for each; taken one by one, and only the values are kept.
    independent
        Whether accounts never meet, so that limits over the accounts of a single replication are honest.

    Returns
    -------
    pandas.DataFrame
        Columns ``measure, segment, state, value, low, high, unit``; `value` is the mean over replications, limits that are not known are NaN.
    """
    each = iter(replications)
    first = next(each)
    table = [array("d", (value.value for value in first.values()))]
    table += (array("d", (found[measure].value for measure in first)) for found in each)
    rows = []
    for place, (measure, only) in enumerate(first.items()):
        numbers = [values[place] for values in table]
        if len(numbers) > 1:
            low, high = student(numbers)
            if only.trials >= 0:
                low, high = max(low, 0.0), min(high, 1.0)
        elif independent and only.trials >= 0:
            low, high = wilson(only.successes, only.trials)
        elif independent and not math.isnan(only.error):
            low, high = normal(numbers[0], only.error)
            low = max(low, 0.0)
        else:
            low, high = math.nan, math.nan
        mean = math.fsum(numbers) / len(numbers)
        rows.append((measure.measure, measure.segment, measure.state, mean, low, high, measure.unit))
    return pd.DataFrame(rows, columns=list(SUMMARY))
