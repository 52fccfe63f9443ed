"""Knobs of the app: every number that a scenario lets one move, on a span that holds its value, with text that a file takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

import sim
from sim.scenario import Range
from sim.views.app.knobs import GROUPS, MOST_KNOBS, Knob, knobs
from sim.views.app.what_if import WhatIf, moved


def by_path(name: str) -> dict[str, Knob]:
    """Knobs of a scenario that ships."""
    return {knob.path: knob for knob in knobs(sim.load(name))}


@pytest.mark.parametrize("name", sorted(sim.shipped()))
def test_all_knobs_can_be_moved(name: str) -> None:
    """Left alone they change nothing; at either end the scenario loads, and says what the knob says."""
    scenario = sim.load(name)
    found = knobs(scenario)
    assert len(found) >= 10
    assert moved(found, {knob.path: knob.start for knob in found}) == {}
    for knob in found:
        assert knob.group in GROUPS
        if ".triangular." in knob.path:
            continue  # its ends may pass each other: see test_faults_are_those_of_the_command_line
        for end in knob.choices[:1] or (knob.low, knob.high):
            changes = moved([knob], {knob.path: end})
            changed = scenario.with_values(changes)
            assert (changed == scenario) == (not changes)
            if changes:
                assert knob.path in changes
                assert changed.values()[knob.path] == changes[knob.path]


def test_ranges_are_spans() -> None:
    """A range of the scenario is the span of its knob, in the unit in which it was written."""
    knob = by_path("wechat_2022")["ladder.states.rectifying.exits.deadline.after"]
    assert (knob.low, knob.value, knob.high, knob.step, knob.unit) == (3.0, 7.0, 15.0, 0.5, "days")
    assert knob.written(3.5) == "3.5 days"
    assert knob.written(7.000000001) == "7 days"
    assert not knob.is_moved(7.0)


def test_ranges_of_several_units() -> None:
    """A range from 90 days to two years is told in days: a quarter of a year has no short decimal."""
    knob = by_path("wechat_closures_2018")["ladder.strikes.expire"]
    assert isinstance(sim.load("wechat_closures_2018").values()[knob.path], Range)
    assert (knob.low, knob.value, knob.high, knob.unit) == (90.0, 365.0, 730.0, "days")
    assert not knob.is_moved(365.0)


def test_every_range_but_tables_has_a_knob() -> None:
    """What a scenario says is uncertain can be moved."""
    assert set(sim.load("wechat_2022").ranges()) <= set(by_path("wechat_2022"))


def test_phases_have_knobs_of_their_own() -> None:
    """One value before the phase and one from it on, and each says so; a value that is never in force has none."""
    found = by_path("wechat_2022")
    assert found["violations.trading.detection.chance"].label == "trading: chance of detection, until 2022-06-20"
    patched = "phases.rule_3_24.set.violations.trading.detection.chance"
    assert found[patched].label == "trading: chance of detection, from 2022-06-20"
    early = sim.load("wechat_2022").with_values({"phases.rule_3_24.from": "2022-03-01"})
    paths = {knob.path for knob in knobs(early)}
    assert patched in paths
    assert "violations.trading.detection.chance" not in paths


def test_unlimited_desks_can_be_given_reviewers() -> None:
    """From as many as needed down to none."""
    knob = by_path("wechat_2022")["desks.review.reviewers"]
    assert knob.start == knob.choices[-1] == "unlimited"
    assert moved([knob], {knob.path: "5"}) == {knob.path: "5"}
    assert moved([knob], {knob.path: "unlimited"}) == {}


def test_small_chances_have_short_spans() -> None:
    """One in a hundred can be moved by less than itself, and never above certainty."""
    found = by_path("wechat_2022")
    assert found["violations.trading.detection.chance"].high == 60.0
    assert found["phases.rule_3_24.set.violations.trading.detection.chance"].high == 100.0


def test_there_are_not_too_many() -> None:
    """A scenario of hundreds of segments still makes a page."""
    text = sim.load("wechat_2022").resolved_yaml()
    many = {f"segments.s{k}": {"accounts": 10} for k in range(300)}
    rates = {f"violations.content.rate.s{k}": "1 per year" for k in range(300)}
    assert len(knobs(sim.loads(text).with_values({**many, **rates}))) == MOST_KNOBS


def test_an_amount_must_be_a_number() -> None:
    """Nothing infinite gets into a file."""
    knob = by_path("wechat_2022")["ladder.strikes.expire"]
    with pytest.raises(ValueError, match="not an amount"):
        knob.written(float("inf"))
    assert replace(knob, unit="%", step=0.5).written(12.5) == "12.5%"


def test_faults_are_those_of_the_command_line() -> None:
    """Moved past each other, the ends of a distribution are refused in the words of a file."""
    scenario = sim.load("wechat_2022")
    path = "ladder.states.appealing.service.triangular"
    what_if = WhatIf(scenario, "wechat_2022", {f"{path}.low": "3 days", f"{path}.mode": "1 day"})
    with pytest.raises(sim.ScenarioError) as moved_error:
        what_if.scenario()
    with pytest.raises(sim.ScenarioError) as file_error:
        sim.loads(what_if.text())
    one, other = moved_error.value.faults[0], file_error.value.faults[0]
    assert (one.path, one.problem, one.remedy) == (other.path, other.problem, other.remedy)
    assert "mode" in one.problem
