"""What would take hours is said before it starts; what is merely large is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import sim
from sim.cli import app
from sim.errors import ScenarioError
from sim.experiments import estimate
from sim.experiments.estimate import TooManyEventsError, busiest, check_events, expected_events
from sim.experiments.folders import COMMAND, Command, tasks_folder
from sim.experiments.replications import Settings, codes_of, replicate

LADDER = Path(__file__).parents[1] / "benchmarks" / "ladder.yaml"
LOOP = """
start: 2022-01-01
horizon: 1 year
segments: {media: {accounts: 1}}
ladder:
  start: here
  states:
    here: {exits: {on: {to: there, after: 1 microsecond}}}
    there: {exits: {back: {to: here, after: 1 microsecond}}}
"""


def test_a_ladder_that_loops_every_microsecond_is_refused_before_it_runs() -> None:
    loop = sim.loads(LOOP)
    assert 3.1e13 < expected_events(loop).events < np.e * 3.2e13  # a year has 3.15e13 microseconds
    with pytest.raises(ScenarioError, match=r"may make up to 8\.[0-9] × 10\^13 events.*--force"):
        sim.run(loop)
    with pytest.raises(ScenarioError, match="may make up to"):
        sim.compare(loop, loop)
    check_events([loop], force=True)


def test_rates_that_make_a_million_million_events_are_refused() -> None:
    busy = sim.load(LADDER).with_values(
        {"segments.accounts.accounts": 4_000_000_000, "violations.violation.rate.accounts": "1 per day"}
    )
    idle = busy.with_values({"ladder.states.compliant.on_violation": {"severe": "banned"},
                             "violations.violation.severity": {"minor": "100%"},
                             "ladder.states.restricted": None, "ladder.states.rectifying": None,
                             "waves.closing": {"at": "1 day", "segment": "accounts", "count": 0, "to": "banned"}})  # fmt: skip
    assert expected_events(idle).events > 1e12
    with pytest.raises(ScenarioError, match="10\\^12"):
        check_events([idle])


def test_a_billion_accounts_for_ten_years_and_all_that_ships_pass() -> None:
    large = sim.load(LADDER).with_values({"segments.accounts.accounts": 1_000_000_000, "horizon": "10 years"})
    check_events([large, *map(sim.load, sim.shipped())])


@pytest.mark.parametrize("name", ["facebook_2022", "twitch_2025", "traffic_fines_2009", "youtube_strikes_2024"])
def test_the_bound_holds_and_is_not_far_above(name: str) -> None:
    scenario = sim.load(name)
    scenario = scenario.scaled(20_000 / max(20_000, sum(s.accounts for s in scenario.spec.segments.values())))
    tally, _ = replicate(codes_of(scenario), Settings(histories=0), 0)
    made = tally.moves[:, :, 1:].sum() + tally.starts.sum() + tally.violations.sum()
    assert made < expected_events(scenario).events < 5 * made


SMALL = """
start: 2022-01-01
horizon: 30 days
segments: {media: {accounts: 60}}
violations:
  spam:
    rate: {media: {low: 1 per month, best: 2 per month, high: 1 per day}}
    severity: {minor: 100%}
    detection: {chance: {low: 5%, best: 10%, high: 90%}}
ladder:
  start: free
  states:
    free: {on_violation: {minor: limited}}
    limited: {activity: 10%, exits: {over: {to: free, after: 3 days}}}
