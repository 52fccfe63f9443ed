"""The hash of a table's content: every cell shows in it, and nothing else does."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.experiments.replications import Settings, run_in_memory
from sim.results.columns import TABLES, Column
from sim.results.content import ContentHash
from sim.scenario import load

DESK = Path(__file__).parents[1] / "golden" / "desk.yaml"
every_table = pytest.mark.parametrize("name", TABLES)


@cache
def tables() -> dict[str, pd.DataFrame]:
    """The tables of a small run."""
    scenario = load(DESK).with_values({"segments.sellers.audience": 10})
    return run_in_memory(scenario, Settings(1, 2, "auto", None)).tables


def digest(name: str, *parts: pd.DataFrame) -> str:
    """Hash of a table that comes in parts."""
    found = ContentHash(TABLES[name])
    for part in parts:
        found.add(part)
    assert found.rows == sum(map(len, parts))
    return found.hexdigest()


@every_table
def test_parts_do_not_show(name: str) -> None:
    """Row by row, in uneven parts, with empty parts, or at once: one hash."""
    table = tables()[name]
    whole = digest(name, table)
    cuts = [0, *sorted(np.random.default_rng(0).integers(0, len(table) + 1, 5).tolist()), len(table)]
    assert digest(name, *(table.iloc[a:b] for a, b in pairwise(cuts))) == whole
    assert digest(name, table.iloc[:0], table, table.iloc[:0]) == whole
    few = table.iloc[:50]
    assert digest(name, *(few.iloc[[row]] for row in range(len(few)))) == digest(name, few)


@every_table
def test_numbering_of_categories_does_not_show(name: str) -> None:
    """Names count, not their numbers, nor names that never occur."""
    table = tables()[name].copy()
    for column in TABLES[name]:
        if column.type == "category":
            names = ["unused", *reversed(table[column.name].cat.categories)]
            table[column.name] = table[column.name].astype(pd.CategoricalDtype(names))
    assert digest(name, table) == digest(name, tables()[name])


@every_table
def test_index_does_not_show(name: str) -> None:
    """Nor do row labels, the order of columns, or columns that are not of the table."""
    table = tables()[name]
    other = table.set_axis(range(7, 7 + len(table)))[list(reversed(table.columns))].assign(more=1)
    assert digest(name, other) == digest(name, table)


def changed(values: pd.Series, row: int, column: Column) -> pd.Series:
    """A column with one cell changed, as little as its type allows."""
    values, value = values.copy(), values.iloc[row]
    match column.type:
        case "category":
            others = [name for name in values.cat.categories if name != value]
            values.iloc[row] = (
                others[0] if others and row % 2 else (None if isinstance(value, str) else values.cat.categories[0])
            )
        case "int":
            values.iloc[row] = value + 1
        case "nullable int":
            values.iloc[row] = 0 if value is pd.NA else (pd.NA if row % 2 else value - 1)
        case "float":
            values.iloc[row] = 1.0 if value != value else np.nextafter(value, np.inf)
        case "bool":
            values.iloc[row] = not value
        case "time":
            values.iloc[row] = value + pd.Timedelta(1, "us")
    return values


@every_table
def test_every_cell_shows(name: str) -> None:
    """One cell changed, in any column, in the first, the last or some other row: another hash, and another each time."""
    table = tables()[name]
    found = {digest(name, table)}
    rows = {0, len(table) - 1, *np.random.default_rng(1).integers(0, len(table), 4).tolist()}
    for column in TABLES[name]:
        for row in rows:
            found.add(digest(name, table.assign(**{column.name: changed(table[column.name], row, column)})))
    assert len(found) == 1 + len(TABLES[name]) * len(rows)


@every_table
def test_rows_show(name: str) -> None:
    """Their number and their order."""
    table = tables()[name]
    whole = digest(name, table)
    assert digest(name, table.iloc[:-1]) != whole
    assert digest(name, table, table.iloc[-1:]) != whole
    if len(table) > 2:
        assert digest(name, table.iloc[::-1]) != whole


def test_columns_and_types_show() -> None:
    """The same bytes under another name or of another type are another table."""
    frame = pd.DataFrame({"a": np.zeros(3, np.int64), "b": np.zeros(3, np.int64)})
    hashes = set()
    for columns in (
        (Column("a", "int"),),
        (Column("b", "int"),),
        (Column("a", "float"),),
        (Column("a", "int"), Column("b", "int")),
    ):
        found = ContentHash(columns)
        found.add(frame)
        hashes.add(found.hexdigest())
    assert len(hashes) == 4
    assert ContentHash((Column("a", "int"),)).hexdigest() not in hashes


def test_names_do_not_run_into_each_other() -> None:
    """``ab`` and ``c`` are not ``a`` and ``bc``; an empty cell is not a name."""
    hashes = set()
    for names in (["ab", "c"], ["a", "bc"], ["abc", None], [None, "abc"], ["a\0", "bc"], ["a", "\0bc"]):
        found = ContentHash((Column("a", "category"),))
        found.add(pd.DataFrame({"a": pd.Categorical(names)}))
        hashes.add(found.hexdigest())
    assert len(hashes) == 6


def test_zero_and_nan_have_one_form() -> None:
    """Minus zero is zero; every NaN is the same."""
    strange = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
    pairs = (([0.0], [-0.0]), ([float("nan")] * 2, strange))
    for one, other in pairs:
        hashes = []
        for values in (one, other):
            found = ContentHash((Column("a", "float"),))
            found.add(pd.DataFrame({"a": np.asarray(values, np.float64)}))
            hashes.append(found.hexdigest())
        assert hashes[0] == hashes[1]


def test_unit_of_time_does_not_show() -> None:
    """A timestamp is the same in seconds, microseconds or nanoseconds."""
    hashes = set()
    for unit in ("s", "us", "ns"):
        found = ContentHash((Column("a", "time"),))
        found.add(pd.DataFrame({"a": pd.Series(["2023-01-01 10:00"], dtype=f"datetime64[{unit}]")}))
        hashes.add(found.hexdigest())
    assert len(hashes) == 1
