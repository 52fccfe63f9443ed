"""The tables of a run: their columns, how they hang together, and their numbers against the naive reference simulator."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from agreement.lives import as_yaml
from random_scenarios import random_scenario
from results.expected import DAY, Expected
from ruamel.yaml import YAML

from sim.experiments.replications import Collected, Settings, codes_of, run_in_memory
from sim.results.columns import SUMMARY, TABLES
from sim.results.tables import wait_quantile
from sim.scenario import loads

GOLDEN = Path(__file__).parents[1] / "golden"
SEED = 42
RANDOM = (3, 4, 5, 9, 12, 29, 31, 46)
CASES = ["desk", "strikes", "timeline", *RANDOM]
every_case = pytest.mark.parametrize("case", CASES, ids=str)

COLUMNS = {
    "occupancy": "replication, time, segment, state, accounts",
    "bans": "replication, time, segment, joined, ever_banned, banned, wrongly_banned",
    "transitions": "replication, time, segment, from_state, to_state, cause, wrongful, transitions",
    "states": "replication, segment, state, entries, accounts_ever, account_days, audience_days",
    "violations": "replication, segment, kind, severity, genuine, violations, detected",
    "desks": "replication, time, desk, waiting, busy, reviewers",
    "waits": "replication, desk, served, left, mean_hours, p50_hours, p95_hours, p99_hours, utilisation",
    "histories": "replication, segment, account, time, from_state, to_state, cause, kind, severity, strikes, wrongful",
}
"""Columns as the design of the results folder lists them, in order."""
CATEGORIES = {"segment", "state", "from_state", "to_state", "cause", "kind", "severity", "desk"}
DTYPES = {"time": "datetime64[us]", "wrongful": "bool", "genuine": "bool", "reviewers": "Int64", "strikes": "Int64"}
FLOATS = {"account_days", "audience_days", "mean_hours", "p50_hours", "p95_hours", "p99_hours", "utilisation"}


def dtype_of(column: str) -> str:
    """Type of a column in memory."""
    if column in CATEGORIES:
        return "category"
    return DTYPES.get(column, "float64" if column in FLOATS else "int64")


def text_of(case: str | int) -> str:
    """Scenario file of a golden case or of a random scenario."""
    if isinstance(case, int):
        return as_yaml(random_scenario(np.random.default_rng(case)))
    return (GOLDEN / f"{case}.yaml").read_text()


@cache
def ran(case: str | int) -> Collected:
    """A run in memory of two replications, all histories kept."""
    return run_in_memory(loads(text_of(case)), Settings(SEED, 2, "auto", None))


@cache
def expected(case: str | int, replication: int = 0) -> Expected:
    """What the reference simulator says of it."""
    scenario: dict[str, Any] = YAML(typ="safe").load(text_of(case))
    return Expected(scenario, loads(text_of(case)).spec, SEED, replication)


def table(case: str | int, name: str, replication: int = 0) -> pd.DataFrame:
    """Rows of one replication, without its number, names as plain text and empty ones as ``""``."""
    found = ran(case).table(name)
    found = found[found["replication"] == replication].drop(columns="replication").reset_index(drop=True)
    for column in found.columns:
        if column in CATEGORIES:
            found[column] = [name if isinstance(name, str) else "" for name in found[column]]
    return found


def rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Rows as plain tuples."""
    plain = frame.astype(object)
    return [tuple(row) for row in plain.where(plain.notna(), None).itertuples(index=False)]


# -------------------------------------------------------------------------------------------------------- columns
@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_those_of_the_design(name: str) -> None:
    """Names and order, in the one place that defines them."""
    assert ", ".join(column.name for column in TABLES[name]) == COLUMNS[name]


def test_tables_are_those_of_the_design() -> None:
    """No table more or less; the summary has its seven columns."""
    assert set(TABLES) == set(COLUMNS)
    assert ", ".join(SUMMARY) == "measure, segment, state, value, low, high, unit"


@every_case
def test_columns_in_memory(case: str | int) -> None:
    """Names, order and types of every table, whatever the scenario has or has not."""
    for name, columns in COLUMNS.items():
        found = ran(case).table(name)
        assert ", ".join(found.columns) == columns, name
        assert {column: str(dtype) for column, dtype in found.dtypes.items()} == {
            column: dtype_of(column) for column in found.columns
        }, name
        assert list(found.index) == list(range(len(found))), name


def test_types_agree_with_their_definition() -> None:
    """`Column.type` says of each column what memory holds."""
    types = {"int": "int64", "nullable int": "Int64", "float": "float64", "bool": "bool", "time": "datetime64[us]"}
    for columns in TABLES.values():
        for column in columns:
            assert types.get(column.type, "category") == dtype_of(column.name), column


