"""Indices agree with those that can be computed; what cannot be told from zero is said so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import triang

import sim
from sim import ScenarioError, loads
from sim.experiments import points
from sim.experiments.outputs import outputs_of
from sim.experiments.sensitivity import (
    INDICES,
    Method,
    Sensitivity,
    runs_needed,
    sensitivity,
    sensitivity_to_folder,
    sentences,
)
from sim.scenario import Range, Scenario
from sim.views.ranges import print_sensitivity

TWO_RATES = """
start: 2023-01-01
horizon: 100 days
observe: 50 days
segments: {accounts: {accounts: ACCOUNTS}}
violations:
  a: {rate: {accounts: {low: 0.1 per year, best: 0.5 per year, high: 3 per year}}, severity: {severe: 100%}, detection: {chance: 100%}}
  b: {rate: {accounts: {low: 1 per year, best: 2 per year, high: 2.5 per year}}, severity: {severe: 100%}, detection: {chance: 100%}}
ladder:
  start: free
  bans: [banned]
  states:
    free: {on_violation: {severe: banned}}
    banned: {activity: 0, exits: {out: {to: banned, after: UNUSED}}}
"""


def two_rates(accounts: int, unused: str = "5000 days") -> Scenario:
    """The ban rate is 1 - exp(-(a + b) T), whatever is `unused`."""
    return loads(TWO_RATES.replace("ACCOUNTS", str(accounts)).replace("UNUSED", unused))


def skewed(accounts: int) -> Scenario:
    """Two rates whose triangles lean to opposite sides: the one mostly near its low end, the other near its high end."""
    ranges = (
        {"low": "0.1 per year", "best": "0.5 per year", "high": "8 per year"},
        {"low": "1 per year", "best": "8 per year", "high": "8 per year"},
    )
    changes: dict[str, object] = {
        f"violations.{kind}.rate.accounts": range_ for kind, range_ in zip("ab", ranges, strict=True)
    }
    return two_rates(accounts).with_values({"horizon": "60 days", **changes})


def uniform(quantiles: np.ndarray, range_: Range) -> np.ndarray:
    """A range read as if all its values were as likely: the reading that the format does not mean."""
    return np.asarray(range_.low + quantiles * (range_.high - range_.low))


def analytic(scenario: Scenario, *, as_uniform: bool = False) -> dict[tuple[str, str], float]:
    """First and total indices of each rate by quadrature; the triangles are those of scipy."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    quantiles, weights = (nodes + 1) / 2, weights / 2
    (path_a, range_a), (path_b, range_b) = scenario.ranges().items()
    a, b = (
        uniform(quantiles, r)
        if as_uniform
        else triang.ppf(quantiles, (r.best - r.low) / (r.high - r.low), loc=r.low, scale=r.high - r.low)
        for r in (range_a, range_b)
    )
    banned = 1 - np.exp(-(a[:, None] + b[None, :]) * scenario.spec.end_us)
    mean = weights @ banned @ weights
    whole = weights @ (banned - mean) ** 2 @ weights
    of_a = weights @ (banned @ weights - mean) ** 2 / whole
    of_b = weights @ (weights @ banned - mean) ** 2 / whole
    return {(path_a, "S1"): of_a, (path_a, "ST"): 1 - of_b, (path_b, "S1"): of_b, (path_b, "ST"): 1 - of_a}


TOLERANCE = 0.035
"""Of an index from 256 base points: four times its root mean square error over twelve other sequences. The seed is
fixed, so there are no false alarms."""


def far_off(found: Sensitivity, exact: dict[tuple[str, str], float]) -> list[tuple[str, str]]:
    """Indices that are further from the exact ones than the tolerance, or whose own limits do not hold them."""
    rows = {(path, index): found.indices("ban_rate@end", index).loc[path] for path, index in exact}
    return [
        key
        for key, value in exact.items()
        if abs(rows[key]["value"] - value) > TOLERANCE or not rows[key]["low"] < value < rows[key]["high"]
    ]


def test_sobol_agrees_with_quadrature() -> None:
    """The ban rate is a known function of two rates: all four indices are as they should be, and are told apart from zero."""
    scenario = skewed(10_000)
    found = sensitivity(scenario, ["ban_rate@end"], samples=256)
    assert far_off(found, analytic(scenario)) == []
    assert found.sentences == ()


