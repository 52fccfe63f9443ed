"""`bench`: what it times and what it says, on populations that take no time."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from sim.cli import app
from sim.experiments import bench


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Populations of a few thousand."""
    for name, accounts in (("SIMPY", 2_000), ("COMPILED", 10_000), ("IDLE", 20_000)):
        monkeypatch.setattr(bench, f"{name}_ACCOUNTS", accounts)


@pytest.mark.machine_code
def test_verb(small: None) -> None:
    """A line for each engine, the desk and the scan, and the ratio of the fastest compiled run to SimPy's."""
    done = CliRunner().invoke(app, ["bench", "--repeats", "1"])
    assert done.exit_code == 0, done.output
    told = re.findall(r"^(.+?) +([\d.]+) million (\w+) per second$", done.output, re.MULTILINE)
    assert [name.split(",")[0] for name, _, _ in told][:2] == ["ladder", "ladder"]
    assert [unit for _, _, unit in told] == ["transitions"] * (len(told) - 1) + ["accounts"]
    speeds = {name: float(speed) for name, speed, _ in told}
    fastest = max(speed for name, speed in speeds.items() if name.startswith("ladder, compiled"))
    ratio = float(re.search(r"ratio of the engines on the ladder +(\d+)", done.output)[1])
    assert ratio == pytest.approx(fastest / speeds["ladder, SimPy engine, 1 core"], rel=0.05, abs=0.6)


@pytest.mark.machine_code
def test_timing_is_the_median_of_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run is not counted; the transitions are those of the run whose time is the median."""
    taken = iter([(9, 9.0), (1, 5.0), (2, 3.0), (3, 4.0)])
    monkeypatch.setattr(bench, "time_engine", lambda codes, run, seed: next(taken))
    found = bench.median_timing("ladder", bench.benchmark_scenario("ladder", 10), lambda law, tally: None, 3)
    assert (found.count, found.seconds, found.per_second) == (3, 4.0, 0.75)


def test_scenarios() -> None:
    """One reviewer for 5,000 accounts, and never none; idle accounts commit next to nothing."""
    reviewers = {n: bench.benchmark_scenario("desk", n).spec.desks["review"].reviewers for n in (100, 4_999, 50_000)}
    assert reviewers == {100: 1, 4_999: 1, 50_000: 10}
    assert bench.idle_scenario(70).spec.segments["accounts"].accounts == 70
