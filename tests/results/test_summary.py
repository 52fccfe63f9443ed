"""The summary: its measures from the tables, and which limits each has."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.experiments.replications import Collected, Settings, run_in_memory
from sim.model.tables import restricted_states
from sim.results.columns import SUMMARY
from sim.results.intervals import student, wilson
from sim.scenario import load, loads

GOLDEN = Path(__file__).parents[1] / "golden"
SHARES = {"ban_rate": "ever_banned", "banned_share": "banned", "wrongful_ban_rate": "wrongly_banned"}
DESK = {
    "desk_served": "served",
    "desk_left": "left",
    "desk_mean_wait": "mean_hours",
    "desk_p95_wait": "p95_hours",
    "desk_utilisation": "utilisation",
}
UNITS = {
    **dict.fromkeys((*SHARES, "occupancy_share", "ever_share", "desk_utilisation"), "share"),
    "entries": "entries",
    **dict.fromkeys(
        ("account_days", "restricted_days", "wrongly_restricted_days", "wrongly_banned_days"), "account-days"
    ),
    "audience_days": "reader-days",
    **dict.fromkeys(("violations", "detected_violations"), "violations"),
    **dict.fromkeys(("desk_served", "desk_left"), "accounts"),
    **dict.fromkeys(("desk_mean_wait", "desk_p95_wait"), "hours"),
}


RESTRICTED = {"desk": ["plan_due", "plan_review", "appeal_review"], "timeline": ["rectifying", "restricted"]}
"""States with less activity than usual that are neither bans nor the end."""


@cache
def ran(name: str, replications: int = 1, **_: object) -> Collected:
    """A golden scenario, run in memory."""
    return run_in_memory(load(GOLDEN / f"{name}.yaml"), Settings(3, replications, "auto", 0))


def row(collected: Collected, measure: str, segment: str = "", state: str = "") -> pd.Series:
    """The one row of a measure."""
    table = collected.summary
    found = table[(table["measure"] == measure) & (table["segment"] == segment) & (table["state"] == state)]
    assert len(found) == 1
    return found.iloc[0]


def last(collected: Collected, name: str, segment: str, replication: int = 0) -> pd.DataFrame:
    """Rows of a table at the end, of one segment or of all."""
    table = collected.table(name)
    table = table[table["replication"] == replication]
    if "time" in table:
        table = table[table["time"] == table["time"].max()]
    return table if segment == "" else table[table["segment"] == segment]


@pytest.mark.parametrize("name", ["desk", "strikes", "timeline"])
@pytest.mark.parametrize("replications", [1, 3])
def test_shape(name: str, replications: int) -> None:
    """The columns of the design; one row a measure, segment and state; every measure in its unit."""
    summary = ran(name, replications).summary
    assert list(summary.columns) == list(SUMMARY)
    assert not summary.duplicated(["measure", "segment", "state"]).any()
    assert dict(zip(summary["measure"], summary["unit"], strict=True)).items() <= UNITS.items()
    assert (~(summary["low"] > summary["value"] * (1 + 1e-12))).all()
    assert (~(summary["high"] < summary["value"] * (1 - 1e-12))).all()
    segments = {"", *load(GOLDEN / f"{name}.yaml").spec.segments}
    assert set(summary.loc[summary["measure"] == "ban_rate", "segment"]) == segments


@pytest.mark.parametrize("name", ["desk", "strikes", "timeline"])
def test_shares_of_accounts(name: str) -> None:
    """Ban rates and occupancy at the end, as shares of those who joined; Wilson's limits unless accounts meet at a desk."""
    collected = ran(name)
    coupled = name == "desk"
    for segment in ("", *load(GOLDEN / f"{name}.yaml").spec.segments):
        bans, occupancy, states = (last(collected, table, segment) for table in ("bans", "occupancy", "states"))
        joined = int(bans["joined"].sum())
        counts = [(measure, "", int(bans[column].sum())) for measure, column in SHARES.items()]
        for state in occupancy["state"].cat.categories:
            counts.append(("occupancy_share", state, int(occupancy.loc[occupancy["state"] == state, "accounts"].sum())))
            counts.append(("ever_share", state, int(states.loc[states["state"] == state, "accounts_ever"].sum())))
        for measure, state, count in counts:
            found = row(collected, measure, segment, state)
            assert found["value"] == pytest.approx(count / joined, rel=1e-15)
            limits = (math.nan, math.nan) if coupled else wilson(count, joined)
            assert (found["low"], found["high"]) == pytest.approx(limits, nan_ok=True, rel=1e-15)


@pytest.mark.parametrize("name", ["desk", "timeline"])
def test_sums(name: str) -> None:
    """Sums have no limits from one replication."""
    collected = ran(name)
    for segment in ("", *load(GOLDEN / f"{name}.yaml").spec.segments):
        violations, states = last(collected, "violations", segment), last(collected, "states", segment)
        assert row(collected, "violations", segment)["value"] == violations["violations"].sum()
        assert row(collected, "detected_violations", segment)["value"] == violations["detected"].sum()
        for state in states["state"].cat.categories:
            own = states[states["state"] == state]
            assert row(collected, "entries", segment, state)["value"] == own["entries"].sum()
            assert row(collected, "account_days", segment, state)["value"] == pytest.approx(own["account_days"].sum())
        own = states[states["state"].isin(RESTRICTED[name])]
        assert row(collected, "restricted_days", segment)["value"] == pytest.approx(own["account_days"].sum())
    limits = collected.summary[collected.summary["measure"].isin(["violations", "entries", "account_days"])]
    assert limits[["low", "high"]].isna().all(axis=None)
    assert "audience_days" not in set(collected.summary["measure"])


