"""Histories for `fit`: a CSV file of ``account, time, state[, segment]``, read with all its faults at once."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.errors import NOT_UTF8, RENAME, Fault, ScenarioError, is_utf8
from sim.results.spells import Spells, spells_of
from sim.scenario.names import NAME_RULE, name_fault, nearest

COLUMNS, OPTIONAL = ("account", "time", "state"), "segment"
TIME_REMEDY = "write all as ISO timestamps such as `2022-06-20T12:00:00`, or all as numbers of days"
MOST_FAULTS = 20
"""Faults told of each sort; a file of a million rows may have as many."""

MOST_DAYS = 1_000_000
"""Numbers beyond are no days of a history: dates such as 20220620 and seconds since 1970 are."""

UNPACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress,
}  # fmt: skip
MISSING = ("nan", "na", "n/a", "null")
"""What programs write, in capitals or not, where they know nothing: no name for an account or a state."""
UNKNOWN = "is what is written where nothing is known"


@dataclass(frozen=True)
class Histories:
    """What was read.

    Attributes
    ----------
    name
        The file's name without its endings.
    spells
        The stays, on the scale of the file.
    rows, later, earlier
        Rows of the file, and how many of them were left out: as they came after the end of observation, or as their account joined too early.
    """

    name: str
    spells: Spells
    rows: int
    later: int
    earlier: int = 0


def read_histories(file: Path, end: str | None = None, since: str | None = None) -> Histories:
    """Read histories from a CSV file, compressed or not.

    Parameters
    ----------
    file
        Columns `account`, `time` (ISO timestamps, or numbers of days), `state` and perhaps `segment`; others are not looked at. A row with an empty
        state ends the observation of its account.
    end
        End of observation, written like the times; by default the last time.
    since
        Only accounts whose first time is not before this one, written like the times.

    Raises
    ------
    ScenarioError
        With every fault of the file.
    """
    table = _table(file)
    faults = _cell_faults(file, table)
    if faults:
        raise ScenarioError(faults)
    times = _times(table["time"])
    faults = _time_faults(file, table["time"], times)
    if not faults:
        (until, begun), faults = _moments({"--end": end, "--since": since}, times)
    if faults:
        raise ScenarioError(faults)
    table["time"] = times
    table["state"] = table["state"].where(table["state"] != "")
    faults = _after_end_faults(file, table)
    if not faults and table["state"].isna().all():
        faults.append(Fault(str(file), None, "state", "is empty in every row", "name the state that is entered"))
    if faults:
        raise ScenarioError(faults)
    rows = len(table)
    table = table[table.groupby("account", sort=False)["time"].transform("min") >= begun] if since else table
    early = rows - len(table)
    later = int((table["time"] > until).sum()) if end else 0
    for option, text, left in (("--since", since, early), ("--end", end, early + later)):
        if left == rows:
            told = "is after every account's first time" if option == "--since" else "is before every time of the file"
            span = f"the first is {times.min()}, the last {times.max()}"
            raise ScenarioError([Fault(option, None, str(text), told, span)])
    return Histories(name_of(file), spells_of(table, times.max() if until is None else until), rows, later, early)


def name_of(file: Path) -> str:
    """Name of a file without what tells of its form; never empty."""
    return file.name.split(".")[0] or "fitted"


def _table(file: Path) -> pd.DataFrame:
    """The texts of the columns that are looked at, by line of the file."""
    reader = csv.reader(io.StringIO(_text(file), newline=""), skipinitialspace=True, strict=True)
    header: list[str] = []
    lines: list[int] = []
    rows: list[list[str]] = []
    uneven: list[Fault] = []
    try:
        for row in reader:
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if not header:
                header = [name.strip() for name in row]
                _check_header(file, reader.line_num, header)
            elif len(row) == len(header):
                lines.append(reader.line_num)
                rows.append(row)
            elif len(uneven) < MOST_FAULTS:
                told = f"{len(header)}, one for each column"
                uneven.append(Fault(str(file), reader.line_num, "", f"has {len(row)} cells", told))
    except csv.Error as error:
        raise ScenarioError(
            [Fault(str(file), reader.line_num, "", f"is not CSV: {error}", "write UTF-8, commas, one header")]
        ) from None
    if not rows and not uneven:
        told = "has no rows" if header else "is empty"
        uneven = [Fault(str(file), None, "", told, "one row for each time at which an account enters a state")]
    if uneven:
        raise ScenarioError(uneven)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    named = [name for name in (*COLUMNS, OPTIONAL) if name in columns]
    return pd.DataFrame({name: pd.Series(columns[name], lines, dtype=object) for name in named})


def _text(file: Path) -> str:
    if not is_utf8(file):
        raise ScenarioError([Fault(str(file), None, "", NOT_UTF8, RENAME)])
    if file.exists() and not file.is_file():  # a pipe might be waited for, and a device never ends
        raise ScenarioError([Fault(str(file), None, "", "is not a file", "give a CSV file of histories")])
    try:
        raw = file.read_bytes()
        raw = UNPACKED.get(file.suffix, bytes)(raw)
    except FileNotFoundError:
        raise ScenarioError(
            [Fault(str(file), None, "", "there is no such file", "give a CSV file of histories")]
        ) from None
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        told = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise ScenarioError([Fault(str(file), None, "", told, "give a CSV file of histories")]) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ScenarioError([Fault(str(file), line, "", "is not UTF-8 text", "save it as UTF-8")]) from None


def _check_header(file: Path, line: int, header: list[str]) -> None:
    """Refuse a header without the columns that are needed, or with one of them twice."""
    listed = f"needed: {', '.join(COLUMNS)}; {OPTIONAL} if there are any; found: {', '.join(header)}"
    faults = []
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise ScenarioError(
            [Fault(str(file), line, "", f"has one column, `{header[0]}`", "write commas between columns")]
        )
    for name in (*COLUMNS, OPTIONAL):
        if name in COLUMNS and name not in header:
            near = nearest(name, header)
            told = f"rename `{near}`? " if near else ""
            faults.append(Fault(str(file), line, name, "there is no such column", told + listed))
        if header.count(name) > 1:
            faults.append(Fault(str(file), line, name, "is the name of two columns", "name each column once"))
    if faults:
        raise ScenarioError(faults)


def _cell_faults(file: Path, table: pd.DataFrame) -> list[Fault]:
    """Empty accounts, names that a scenario could not have, accounts in two segments."""
    faults = []
    for line in _lines(table["account"].str.strip().str.casefold().isin(["", *MISSING])):
        name = str(table["account"].at[line])
        problem = f"`{name}` {UNKNOWN}" if name.strip() else "is empty"
        faults.append(Fault(str(file), line, "account", problem, "each row names its account"))
    for column in ("state", OPTIONAL):
        if column in table:
            wrong = (
                Fault(str(file), line, column, *told)
                for line, name in zip(*_first_lines(table[column]), strict=True)
                if (name or column == OPTIONAL) and (told := _name_fault(name))
            )
            faults += islice(wrong, MOST_FAULTS)
    if OPTIONAL in table:
        two = table.groupby("account", sort=False)[OPTIONAL].transform("first") != table[OPTIONAL]
        faults += [
            Fault(
                str(file),
                line,
                OPTIONAL,
                f"account `{table['account'].at[line]}` was in another segment before",
                "one segment an account",
            )
            for line in _lines(two)
        ]
    return faults


def _first_lines(names: pd.Series[Any]) -> tuple[list[int], list[str]]:
    """Where each name first stands, and the names."""
    first = names.drop_duplicates()
    return first.index.tolist(), first.tolist()


def _name_fault(name: str) -> tuple[str, str] | None:
    """What is wrong with the name of a state or a segment, and the remedy."""
    if name.casefold() in MISSING:
        return f"`{name}` {UNKNOWN}", "name it; leave a state empty where observation ends"
    told = name_fault(name)
    return (told, NAME_RULE) if told else None


def _time_faults(file: Path, texts: pd.Series[str], times: pd.Series[Any]) -> list[Fault]:
    """Texts that are no times, and numbers that are no days."""
    faults = [
        Fault(str(file), line, "time", f"`{texts.at[line]}` is no time", TIME_REMEDY) for line in _lines(times.isna())
    ]
    if times.dtype.kind == "f":
        told = f"a number is one of days, at most {MOST_DAYS:,}; write dates as `2022-06-20T12:00:00`"
        faults += [
            Fault(str(file), line, "time", f"`{texts.at[line]}` is too large for days", told)
            for line in _lines(times.abs() > MOST_DAYS)
        ]
    return faults


def _after_end_faults(file: Path, table: pd.DataFrame) -> list[Fault]:
    """Rows of an account after its row without a state."""
    ordered = table.sort_values("time", kind="stable")
    ends = ordered["state"].isna()
    before = ends.astype(np.int64).groupby(ordered["account"], sort=False).cumsum() - ends
    wrong = (before > 0).reindex(table.index)
    told = "comes after the row without a state, which ends the observation of its account"
    return [Fault(str(file), line, "time", told, "leave it out, or name the state there") for line in _lines(wrong)]


def _lines(wrong: pd.Series[Any]) -> list[int]:
    """Lines of the first rows of which something is true."""
    return [int(line) for line in wrong.index[wrong.to_numpy(bool)][:MOST_FAULTS]]


def _times(texts: pd.Series[str]) -> pd.Series[Any]:
    """Numbers, or timestamps without time zone (UTC where one is given), whichever are more; nothing where a text is not of that kind."""
    numbers = pd.to_numeric(texts, errors="coerce").astype(np.float64)
    numbers = numbers.where(np.isfinite(numbers))
    if numbers.notna().all():
        return numbers
    stamps = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce").dt.tz_localize(None)
    return numbers if numbers.notna().sum() >= max(stamps.notna().sum(), 1) else stamps


def _moments(options: dict[str, str | None], times: pd.Series[Any]) -> tuple[list[Any], list[Fault]]:
    """Moments given as options, on the scale of the times; ``None`` where none is given."""
    found: list[Any] = []
    faults = []
    for option, text in options.items():
        try:
            found.append(None if text is None else _moment(text, times.dtype.kind == "f"))
        except ValueError:
            told, remedy = (
                ("is no number of days", "the times are numbers of days: write a number of days")
                if times.dtype.kind == "f"
                else ("is no timestamp", "write it as `2022-06-20` or `2022-06-20T12:00:00`")
            )
            faults.append(Fault(option, None, str(text), told, remedy))
            found.append(None)
    return found, faults


def _moment(text: str, is_number: bool) -> pd.Timestamp | float:
    if not is_number:
        stamp = pd.Timestamp(datetime.fromisoformat(text))
        return stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo else stamp
    days = float(text)
    if not abs(days) <= MOST_DAYS:
        raise ValueError(text)
    return days