def test_the_test_tells_a_triangle_from_a_uniform_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the ranges read as uniform, no index of the skewed ranges would pass; they would agree with the uniform ones instead."""
    scenario = skewed(10_000)
    right, wrong = analytic(scenario), analytic(scenario, as_uniform=True)
    assert min(abs(right[key] - wrong[key]) for key in right) > 2 * TOLERANCE
    monkeypatch.setattr(points, "triangular", uniform)
    found = sensitivity(scenario, ["ban_rate@end"], samples=256)
    assert far_off(found, right) == list(right)
    assert far_off(found, wrong) == []


def test_morris_ranks_as_the_swings_do() -> None:
    """The wider range has the greater effect; a range without any has none, and this is said."""
    scenario = two_rates(5_000, "{low: 4000 days, best: 5000 days, high: 6000 days}")
    found = sensitivity(scenario, ["ban_rate@end", "ban_rate@50 days"], method="morris", samples=6, seed=2)
    wide, narrow, idle = found.paths
    star = found.indices("ban_rate@end", "mu_star")["value"]
    assert star[wide] > star[narrow] > star[idle] == 0
    swings = found.swings.set_index(["output", "path"])
    swing = (swings["at_high"] - swings["at_low"])["ban_rate@end"]
    assert swing[wide] > swing[narrow] > swing[idle] == 0
    assert swings.loc[("ban_rate@50 days", wide), "at_best"] < swings.loc[("ban_rate@end", wide), "at_best"]
    assert any(
        f"mu_star of {idle} on ban_rate@end is 0: the output never changed with it in 6 samples" in s
        for s in found.sentences
    )


def test_an_output_that_never_changes_has_no_indices() -> None:
    """No division by zero, but a sentence."""
    found = sensitivity(two_rates(500), ["wrongful_ban_rate@end"], samples=2)
    assert found.table["value"].isna().all()
    assert found.sentences == (
        "wrongful_ban_rate@end is the same at every point, or not known at some: it has no indices.",
    )


def test_sentences() -> None:
    """Negative indices and those whose limits hold zero are told; others are not."""
    rows = [("y", "p", "S1", -0.02, -0.1, 0.06), ("y", "q", "S1", 0.03, -0.1, 0.16), ("y", "q", "ST", 0.5, 0.4, 0.6)]
    table = pd.DataFrame(rows, columns=["output", "path", "index", "value", "low", "high"])
    negative, doubtful = sentences(table, 64)
    assert negative == "S1 of p on y is -0.02: negative by chance, as no such index is below zero. Read it as zero."
    assert doubtful == "S1 of q on y is 0.03 and cannot be told from zero with 64 samples."


def test_same_again_and_resumable(tmp_path: Path) -> None:
    """The same call gives the same tables, seed 0 included; the folder holds them."""
    scenario = two_rates(200)
    first = sensitivity_to_folder(scenario, ["ban_rate@end"], tmp_path / "out", samples=4)
    again = sensitivity(scenario, ["ban_rate@end"], samples=4)
    pd.testing.assert_frame_equal(first.table, again.table)
    assert first.manifest["tables"] == again.manifest["tables"]
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "manifest.json",
        "scenario.resolved.yaml",
        "sensitivity.csv",
        "swings.csv",
        "traffic.csv",
    }
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    assert runs_needed(scenario, "sobol", 4) == 4 * 4 + 5


@pytest.mark.parametrize("method", ["morris", "sobol"])
def test_in_python_and_in_words(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    """`sim.sensitivity` has the tables of the experiment, and a tornado; what has no index is said to have none."""
    scenario = two_rates(200)
    found = sim.sensitivity(scenario, ["ban_rate@end", "wrongful_ban_rate@end"], method=method, samples=4, seed=3)
    pd.testing.assert_frame_equal(
        found.table, sensitivity(scenario, list(found.outputs), method=method, samples=4, seed=3).table
    )
    left, right = found.plot().axes
    assert left.get_xlabel() == "ban_rate@end"
    assert len(left.patches) == 4
    assert [text.get_text() for text in found.plot("wrongful_ban_rate@end").axes[0].texts] == ["no change"]
    assert right.get_xlabel() == ("share of the variance" if method == "sobol" else "change from one end to the other")
    print_sensitivity(found, Path("there"))
    told = capsys.readouterr().out
    for index in INDICES[method]:
        assert index in told
    value, low, high = found.indices("ban_rate@end", INDICES[method][0]).iloc[0][["value", "low", "high"]]
    assert f"{value:.3g} ({low:.2g} to {high:.2g})" in told
    assert all(sentence in " ".join(told.split()) for sentence in found.sentences)
    assert "Tables, figures and manifest are in there" in told
    assert method == "morris" or "none" in told


def test_what_cannot_be_sampled_is_refused() -> None:
    """With what can."""
    scenario = two_rates(200)
    for options, told in (
        ({"method": "guess"}, "method must be one of morris, sobol, found 'guess'"),
        ({"samples": 1}, "samples must be at least 2, found 1"),
        ({"samples": 12}, "a power of 2, such as 8 or 16; found 12"),
        ({"samples": 2**16}, "65536 samples make 262,149 points; at most 100,000"),
        ({"samples": 2, "replications": 0}, "replications must be at least 1, found 0"),
    ):
        with pytest.raises(ValueError, match=told):
            sensitivity(scenario, ["ban_rate@end"], **options)  # type: ignore[arg-type]


def test_outputs_at_any_time_agree_with_the_summary() -> None:
    """The end read off the curves is the end of the summary."""
    scenario = two_rates(500)
    texts = ["ban_rate:accounts@end", "occupancy_share::banned@2023-02-20", "occupancy_share:accounts:free@end"]
    found = sensitivity(scenario, texts, samples=2).swings.groupby("output")["at_best"].first()
    assert found[texts[0]] == pytest.approx(1 - found[texts[2]])
    assert 0 < found[texts[1]] < found[texts[0]]


def test_bad_outputs_are_told_at_once() -> None:
    """Every fault in one error, with what is allowed."""
    with pytest.raises(ScenarioError) as told:
        outputs_of(
            [
                "ban_rat@end",
                "ban_rate:acounts@end",
                "ban_rate@200 days",
                "entries::free@50 days",
                "occupancy_share@end",
                "ban_rate::free@end",
                "ban_rate@soon",
            ],
            two_rates(5),
        )
    assert len(told.value.faults) == 7
    text = str(told.value)
    assert "did you mean" in text or "ban_rate" in text
    assert "is known at the end only" in text
    with pytest.raises(ValueError, match="power of 2"):
        sensitivity(two_rates(5), ["ban_rate@end"], samples=6)
    with pytest.raises(ScenarioError, match="names no output"):
        outputs_of([], two_rates(5))
