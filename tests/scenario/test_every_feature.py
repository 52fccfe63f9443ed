"""A file that uses every feature of the format: what it means, and that its resolved form says the same."""

import pickle
from datetime import datetime
from pathlib import Path

import pytest

from sim.scenario import Distribution, Hours, Scenario, load, loads
from sim.scenario.units import UNITS_US

HERE = Path(__file__).parent
GOLDEN = sorted((HERE.parent / "golden").glob("*.yaml"))
SECOND, DAY = UNITS_US["second"], UNITS_US["day"]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load(HERE / "every_feature.yaml")


def test_calendar_and_texts(scenario: Scenario) -> None:
    spec = scenario.spec
    assert spec.title == "Every feature: units, ranges, names — 規則"
    assert spec.sources == ("none", 'a "quoted" one', "2022")
    assert spec.start == datetime(2022, 6, 20, 6, 30)
    assert spec.end_us == (365 * 24 * 3600 + 5.5 * 3600 + 0.25) * SECOND
    assert spec.observe_us == DAY / 4
    assert spec.severities == ("mild", "worse", "1st degree")


def test_segments(scenario: Scenario) -> None:
    segments = scenario.spec.segments
    assert list(segments) == ["no", "Ünïcode-2 b", "readers", "counted"]
    assert [s.accounts for s in segments.values()] == [1_100_000_000, 20, 3, 7]
    assert (segments["Ünïcode-2 b"].joins_from_us, segments["Ünïcode-2 b"].joins_to_us) == (0, 90 * DAY)
    assert segments["Ünïcode-2 b"].audience == Distribution("fixed", (20_000.0,))
    assert segments["readers"].audience == Distribution("lognormal", (20.0, 1.5))
    assert segments["counted"].audience == Distribution("empirical", (2.0, 10.0, 3000.0))
    assert [s.propensity_sigma for s in segments.values()] == [0, 0, 0.8, 0]


def test_violations(scenario: Scenario) -> None:
    trading, false_alarm = scenario.spec.violations.values()
    assert list(trading.rate) == list(scenario.spec.segments)
    assert trading.rate["no"] == 0.0005 / UNITS_US["year"]
    assert trading.rate["Ünïcode-2 b"] == 0
    assert trading.rate["readers"] == 2 / UNITS_US["week"]
    assert list(trading.severity.items()) == [("worse", 0.25), ("mild", 0.7), ("1st degree", 0.05)]
    assert (trading.genuine, trading.detection, trading.delay) == (True, 0.3, Distribution("fixed", (DAY,)))
    assert list(false_alarm.severity.items()) == [("mild", 1), ("worse", 0), ("1st degree", 0)]
    assert (false_alarm.genuine, false_alarm.detection, false_alarm.delay) == (False, 0, None)


def test_ladder(scenario: Scenario) -> None:
    ladder = scenario.spec.ladder
    assert ladder.bans == ("gone", "suspended")
    assert ladder.strikes_expire_us == 90 * DAY
    assert ladder.states["compliant"].on_violation == {
        "mild": ("warned",),
        "worse": ("warned", "gone"),
        "1st degree": ("suspended",),
    }
    assert ladder.states["warned"].activity == 1.5
    exits = ladder.states["warned"].exits
    assert {name: way.after for name, way in exits.items()} == {
        "exponential": Distribution("exponential", (7200 * SECOND,)),
        "uniform": Distribution("uniform", (0, 180 * SECOND)),
        "triangular": Distribution("triangular", (DAY, DAY, 2 * DAY)),
        "weibull": Distribution("weibull", (0.8, 30 * DAY)),
        "lognormal": Distribution("lognormal", (90 * DAY, 0)),
        "loglogistic": Distribution("loglogistic", (10.5 * 7 * DAY, 1.7)),
        "empirical": Distribution("empirical", (1, 2000, 4 * SECOND)),
        "observed": Distribution("empirical", (DAY / 2, DAY, 3 * DAY)),
        "mixed": Distribution("empirical", (DAY / 6, 3 * DAY, 7 * DAY)),
        "never": Distribution("fixed", (10_000 * 365 * DAY,)),
    }
    assert [way.chance for way in exits.values()] == [1, 0.01, 0.001, 1, 1, 1, 1, 1, 1, 0]


