"""Sweeps: points, faults before anything runs, pairing, going on after a stop, figures."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import sim
from sim import ScenarioError, load, loads
from sim.cli import app
from sim.errors import ResultsError
from sim.experiments import work
from sim.experiments.folders import content_of, tasks_folder
from sim.experiments.points import axes_of, grid, latin_hypercube, outcomes_at, ranges_of, triangular
from sim.experiments.sweep import run_sweep, sweep_points
from sim.results.outcome import Outcome
from sim.scenario import Range, Scenario
from sim.views.sweeps import draw, name_of, scale_of, sweep

ROOT = Path(__file__).parents[2]
DEADLINE = "ladder.states.rectifying.exits.deadline.after"
RATE = "violations.violation.rate.accounts"
ACTIVITY = "ladder.states.restricted.activity"


@pytest.fixture(scope="module")
def ladder() -> Scenario:
    return load(ROOT / "tests" / "benchmarks" / "ladder.yaml").with_values(
        {"segments.accounts.accounts": 300, "observe": "30 days"}
    )


def test_values_are_read_as_a_scenario_reads_them() -> None:
    """Commas within brackets and quotes do not part; numbers, flags and units are what they are in a file."""
    found = axes_of(["a.b=3 days,7 days", "c={low: 1, best: 2, high: 3}, [x, 'y,z'],1_000", "d=true,0.5,50%"])
    assert found == {
        "a.b": ["3 days", "7 days"],
        "c": [{"low": 1, "best": 2, "high": 3}, ["x", "y,z"], 1000],
        "d": [True, 0.5, "50%"],
    }


def test_texts_that_cannot_be_read_are_told_at_once() -> None:
    """No path, no values, twice, not YAML."""
    with pytest.raises(ScenarioError) as told:
        axes_of(["=3", "novalues", "a=1", "a=2", "b=1,,2", "c={x"])
    assert [fault.path for fault in told.value.faults] == ["=3", "novalues", "a", "b", "c"]


def test_faults_of_all_points_before_anything_runs(ladder: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault once, with every bad value and path."""
    monkeypatch.setattr(work, "perform", lambda *_: pytest.fail("ran"))
    with pytest.raises(ScenarioError) as told:
        sweep(
            ladder,
            {
                DEADLINE: ["3 days", "3", "4 dais"],
                "ladder.states.nowhere.activity": ["10%", "20%"],
                RATE: ["-1 per day"],
            },
        )
    problems = [(fault.path, fault.problem) for fault in told.value.faults]
    assert len(problems) == len(set(problems))
    text = str(told.value)
    assert "nowhere" in text
    assert "`3` has no unit" in text
    assert "dais" in text
    assert "out of bounds" in text


@pytest.mark.parametrize(
    ("axes", "problem"),
    [
        ({}, "nothing is varied"),
        ({RATE: []}, "has no values"),
        ({DEADLINE: ["7 days", "7 days"]}, "twice"),
        ({DEADLINE: [True, True]}, "has the value `true` twice"),
        ({RATE: [*range(400)], DEADLINE: [*range(400)]}, "makes 160,000 points; at most 100,000"),
    ],
)
def test_empty_grids_are_faults(ladder: Scenario, axes: dict[str, list[object]], problem: str) -> None:
    """A grid has at least a path, each with values that differ."""
    with pytest.raises(ScenarioError, match=problem):
        grid(ladder, axes)


def test_a_grid_is_what_its_runs_are(ladder: Scenario) -> None:
    """The table has a row for each measure at each point, equal to a run of that scenario with the same seed."""
    found = sim.sweep(ladder, {DEADLINE: ["3 days", "7 days"], RATE: ["0.01 per day", "0.02 per day"]}, seed=4)
    table = found.table
    assert list(table.columns) == [
        "point",
        DEADLINE,
        RATE,
        "measure",
        "segment",
        "state",
        "value",
        "low",
        "high",
        "unit",
    ]
    rows = found.of("ban_rate")
    assert rows[DEADLINE].tolist() == ["3 days", "3 days", "7 days", "7 days"]
    assert rows[RATE].tolist() == ["0.01 per day", "0.02 per day"] * 2
    alone = sim.run(ladder.with_values({DEADLINE: "7 days", RATE: "0.02 per day"}), seed=4).summary
    mine = table[table["point"] == 3].drop(columns=["point", DEADLINE, RATE]).reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone, check_dtype=False)


