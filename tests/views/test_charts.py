"""The charts of pages say what the tables say: their rows are read back and held to the tables, and names stay values."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from views.tables import People, desk_table, tables

from sim.views import charts
from sim.views.chart_lines import MOST_POINTS, kept_points

SMALL = {"creators": People(5000), "shops": People(2000, 0.5), "newcomers": People(3000, 1.5, joins_over_days=20)}
NASTY = {"</script><script>alert(1)</script>": People(500), "a.b[0]'\"\\": People(400)}
EVENTS = ((pd.Timestamp("2022-07-10"), "closure_order", "wave"), (pd.Timestamp("2022-07-11"), "crackdown", "phase"))


def drawn(chart: Any) -> tuple[dict[str, Any], pd.DataFrame]:
    """A chart as Vega-Lite, validated, and the rows of its curves."""
    spec = chart.to_dict()
    rows = max(spec["datasets"].values(), key=len)
    return spec, pd.DataFrame(rows)


def params(spec: dict[str, Any]) -> dict[str, Any]:
    return {param["name"]: param.get("value") for param in spec["params"]}


@pytest.mark.parametrize("runs", [1, 4])
def test_ban_rates_are_those_of_the_table(runs: int) -> None:
    bans = tables(SMALL, days=40, runs=runs)["bans"]
    spec, rows = drawn(charts.ban_rate(bans, events=EVENTS))
    assert params(spec)["series_names"] == list(SMALL)
    assert len(rows) == 41
    rate = bans["ever_banned"] / bans["joined"].where(bans["joined"] > 0)
    expected = rate.groupby([bans["time"], bans["segment"]], observed=True).mean().unstack()
    for place, name in enumerate(SMALL):
        np.testing.assert_allclose(rows[f"v0_{place}"].astype(float), expected[name], rtol=1e-12)
    assert (rows["l0_0"].astype(float)[1:] < rows["v0_0"][1:]).all()
    assert (rows["h0_0"].astype(float)[1:] > rows["v0_0"][1:]).all()


def test_one_replication_with_a_limited_desk_has_no_bands() -> None:
    _, rows = drawn(charts.ban_rate(tables(SMALL, days=40)["bans"], coupled=True))
    assert rows["l0_0"].isna().all()


def test_occupancy_is_that_of_the_segments_asked_for() -> None:
    occupancy = tables(SMALL, days=40)["occupancy"]
    spec, rows = drawn(charts.occupancy(occupancy, segments=["creators", "shops"]))
    place = params(spec)["series_names"].index("banned")
    own = occupancy[occupancy["segment"].isin(["creators", "shops"]) & (occupancy["state"] == "banned")]
    np.testing.assert_array_equal(rows[f"v0_{place}"].astype(float), own.groupby("time")["accounts"].sum())


def test_a_second_result_has_curves_of_the_same_names() -> None:
    first, second = (tables(SMALL, days=20, seed=seed) for seed in (1, 2))
    spec, rows = drawn(charts.ban_rate(first["bans"], second["bans"], labels=("A", "B")))
    assert params(spec)["result_names"] == ["A", "B"]
    last = second["bans"][second["bans"]["segment"] == "shops"].iloc[-1]
    assert rows["v1_1"].iloc[-1] == pytest.approx(last["ever_banned"] / last["joined"])
    for chart in (
        charts.occupancy(first["occupancy"], second["occupancy"]),
        charts.flows(first["transitions"], second["transitions"]),
    ):
        chart.to_dict()


def test_flows_are_the_moves_of_the_table() -> None:
    transitions = tables(SMALL, days=20, runs=2)["transitions"]
    moved = transitions[transitions["from_state"].notna()]
    counted = charts.move_counts(transitions)
    assert counted["moves"].sum() * 2 == moved["transitions"].sum()
    _, rows = drawn(charts.flows(transitions))
    assert rows["moves"].tolist() == counted["moves"].head(charts.MOST_BARS).tolist()


def test_desks_are_told_by_desk() -> None:
    desks = desk_table({"review": 5, "appeals": None}, days=30)
    spec, rows = drawn(charts.desk_waiting(desks))
    names = params(spec)["series_names"]
    assert set(names) == set(desks["desk"].astype(str))
    own = desks[desks["desk"] == names[0]]
    assert rows["v0_0"].astype(float).iloc[-1] == own["waiting"].iloc[-1]
    drawn(charts.desk_reviewers(desks))


def test_long_grids_are_thinned_with_both_ends() -> None:
    kept = kept_points(3651)
    assert len(kept) == MOST_POINTS
    assert (kept[0], kept[-1]) == (0, 3650)
    assert kept_points(30).tolist() == list(range(30))


def test_names_are_values_and_titles_only() -> None:
    spec, _ = drawn(charts.ban_rate(tables(NASTY, days=5, wave_day=None)["bans"]))
    for name in NASTY:
        written = json.dumps(name)
        text = json.dumps(spec)
        allowed = sum(text.count(f"{key}: {written}") for key in ('"title"',))
        lists = sum(json.dumps(part).count(written) for part in strings_in_lists(spec))
        assert text.count(written) == allowed + lists


def strings_in_lists(node: Any) -> list[list[str]]:
    """Lists of plain strings anywhere in a specification."""
    if isinstance(node, dict):
        return [found for value in node.values() for found in strings_in_lists(value)]
    if isinstance(node, list):
        own = [[item for item in node if isinstance(item, str)]]
        return own + [found for value in node for found in strings_in_lists(value)]
    return []


def test_curves_that_nobody_is_on_can_be_drawn() -> None:
    bans = tables(SMALL, days=5, wave_day=None, moves={})["bans"]
    spec, rows = drawn(charts.ban_rate(bans, log=True))
    assert (rows["v0_0"] == 0).all()
    assert params(spec)["logarithmic"] is True
