"""Moves and curves that experiments keep are those of the runs that they are made of."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sim
from sim.experiments.traffic import MOST_CURVES, MOVES, Curves, Traffic, moves_of
from sim.results.outcome import Moved, Outcome

DESK = Path(__file__).parents[1] / "golden" / "desk.yaml"
OVERDUE = "ladder.states.plan_due.exits.overdue.after"
WAY = ["from_state", "to_state"]


def outcome(moves: dict[Moved, int]) -> Outcome:
    """An outcome of moves alone."""
    return Outcome({}, np.zeros((2, 1, 4), np.int64), np.zeros((2, 1, 2), np.int64), True, moves=moves)


def moved(source: str, target: str, segment: str = "s", wrongful: bool = False) -> Moved:
    return Moved(segment, source, target, "exit:x", wrongful)


def summed(transitions: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Moves of a run's table by way, those of accounts that joined under an empty name."""
    ends = transitions.assign(
        **{end: transitions[end].astype(object).where(transitions[end].notna(), "") for end in WAY}
    )
    return {(str(a), str(b)): int(n) for (a, b), n in ends.groupby(WAY)["transitions"].sum().items() if n}  # type: ignore[misc]


def test_traffic_is_mean_least_and_most_over_points() -> None:
    """Segments, marks and replications are summed or averaged within a point; a way that a point lacks counts as nothing there."""
    found = Traffic()
    found.add([outcome({moved("a", "b"): 3, moved("a", "b", "t", True): 1}), outcome({moved("a", "b"): 2})])
    found.add([outcome({moved("b", "a"): 5})])
    found.add([outcome({moved("a", "b"): 9})])
    rows = {(a, b): (mean, low, high) for a, b, mean, low, high in found.table.itertuples(index=False)}
    assert rows == {("a", "b"): (4.0, 0.0, 9.0), ("b", "a"): (5 / 3, 0.0, 5.0)}


def test_moves_are_told_by_replication() -> None:
    """A row for each move that was made; none where none was."""
    table = moves_of([outcome({moved("", "a"): 2}), outcome({}), outcome({moved("a", "b", wrongful=True): 1})])
    assert list(table.columns) == list(MOVES)
    assert table["replication"].tolist() == [0, 2]
    assert table["transitions"].tolist() == [2, 1]
    assert table["wrongful"].tolist() == [False, True]
    assert list(moves_of([outcome({})]).columns) == list(MOVES)


def test_curves_are_kept_of_few_points() -> None:
    """The first, the last and some between; nobody joined: no rate."""
    found = Curves(100)
    spec = sim.load(DESK).spec
    bans = np.zeros((2, 1, 4), np.int64)
    bans[1, 0] = (4, 1, 0, 0)
    for point in range(100):
        found.add(point, [Outcome({}, bans, bans, True)], spec)
    assert found.table["point"].nunique() == MOST_CURVES
    assert {0, 99} <= set(found.table["point"])
    first = found.table[found.table["point"] == 0]
    assert math.isnan(first["ban_rate"].iloc[0])
    assert first["ban_rate"].iloc[1] == 0.25


def test_a_comparison_has_the_moves_of_both_runs() -> None:
    """Of every replication, by segment and mark, as `run` counts them."""
    a = sim.load(DESK)
    b = a.with_values({OVERDUE: "2 days"})
    found = sim.compare(a, b, seed=4, replications=2)
    for name, scenario in zip(found.names, (a, b), strict=True):
        own = found.transitions[found.transitions["scenario"] == name]
        runs = sim.run(scenario, seed=4, replications=2, histories=0).transitions
        for replication in (0, 1):
            told = own[own["replication"] == replication]
            table = runs[runs["replication"] == replication]
            assert summed(told) == summed(table)
            for part in (("segment", "shops"), ("wrongful", True)):
                assert summed(told[told[part[0]] == part[1]]) == summed(table[table[part[0]] == part[1]]) != {}


def test_a_sweep_has_the_traffic_and_the_curves_of_its_points() -> None:
    """From how many to how many moves there are, and the ban rate over time at each point."""
    scenario = sim.load(DESK)
    values = ["1 days", "3 days"]
    found = sim.sweep(scenario, {OVERDUE: values}, seed=4, replications=2)
    runs = [sim.run(scenario.with_values({OVERDUE: each}), seed=4, replications=2, histories=0) for each in values]
    at = [{way: count / 2 for way, count in summed(run.transitions).items()} for run in runs]
    for source, target, mean, low, high in found.traffic.itertuples(index=False):
        both = [each.get((source, target), 0.0) for each in at]
        assert (mean, low, high) == (sum(both) / 2, min(both), max(both))
    assert len(found.traffic) == len(at[0].keys() | at[1].keys())
    for point, run in enumerate(runs):
        ends = run.bans.groupby(["replication", "time"])[["ever_banned", "joined"]].sum()
        rates = (ends["ever_banned"] / ends["joined"]).groupby("time").mean()
        own = found.curves[found.curves["point"] == point].set_index("time")["ban_rate"]
        assert own.to_numpy() == pytest.approx(rates.to_numpy(), nan_ok=True)
        assert (own.index == rates.index).all()
