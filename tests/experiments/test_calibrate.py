"""Planted parameters are recovered; what the targets cannot tell is said; bad targets are refused with all faults at once."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import sim
from sim import RunError, ScenarioError, loads
from sim.cli import app
from sim.experiments import work
from sim.experiments.calibration.calibrate import Calibrated, calibrate, calibrate_to_folder
from sim.experiments.calibration.objective import Axis, Fit
from sim.experiments.calibration.profiles import THRESHOLD, Profile, _steps, profile_of, sentences
from sim.experiments.calibration.targets import Target, read_targets
from sim.experiments.outputs import outputs_of
from sim.scenario import Range, Scenario
from sim.views.calibration import Calibration

LADDER = """
title: "Bans that end: who breaks a rule?"
start: 2023-01-01
horizon: 200 days
observe: 50 days
segments: {shops: {accounts: ACCOUNTS}}
violations:
  spam: {rate: {shops: RATE}, severity: {severe: 100%}, detection: {chance: CHANCE}}
ladder:
  start: free
  bans: [banned]
  states:
    free: {on_violation: {severe: banned}}
    banned: {activity: 0, exits: {pardon: {to: pardoned, after: AFTER}}}
    pardoned: {activity: UNUSED, exits: {again: {to: pardoned, after: 5000 days}}}