@pytest.mark.parametrize("case", ["desk", "timeline", 4], ids=str)
def test_names_keep_the_order_of_the_file(case: str | int) -> None:
    """Categories are all names, in the order of the file, also those that never occur."""
    spec, collected = loads(text_of(case)).spec, ran(case)
    states = list(spec.ladder.states)
    order = {"segment": list(spec.segments), "desk": list(spec.desks), "severity": list(spec.severities)}
    order |= {"state": states, "from_state": states, "to_state": states, "kind": list(spec.violations)}
    for name in TABLES:
        found = collected.table(name)
        for column in set(found.columns) & set(order):
            assert list(found[column].cat.categories) == order[column], (name, column)


# ---------------------------------------------------------------------------------------------- against the reference
@every_case
@pytest.mark.parametrize("replication", [0, 1])
def test_occupancy_equals_the_reference(case: str | int, replication: int) -> None:
    """Every state of every segment at every grid time."""
    assert rows(table(case, "occupancy", replication)) == expected(case, replication).occupancy()


@every_case
def test_bans_equal_the_reference(case: str | int) -> None:
    """Joined, ever banned, banned and wrongly banned at every grid time."""
    assert rows(table(case, "bans")) == expected(case).bans()


@every_case
def test_transitions_equal_the_reference(case: str | int) -> None:
    """Moves by grid time, segment, states, cause and mark; none twice, none with nothing in it."""
    found = rows(table(case, "transitions"))
    assert len({row[:-1] for row in found}) == len(found)
    assert {row[:-1]: row[-1] for row in found} == expected(case).transitions()
    assert [row[0] for row in found] == sorted(row[0] for row in found)


@every_case
def test_states_equal_the_reference(case: str | int) -> None:
    """Entries, accounts ever, account-days and reader-days."""
    for mine, theirs in zip(rows(table(case, "states")), expected(case).state_sums(), strict=True):
        assert mine[:4] == theirs[:4]
        assert mine[4] == pytest.approx(theirs[4], rel=1e-12, abs=1e-9)
        assert mine[5] == pytest.approx(theirs[5], rel=1e-9, abs=1e-3)


@every_case
def test_violations_equal_the_reference(case: str | int) -> None:
    """By segment, kind and severity, those that never happened too."""
    assert rows(table(case, "violations")) == expected(case).violations()


@every_case
def test_desks_equal_the_reference(case: str | int) -> None:
    """Waiting, busy and reviewers at every grid time."""
    assert rows(table(case, "desks")) == expected(case).desks()


@every_case
def test_waits_equal_the_reference(case: str | int) -> None:
    """Counts and means exactly, percentiles within the width of their buckets."""
    found = table(case, "waits")
    assert list(found["desk"]) == list(loads(text_of(case)).spec.desks)
    for row in found.to_dict("records"):
        theirs = expected(case).waits(row["desk"])
        assert (row["served"], row["left"]) == (theirs["served"], theirs["left"])
        assert row["mean_hours"] == pytest.approx(theirs["mean_hours"], rel=1e-9, abs=1e-9, nan_ok=True)
        assert row["utilisation"] == pytest.approx(theirs["utilisation"], rel=1e-9, nan_ok=True)
        for percentile in ("p50_hours", "p95_hours", "p99_hours"):
            assert row[percentile] == pytest.approx(theirs[percentile], rel=0.008, abs=1e-9, nan_ok=True)


@every_case
def test_histories_equal_the_reference(case: str | int) -> None:
    """Every column of every event, by segment, account and order of happening."""
    theirs = [
        (e.segment, e.account, e.from_state, e.to_state, e.cause, e.kind, e.severity, e.strikes, e.wrongful)
        for e in expected(case).lives.events
    ]
    assert rows(table(case, "histories").drop(columns="time")) == theirs
    start = np.datetime64(loads(text_of(case)).spec.start, "us")
    times = (table(case, "histories")["time"].to_numpy() - start).astype(np.int64)
    assert np.abs(times - [event.time_us for event in expected(case).lives.events]).max() <= 1


def test_cases_cover_desks_of_every_kind() -> None:
    """Between them the cases have queues, desks with hours, unlimited desks, and services that outlast their reviewers."""
    desks = pd.concat([table(case, "desks") for case in CASES])
    assert desks["waiting"].max() > 3
    assert desks["reviewers"].isna().any()
    assert (desks["reviewers"] == 0).any()
    assert (desks["busy"] > desks["reviewers"].fillna(10**9)).any()
    assert (pd.concat([table(case, "waits") for case in CASES])["left"] > 0).any()


# ------------------------------------------------------------------------------------------------- how they hang together
@every_case
def test_occupancy_adds_up_to_those_joined(case: str | int) -> None:
    """Everybody who has joined is in one state."""
    held = ran(case).table("occupancy").groupby(["replication", "time", "segment"], observed=True)["accounts"].sum()
    joined = ran(case).table("bans").set_index(["replication", "time", "segment"])["joined"]
    assert held.sort_index().tolist() == joined.sort_index().tolist()
    sizes = {name: segment.accounts for name, segment in loads(text_of(case)).spec.segments.items()}
    assert all(count <= sizes[segment] for (_, _, segment), count in joined.items())