def test_desks_and_outcomes(scenario: Scenario) -> None:
    spec = scenario.spec
    suspended, appealing = spec.ladder.states["suspended"], spec.ladder.states["appealing"]
    assert suspended.outcomes_rightful == suspended.outcomes_wrongful == {"compliant": 0.9, "gone": 0.1}
    assert (suspended.desk, suspended.priority, appealing.priority) == ("review", 0, 0)
    assert appealing.outcomes_rightful == {"gone": 0.97, "compliant": 0.03}
    assert appealing.outcomes_wrongful == {"gone": 0.4, "compliant": 0.6}
    assert appealing.service == Distribution("fixed", (0,))
    assert spec.desks["review"].reviewers == 2
    assert spec.desks["review"].hours == Hours((0, 2, 3, 5), DAY * 9 // 24, DAY)
    assert spec.desks["night desk"].reviewers is None
    assert spec.desks["night desk"].hours == Hours((0, 1, 2, 3, 4, 5, 6), DAY * 22 // 24, DAY * 6 // 24)


def test_waves_and_expectations(scenario: Scenario) -> None:
    order, audit, late = scenario.spec.waves.values()
    assert (order.count, order.share, order.states, order.genuine) == (2, None, ("compliant", "warned"), True)
    assert order.at_us == (62 * 24 - 6.5) * 3600 * SECOND
    assert (audit.at_us, audit.count, audit.share, audit.states, audit.genuine) == (300 * DAY, None, 0.02, None, False)
    assert late.at_us > scenario.spec.end_us
    first, second, third = scenario.spec.expect
    assert (first.measure, first.segment, first.at_us, first.below, first.above) == (
        "ban_rate",
        "readers",
        90 * DAY,
        0.02,
        None,
    )
    assert (second.segment, second.below, second.above) == (None, 0.5, 0)
    assert third.at_us is None


def test_sweep(scenario: Scenario) -> None:
    assert scenario.spec.sweep is not None
    assert scenario.spec.sweep.samples is None
    values = scenario.spec.sweep.vary
    assert values["segments.readers.accounts"] == ("3", "4000")
    assert values["violations.trading.detection.delay"][1]["empirical"]["quantiles"][0].endswith("days")
    assert [*values][2].startswith("phases.")
    assert "sweep:" in scenario.resolved_yaml()
    assert set(scenario.ranges()) == set(scenario.with_values({"sweep": None}).ranges())


def test_the_resolved_form_says_the_same(scenario: Scenario) -> None:
    again = loads(scenario.resolved_yaml())
    assert again == scenario
    assert (again.spec, again.in_force) == (scenario.spec, scenario.in_force)
    assert again.resolved_yaml() == scenario.resolved_yaml()
    assert again.sha256() == scenario.sha256()
    assert again.ranges() == scenario.ranges()
    assert hash(again) == hash(scenario)
    assert "file:" not in scenario.resolved_yaml()


def test_a_scenario_can_be_pickled(scenario: Scenario) -> None:
    again = pickle.loads(pickle.dumps(scenario))
    assert again == scenario
    assert again.in_force == scenario.in_force
    assert again.with_values({"observe": "1 day"}) == scenario.with_values({"observe": "1 day"})


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_golden_cases_survive_their_resolved_form(path: Path) -> None:
    scenario = load(path)
    again = loads(scenario.resolved_yaml())
    assert again == scenario
    assert (again.spec, again.in_force) == (scenario.spec, scenario.in_force)
    assert (again.phase_starts, again.phase_names, again.phase_restart) == (
        scenario.phase_starts,
        scenario.phase_names,
        scenario.phase_restart,
    )
    assert again.resolved_yaml() == scenario.resolved_yaml()


def test_specs_are_frozen(scenario: Scenario) -> None:
    with pytest.raises(TypeError):
        scenario.spec.segments["no"] = scenario.spec.segments["counted"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        scenario.spec.end_us = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        scenario.name = "other"  # type: ignore[misc]