"""
RATE, CHANCE = "violations.spam.rate.shops", "violations.spam.detection.chance"
AFTER, UNUSED = "ladder.states.banned.exits.pardon.after", "ladder.states.pardoned.activity"
DAYS, FIGURES = (
    200.0,
    ("ban_rate@100 days", "ban_rate@end", "occupancy_share::banned@100 days", "occupancy_share::banned@end"),
)


def ladder(
    accounts: int = 3_000,
    rate: str = "{low: 0.5 per year, best: 2 per year, high: 12 per year}",
    chance: str = "100%",
    after: str = "{exponential: {mean: {low: 10 days, best: 90 days, high: 200 days}}}",
    unused: str = "0%",
) -> Scenario:
    """A ladder whose figures are known exactly."""
    parts = {"ACCOUNTS": str(accounts), "RATE": rate, "CHANCE": chance, "AFTER": after, "UNUSED": unused}
    text = LADDER
    for name, part in parts.items():
        text = text.replace(name, part)
    return loads(text, name="ladder.yaml")


def exact(per_year: float, mean_days: float) -> list[float]:
    """The four figures: first bans at a constant hazard, each lasting an exponential time."""
    hazard, end = per_year / 365.0, 1.0 / mean_days
    banned = [hazard / (hazard - end) * (math.exp(-end * t) - math.exp(-hazard * t)) for t in (100.0, DAYS)]
    return [*(1.0 - math.exp(-hazard * t) for t in (100.0, DAYS)), *banned]


def targets_of(scenario: Scenario, names: tuple[str, ...], values: list[float], error: float) -> list[Target]:
    """Targets of some figures, all with one error."""
    outputs = outputs_of(list(names), scenario)
    return [Target(output, value, error) for output, value in zip(outputs, values, strict=True)]


def row(found: Calibrated, path: str) -> dict[str, object]:
    """The line of a parameter."""
    return found.parameters.set_index("path").loc[path].to_dict()


def test_planted_parameters_are_recovered() -> None:
    """Exact figures with errors added that are drawn with the stated size; every fitted value is within three standard errors.

    Five seeds make ten values: by chance one is outside in 3 % of such tests (the seeds are fixed). The mean square of the ten is between 0.15 and 3
    (chance 0.3 %), so that the stated errors are neither much too large nor too small.
    """
    squares = []
    for seed in range(5):
        scenario = ladder()
        noise = np.random.default_rng(seed).normal(0.0, 0.01, 4)
        targets = targets_of(scenario, FIGURES, (np.array(exact(3.0, 60.0)) + noise).tolist(), 0.01)
        found = calibrate(scenario, targets, seed=100 + seed, starts=2)
        assert found.parameters["verdict"].tolist() == ["identified"] * 2
        for path, planted in ((RATE, 3.0), (f"{AFTER}.exponential.mean", 60.0)):
            told = row(found, path)
            z = (float(told["fitted"]) - planted) / float(told["standard_error"])  # type: ignore[arg-type]
            assert abs(z) < 3.0, (seed, path, told)
            assert float(told["low"]) < float(told["fitted"]) < float(told["high"])  # type: ignore[arg-type]
            squares.append(z * z)
        assert found.freedom == 2
    assert 0.15 < np.mean(squares) < 3.0


def test_a_product_is_not_identified() -> None:
    """Only detected violations count, so that rate and chance are one parameter: this is said of both, and their product is right."""
    rate, chance = "{low: 1 per year, best: 5 per year, high: 20 per year}", "{low: 10%, best: 20%, high: 90%}"
    scenario = ladder(rate=rate, chance=chance)
    for seed in (1, 2):
        found = calibrate(scenario, targets_of(scenario, FIGURES, exact(3.0, 60.0), 0.01), seed=seed, starts=2)
        assert row(found, RATE)["verdict"] == row(found, CHANCE)["verdict"] == "not identified"
        assert row(found, f"{AFTER}.exponential.mean")["verdict"] == "identified"
        told = " ".join(found.sentences)
        assert f"{RATE} and {CHANCE} enter only as a product, which stays between 2." in told
        product = float(row(found, RATE)["fitted"]) * float(row(found, CHANCE)["fitted"]) / 100  # type: ignore[arg-type]
        assert product == pytest.approx(3.0, abs=0.4)
        assert math.isnan(float(row(found, RATE)["standard_error"]))  # type: ignore[arg-type]
        kept = found.fitted.ranges()
        assert set(kept) == {RATE, CHANCE}
        assert kept[RATE].text[::2] == ("1 per year", "20 per year")


def test_what_has_no_effect_and_what_is_limited_on_one_side() -> None:
    """Nobody is pardoned within the run: the ban lasts at least that long. The activity after a pardon then does nothing."""
    scenario = ladder(after="{low: 20 days, best: 100 days, high: 2000 days}", unused="{low: 0%, best: 50%, high: 90%}")
    names = ("ban_rate@end", "occupancy_share::pardoned@end")
    values = [1.0 - math.exp(-3.0 * DAYS / 365.0), 0.0]
    found = calibrate(scenario, targets_of(scenario, names, values, 0.01), starts=2)
    assert row(found, RATE)["verdict"] == "identified"
    assert row(found, AFTER)["verdict"] == "at least"
    assert float(row(found, AFTER)["low"]) == pytest.approx(195.0, abs=15.0)  # type: ignore[arg-type]
    assert row(found, UNUSED)["verdict"] == "not identified"
    told = " ".join(found.sentences)
    assert f"{UNUSED} is not identified: the targets are met as well from 0% to 90%, whatever the others are." in told
    assert f"{AFTER} is at least" in told
    assert "no more targets than parameters" in told
    headings = [ax.get_title(loc="left") for ax in Calibration(**vars(found)).plot().axes]
    assert "not identified" in headings
    assert [heading for heading in headings if re.fullmatch(r"at least 1\d\d days?", heading)]


def test_targets_that_contradict_each_other() -> None:
    """A ban rate that falls cannot be met, and this is said."""
    scenario = ladder()
    found = calibrate(scenario, targets_of(scenario, FIGURES[:3], [0.6, 0.5, 0.2], 0.005), starts=1)
    assert "The targets are not met together" in found.sentences[1]
    assert "Chance of the simulation is greater than the error of" in found.sentences[0]


def test_only_some_ranges_are_fitted() -> None:
    """The others stay at their best; a name that is none is refused with the nearest."""
    scenario = ladder(accounts=500)
    targets = targets_of(scenario, FIGURES[:1], [0.5], 0.02)
    found = calibrate(scenario, targets, free=[RATE], starts=1)
    assert found.parameters["path"].tolist() == [RATE]
    assert set(found.fitted.ranges()) == {f"{AFTER}.exponential.mean"}
    with pytest.raises(ScenarioError, match=r"--free: violations.spam.rate.shop: is not a range.*did you mean"):
        calibrate(scenario, targets, free=["violations.spam.rate.shop"])


def test_same_again_from_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Number of workers changes nothing; a second call finds every run that the first has kept."""
    scenario = ladder(accounts=300)
    targets = targets_of(scenario, FIGURES, exact(3.0, 60.0), 0.03)
    first = calibrate(scenario, targets, starts=2, workers=1, folder=tmp_path)
    two = calibrate(scenario, targets, starts=2, workers=2)
    monkeypatch.setattr(work, "perform", None)
    again = calibrate(scenario, targets, starts=2, workers=2, folder=tmp_path)
    assert first.manifest["tables"] == two.manifest["tables"] == again.manifest["tables"]
    assert first.changes == two.changes == again.changes