@every_case
def test_transitions_reproduce_occupancy(case: str | int) -> None:
    """Moves in less moves out, summed up to a grid time, are those in the state."""
    moves, occupancy = ran(case).table("transitions"), ran(case).table("occupancy")
    sums: dict[tuple[Any, ...], int] = {}
    for row in moves.to_dict("records"):
        for sign, state in ((1, row["to_state"]), (-1, row["from_state"])):
            if isinstance(state, str):
                key = (row["replication"], row["segment"], state, row["time"])
                sums[key] = sums.get(key, 0) + sign * row["transitions"]
    change = [
        sums.get(key, 0)
        for key in zip(*(occupancy[c] for c in ("replication", "segment", "state", "time")), strict=True)
    ]
    summed = (
        occupancy.assign(change=change).groupby(["replication", "segment", "state"], observed=False)["change"].cumsum()
    )
    assert summed.tolist() == occupancy["accounts"].tolist()
    assert (occupancy["accounts"] >= 0).all()


@every_case
def test_account_days_add_up_to_the_time_since_joining(case: str | int) -> None:
    """Nobody is nowhere after joining."""
    histories, states = ran(case).table("histories"), ran(case).table("states")
    end = np.datetime64(loads(text_of(case)).spec.start, "us") + np.timedelta64(loads(text_of(case)).spec.end_us, "us")
    joins = histories[histories["cause"] == "joined"]
    since = ((end - joins["time"]).dt.total_seconds() / 86_400).groupby(joins["replication"]).sum()
    assert states.groupby("replication")["account_days"].sum().tolist() == pytest.approx(since.tolist(), rel=1e-9)


@every_case
def test_bans_are_in_order(case: str | int) -> None:
    """Joined, ever banned and wrongly banned never fall; each is at most the one that it is part of."""
    bans = ran(case).table("bans")
    for _, curve in bans.groupby(["replication", "segment"], observed=True):
        for column in ("joined", "ever_banned", "wrongly_banned"):
            assert (curve[column].diff().dropna() >= 0).all(), column
    assert (bans["wrongly_banned"] <= bans["ever_banned"]).all()
    assert (bans["banned"] <= bans["ever_banned"]).all()
    assert (bans["ever_banned"] <= bans["joined"]).all()
    banned = list(loads(text_of(case)).spec.ladder.bans)
    occupancy = ran(case).table("occupancy")
    held = (
        occupancy[occupancy["state"].isin(banned)]
        .groupby(["replication", "time", "segment"], observed=True)["accounts"]
        .sum()
    )
    assert (
        held.sort_index().tolist() == bans.set_index(["replication", "time", "segment"])["banned"].sort_index().tolist()
    )


@every_case
def test_states_agree_with_transitions(case: str | int) -> None:
    """Entries are moves into a state; accounts ever are at most that, and at least those in it at the end."""
    moves, states = ran(case).table("transitions"), ran(case).table("states")
    entries = moves.groupby(["replication", "segment", "to_state"], observed=False)["transitions"].sum()
    assert entries.tolist() == states["entries"].tolist()
    assert (states["accounts_ever"] <= states["entries"]).all()
    occupancy = ran(case).table("occupancy")
    last = occupancy[occupancy["time"] == occupancy["time"].max()]
    assert (states["accounts_ever"].to_numpy() >= last["accounts"].to_numpy()).all()


@every_case
def test_detected_are_violations(case: str | int) -> None:
    """Nothing is detected that was not done; a kind is genuine or not in every row; decisions need detections."""
    violations = ran(case).table("violations")
    assert (violations["detected"] <= violations["violations"]).all()
    assert (violations.groupby("kind", observed=True)["genuine"].nunique() == 1).all()
    moves = ran(case).table("transitions")
    assert moves.loc[moves["cause"] == "decision", "transitions"].sum() <= violations["detected"].sum()


@every_case
def test_desks_hold_no_more_than_they_can(case: str | int) -> None:
    """Waiting and busy are never negative; a limited desk is busier than it has reviewers only while services outlast a fall."""
    desks = ran(case).table("desks")
    assert (desks["waiting"] >= 0).all()
    assert (desks["busy"] >= 0).all()
    for _, curve in desks.groupby(["replication", "desk"], observed=True):
        over = (curve["busy"] > curve["reviewers"].fillna(2**62)).to_numpy()
        grown = np.diff(curve["busy"].to_numpy(), prepend=0) > 0
        fixed = curve["reviewers"].nunique(dropna=False) == 1
        hours = any(desk.hours is not None for desk in loads(text_of(case)).spec.desks.values())
        if fixed and not hours:
            assert not (over & grown).any()
            assert not over.any()
    waits = ran(case).table("waits")
    assert (waits[["served", "left"]] >= 0).all(axis=None)
    assert (waits["p50_hours"].fillna(0) <= waits["p95_hours"].fillna(0)).all()
    assert (waits["p95_hours"].fillna(0) <= waits["p99_hours"].fillna(0)).all()


