"""Phases: the stretches they make, how they accumulate, and how the resolved file keeps them."""

from pathlib import Path

import pytest

from sim.scenario import Distribution, Scenario, load, loads

HERE = Path(__file__).parent
BASE = (HERE.parent / "invalid" / "unit_base.yaml").read_text(encoding="utf-8")
DAY = 86_400_000_000
CHANCE = "violations.trading.detection.chance"


def phased(phases: str) -> Scenario:
    return loads(BASE + "phases:\n" + phases)


def test_every_feature() -> None:
    scenario = load(HERE / "every_feature.yaml")
    october = scenario.phase_starts[1]
    assert scenario.phase_names == ("", "second", "first", "last")
    assert scenario.phase_starts == (0, october, october, 400 * DAY)
    assert scenario.phase_restart == (False, False, True, False)
    zero, second, first, last = scenario.in_force
    assert scenario.spec.violations["trading"].detection == 0.3
    assert [law.violations["trading"].detection for law in scenario.in_force] == [0.4] * 4
    assert zero.ladder.states["warned"].exits["uniform"].after.values == (0, 240e6)
    assert second.ladder.strikes_expire_us == 90 * DAY
    assert first.ladder.strikes_expire_us == last.ladder.strikes_expire_us == 7 * DAY
    assert list(first.violations["trading"].severity.items()) == [("mild", 0.2), ("worse", 0.8), ("1st degree", 0)]
    assert first.ladder.states["compliant"].on_violation["worse"] == ("warned", "suspended")
    assert first.ladder.states["suspended"].outcomes_rightful == {"gone": 1}
    assert first.ladder.states["suspended"].outcomes_wrongful == {"compliant": 1}
    assert first.ladder.states["warned"].exits["mixed"].after.values == (DAY / 2, DAY, 3 * DAY)
    assert (first.waves["order"].count, first.waves["audit"].share) == (3, 0.5)
    assert first.desks["night desk"].hours is not None
    assert first.desks["night desk"].hours.days == (5, 6)
    assert (first.desks["review"].reviewers, last.desks["review"].reviewers) == (2, None)


def test_phases_accumulate_by_date_then_as_written() -> None:
    scenario = phased(
        f"  c: {{from: 2023-03-01, set: {{{CHANCE}: 30%}}}}\n"
        f"  b: {{from: 2023-02-01, set: {{{CHANCE}: 20%, desks.review.reviewers: 5}}}}\n"
        f"  d: {{from: 2023-03-01, set: {{{CHANCE}: 40%}}}}\n"
    )
    assert scenario.phase_names == ("", "b", "c", "d")
    assert [law.violations["trading"].detection for law in scenario.in_force] == [0.3, 0.2, 0.3, 0.4]
    assert [law.desks["review"].reviewers for law in scenario.in_force] == [2, 5, 5, 5]
    assert list(scenario.spec.phases) == ["c", "b", "d"]


@pytest.mark.parametrize("date", ["2022-01-01", "2023-01-01", "0 days"])
def test_phases_up_to_the_start_are_in_force_from_the_start(date: str) -> None:
    scenario = phased(f"  a: {{from: {date}, set: {{{CHANCE}: 60%}}, in_progress: restart}}\n")
    assert (scenario.phase_starts, scenario.phase_names, scenario.phase_restart) == ((0,), ("",), (False,))
    assert scenario.in_force[0].violations["trading"].detection == 0.6
    assert scenario.spec.violations["trading"].detection == 0.3


def test_phases_after_the_end_are_kept() -> None:
    scenario = phased(f"  a: {{from: 2033-01-01, set: {{{CHANCE}: 60%}}}}\n")
    assert scenario.phase_starts[1] > scenario.spec.end_us


def test_a_deep_path_builds_on_an_earlier_phase() -> None:
    after = "ladder.states.warned.exits.lapsed.after"
    scenario = phased(
        f"  a: {{from: 2023-02-01, set: {{{after}: {{exponential: {{mean: 3 days}}}}}}}}\n"
        f"  b: {{from: 2023-03-01, set: {{{after}.exponential.mean: 4 days}}}}\n"
    )
    found = [law.ladder.states["warned"].exits["lapsed"].after for law in scenario.in_force]
    assert found[1:] == [Distribution("exponential", (3 * DAY,)), Distribution("exponential", (4 * DAY,))]
    assert loads(scenario.resolved_yaml()).in_force == scenario.in_force


def test_exits_patched_as_a_whole_keep_their_order() -> None:
    text = BASE.replace(
        "lapsed: {to: compliant, after: 30 days}", "a: {to: compliant, after: 3 d}\n        b: {to: banned, after: 3 d}"
    )
    whole = "{b: {to: banned, after: 1 day}, a: {to: compliant, after: 1 day}}"
    scenario = loads(text + f"phases:\n  p: {{from: 2023-02-01, set: {{ladder.states.warned.exits: {whole}}}}}\n")
    assert list(scenario.in_force[1].ladder.states["warned"].exits) == ["a", "b"]
    assert loads(scenario.resolved_yaml()).in_force == scenario.in_force


def test_a_state_that_only_a_phase_leads_to_is_reached() -> None:
    text = BASE.replace("    banned: {activity: 0}", "    banned: {activity: 0}\n    frozen: {}")
    scenario = loads(text + "phases:\n  p: {from: 2023-02-01, set: {ladder.states.warned.exits.lapsed.to: frozen}}\n")
    assert scenario.in_force[1].ladder.states["warned"].exits["lapsed"].to == "frozen"


def test_the_resolved_file_keeps_phases_as_patches_in_canonical_text() -> None:
    scenario = phased(
        f"  a: {{from: 2023-02-01T00:00, set: {{{CHANCE}: 0.60, desks.review.hours: {{from: 9:00, to: 17:00}}}}}}\n"
    )
    assert scenario.spec.phases["a"].set == {
        CHANCE: "60%",
        "desks.review.hours": {"days": "mon-sun", "from": "09:00", "to": "17:00"},
    }
    assert f"{CHANCE}: 60%" in scenario.resolved_yaml()