def test_a_share_of_the_accounts() -> None:
    """`scale` fits fewer accounts and gives the whole scenario; what fewer accounts cannot tell is refused."""
    scenario = ladder(accounts=10_000)
    found = calibrate(
        scenario, targets_of(scenario, FIGURES[:2], exact(3.0, 60.0)[:2], 0.02), free=[RATE], starts=1, scale=0.05
    )
    assert found.fitted.spec.segments["shops"].accounts == 10_000
    assert found.targets["monte_carlo_error"].iloc[0] > 0.01
    counted = targets_of(scenario, ("violations@end",), [100.0], 10.0)
    with pytest.raises(ScenarioError, match="--scale: violations@end: is a number"):
        calibrate(scenario, counted, scale=0.1)


def test_a_figure_that_nobody_makes() -> None:
    """Where nobody has joined yet there is no share: one error, no crash within the search."""
    scenario = ladder().with_values({"segments.shops.joins": {"from": "2023-03-01", "to": "2023-04-01"}})
    with pytest.raises(RunError, match="ban_rate@0 days is not a number"):
        calibrate(scenario, targets_of(scenario, ("ban_rate@0 days",), [0.1], 0.1))


BAD = """measure,segment,state,at,value,standard_error
ban_rat,,,end,10%,1%
ban_rate,shop,,end,10%,1%
ban_rate,,,3 days ago,10%,1%
ban_rate,,,end,140%,0%
ban_rate,,,end,,1%
occupancy_share,,bannd,end,0.1,x
violations,,,end,12%,3
ban_rate:shops@end,shops,,,10%,1%
ban_rate,,,end
ban_rate,shops,,200 days,10%,1%
ban_rate@end,,,,10%,1%
"""


def test_all_faults_of_targets_are_told_at_once(tmp_path: Path) -> None:
    """Each with file, line, what was found, what is allowed and the nearest name."""
    file = tmp_path / "bad.csv"
    file.write_text(BAD, encoding="utf-8")
    with pytest.raises(ScenarioError) as error:
        read_targets(file, ladder())
    told = [str(fault).removeprefix(str(file)) for fault in error.value.faults]
    expected = [
        (2, "`ban_rat` is not a measure; did you mean `ban_rate`?"),
        (3, "`shop` is not a segment; did you mean `shops`?"),
        (4, "3 days ago"),
        (5, "value: `140%` is not a share; 0% to 100%"),
        (5, "standard error: `0%` is not above 0"),
        (6, "value: is empty"),
        (7, "`bannd` is none of the states; did you mean `banned`?"),
        (7, "standard error: `x`"),
        (8, "value: `12%` is a percentage, and violations is not a share"),
        (9, "segment: `shops` is given beside `ban_rate:shops@end`"),
        (10, "has 4 cells; 6, one for each column"),
        (12, "is the same figure as in line 11"),
    ]
    assert len(told) == len(expected), told
    for line, (number, part) in zip(told, expected, strict=True):
        assert line.startswith(f":{number}: "), line
        assert part in line, line


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "is empty"),
        (b"measure,value,standard error\n", "1: holds no target"),
        (b"measure,valu,standard error\nban_rate,1%,1%\n", "1: has an unknown column `valu`; did you mean `value`?"),
        (b"measure,value,value,standard error\nban_rate,1%,1%,1%\n", "1: value: is the name of two columns"),
        (b"measure,value\nban_rate,1%\n", "1: has no column `standard error`"),
        (b'measure,value,standard error\nban_rate,"1%,1%\n', "is not CSV"),
        (b"measure,value,standard error\nban_rate,\xff,1%\n", "2: is not UTF-8 text"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: bytes, problem: str) -> None:
    """The header is refused before the lines are looked at."""
    file = tmp_path / "bad.csv"
    file.write_bytes(text)
    with pytest.raises(ScenarioError) as error:
        read_targets(file, ladder())
    assert problem in str(error.value)