@every_case
def test_grid_ends_with_the_run(case: str | int) -> None:
    """The grid is every `observe` from the start, and the end."""
    spec = loads(text_of(case)).spec
    times = ran(case).table("bans")["time"].drop_duplicates().to_numpy()
    start = np.datetime64(spec.start, "us")
    assert ((times - start).astype(np.int64)).tolist() == [*range(0, spec.end_us, spec.observe_us), spec.end_us]


# ---------------------------------------------------------------------------------------------------------- other things
def test_every_table_of_a_scenario_without_anything() -> None:
    """No violations, no desks, nobody joins before the end: empty tables keep their columns and types."""
    text = "schema: 1\ntitle: Nothing\nassumed: [all]\nstart: 2023-01-01\nhorizon: 2 days\n"
    text += "segments: {a: {accounts: 3, joins: {from: 2023-01-01, to: 2023-01-02}}}\n"
    collected = run_in_memory(loads(text + "ladder: {start: on, bans: [], states: {on: {activity: 0}}}\n"), Settings())
    for name, columns in COLUMNS.items():
        found = collected.table(name)
        assert ", ".join(found.columns) == columns
        assert all(str(found[column].dtype) == dtype_of(column) for column in found.columns), name
    assert [len(collected.table(name)) for name in ("violations", "desks", "waits")] == [0, 0, 0]
    assert collected.table("bans")["joined"].tolist()[0] == 0
    assert collected.table("bans")["joined"].tolist()[-1] == 3


@pytest.mark.parametrize(("histories", "kept"), [(None, 60), (0, 0), (1, 1), (7, 7), (10_000, 60)])
def test_histories_of_the_first_accounts(histories: int | None, kept: int) -> None:
    """As many accounts of each segment as asked for; everything else covers all of them."""
    scenario = loads(text_of("desk"))
    collected = run_in_memory(scenario, Settings(SEED, 1, "auto", histories))
    found = collected.table("histories")
    whole = ran("desk").table("histories")
    whole = whole[(whole["replication"] == 0) & (whole["account"] < (10**9 if histories is None else histories))]
    pd.testing.assert_frame_equal(found, whole.reset_index(drop=True))
    assert found.loc[found["segment"] == "sellers", "account"].nunique() == kept
    for name in set(TABLES) - {"histories"}:
        theirs = ran("desk").table(name)
        pd.testing.assert_frame_equal(collected.table(name), theirs[theirs["replication"] == 0].reset_index(drop=True))


@pytest.mark.parametrize("case", ["desk", "timeline", 9], ids=str)
def test_engines_give_the_same_tables(case: str | int) -> None:
    """SimPy and the compiled engine leave the same tables behind, row for row."""
    other = run_in_memory(loads(text_of(case)), Settings(SEED, 2, "process", None))
    for name in TABLES:
        pd.testing.assert_frame_equal(ran(case).table(name), other.table(name))
    pd.testing.assert_frame_equal(ran(case).summary, other.summary)


def test_replications_are_those_of_their_number() -> None:
    """Replications differ, and each is what it would be alone in a longer run."""
    codes = codes_of(loads(text_of("desk")))
    assert codes.grid[-1] == 120 * DAY
    three = run_in_memory(loads(text_of("desk")), Settings(SEED, 3, "auto", None))
    for name in TABLES:
        found = three.table(name)
        first_two = found[found["replication"] < 2].reset_index(drop=True)
        pd.testing.assert_frame_equal(first_two, ran("desk").table(name))
        assert set(found["replication"]) == {0, 1, 2}
    moves = three.table("transitions").groupby("replication")["transitions"].sum()
    assert moves.nunique() == 3


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_wait_quantile_has_the_right_rank(share: float) -> None:
    """The smallest wait that the share did not exceed, at every number of waits: no rounding of share times count shows."""
    percent = round(100 * share)
    for count in range(1, 700):
        histogram = np.zeros(1 + 64 * 64, np.int64)
        histogram[1 : count + 1] = 1
        rank = -(-percent * count // 100)
        alone = np.zeros_like(histogram)
        alone[rank] = 1
        assert wait_quantile(histogram, share) == wait_quantile(alone, share), count


def test_wait_quantile_of_nobody() -> None:
    """Nobody served: no wait to tell."""
    assert np.isnan(wait_quantile(np.zeros(10, np.int64), 0.5))
