"""What scenarios expect of themselves: decided with as few replications as it takes, and seldom wrongly."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import sim
from sim import cli
from sim.errors import RunError, ScenarioError
from sim.experiments import expect
from sim.experiments.expect import Check, check_expectations, decided, error_at, limits, looks
from sim.experiments.outputs import OVER_TIME, output_expected
from sim.experiments.replications import Settings, run_in_memory
from sim.experiments.work import perform, tasks_of
from sim.results.intervals import student, wilson
from sim.results.outcome import Outcome
from sim.results.summary import Value
from sim.scenario import Expectation, Scenario, load, loads
from sim.views.verdicts import junit

GOLDEN = Path(__file__).parents[1] / "golden"

LADDER = """
schema: 1
title: A small ladder
assumed: [all]
start: 2023-01-01
horizon: 100 days
observe: 7 days
segments:
  media: {accounts: 1000}
  shops: {accounts: 200, joins: {from: 2023-02-01, to: 2023-03-01}}
violations:
  trading: {rate: {media: 1 per year, shops: 2 per year}, severity: {minor: 100%}, detection: {chance: 100%}}
ladder:
  start: compliant
  bans: [banned]
  states:
    compliant: {on_violation: {minor: banned}}
    banned: {activity: 0}
expect:
"""
"""Of the media 1 - exp(-100 / 365) = 24 % are banned in the end, of the shops about 37 %."""


def ladder(*expectations: str) -> Scenario:
    """The ladder with some expectations."""
    return loads(LADDER + "".join(f"  - {{measure: ban_rate, {each}}}\n" for each in expectations), name="ladder")


def expectation(**given: Any) -> Expectation:
    """An expectation of the ban rate, unless told otherwise."""
    told = dict.fromkeys(("segment", "state", "at_us", "below", "above"))
    return Expectation(**{"measure": "ban_rate", **told, **given})


def verdicts(checks: expect.Checks) -> list[tuple[str, int]]:
    """Verdict and replications of each expectation."""
    return [(check.verdict, check.replications) for checked in checks.scenarios for check in checked.checks]


# --------------------------------------------------------------------------------------------------------------- values
@cache
def desk_run() -> tuple[Scenario, Outcome, dict[str, pd.DataFrame]]:
    """The golden desk scenario, looked at every 7 days: an outcome, and the tables of the same run."""
    scenario = load(GOLDEN / "desk.yaml").with_values({"observe": "7 days"})
    collected = run_in_memory(scenario, Settings(3, 1, "auto", 0))
    return scenario, perform(tasks_of(scenario, 3, [0])[0]), collected.tables


DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("at_us", "seen"), [(None, 120), (120 * DAY, 120), (120 * DAY - 1, 119), (63 * DAY, 63), (70 * DAY - 1, 63), (0, 0)]
)
@pytest.mark.parametrize("segment", [None, "sellers", "shops"])
def test_values_are_those_of_the_tables(at_us: int | None, seen: int, segment: str | None) -> None:
    """Every measure, of one segment and of all, at the last grid time that is not after `at`."""
    scenario, outcome, tables = desk_run()
    time = pd.Timestamp(scenario.spec.start) + pd.Timedelta(days=seen)
    bans, occupancy = (tables[name][tables[name]["time"] == time] for name in ("bans", "occupancy"))
    if segment is not None:
        bans, occupancy = (table[table["segment"] == segment] for table in (bans, occupancy))
    joined = bans["joined"].sum()
    for measure, column in (
        ("ban_rate", "ever_banned"),
        ("banned_share", "banned"),
        ("wrongful_ban_rate", "wrongly_banned"),
    ):
        found = output_expected(expectation(measure=measure, segment=segment, at_us=at_us), scenario.spec).value(
            outcome
        )
        assert found == Value(bans[column].sum() / joined, bans[column].sum(), joined)
    for state in scenario.spec.ladder.states:
        asked = expectation(measure="occupancy_share", segment=segment, state=state, at_us=at_us)
        held = occupancy.loc[occupancy["state"] == state, "accounts"].sum()
        assert output_expected(asked, scenario.spec).value(outcome) == Value(held / joined, held, joined)


def test_every_measure_can_be_looked_at() -> None:
    """The list of the loader and the measures known here are the same."""
    assert set(sim.scenario.MEASURES) == set(OVER_TIME)


def test_time_is_that_of_the_grid() -> None:
    """Told is when it was looked at."""
    found = check_expectations(ladder("below: 99%", "at: 20 days, below: 99%", "at: 2023-01-08, below: 99%"))
    dates = [check.at for check in found.scenarios[0].checks]
    assert dates == [datetime(2023, 4, 11), datetime(2023, 1, 15), datetime(2023, 1, 8)]


# --------------------------------------------------------------------------------------------------------------- limits
@pytest.mark.parametrize(
    ("cap", "expected"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 3)), (5, (1, 5)), (6, (1, 3, 6)), (100, (1, 3, 6, 12, 25, 50, 100))],
)
def test_looks(cap: int, expected: tuple[int, ...]) -> None:
    """At one replication, and then each time at twice as many."""
    assert looks(cap) == expected


@pytest.mark.parametrize("independent", [True, False])
@pytest.mark.parametrize("cap", [1, 2, 3, 7, 100])
def test_error_is_spent_once(cap: int, independent: bool) -> None:
    """All looks together leave 5 %; the first that has limits takes half of it, or all if it is the last."""
    spent = [error_at(look, cap, independent) for look in looks(cap) if independent or look >= expect.FLOOR]
    assert sum(spent) == pytest.approx(0.05 if spent else 0.0)
    assert spent[:1] in ([], [0.05], [0.025])


def shares(*successes: int, of: int = 100) -> list[Value]:
    """One value a replication."""
    return [Value(each / of, each, of) for each in successes]


def test_limits_over_accounts() -> None:
    """Accounts that never meet are one sample, whatever the replication."""
    assert limits(shares(20), True, 0.95) == wilson(20, 100)
    assert limits(shares(20, 0, 40), True, 0.99) == wilson(60, 300, 0.99)


def test_limits_over_replications() -> None:
    """Where accounts meet: Student, within 0 and 1, from three replications on."""
    values = shares(20, 60, 40, 30)
    assert limits(values, False, 0.95) == student([0.2, 0.6, 0.4, 0.3])
    assert all(math.isnan(limit) for few in (values[:1], values[:2]) for limit in limits(few, False, 0.95))
    assert limits(shares(0, 90, 100), False, 0.99) == (0.0, 1.0)
    nobody = Value(math.nan, 0, 0)
    assert all(math.isnan(limit) for limit in limits([*values, nobody], False, 0.95))


def test_equal_replications_prove_little() -> None:
    """None banned in each of three: the limits are not a point, but those over 300 accounts."""
    assert limits(shares(0, 0, 0), False, 0.95) == wilson(0, 300)
    assert limits(shares(50, 50, 50), False, 0.95) == wilson(150, 300)


@pytest.mark.parametrize(
    ("below", "above", "verdict"),
    [
        (0.35, None, "held"),
        (0.2, None, "undecided"),
        (0.1, None, "failed"),
        (None, 0.1, "held"),
        (None, 0.2, "undecided"),
        (None, 0.35, "failed"),
        (0.35, 0.1, "held"),
        (0.35, 0.2, "undecided"),
        (0.2, 0.1, "undecided"),
        (0.1, 0.0, "failed"),
        (0.9, 0.35, "failed"),
    ],
)
def test_verdicts(below: float | None, above: float | None, verdict: str) -> None:
    """Held where the limits (11.6 % to 32.4 %) are within what is expected, failed where they are outside."""
    check = decided(Check(expectation(below=below, above=above), datetime(2023, 1, 1)), shares(20), True, 0.01)
    assert check.verdict == verdict
    assert (check.value, check.low, check.high) == (0.2, *wilson(20, 100, 0.99))


# -------------------------------------------------------------------------------------------------- as many as it takes
def test_one_replication_may_do() -> None:
    """Far from what is expected."""
    found = check_expectations(ladder("below: 50%", "segment: media, above: 10%", "segment: shops, below: 10%"))
    assert verdicts(found) == [("held", 1), ("held", 1), ("failed", 1)]
    assert found.verdict == "failed"


def test_replications_are_added() -> None:
    """Nearer to it, until it is decided; what was decided before is not looked at again."""
    found = check_expectations(ladder("segment: media, below: 23%", "segment: media, below: 50%"))
    (verdict, replications), early = verdicts(found)
    assert (verdict, early) == ("failed", ("held", 1))
    assert replications in looks(100)[1:]


def test_each_replication_counts_once() -> None:
    """The value is the mean over the first replications of the seed, all of them and none twice."""
    scenario = ladder("segment: media, above: 23.95%, below: 23.96%")
    check = check_expectations(scenario, seed=2, max_replications=6).scenarios[0].checks[0]
    bans = run_in_memory(scenario, Settings(2, 6, "auto", 0)).table("bans")
    last = bans[(bans["time"] == bans["time"].max()) & (bans["segment"] == "media")]
    assert check.replications == len(last) == 6
    assert check.value == pytest.approx((last["ever_banned"] / last["joined"]).mean(), rel=1e-12)


def test_the_cap() -> None:
    """What is not decided by then is undecided."""
    near = f"segment: media, below: {100 * (1 - math.exp(-100 / 365)):.4f}%"
    found = check_expectations(ladder(near, "below: 99%"), max_replications=5)
    assert verdicts(found) == [("undecided", 5), ("held", 1)]
    assert found.verdict == "undecided"


def test_accounts_that_meet_take_three() -> None:
    """At a limited desk one replication decides nothing."""
    text = (GOLDEN / "desk.yaml").read_text() + "\nexpect: [{measure: wrongful_ban_rate, below: 90%}]\n"
    assert verdicts(check_expectations(loads(text))) == [("held", 3)]
    assert verdicts(check_expectations(loads(text), max_replications=2)) == [("undecided", 2)]


def test_nobody_there() -> None:
    """A share of nobody is undecided, and a hundred replications are not spent on it."""
    found = check_expectations(ladder("segment: shops, at: 7 days, below: 10%"))
    assert verdicts(found) == [("undecided", 3)]
    assert math.isnan(found.scenarios[0].checks[0].value)


def test_engines_and_workers_do_not_show() -> None:
    """Same seed, same values."""
    scenario = ladder("segment: media, below: 23%", "above: 1%")
    options: list[dict[str, Any]] = [{}, {"workers": 1}, {"engine": "process", "workers": 3}]
    frames = [check_expectations(scenario, seed=4, **each).frame for each in options]
    pd.testing.assert_frame_equal(frames[0], frames[1])
    pd.testing.assert_frame_equal(frames[0], frames[2])
    assert not frames[0].equals(check_expectations(scenario, seed=5).frame)


def test_frame() -> None:
    """One row an expectation; what is not given is empty."""
    row = check_expectations(ladder("below: 50%")).frame.iloc[0]
    assert list(row.index) == list(expect.COLUMNS)
    assert (row["scenario"], row["measure"], row["segment"], row["below"]) == ("ladder", "ban_rate", "", 0.5)
    assert math.isnan(row["above"])
    assert (row["low"] < row["value"] < row["high"], row["verdict"], row["replications"]) == (True, "held", 1)


def test_several_scenarios(tmp_path: Path) -> None:
    """Objects, files and names; one without expectations is not run."""
    file = tmp_path / "x.yaml"
    file.write_text(LADDER + "  - {measure: ban_rate, below: 99%}\n")
    reached: list[float] = []
    found = check_expectations(file, GOLDEN / "strikes.yaml", ladder("above: 99%"), progress=reached.append)
    assert [checked.source for checked in found.scenarios] == [str(file), str(GOLDEN / "strikes.yaml"), "ladder"]
    assert [len(checked.checks) for checked in found.scenarios] == [1, 0, 1]
    assert [found.count(verdict) for verdict in ("held", "failed", "undecided")] == [1, 1, 0]
    assert reached == sorted(reached)
    assert reached[-1] == 1.0
    assert check_expectations(GOLDEN / "strikes.yaml").verdict == "held"


def test_all_faults_of_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is run."""
    monkeypatch.setattr(expect, "run_tasks", lambda *_, **__: pytest.fail("nothing is run"))
    with pytest.raises(ScenarioError) as error:
        check_expectations(ladder("below: 1%"), "no_such_one", "nor_this.yaml")
    assert [fault.file for fault in error.value.faults] == ["no_such_one", "nor_this.yaml"]
    with pytest.raises(ValueError, match="at least 1"):
        check_expectations(max_replications=0)


