"""Draws: bands from parameters and from chance agree with what is known of both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import sim
from sim import ScenarioError, load
from sim.cli import app
from sim.experiments.points import triangular
from sim.experiments.uncertainty import bands_of, uncertainty
from sim.views.ranges import bands

RATE = "violations.a.rate.accounts"
ONE_RATE = """
start: 2023-01-01
horizon: 100 days
observe: 25 days
segments: {accounts: {accounts: 2000}}
violations:
  a: {rate: {accounts: {low: 0.5 per year, best: 2 per year, high: 3 per year}}, severity: {severe: 100%}, detection: {chance: 100%}}
ladder:
  start: free
  bans: [banned]
  states: {free: {on_violation: {severe: banned}}, banned: {activity: 0}}
"""


def test_variance_is_taken_apart_as_it_was_made() -> None:
    """Gaussian parameters and chance of known variance, either way of knowing chance."""
    rng = np.random.default_rng(1)
    parameters = rng.normal(0.5, 0.03, (4000, 1, 1))
    runs = parameters + rng.normal(0.0, 0.04, (4000, 2, 1))
    for found in (bands_of(runs), bands_of(runs[:, :1], np.full((4000, 1), 0.04**2))):
        assert found.value[0] == pytest.approx(0.5, abs=0.003)
        assert found.parameters_sd[0] == pytest.approx(0.03, rel=0.07)
        assert found.chance_sd[0] == pytest.approx(0.04, rel=0.05)
        assert found.parameters_share[0] == pytest.approx(0.36, abs=0.04)
        assert found.parameters_high[0] - found.parameters_low[0] == pytest.approx(2 * 1.96 * 0.03, rel=0.08)
        assert found.high[0] - found.low[0] == pytest.approx(2 * 1.96 * 0.05, rel=0.06)
        assert found.chance_high[0] - found.chance_low[0] == pytest.approx(2 * 1.96 * 0.04, rel=0.05)


def test_unknown_chance_is_not_made_up() -> None:
    """One replication of what is no share: all spread is shown, none of it called chance."""
    found = bands_of(np.arange(10.0).reshape(10, 1, 1))
    assert np.isnan(found.chance_sd[0])
    assert np.isnan(found.parameters_share[0])
    assert found.parameters_sd[0] == pytest.approx(np.std(np.arange(10), ddof=1))


@pytest.mark.parametrize("replications", [1, 3])
def test_against_quadrature(replications: int) -> None:
    """The ban rate is 1 - exp(-a T): spread from a by quadrature, chance is binomial. Tolerances are over 4 standard errors; the seed is fixed."""
    scenario = sim.loads(ONE_RATE)
    found = uncertainty(scenario, 200, seed=5, replications=replications)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    rates = triangular((nodes + 1) / 2, scenario.ranges()[RATE])
    banned = 1 - np.exp(-rates * scenario.spec.end_us)
    mean = weights @ banned / 2
    sd = np.sqrt(weights @ (banned - mean) ** 2 / 2)
    chance = np.sqrt(weights @ (banned * (1 - banned)) / 2 / 2000)
    row = found.table.set_index("measure").loc["ban_rate"]
    assert row["value"] == pytest.approx(mean, abs=0.004)
    assert row["parameters_sd"] == pytest.approx(sd, rel=0.05)
    assert row["chance_sd"] == pytest.approx(chance, rel=0.03 if replications == 1 else 0.2)
    assert found.curves.value[-1, 0] == pytest.approx(row["value"])
    assert found.curves.parameters_sd[-1, 0] == pytest.approx(row["parameters_sd"])
    assert found.chance_known
    if replications == 1:
        assert np.isnan(found.table.set_index("measure").loc["violations", "chance_sd"])


def test_chance_at_one_draw_tells_nothing_about_another() -> None:
    """With ranges that do nothing, no more of the variance is put down to them than chance allows."""
    text = ONE_RATE.replace("{low: 0.5 per year, best: 2 per year, high: 3 per year}", "2 per year").replace(
        "{activity: 0}",
        "{activity: 0, exits: {out: {to: banned, after: {low: 4000 days, best: 5000 days, high: 6000 days}}}}",
    )
    found = uncertainty(sim.loads(text), 100, seed=1, replications=2)
    assert found.table.set_index("measure").loc["ban_rate", "parameters_share"] < 0.35
    assert found.points["ban_rate"].nunique() > 20


def test_the_unpublished_limit_of_rule_3_24(tmp_path: Path) -> None:
    """The worked example: of all ranges, on media and platforms the rectification limit (3, 7 or 15 days) is what shows."""
    scenario = load("wechat_2022").scaled(1e-6).with_values({"segments.nft_platforms.accounts": 3000})
    drawn = sim.draws(scenario, 12, seed=2, out=tmp_path / "out")
    row = drawn.table.query("measure == 'ban_rate' and segment == 'nft_platforms'").iloc[0]
    assert row["parameters_low"] < row["value"] < row["parameters_high"]
    assert row["low"] <= row["parameters_low"] + 0.01
    limit = drawn.points["ladder.states.rectifying.exits.deadline.after"].str.removesuffix(" days").astype(float)
    assert limit.corr(drawn.points["ban_rate:nft_platforms"], method="spearman") < -0.8
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert told["tables"] == drawn.manifest["tables"]
    assert {file.name for file in (tmp_path / "out" / "figures").iterdir()} == {"bands.png", "bands.svg"}
    assert "of the variance comes from parameters" in drawn.sentence()
    assert len(bands(drawn).axes) == 4


def test_a_limited_desk_needs_replications() -> None:
    """Accounts that meet are no binomial trials: this is said, not guessed."""
    golden = Path(__file__).parents[1] / "golden" / "desk.yaml"
    desk = load(golden)
    path = next(f"segments.{name}.accounts" for name in desk.spec.segments)
    count = next(iter(desk.spec.segments.values())).accounts
    ranged = desk.with_values({path: {"low": count, "best": count + 2, "high": count + 9}})
    assert "give 2 or more replications" in uncertainty(ranged, 3).sentence()
    assert uncertainty(ranged, 3, replications=2).chance_known


@pytest.mark.parametrize("replications", [1, 2])
def test_in_python(replications: int) -> None:
    """`sim.draws` has the table of the experiment, and bands: three where chance can be told apart, else two."""
    text = Path(__file__).parents[1] / "golden" / "desk.yaml"
    patience = "ladder.states.plan_due.exits.overdue.after"
    desk = load(text).with_values({patience: {"low": "1 day", "best": "3 days", "high": "9 days"}})
    found = sim.draws(desk, 4, seed=3, replications=replications)
    pd.testing.assert_frame_equal(found.table, uncertainty(desk, 4, seed=3, replications=replications).table)
    legend = [text.get_text() for ax in found.plot().axes if (shown := ax.get_legend()) for text in shown.get_texts()]
    assert legend[-1] == "both (95 % of runs)"
    assert len(legend) == (3 if replications == 1 else 4)


def test_what_never_varies_is_said() -> None:
    """Nobody is banned whatever the ranges are: there is no variance to be taken apart."""
    nobody = sim.loads(ONE_RATE).with_values({"ladder.bans": []})
    found = uncertainty(nobody, 3, replications=2)
    assert found.sentence() == "ban rate 0 %, 95 % of runs 0 % to 0 %: it does not vary."


def test_refusals(tmp_path: Path) -> None:
    """Too few draws, no ranges; the verb says both."""
    with pytest.raises(ValueError, match=r"a sample has 1 to 100,000 points, found 100001"):
        uncertainty(sim.loads(ONE_RATE), 100_001)
    with pytest.raises(ValueError, match="at least 2"):
        uncertainty(sim.loads(ONE_RATE), 1)
    plain = tmp_path / "plain.yaml"
    plain.write_text(ONE_RATE.replace("{low: 0.5 per year, best: 2 per year, high: 3 per year}", "2 per year"))
    with pytest.raises(ScenarioError, match="has no ranges"):
        uncertainty(load(plain), 4)
    file = tmp_path / "x.yaml"
    file.write_text(ONE_RATE)
    done = CliRunner().invoke(app, ["run", str(file), "--draws", "4", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "ban rate" in done.output
