"""The library as a notebook uses it: load, change, run, look, keep, open again."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import sim
from sim.results.columns import TABLES
from sim.views.result import events_of

mpl.use("Agg")
ROOT = Path(__file__).parents[1]
DESK, TIMELINE = ROOT / "tests" / "golden" / "desk.yaml", ROOT / "tests" / "golden" / "timeline.yaml"
PLOTS = ("ban_rate", "states_over_time", "flows", "time_to_ban", "desk_load")


@pytest.fixture(autouse=True)
def _no_figures_left() -> None:
    """Each test begins without open figures."""
    plt.close("all")


@pytest.fixture(scope="module")
def result() -> sim.Result:
    """A small run in memory."""
    return sim.run(sim.load(DESK), seed=1)


def test_the_first_lines_of_the_readme() -> None:
    """Load a shipped scenario by name, change a value, run it, look at curve and table."""
    scenario = sim.load("wechat_2022").scaled(0.0001)
    stricter = scenario.with_values({"ladder.states.rectifying.exits.deadline.after": "3 days"})
    assert stricter != scenario
    result = sim.run(stricter, seed=1)
    assert isinstance(result.plot.ban_rate(), Axes)
    occupancy = result.occupancy
    assert list(occupancy["state"].cat.categories) == list(scenario.spec.ladder.states)
    assert list(occupancy["segment"].cat.categories) == list(scenario.spec.segments)
    assert occupancy["time"].dtype == "datetime64[us]"
    assert occupancy["time"].min() == pd.Timestamp(scenario.spec.start)
    assert occupancy["accounts"].dtype == np.int64
    pivot = occupancy.pivot_table(index="time", columns="state", values="accounts", aggfunc="sum", observed=False)
    assert list(pivot.columns) == list(scenario.spec.ladder.states)


def test_scenario_by_object_name_or_file() -> None:
    """`run` takes any of the three."""
    found = [sim.run(source, seed=2).bans for source in (sim.load(TIMELINE), TIMELINE, str(TIMELINE))]
    pd.testing.assert_frame_equal(found[0], found[1])
    pd.testing.assert_frame_equal(found[0], found[2])


def test_tables_are_attributes(result: sim.Result) -> None:
    """Every table under its name, and the summary."""
    for name, columns in TABLES.items():
        assert list(getattr(result, name).columns) == [column.name for column in columns]
    assert {"measure", "value", "low", "high"} <= set(result.summary.columns)
    assert result.manifest["seed"] == 1
    assert result.scenario.name == "desk"
    assert repr(result) == "<Result of 'desk', seed 1>"


def test_the_same_seed_is_the_same_run(result: sim.Result) -> None:
    """Bit for bit; another seed is another run; seed 0 unless told."""
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(sim.run(DESK, seed=1), name), getattr(result, name))
    assert not sim.run(DESK, seed=2).bans.equals(result.bans)
    pd.testing.assert_frame_equal(sim.run(DESK).bans, sim.run(DESK, seed=0).bans)


def test_with_values_leaves_the_scenario_alone() -> None:
    """A changed scenario is another one."""
    scenario = sim.load(DESK)
    changed = scenario.with_values({"desks.reviewers.reviewers": 9, "segments.sellers.accounts": 5})
    assert scenario.spec.desks["reviewers"].reviewers == 1
    assert changed.spec.desks["reviewers"].reviewers == 9
    assert sim.run(changed).waits["mean_hours"].iloc[0] < sim.run(scenario).waits["mean_hours"].iloc[0]
    assert scenario == sim.load(DESK)


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("scenario", [DESK, TIMELINE], ids=["desk", "timeline"])
def test_plots_return_axes(plot: str, scenario: Path) -> None:
    """Every figure draws without display and gives its Axes; a figure of desks where there are none says so."""
    result = sim.run(scenario, seed=1, replications=2)
    axes = getattr(result.plot, plot)()
    assert isinstance(axes, Axes)
    if plot == "desk_load" and not result.scenario.spec.desks:
        assert "desk" in " ".join(text.get_text() for text in axes.texts)
    else:
        assert axes.has_data()
    axes.figure.canvas.draw()


def test_plots_take_options(result: sim.Result) -> None:
    """An Axes of one's own, and marks of one's own instead of the scenario's."""
    _, own = plt.subplots()
    assert result.plot.ban_rate(ax=own, events=[]) is own


def test_events_of_a_scenario() -> None:
    """Phases and waves within the run, by date; those outside it are left out."""
    scenario = sim.load(TIMELINE)
    assert [(name, kind) for _, name, kind in events_of(scenario)] == [
        ("announced", "phase"),
        ("audit", "wave"),
        ("enforced", "phase"),
        ("closure_order", "wave"),
        ("clampdown", "phase"),
    ]
    assert events_of(scenario)[0][0] == pd.Timestamp("2023-05-01")
    early = scenario.with_values({"phases.announced.from": "2023-01-01"})
    assert "announced" not in {name for _, name, _ in events_of(early)}