def test_a_run_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is no verdict."""
    monkeypatch.setattr("sim.experiments.work.replicate", lambda *_, **__: 1 / 0)
    with pytest.raises(RunError, match="division by zero"):
        check_expectations(ladder("below: 1%"))


@pytest.mark.parametrize("name", ["wechat_2022", "wechat_closures_2018"])
def test_scenarios_that_ship(name: str) -> None:
    """Hold what they expect, at full size, 1.1 billion accounts and all."""
    found = check_expectations(name)
    assert found.count("held") == len(load(name).spec.expect) > 0


# ------------------------------------------------------------------------------------------------------- seldom wrongly
TRIALS, ACCOUNTS, TRUTH = 400, 200, 0.3
MOST = 37
"""Of 400 trials with a chance of 5 % each, more than so many go wrong with a chance of 2e-4."""


def drawn(rng: np.random.Generator, independent: bool) -> Callable[[int, int], list[Outcome]]:
    """Replications of which 30 % are banned on average; where accounts meet a replication's rate is itself drawn."""

    def outcomes(first: int, last: int) -> list[Outcome]:
        found = []
        for _ in range(first, last):
            rate = TRUTH if independent else rng.beta(6.0, 14.0)
            bans = np.zeros((101, 1, 4), np.int64)
            bans[-1, 0, :2] = ACCOUNTS, rng.binomial(ACCOUNTS, rate)
            found.append(Outcome({}, bans, np.zeros((101, 1, 2), np.int64), independent))
        return found

    return outcomes


