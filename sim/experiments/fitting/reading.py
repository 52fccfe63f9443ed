"""Histories for `fit`: a CSV file of ``account, time, state[, segment]``, read with all its faults at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.errors import Fault, ScenarioError
from sim.results.spells import Spells, spells_of
from sim.scenario.names import NAME_RULE, name_fault, nearest

COLUMNS, OPTIONAL = ("account", "time", "state"), "segment"
TIME_REMEDY = "write all as ISO timestamps such as `2022-06-20T12:00:00`, or all as numbers of days"
MOST_FAULTS = 20
"""Faults told of each sort; a file of a million rows may have as many."""


@dataclass(frozen=True)
class Histories:
    """What was read.

    Attributes
    ----------
    name
        The file's name without its endings.
    spells
        The stays, on the scale of the file.
    rows, later
        Rows of the file, and how many of them came after the end of observation and were left out.
    """

    name: str
    spells: Spells
    rows: int
    later: int


def read_histories(file: Path, end: str | None = None) -> Histories:
    """Read histories from a CSV file, compressed or not.

    Parameters
    ----------
    file
        Columns `account`, `time` (ISO timestamps, or numbers of days), `state` and perhaps `segment`; others are not looked at. A row with an empty
        state ends the observation of its account.
    end
        End of observation, written like the times; by default the last time.

    Raises
    ------
    ScenarioError
        With every fault of the file.
    """
    table = _table(file)
    faults = _column_faults(file, table) or _cell_faults(file, table)
    if faults:
        raise ScenarioError(faults)
    times = _times(table["time"])
    faults = [
        Fault(str(file), row + 2, "time", f"`{table['time'].iloc[row]}` is no time", TIME_REMEDY)
        for row in _some(times.isna())
    ]
    until, end_faults = _end(end, times) if not faults else (None, [])
    if faults or end_faults:
        raise ScenarioError([*faults, *end_faults])
    table["time"] = times
    table["state"] = table["state"].where(table["state"] != "")
    faults = _after_end_faults(file, table)
    if faults:
        raise ScenarioError(faults)
    later = 0 if until is None else int((times > until).sum())
    if later == len(table):
        raise ScenarioError(
            [Fault("--end", None, str(end), "is before every time of the file", f"the first is {times.min()}")]
        )
    return Histories(file.name.split(".")[0], spells_of(table, until), len(table), later)


def _table(file: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError:
        raise ScenarioError(
            [Fault(str(file), None, "", "there is no such file", "give a CSV file of histories")]
        ) from None
    except (OSError, UnicodeDecodeError, ValueError) as error:  # pandas' own errors are ValueErrors
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ScenarioError(
            [Fault(str(file), None, "", f"cannot be read as CSV: {told}", "write UTF-8, commas, one header")]
        ) from None
    table.columns = table.columns.str.strip()
    return table


def _column_faults(file: Path, table: pd.DataFrame) -> list[Fault]:
    faults = []
    for name in COLUMNS:
        if name not in table:
            near = nearest(name, table.columns)
            told = f"rename `{near}`? " if near else ""
            remedy = (
                f"{told}needed: {', '.join(COLUMNS)}; {OPTIONAL} if there are any; found: {', '.join(table.columns)}"
            )
            faults.append(Fault(str(file), 1, name, "there is no such column", remedy))
    if not faults and table.empty:
        faults.append(
            Fault(str(file), None, "", "has no rows", "one row for each time at which an account enters a state")
        )
    return faults


def _cell_faults(file: Path, table: pd.DataFrame) -> list[Fault]:
    """Empty accounts, names that a scenario could not have, accounts in two segments, rows after the end of an account."""
    faults = [
        Fault(str(file), row + 2, "account", "is empty", "each row names its account")
        for row in _some(table["account"] == "")
    ]
    for column in ("state", OPTIONAL):
        if column in table:
            names, rows = np.unique(table[column].to_numpy(str), return_index=True)
            wrong = [
                (row, name_fault(name)) for name, row in zip(names, rows, strict=True) if name or column == OPTIONAL
            ]
            faults += [Fault(str(file), int(row) + 2, column, told, NAME_RULE) for row, told in wrong if told][
                :MOST_FAULTS
            ]
    if OPTIONAL in table:
        two = table.groupby("account", sort=False)[OPTIONAL].transform("first") != table[OPTIONAL]
        faults += [
            Fault(
                str(file),
                row + 2,
                OPTIONAL,
                f"account `{table['account'].iloc[row]}` was in another segment before",
                "one segment an account",
            )
            for row in _some(two)
        ]
    return faults


def _after_end_faults(file: Path, table: pd.DataFrame) -> list[Fault]:
    """Rows of an account after its row without a state."""
    ordered = table.sort_values("time", kind="stable")
    ends = ordered["state"].isna()
    before = ends.astype(np.int64).groupby(ordered["account"], sort=False).cumsum() - ends
    wrong = (before > 0).reindex(table.index)
    told = "comes after the row without a state, which ends the observation of its account"
    return [Fault(str(file), row + 2, "time", told, "leave it out, or name the state there") for row in _some(wrong)]


def _some(wrong: pd.Series[Any]) -> list[int]:
    return [int(row) for row in np.flatnonzero(wrong.to_numpy(bool))[:MOST_FAULTS]]


def _times(texts: pd.Series[str]) -> pd.Series[Any]:
    """Timestamps without time zone (UTC where one is given), or numbers; nothing where a text is neither."""
    numbers = pd.to_numeric(texts, errors="coerce").astype(np.float64)
    if bool(numbers.notna().iloc[0]):
        return numbers.where(np.isfinite(numbers))
    return pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce").dt.tz_localize(None)


def _end(end: str | None, times: pd.Series[Any]) -> tuple[pd.Timestamp | float | None, list[Fault]]:
    """The end of observation on the scale of the times."""
    if end is None:
        return None, []
    if times.dtype.kind == "f":
        try:
            return float(end), []
        except ValueError:
            return None, [
                Fault("--end", None, end, "is no number", "the times are numbers of days: write a number of days")
            ]
    try:
        stamp = pd.Timestamp(datetime.fromisoformat(end))
    except ValueError:
        return None, [Fault("--end", None, end, "is no timestamp", "write it as `2022-06-20` or `2022-06-20T12:00:00`")]
    return (stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo else stamp), []