def test_out_and_open(result: sim.Result, tmp_path: Path) -> None:
    """Kept in a folder, the run is the same; opened again, too."""
    kept = sim.run(DESK, seed=1, out=tmp_path / "kept")
    opened = sim.open(str(tmp_path / "kept"))
    for other in (kept, opened):
        for name in TABLES:
            pd.testing.assert_frame_equal(getattr(other, name), getattr(result, name))
        pd.testing.assert_frame_equal(other.summary, result.summary)
        assert other.scenario.spec == result.scenario.spec
        assert other.scenario.name == "desk"
        assert isinstance(other.plot.ban_rate(), Axes)
    names = {path.name for path in (tmp_path / "kept" / "figures").iterdir()}
    assert {f"{plot}.{kind}" for plot in PLOTS for kind in ("png", "svg")} == names
    same = {key for key in result.manifest if key not in ("written", "wall_seconds", "command", "scenario")}
    assert {key: result.manifest[key] for key in same} == {key: opened.manifest[key] for key in same}


def test_out_refuses_and_forces(tmp_path: Path) -> None:
    """An existing folder is refused; force replaces it."""
    sim.run(TIMELINE, out=tmp_path / "x", histories=0)
    with pytest.raises(sim.ResultsError, match="exists already"):
        sim.run(TIMELINE, out=tmp_path / "x")
    forced = sim.run(TIMELINE, seed=3, out=tmp_path / "x", force=True, histories=0)
    assert forced.manifest["seed"] == 3


def test_saving_figures_leaves_none_open(result: sim.Result, tmp_path: Path) -> None:
    """Drawing into a folder does not fill a notebook with figures."""
    result.save_figures(tmp_path)
    assert plt.get_fignums() == []
    assert len(list(tmp_path.iterdir())) == 2 * len(PLOTS)


def test_open_errors(tmp_path: Path) -> None:
    """No folder, an empty one, a manifest or a scenario that cannot be read: one kind of error."""
    for place in ("nothing", "."):
        with pytest.raises(sim.ResultsError, match=r"is not a results folder"):
            sim.open(tmp_path / place)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(sim.ResultsError, match="cannot be read"):
        sim.open(tmp_path)
    sim.run(TIMELINE, out=tmp_path / "x", histories=0)
    scenario = tmp_path / "x" / "scenario.resolved.yaml"
    resolved = scenario.read_text()
    scenario.write_text("ladder: nonsense")
    with pytest.raises((sim.ResultsError, sim.ScenarioError)):
        sim.open(tmp_path / "x")
    scenario.write_text(resolved)
    (tmp_path / "x" / "manifest.json").write_text("{}")
    with pytest.raises(sim.ResultsError):
        sim.open(tmp_path / "x")


def test_load_errors() -> None:
    """All faults at once, each with its place, and in one exception."""
    with pytest.raises(sim.ScenarioError) as raised:
        sim.load(ROOT / "tests" / "invalid" / "many_faults.yaml")
    faults = raised.value.faults
    assert len(faults) > 2
    assert all(isinstance(fault, sim.Fault) and fault.problem and fault.line for fault in faults)
    assert str(raised.value).splitlines() == [str(fault) for fault in faults]
    with pytest.raises(sim.ScenarioError, match="wechat_2022"):
        sim.run("wechat_2021")
    with pytest.raises(sim.ScenarioError):
        sim.load(DESK).with_values({"desks.reviewers.reviewers": "many"})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seed": -1}, "seed must not be negative, found -1"),
        ({"replications": 0}, "replications must be at least 1, found 0"),
        ({"engine": "fast"}, "engine must be one of auto, compiled, process, found 'fast'"),
        ({"histories": -5}, "histories must not be negative, found -5"),
    ],
)
def test_run_errors(options: dict[str, object], told: str, tmp_path: Path) -> None:
    """What was found and what is allowed; nothing is written."""
    with pytest.raises(ValueError, match=told):
        sim.run(DESK, out=tmp_path / "x", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_engines_by_name() -> None:
    """All three names give the same tables."""
    tables = [sim.run(DESK, seed=5, engine=engine).transitions for engine in ("auto", "compiled", "process")]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])


def test_fault_in_words() -> None:
    """File, line, path, problem and remedy; what is not known is left out."""
    assert (
        str(sim.Fault("a.yaml", 3, "ladder.start", "`x` is no state", "write `y`"))
        == "a.yaml:3: ladder.start: `x` is no state; write `y`"
    )
    assert str(sim.Fault(None, None, "", "the scenario is empty")) == "<scenario>: the scenario is empty"
