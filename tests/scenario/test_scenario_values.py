"""Ranges and draws from them, scaled scenarios, equality, and what loading is given."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.scenario import Scenario, load, loads

HERE = Path(__file__).parent
BASE = (HERE.parent / "invalid" / "unit_base.yaml").read_text(encoding="utf-8")
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load(HERE / "every_feature.yaml")


def test_ranges_are_in_the_units_of_specs(scenario: Scenario) -> None:
    ranges = scenario.ranges()
    assert len(ranges) == 18
    expire = ranges["ladder.strikes.expire"]
    assert (expire.low, expire.best, expire.high) == (30 * DAY, 90 * DAY, 365 * DAY)
    assert expire.text == ("30 days", "90 days", "1 year")
    assert ranges["segments.Ünïcode-2 b.accounts"].text == ("10", "20", "40")
    assert ranges["violations.trading.rate.readers"].best == 2 / (7 * DAY)
    assert ranges["ladder.states.warned.exits.empirical.after.empirical.quantiles.2"].best == 4_000_000
    assert ranges["phases.before.set.violations.trading.detection.chance"].best == 0.4
    assert ranges["phases.first.set.violations.trading.severity.mild"].low == 0.1


def test_each_end_of_each_range_can_be_set_as_it_is_written(scenario: Scenario) -> None:
    for path, found in scenario.ranges().items():
        if "severity" in path or "outcomes" in path:
            continue  # one entry alone would break the sum
        for text in found.text:
            assert path not in scenario.with_values({path: text}).ranges()


def test_draws_replace_ranges(scenario: Scenario) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        values = {
            path: r.low if r.low == r.high else float(rng.triangular(r.low, r.best, r.high))
            for path, r in scenario.ranges().items()
        }
        drawn = scenario.drawn(values)
        assert not drawn.ranges()
        assert drawn.spec.ladder.strikes_expire_us == pytest.approx(values["ladder.strikes.expire"], abs=1)
        rate = drawn.spec.violations["trading"].rate["readers"]
        assert rate == pytest.approx(values["violations.trading.rate.readers"], rel=1e-12)
        assert drawn.spec.segments["Ünïcode-2 b"].accounts == round(values["segments.Ünïcode-2 b.accounts"])
        for law in (drawn.spec, *drawn.in_force):
            assert math.fsum(law.violations["trading"].severity.values()) == pytest.approx(1, abs=1e-12)
        assert loads(drawn.resolved_yaml()) == drawn


def test_draws_at_the_corners_are_valid(scenario: Scenario) -> None:
    for end in ("low", "best", "high"):
        drawn = scenario.drawn({path: getattr(found, end) for path, found in scenario.ranges().items()})
        assert loads(drawn.resolved_yaml()) == drawn


def test_a_drawn_table_keeps_its_proportions() -> None:
    text = BASE.replace("{compliant: 90%, banned: 10%}", "{compliant: {low: 70%, best: 90%, high: 95%}, banned: 10%}")
    path = "ladder.states.under_review.outcomes.compliant"
    outcomes = loads(text).drawn({path: 0.7}).spec.ladder.states["under_review"].outcomes_rightful
    assert outcomes == pytest.approx({"compliant": 0.875, "banned": 0.125})


def test_what_is_not_a_range_is_not_drawn(scenario: Scenario) -> None:
    with pytest.raises(ScenarioError, match="is not a range"):
        scenario.drawn({"observe": 3.0})


def test_a_scaled_scenario_has_a_share_of_everything_that_is_counted(scenario: Scenario) -> None:
    small = scenario.scaled(0.1)
    assert [s.accounts for s in small.spec.segments.values()] == [110_000_000, 2, 1, 1]
    assert small.ranges()["segments.Ünïcode-2 b.accounts"].text == ("1", "2", "4")
    assert (small.spec.desks["review"].reviewers, small.spec.desks["night desk"].reviewers) == (1, None)
    assert [wave.count for wave in small.spec.waves.values()] == [1, None, None]
    assert small.in_force[2].waves["order"].count == 1
    assert small.spec.waves["audit"].share == 0.02
    assert scenario.scaled(1) == scenario


def test_scaling_rounds_up_exactly() -> None:
    scenario = loads(BASE.replace("accounts: 100", "accounts: 3_000").replace("reviewers: 2", "reviewers: 40"))
    assert scenario.scaled(0.001).spec.segments["media"].accounts == 3
    assert scenario.scaled(1e-9).spec.segments["media"].accounts == 1
    assert scenario.scaled(0.33).spec.desks["review"].reviewers == 14


def test_each_segment_may_have_its_own_share() -> None:
    """Waves go with their segment; where accounts meet at a limited desk, one share is for all."""
    text = BASE.replace("reviewers: 2", "reviewers: unlimited")
    scenario = loads(text).with_values(
        {
            "segments.crowd": {"accounts": 1_000},
            "waves.order": {"at": "2 days", "segment": "crowd", "count": 100, "to": "banned"},
        }
    )
    small = scenario.scaled({"crowd": 0.01})
    assert [segment.accounts for segment in small.spec.segments.values()][-1] == 10
    assert small.spec.segments["media"] == scenario.spec.segments["media"]
    assert small.spec.waves["order"].count == 1
    assert scenario.with_values(scenario.scaling({"crowd": 0.01})) == small
    with pytest.raises(ValueError, match="meet at a limited desk"):
        loads(BASE).with_values({"segments.crowd": {"accounts": 1_000}}).scaled({"crowd": 0.01})


def test_values_can_be_set_as_they_are_told(scenario: Scenario) -> None:
    """Every path of `values` is one of `with_values`, phases included, and its value reads as itself."""
    told = scenario.values()
    assert scenario.ranges().items() <= told.items()
    assert any(path.startswith("phases.") and ".set." in path for path in told)
    quantities = {path: str(value) for path, value in told.items() if path.endswith((".after", ".chance", ".expire"))}
    assert len(quantities) > 3
    fixed = {path: text for path, text in quantities.items() if path not in scenario.ranges()}
    assert scenario.with_values(fixed) == scenario


def test_flags_may_be_text() -> None:
    """As where values come from a table or a command line."""
    kind = next(iter(loads(BASE).spec.violations))
    said = {text: loads(BASE).with_values({f"violations.{kind}.genuine": text}) for text in ("true", "false")}
    assert {text: changed.spec.violations[kind].genuine for text, changed in said.items()} == {
        "true": True,
        "false": False,
    }


@pytest.mark.parametrize("share", [0, -1, 1.1, float("nan")])
def test_shares_that_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        loads(BASE).scaled(share)


def test_equal_scenarios_say_the_same() -> None:
    scenario = loads(BASE)
    assert scenario == loads(BASE.replace("30 days", "30d").replace("30%", "0.3"))
    assert scenario != loads(BASE.replace("30 days", "720 hours"))
    assert scenario.sha256() != loads(BASE.replace("30%", "31%")).sha256()


def test_the_order_of_what_is_ordered_is_part_of_what_a_scenario_says() -> None:
    other = BASE.replace("{minor: 70%, serious: 25%, severe: 5%}", "{serious: 25%, minor: 70%, severe: 5%}")
    assert loads(BASE) != loads(other)


def test_the_default_ban_is_the_state_of_that_name() -> None:
    assert loads(BASE).spec.ladder.bans == ("banned",)
    assert loads(BASE.replace("banned", "gone")).spec.ladder.bans == ()


def test_names_and_files(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(BASE, encoding="utf-8")
    for source in (path, str(path), os.fspath(path)):
        scenario = load(source)
        assert (scenario.name, scenario.file) == ("small", path)
    text = loads(BASE, name="mine")
    assert (text.name, text.file) == ("mine", None)
    assert load(path) == text
    with pytest.raises(ScenarioError) as caught:
        loads(BASE.replace("30%", "3"), name="mine")
    assert str(caught.value).startswith("mine:12: ") or str(caught.value).startswith("mine:13: ")
    with pytest.raises(ScenarioError) as caught:
        loads(BASE.replace("30%", "3"))
    assert caught.value.faults[0].file is None