def test_desks() -> None:
    """The measures of a desk are those of its row of waits; the desk stands in the column of states."""
    collected = ran("desk")
    waits = collected.table("waits").iloc[0]
    for measure, column in DESK.items():
        found = row(collected, measure, "", "reviewers")
        assert found["value"] == pytest.approx(waits[column])
        assert math.isnan(found["low"])


def test_audience_is_told_where_there_is_one() -> None:
    """Reader-days by state, once a segment has readers."""
    scenario = load(GOLDEN / "strikes.yaml").with_values({"segments.creators.audience": 50})
    collected = run_in_memory(scenario, Settings(3))
    states = collected.table("states")
    for segment in ("", "creators", "viewers"):
        chosen = states if segment == "" else states[states["segment"] == segment]
        value = chosen.loc[chosen["state"] == "week", "audience_days"].sum()
        assert row(collected, "audience_days", segment, "week")["value"] == pytest.approx(value)
    creators = states[states["segment"] == "creators"]
    assert creators["audience_days"].tolist() == pytest.approx((50 * creators["account_days"]).tolist())


def test_less_than_a_day_of_one_reader() -> None:
    """It is told all the same."""
    text = "start: 2022-01-01\nhorizon: 12 hours\nsegments: {a: {accounts: 1, audience: 1}}\nladder: {start: s, states: {s: {}}}\n"
    assert row(run_in_memory(loads(text, name="short"), Settings(0)), "audience_days", "a", "s")["value"] == 0.5


@pytest.mark.parametrize("name", ["desk", "strikes"])
def test_limits_over_replications(name: str) -> None:
    """With several replications, all limits are Student's over them, desks or not; values are means."""
    collected = ran(name, 5)
    rates = []
    for replication in range(5):
        bans = last(collected, "bans", "", replication)
        rates.append(bans["ever_banned"].sum() / bans["joined"].sum())
    found = row(collected, "ban_rate")
    assert found["value"] == pytest.approx(np.mean(rates), rel=1e-12)
    assert (found["low"], found["high"]) == pytest.approx(student(rates), rel=1e-12)
    assert collected.summary[["low", "high"]].notna().all(axis=None)
    violations = collected.table("violations").groupby("replication")["violations"].sum().tolist()
    found = row(collected, "violations")
    assert found["value"] == pytest.approx(np.mean(violations))
    assert (found["low"], found["high"]) == pytest.approx(student(violations), rel=1e-12)


def test_first_replications_share_their_values() -> None:
    """The summary of one replication holds its own values, whatever else is run."""
    assert row(ran("desk"), "ban_rate")["value"] == pytest.approx(
        last(ran("desk", 5), "bans", "")["ever_banned"].sum() / 90, rel=1e-15
    )


def test_a_single_segment_is_told_once() -> None:
    """With one segment, all accounts and the segment are the same: one row, under its name."""
    scenario = load(GOLDEN.parent / "benchmarks" / "ladder.yaml").with_values({"segments.accounts.accounts": 50})
    summary = run_in_memory(scenario, Settings()).summary
    assert set(summary["segment"]) == {"accounts"}
    assert not summary.duplicated(["measure", "state"]).any()


def test_nobody_has_joined() -> None:
    """Shares of nobody are empty, not errors."""
    scenario = load(GOLDEN.parent / "benchmarks" / "ladder.yaml")
    late = {"accounts": 5, "joins": {"from": "2023-12-31T23:59", "to": "2073-01-01"}}
    collected = run_in_memory(scenario.with_values({"segments.accounts": late}), Settings())
    assert collected.table("bans")["joined"].max() == 0
    assert len(collected.table("transitions")) == len(collected.table("histories")) == 0
    shares = collected.summary[collected.summary["unit"] == "share"]
    assert shares[["value", "low", "high"]].isna().all(axis=None)
    assert (collected.summary.loc[collected.summary["unit"] != "share", "value"] == 0).all()


def test_wrongful_days() -> None:
    """Days of accounts marked wrongful are those that whole histories tell, and their limits those of a sum of independent parts."""
    scenario = load(GOLDEN / "timeline.yaml").with_values(
        {"segments.traders.accounts": 4000, "violations.financing.genuine": False}
    )
    found = run_in_memory(scenario, Settings(5, 1, "auto", None))
    end = np.datetime64(found.table("bans")["time"].max())
    lives = found.table("histories")
    lives = lives[lives["segment"] == "traders"].sort_values(["account", "time"], kind="stable")
    until = lives.groupby("account")["time"].shift(-1).fillna(pd.Timestamp(end))
    spec = load(GOLDEN / "timeline.yaml").spec
    for measure, states in (
        ("wrongly_restricted_days", restricted_states(spec.ladder)),
        ("wrongly_banned_days", spec.ladder.bans),
    ):
        days = ((until - lives["time"]) / pd.Timedelta(days=1)).where(
            lives["wrongful"] & lives["to_state"].isin(states), 0.0
        )
        each = days.groupby(lives["account"]).sum().reindex(range(4000), fill_value=0.0)
        assert each.sum() > 0
        told = row(found, measure, "traders")
        assert told["value"] == pytest.approx(each.sum())
        half_width = 1.959964 * each.std(ddof=0) * np.sqrt(len(each))
        assert told["high"] - told["value"] == pytest.approx(half_width, rel=1e-4)
        assert told["low"] == pytest.approx(max(0.0, told["value"] - half_width), rel=1e-4)