def test_targets_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, and one that is no list of targets by its size."""
    with pytest.raises(ScenarioError, match=r"nowhere.csv: cannot be read: No such file"):
        read_targets(tmp_path / "nowhere.csv", ladder())
    (tmp_path / "large.csv").write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(ScenarioError, match=r"large.csv: has 1,048,577 bytes; at most 1,048,576"):
        read_targets(tmp_path / "large.csv", ladder())


def test_targets_as_they_are_written(tmp_path: Path) -> None:
    """Either spelling of the error, whole outputs or parts in columns, byte-order mark, empty lines, a source."""
    file = tmp_path / "targets.csv"
    file.write_text(
        "\ufeffmeasure,segment,state,at,value,Standard error,source\n"
        "ban_rate,,,2023-04-11,12%,1%,report of 2023\n\n"
        "occupancy_share:shops:banned@end,,,,0.2,0.01,\n",
        encoding="utf-8",
    )
    one, two = read_targets(file, ladder())
    assert (one.output.measure, one.output.at, one.value, one.standard_error) == ("ban_rate", 2, 0.12, 0.01)
    assert (one.at, one.source) == ("2023-04-11", "report of 2023")
    assert (two.output.state, two.output.at, two.value, two.at) == ("banned", 4, 0.2, "end")


def test_the_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is in the folder; the fitted file runs as it is, and gives the figures that are told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shops.yaml").write_text(ladder(accounts=400).resolved_yaml(), encoding="utf-8")
    lines = [f"{name},{value:.4f},0.03" for name, value in zip(FIGURES, exact(3.0, 60.0), strict=True)]
    (tmp_path / "targets.csv").write_text("\n".join(("measure,value,standard error", *lines)), encoding="utf-8")
    done = CliRunner().invoke(
        app, ["calibrate", "shops.yaml", "--targets", "targets.csv", "--starts", "1", "--out", "fit"]
    )
    assert done.exit_code == 0, done.output
    assert "identified" in done.output
    out = tmp_path / "fit"
    files = {
        "fitted.yaml",
        "targets.csv",
        "parameters.csv",
        "profiles.csv",
        "manifest.json",
        "scenario.resolved.yaml",
        "figures",
    }
    assert {file.name for file in out.iterdir()} == files
    assert (out / "figures" / "calibration.png").stat().st_size > 10_000
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["experiment"] == "calibrate"
    fitted = sim.load(out / "fitted.yaml")
    assert not fitted.ranges()
    run = sim.run(fitted, seed=0)
    rate = run.summary.set_index(["measure", "state"]).loc[("ban_rate", ""), "value"]
    told = np.genfromtxt(out / "targets.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert rate == told["simulated"][1]
    assert {file.name for file in tmp_path.iterdir()} == {"shops.yaml", "targets.csv", "fit"}


def test_nothing_to_fit_to() -> None:
    """No target, no start."""
    with pytest.raises(ValueError, match="at least one target and one start"):
        calibrate(ladder(), [])
    with pytest.raises(ValueError, match="at least one target and one start"):
        calibrate(ladder(), targets_of(ladder(), FIGURES[:1], [0.5], 0.02), starts=0)


def test_a_folder_in_the_way_is_refused_before_any_run(tmp_path: Path) -> None:
    """Nothing is lost by a name that is taken."""
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "mine.txt").write_text("mine", encoding="utf-8")
    scenario = ladder()
    with pytest.raises(sim.ResultsError):
        calibrate_to_folder(scenario, targets_of(scenario, FIGURES[:1], [0.5], 0.02), tmp_path / "fit")


def _valley(place: float, objective: float, other: float = 0.5, slope: float = 0.0) -> Fit:
    return Fit(np.array([place, other]), np.array([math.sqrt(objective)]), np.array([[0.0, slope]]))


def test_limits_of_a_profile() -> None:
    """A parabola is crossed where it should be; a side that stays low has no limit."""
    grid = np.linspace(0.0, 1.0, 11)
    profile = profile_of(0, [_valley(at, (at - 0.4) ** 2 / 0.1**2) for at in grid], 0.0, 0.0)
    half = 0.1 * math.sqrt(THRESHOLD)
    assert profile.verdict == "identified"
    assert (profile.low, profile.high) == pytest.approx((0.4 - half, 0.4 + half))
    one_sided = profile_of(0, [_valley(at, max(0.4 - at, 0.0) ** 2 / 0.1**2) for at in grid], 0.0, 0.0)
    assert (one_sided.verdict, math.isnan(one_sided.high)) == ("at least", True)
    assert one_sided.low == pytest.approx(0.4 - half)
    assert profile_of(0, [_valley(at, 1.0) for at in grid], 0.0, 0.0).verdict == "not identified"


def test_a_limit_that_another_range_makes_is_none() -> None:
    """The objective rises only because the other parameter is at the end of its range: beyond it, it would be met."""
    fits = [_valley(at, 0.0, other=1.0 - at) for at in (0.5, 0.8)]
    blocked = [*fits, _valley(1.0, 9.0, other=0.0, slope=20.0)]
    assert profile_of(0, blocked, 0.0, 0.0).verdict == "not identified"
    inward = [*fits, _valley(1.0, 9.0, other=0.0, slope=-20.0)]
    assert profile_of(0, inward, 0.0, 0.0).verdict == "at most"


def test_chance_does_not_lift_a_limit() -> None:
    """A point just above the threshold, with one far above behind it, is a limit, whatever chance may do: another at its end has no part in it."""
    fits = [_valley(0.5, 0.0, other=0.0), _valley(0.8, 4.3, other=0.0, slope=0.001), _valley(1.0, 40.0, other=0.0)]
    assert profile_of(0, fits, 0.0, 3.0).verdict == "at most"


def _flat(place: int, values: list[list[float]]) -> Profile:
    """A profile that is flat at some places of all parameters."""
    fits = tuple(Fit(np.array(units), np.zeros(1), np.zeros((1, len(units)))) for units in values)
    return profile_of(place, list(fits), 0.0, 0.0)


def test_what_stays_the_same_is_said() -> None:
    """A sum of two shares; nothing where two numbers have no constant in common; both names where two others make up for one."""
    ends = ("0%", "50%", "100%")
    shares = [Axis(name, Range(0.0, 0.5, 1.0, ends, "%", "share")) for name in ("a", "b", "c")]
    line = [[at, 0.9 - at, 0.5] for at in (0.1, 0.3, 0.5, 0.7)]
    (told, constant) = sentences(shares, [_flat(0, line)])
    assert told.endswith("as b makes up for it.")
    assert constant.startswith("a and b enter only as a sum, which stays at 90")
    bent = [[at, 0.9 - 0.8 * at**3, 0.5] for at in (0.1, 0.3, 0.5, 0.9)]
    assert len(sentences(shares, [_flat(0, bent)])) == 1
    (told,) = sentences(shares, [_flat(0, [[at, 0.9 - at, 0.2 + at / 2] for at in (0.1, 0.3, 0.5, 0.7)])])
    assert told.endswith("as b and c make up for it.")
    (told,) = sentences(shares, [_flat(0, [[at, 0.5, 0.5] for at in (0.1, 0.3, 0.7)])])
    assert told.endswith("whatever the others are.")


def test_no_steps_where_there_is_no_room() -> None:
    """From the end of a range a profile is looked at in the other direction only; steps go outwards up to the end."""
    at_end = Fit(np.array([1.0]), np.zeros(1), np.array([[50.0]]))
    assert _steps(at_end, 0, 1) == []
    down = _steps(at_end, 0, -1)
    assert down == sorted(down, reverse=True)
    assert down[0] == pytest.approx(0.98)
    assert down[-1] == 0.0


def test_axes() -> None:
    """What is above zero is stretched by its logarithm; both ways agree, and values are told in the unit of the file."""
    scenario = ladder(chance="{low: 0%, best: 20%, high: 90%}")
    axes = {path: Axis(path, range_) for path, range_ in scenario.ranges().items()}
    assert axes[RATE].log
    assert not axes[CHANCE].log
    for axis in axes.values():
        for unit in (0.0, 0.3, 1.0):
            assert axis.unit(axis.value(unit)) == pytest.approx(unit)
        step = 1e-6
        assert axis.slope(0.4) == pytest.approx((axis.value(0.4 + step) - axis.value(0.4 - step)) / (2 * step))
    assert axes[RATE].told(axes[RATE].number(1.0)) == "12 per year"
    assert axes[CHANCE].told(axes[CHANCE].number(1.0)) == "90%"
    assert not Axis("n", Range(1.0, 2.0, 9.0, ("1", "2", "9"), kind="count")).log