def wrong(independent: bool) -> int:
    """How often an expectation whose limit is the truth itself is decided although neither answer is right."""
    told = LADDER.replace("observe: 7 days\n", "").replace("shops", "#", 1).replace(", shops: 2 per year", "")
    scenario = loads(told.replace("  #", "  # ") + f"  - {{measure: ban_rate, below: {100 * TRUTH}%}}\n")
    rng = np.random.default_rng(20220620)
    found = (expect._check(scenario, drawn(rng, independent), 100)[0] for _ in range(TRIALS))
    return sum(check.verdict != "undecided" for check in found)


@pytest.mark.parametrize("independent", [True, False], ids=["over accounts", "over replications"])
def test_it_is_seldom_wrong(independent: bool) -> None:
    """At most 5 %, however often it is looked at."""
    assert wrong(independent) <= MOST


@pytest.mark.parametrize("independent", [True, False], ids=["over accounts", "over replications"])
def test_looking_often_would_be_wrong(independent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the test: with limits of 95 % at each look it is wrong too often."""
    monkeypatch.setattr(expect, "error_at", lambda *_: 0.05)
    assert wrong(independent) > MOST


# ------------------------------------------------------------------------------------------------------------ command line
def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["enforcement-sim", "test", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(str(stop.value.code or 0))


HELD, FAILED, NEAR = (
    "below: 99%",
    "segment: media, at: 50 days, above: 90%",
    "segment: media, below: 23.96%, above: 23.95%",
)


@pytest.mark.parametrize(
    ("expectations", "code", "said"),
    [
        ((HELD,), 0, "1 held, 0 failed, 0 undecided"),
        ((HELD, FAILED), 1, "1 held, 1 failed, 0 undecided"),
        ((HELD, NEAR), 3, "1 held, 0 failed, 1 undecided"),
        ((HELD, FAILED, NEAR), 1, "1 held, 1 failed, 1 undecided"),
        ((), 0, "without expectations: "),
    ],
)
def test_exit_codes(
    expectations: tuple[str, ...],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """0: all held, 1: some failed, 3: some undecided and none failed; a table unless quiet."""
    file = tmp_path / "x.yaml"
    text = LADDER + "".join(f"  - {{measure: ban_rate, {each}}}\n" for each in expectations)
    file.write_text(text if expectations else text.replace("expect:\n", ""))
    assert call(monkeypatch, str(file), "--max-replications", "3") == code
    printed = capsys.readouterr().out
    assert said in printed
    assert all(len(line) <= 80 for line in printed.splitlines() if "│" in line)
    assert call(monkeypatch, str(file), "--max-replications", "3", "--quiet") == code
    assert capsys.readouterr().out == ""


def test_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """2, and nothing is written."""
    file = tmp_path / "junit.xml"
    assert call(monkeypatch, "wechat_2022", "no_such_one", "--junit", str(file)) == 2
    assert call(monkeypatch, "wechat_2022", "--engine", "steam") == 2
    assert call(monkeypatch) == 2
    assert not file.exists()
    assert "no_such_one: is neither a file nor a shipped scenario" in capsys.readouterr().err


def test_junit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite for each scenario, a case for each expectation; failed and undecided are told apart."""
    file, place = tmp_path / "x.yaml", tmp_path / "reports" / "junit.xml"
    file.write_text(LADDER + "".join(f"  - {{measure: ban_rate, {each}}}\n" for each in (HELD, FAILED, NEAR)))
    assert (
        call(monkeypatch, str(file), str(GOLDEN / "desk.yaml"), "--max-replications", "3", "--junit", str(place)) == 1
    )
    root = ElementTree.parse(place).getroot()
    totals = {"tests": "3", "failures": "1", "errors": "1", "skipped": "0"}
    assert (root.tag, root.attrib) == ("testsuites", totals)
    first, second = root
    assert (first.tag, first.get("name"), second.get("name")) == ("testsuite", str(file), str(GOLDEN / "desk.yaml"))
    assert {key: first.get(key) for key in totals} == totals
    assert (second.get("tests"), len(second)) == ("0", 0)
    held, failed, undecided = first
    assert held.get("classname") == "x"
    assert held.get("name") == "expect.0: ban_rate at 2023-04-11 below 99 %"
    assert failed.get("name") == "expect.1: ban_rate of media at 2023-02-19 above 90 %"
    assert [child.tag for child in held] == ["system-out"]
    assert [child.tag for child in failed] == ["failure", "system-out"]
    assert [child.tag for child in undecided] == ["error", "system-out"]
    assert undecided[0].get("type") == "undecided"
    assert "found" in str(failed[0].get("message"))


def test_junit_of_nothing() -> None:
    """Is still a document."""
    assert ElementTree.fromstring(junit(check_expectations())).get("tests") == "0"
