"""Replications until a number is known well enough: the fewest that do it, and the folder that so many leave behind."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import sim
from sim.cli import app
from sim.errors import ScenarioError
from sim.experiments.until import FLOOR, Watch, precision_of
from sim.results.intervals import student
from sim.results.outcome import Outcome
from sim.scenario import Scenario, load

ROOT = Path(__file__).parents[2]
LADDER = ROOT / "tests" / "benchmarks" / "ladder.yaml"
EXACT = 0.32964
"""Share ever banned at day 365, as the scenario's title has it."""


def ladder(accounts: int = 500) -> Scenario:
    """The benchmark ladder with few accounts."""
    return load(LADDER).with_values({"segments.accounts.accounts": accounts})


def test_the_first_that_is_enough() -> None:
    """It ends with the first replication from the fifth on after which Student's limits are narrow enough."""
    result = sim.run(ladder(), seed=2, until="ban_rate@365 days ±0.8%", histories=0)
    bans = result.bans[result.bans["time"] == result.bans["time"].max()]
    rates = (bans["ever_banned"] / bans["joined"]).tolist()
    count = result.manifest["replications"]
    assert count == len(rates) > FLOOR
    widths = [(high - low) / 2 for low, high in (student(rates[:n]) for n in range(FLOOR, count + 1))]
    assert widths[-1] <= 0.008 < min(widths[:-1])
    row = result.summary[result.summary["measure"] == "ban_rate"].iloc[0]
    assert row["low"] < EXACT < row["high"]
    assert row["high"] - row["low"] == pytest.approx(2 * widths[-1])


def test_folder_is_that_of_so_many_replications(tmp_path: Path) -> None:
    """Equal hashes of every table, and the same summary."""
    ended = sim.run(ladder(), seed=2, until="ban_rate@180 days +-1.5%", out=tmp_path / "until")
    count = ended.manifest["replications"]
    asked = sim.run(ladder(), seed=2, replications=count, out=tmp_path / "asked")
    assert count > FLOOR
    assert ended.manifest["tables"] == asked.manifest["tables"]
    pd.testing.assert_frame_equal(ended.summary, asked.summary, check_exact=True)


def test_floor_and_cap() -> None:
    """Never fewer than the floor, never more than the cap."""
    assert sim.run(ladder(), until="ban_rate@end ±50%", histories=0).manifest["replications"] == FLOOR
    few = sim.run(ladder(), until="ban_rate@end ±0.0001%", max_replications=7, histories=0)
    assert few.manifest["replications"] == 7


@pytest.mark.parametrize(
    ("text", "output", "half_width"),
    [
        ("ban_rate@365 days ±0.1%", "ban_rate@365 days", 0.001),
        ("ban_rate@365 days +-0.1 %", "ban_rate@365 days", 0.001),
        ("ban_rate:accounts@2023-07-01+/-0.002", "ban_rate:accounts@2023-07-01", 0.002),
        (" entries::banned@end ± 12.5 ", "entries::banned@end", 12.5),
    ],
)
def test_readings(text: str, output: str, half_width: float) -> None:
    """Ways to write it; a percentage is in points of the share."""
    found = precision_of(text, ladder())
    assert (found.output.text, found.half_width) == (output, pytest.approx(half_width, rel=1e-15))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ban_rate@365 days", "says no half-width"),
        ("ban_rate@365 days ±", "`` is not a half-width"),
        ("ban_rate@365 days ±wide", "`wide` is not a half-width"),
        ("ban_rate@365 days ±0%", "`0%` is not above 0"),
        ("ban_rate@365 days ±-1", "`-1` is not above 0"),
        ("ban_rate@365 days ±nan", "`nan` is not a half-width"),
        ("ban_rate@365 days ±1 day", "`1 day` is not a half-width"),
        ("entries::banned ±1%", "entries is not a share"),
        ("bad_rate@end ±1%", "did you mean `ban_rate`"),
        ("ban_rate@400 days ±1%", "outside of the run"),
        ("ban_rate:nobody@end ±1%", "`nobody` is not a segment"),
        ("desk_served:accounts@end ±1", "a desk has no segment"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    """What cannot be read says why, and where it was written."""
    with pytest.raises(ScenarioError) as caught:
        precision_of(text, ladder())
    assert problem in str(caught.value)
    assert str(caught.value).startswith("--until: ")


def test_what_is_known_at_the_end_only() -> None:
    """It is read from the summary of a replication, and what is not there is told."""
    entries = precision_of("entries::banned@end ±12.5", ladder()).output
    result = sim.run(ladder(), seed=2, until="entries::banned@end ±1000", histories=0)
    rows = result.summary[(result.summary["measure"] == "entries") & (result.summary["state"] == "banned")]
    assert result.manifest["replications"] == FLOOR
    moves = result.transitions
    into = moves[(moves["to_state"] == "banned") & (moves["cause"] != "joined")]["transitions"].sum()
    assert rows["value"].iloc[0] == pytest.approx(into / FLOOR)
    nothing = Outcome({}, np.zeros((1, 1, 4)), np.zeros((1, 1, 1)), True, {}, {})
    with pytest.raises(ValueError, match="entries::banned@end: there is no such number"):
        entries.of(nothing)


def test_what_is_not_known_is_never_enough() -> None:
    """A share of nobody has no limits."""
    watch = Watch(precision_of("ban_rate@end ±1%", ladder()))
    watch.values = [math.nan] * 10
    assert not watch.reached
    watch.values = [0.3] * (FLOOR - 1)
    assert not watch.reached
    watch.values = [0.3] * FLOOR
    assert watch.reached


def test_progress_is_of_what_will_be_needed() -> None:
    """Twice as wide as wanted: four times as many."""
    watch = Watch(precision_of("ban_rate@end ±1%", ladder()), cap=100)
    shares: list[float] = []
    told = watch.share(shares.append)
    told(0.01)
    watch.values = [0.30, 0.31, 0.32, 0.33, 0.34, 0.35]
    told(0.06)
    needed = 6 * (watch.half_width / 0.01) ** 2
    assert shares == pytest.approx([1 / FLOOR, 6 / needed])


def command(*words: str) -> tuple[int, str]:
    """Exit code and output of `run`."""
    done = CliRunner().invoke(app, ["run", str(LADDER), "--scale", "0.005", "--histories", "none", *words])
    return done.exit_code, done.output


def test_command(tmp_path: Path) -> None:
    """It says how many it took; what was not reached has an exit code of its own, and a folder all the same."""
    code, told = command("--until", "ban_rate@365 days ±3%", "--out", str(tmp_path / "x"))
    count = sim.open(tmp_path / "x").manifest["replications"]
    assert code == 0
    assert f"ban_rate@365 days ±3% was reached after {count} replications: " in told
    code, told = command("--until", "ban_rate@end ±0.01%", "--max-replications", "6", "--out", str(tmp_path / "y"))
    assert code == 3
    assert "was not reached in 6 replications, the most allowed: " in told
    assert sim.open(tmp_path / "y").manifest["replications"] == 6


def test_command_takes_one_or_the_other(tmp_path: Path) -> None:
    """A number of replications, or a precision."""
    code, _ = command("--until", "ban_rate@end ±1%", "--replications", "9", "--out", str(tmp_path / "x"))
    assert code == 2
    assert not (tmp_path / "x").exists()