"""
TARGETS = "measure,state,at,value,standard error\noccupancy_share,limited,end,10%,1%\n"
HISTORIES = "account,time,state\n" + "".join(
    f"{k},0,free\n{k},{1 + k % 5},limited\n{k},{4 + k % 5},free\n" for k in range(40)
)
DETECTION = "violations.spam.detection.chance"

LIBRARY: dict[str, Callable[[Path, bool], Any]] = {
    "run": lambda f, force: sim.run(f / "small.yaml", force=force),
    "run into a folder": lambda f, force: sim.run(f / "small.yaml", out=f / "made", force=force),
    "compare": lambda f, force: sim.compare(f / "small.yaml", f / "small.yaml", force=force),
    "sweep": lambda f, force: sim.sweep(f / "small.yaml", {DETECTION: ["10%", "20%"]}, workers=1, force=force),
    "draws": lambda f, force: sim.draws(f / "small.yaml", 2, workers=1, force=force),
    "sensitivity": lambda f, force: sim.sensitivity(f / "small.yaml", method="morris", samples=2, workers=1, force=force),
    "calibrate": lambda f, force: sim.calibrate(f / "small.yaml", f / "targets.csv", starts=1, workers=1, force=force),
    "fit": lambda f, force: sim.fit(f / "histories.csv", force=force),
    "reproduce a run": lambda f, force: sim.reproduce(f / "run", workers=1, force=force),
    "reproduce a sweep": lambda f, force: sim.reproduce(f / "sweep", workers=1, force=force),
    "reproduce a comparison": lambda f, force: sim.reproduce(f / "comparison", workers=1, force=force),
}  # fmt: skip
"""What runs anything in the library."""
VERBS = {
    "run": "run {}/small.yaml --out {}/made",
    "run --until": "run {}/small.yaml --until ban_rate@end±1% --out {}/made",
    "run --draws": "run {}/small.yaml --draws 2 --out {}/made",
    "compare": "compare {}/small.yaml {}/small.yaml --out {}/made",
    "sweep": "sweep {}/small.yaml --vary " + DETECTION + "=10%,20% --out {}/made",
    "sensitivity": "sensitivity {}/small.yaml --samples 2 --out {}/made",
    "calibrate": "calibrate {}/small.yaml --targets {}/targets.csv --out {}/made",
    "fit": "fit {}/histories.csv --out {}/made.yaml",
    "test": "test {}/expecting.yaml",
    "validate --exact": "validate --exact {}/small.yaml",
    "reproduce": "reproduce {}/run",
    "resume": "resume {}/begun",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files, and results folders made while the limit was what it is."""
    made = tmp_path_factory.mktemp("limit")
    (made / "small.yaml").write_text(SMALL, encoding="utf-8")
    (made / "expecting.yaml").write_text(SMALL + "expect: [{measure: ban_rate, below: 50%}]\n", encoding="utf-8")
    (made / "targets.csv").write_text(TARGETS, encoding="utf-8")
    (made / "histories.csv").write_text(HISTORIES, encoding="utf-8")
    small = sim.load(made / "small.yaml")
    sim.run(small, out=made / "run")
    sim.sweep(small, {DETECTION: ["10%", "20%"]}, workers=1, out=made / "sweep")
    sim.compare(small, small, out=made / "comparison")
    begun = tasks_folder(made / "begun")
    begun.mkdir()
    asked = {"seed": 0, "replications": 2, "engine": "auto", "histories": 0, "until": None, "csv": False}
    (begun / COMMAND).write_text(Command("run", (small,), asked).to_json(), encoding="utf-8")
    return made


@pytest.fixture
def lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that everything passes."""
    monkeypatch.setattr(estimate, "LIMIT", 1.0)


@pytest.mark.usefixtures("lowered")
@pytest.mark.parametrize("name", LIBRARY)
def test_the_limit_holds_wherever_the_library_runs_anything(name: str, folder: Path) -> None:
    with pytest.raises(TooManyEventsError, match=r"one replication may make up to .* events.*--force"):
        LIBRARY[name](folder, False)
    assert not (folder / "made").exists()


@pytest.mark.usefixtures("lowered")
@pytest.mark.parametrize("name", ["draws", "fit", "reproduce a sweep", "calibrate"])
def test_what_is_forced_runs(name: str, folder: Path) -> None:
    assert LIBRARY[name](folder, True) is not None


@pytest.mark.usefixtures("lowered")
@pytest.mark.parametrize("name", VERBS)
def test_the_limit_holds_at_every_verb(name: str, folder: Path) -> None:
    done = CliRunner().invoke(app, VERBS[name].replace("{}", str(folder)).split())
    told = done.output if not isinstance(done.exception, ScenarioError) else str(done.exception)
    assert done.exit_code != 0
    assert "one replication may make up to" in told
    assert not (folder / "made").exists()


@pytest.mark.usefixtures("lowered")
def test_the_app_is_told_too(folder: Path) -> None:
    from sim.views.app.picture import draw

    small = sim.load(folder / "small.yaml")
    with pytest.raises(TooManyEventsError, match="use `enforcement-sim run` with --force"):
        draw(small, small, 0, lambda share: None)


def test_the_busiest_corner_of_ranges_is_what_counts() -> None:
    """At the best values there are few enough; somewhere in the ranges there are not."""
    wide = sim.loads(
        SMALL.replace("high: 1 per day", "high: 80000 per day").replace("accounts: 60", "accounts: 1000000")
    )
    check_events([wide])
    assert busiest(wide, wide.ranges()).value("violations.spam.rate.media") == "2400000 per month"
    assert expected_events(wide).events < estimate.LIMIT < expected_events(busiest(wide, wide.ranges())).events
    with pytest.raises(TooManyEventsError):
        sim.draws(wide, 20, workers=1)