def test_points_are_paired(ladder: Scenario) -> None:
    """What no account meets changes nothing: not one account ends differently."""
    found = sim.sweep(ladder, {"ladder.states.banned.activity": ["0%", "1%"]}, seed=1, replications=2)
    assert found.of("ban_rate")["value"].nunique() == 1
    assert found.of("ban_rate")["low"].notna().all()


def test_latin_hypercube_meets_every_part_of_every_range_once() -> None:
    """Each of N parts of equal chance of each range holds one of N points; the same seed gives the same points."""
    scenario = load("wechat_2022").scaled(1e-6)
    points = latin_hypercube(scenario, 8, seed=3)
    ranges = ranges_of(scenario)
    for path, range_ in ranges.items():
        values = sorted(point.scenario.spec.ladder.states["banned"].exits["appealed"].chance for point in points)
        if path == "ladder.states.banned.exits.appealed.chance":
            edges = [float(triangular(pytest.importorskip("numpy").array([k / 8]), range_)[0]) for k in range(9)]
            assert all(low <= value <= high for low, value, high in zip(edges, values, edges[1:], strict=False))
    assert [point.values for point in latin_hypercube(scenario, 8, seed=3)] == [point.values for point in points]
    assert [point.values for point in latin_hypercube(scenario, 8, seed=4)] != [point.values for point in points]


def test_triangular_is_the_inverse_of_its_distribution_function() -> None:
    """Against scipy, with the mode inside and at either end."""
    import numpy as np
    from scipy.stats import triang

    at = np.linspace(0, 1, 21)
    for best in (2.0, 3.5, 6.0):
        mine = triangular(at, Range(2.0, best, 6.0, ("2", str(best), "6")))
        assert mine == pytest.approx(triang.ppf(at, (best - 2) / 4, loc=2, scale=4))


def test_without_ranges_there_is_nothing_to_sample(ladder: Scenario) -> None:
    """A fault that says what to write."""
    with pytest.raises(ScenarioError, match="has no ranges"):
        sweep_points(ladder, samples=4)
    with pytest.raises(ValueError, match="one of the two"):
        sweep_points(ladder, {RATE: ["1 per year"]}, samples=4)


def test_the_section_of_a_file(ladder: Scenario) -> None:
    """Without values or samples the file's `sweep:` says where to look; what is asked for takes its place; without either there is nothing."""
    with pytest.raises(ScenarioError, match="there is nothing to vary; give --vary"):
        sweep_points(ladder)
    written = ladder.with_values({"sweep": {"vary": {DEADLINE: ["3d", "1 week"], ACTIVITY: [0.1]}}})
    found = sweep(written)
    asked = sweep(ladder, {DEADLINE: ["3 days", "1 week"], ACTIVITY: ["10%"]})
    pd.testing.assert_frame_equal(found.table, asked.table)
    assert found.manifest["axes"] == {DEADLINE: ["3 days", "1 week"], ACTIVITY: ["10%"]}
    assert [point.scenario.spec.sweep for point in sweep_points(written)] == [None, None]
    assert len(sweep_points(written, {ACTIVITY: ["5%", "6%", "7%"]})) == 3
    unsure = ladder.with_values({RATE: {"low": "1 per year", "best": "2 per year", "high": "3 per year"}})
    assert len(sweep_points(unsure.with_values({"sweep": {"samples": 5}}))) == 5


def test_goes_on_where_it_was_stopped(ladder: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep stopped half-way and called again runs only the rest, and gives the same content; nothing else is left."""
    axes = {DEADLINE: [f"{days} days" for days in range(3, 9)]}
    whole = sim.sweep(ladder, axes)
    ran = []
    perform = work.perform

    def counted(task: work.Task, threads: int | None = None) -> Outcome:
        ran.append(task.point)
        if len(ran) == 4:
            raise MemoryError("no room")
        return perform(task, threads)

    monkeypatch.setattr(work, "perform", counted)
    out = tmp_path / "swept"
    with pytest.raises(sim.RunError, match=r"1 of the tasks failed:\n.*=\d days, replication 0: .*no room"):
        sim.sweep(ladder, axes, out=out, workers=1)
    assert not out.exists()
    assert tasks_folder(out).is_dir()
    again = sim.sweep(ladder, axes, out=out, workers=1)
    assert len(ran) == 7
    assert again.manifest["tables"] == whole.manifest["tables"]
    assert [path.name for path in tmp_path.iterdir()] == ["swept"]
    told = json.loads((out / "manifest.json").read_text())
    empty = {"low": [""], "high": [""], "value": [""]}
    read = pd.read_csv(out / "sweep.csv", keep_default_na=False, na_values=empty)
    text = pd.read_csv(out / "sweep.csv", keep_default_na=False, dtype=str)
    for name in read.select_dtypes("float"):
        read[name] = [float(each) if each else math.nan for each in text[name]]  # to the last bit
    assert content_of(read.astype(again.table.dtypes)) == told["tables"]["sweep"]["sha256"]
    assert (out / "figures" / "ban_rate.png").is_file()
    with pytest.raises(ResultsError, match="exists already"):
        sim.sweep(ladder, axes, out=out)
    sim.sweep(ladder, axes, out=out, force=True)


def test_points_with_a_failed_replication_are_left_out(ladder: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes of one point never stand in for those of another."""
    points = grid(ladder, {DEADLINE: ["3 days", "5 days", "7 days"]})
    perform = work.perform

    def fails(task: work.Task, threads: int | None = None) -> Outcome:
        if (task.point[-6:], task.replication) in (("3 days", 1), ("5 days", 0)):
            raise MemoryError
        return perform(task, threads)

    monkeypatch.setattr(work, "perform", fails)
    seen = []
    with pytest.raises(sim.RunError):
        seen.extend(place for place, _ in outcomes_at(points, 0, 2))
    assert seen == [2] or not seen


def test_command(ladder: Scenario, tmp_path: Path) -> None:
    """The verb writes a folder; both of --vary and --samples, or nothing to vary, are refused."""
    file = tmp_path / "x.yaml"
    file.write_text(ladder.resolved_yaml())
    run = CliRunner().invoke
    done = run(app, ["sweep", str(file), "--vary", f"{DEADLINE}=3 days,7 days", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "2 points" in done.output
    nothing = run(app, ["sweep", str(file)]).exception
    assert "there is nothing to vary" in str(nothing)
    assert run(app, ["sweep", str(file), "--vary", "a=1", "--samples", "3"]).exit_code == 2


def test_scales() -> None:
    """Axes are read in the unit of their first value; words stand side by side."""
    assert scale_of("a.b", ["36 hours", "1 week"]).at.tolist() == [36, 168]
    assert scale_of("a.b", ["36 hours", "1 week"]).label == "a.b (hours)"
    assert scale_of("a.b", ["10%", "0.5"]).at.tolist() == pytest.approx([10, 50])
    assert scale_of("a.b", ["2 per year", "1 per year"]).at.tolist() == pytest.approx([2, 1])
    assert not scale_of("a.b", ["banned", "restricted"]).numeric
    assert name_of("one.two.three", 12) == "… two.three"


def test_figures(ladder: Scenario) -> None:
    """One axis is a line, two a heat map with its bar, three small multiples of one scale, samples are dots; words are axes too."""
    three = {DEADLINE: ["7 days", "3 days"], RATE: ["0.01 per day", "0.02 per day"], ACTIVITY: ["0%", "50%"]}
    paths = list(three)
    one = run_sweep(ladder, grid(ladder, {DEADLINE: ["7 days", "3 days"]}))
    (ax,) = draw(one).axes
    assert ax.lines[0].get_xdata().tolist() == [3, 7]
    two = run_sweep(ladder, grid(ladder, {path: three[path] for path in paths[:2]}))
    values = two.of("ban_rate")["value"].to_numpy().reshape(2, 2)
    assert draw(two).axes[0].collections[0].get_array().tolist() == values[::-1].tolist()
    assert len(draw(run_sweep(ladder, grid(ladder, three))).axes) == 3
    words = run_sweep(ladder, grid(ladder, {"ladder.states.restricted.exits.deadline.to": ["banned", "compliant"]}))
    assert [label.get_text() for label in draw(words, "account_days", state="banned").axes[0].get_xticklabels()] == [
        "banned",
        "compliant",
    ]
    ranged = loads(ladder.with_values({ACTIVITY: {"low": "1%", "best": "2%", "high": "3%"}}).resolved_yaml())
    sampled = run_sweep(ranged, sweep_points(ranged, samples=3), is_grid=False)
    assert len(draw(sampled).axes) == 1
