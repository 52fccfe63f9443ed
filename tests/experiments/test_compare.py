"""Paired comparison: limits hold the exact difference as often as they say; nothing differs where nothing was changed; lives part where they do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from agreement.lives import ENGINES, as_yaml, compile_text, lived, same_tally
from random_scenarios import random_scenario
from verification.chains import advance

import sim
from sim import cli
from sim.engines.tally import BUSY, EVENT, new_tally
from sim.errors import ScenarioError
from sim.experiments import curves as curves_home
from sim.experiments import paired
from sim.experiments.compare import Compared, compare_scenarios, names_of, run_logged, sample_of
from sim.experiments.flips import Words, key_of
from sim.experiments.paired import account_limits
from sim.experiments.replications import codes_of
from sim.model.tables import keyed, restricted_states
from sim.results.intervals import paired_shares, unpaired_shares, welch, wilson
from sim.results.summary import Measure
from sim.scenario import Scenario, load, loads
from sim.views.comparison import print_comparison
from sim.views.comparison_figures import _panel_segments

GOLDEN = Path(__file__).parents[1] / "golden"
DAYS, RATE, RECTIFIED = 100.0, 0.01, 10.0
LADDER = """
start: 2023-01-01
horizon: 100 days
observe: 50 days
segments: {accounts: {accounts: ACCOUNTS}}
violations:
  spam: {rate: {accounts: 0.01 per day}, severity: {minor: 100%}, detection: {chance: 100%}}
ladder:
  start: free
  bans: [banned]
  states:
    free: {on_violation: {minor: warned}}
    warned:
      activity: 0
      exits:
        rectified: {to: free, after: {exponential: {mean: 10 days}}}
        deadline: {to: banned, after: {exponential: {mean: DEADLINE}}}
    banned: {activity: 0}
"""


def ladder(deadline: str, accounts: int = 2000) -> Scenario:
    """A ladder whose clocks are all exponential."""
    text = LADDER.replace("DEADLINE", deadline).replace("ACCOUNTS", str(accounts))
    return loads(text, name=f"ladder_{deadline.split()[0]}")


def exact_ban_rate(deadline_days: float) -> float:
    """Share of accounts banned by the end, by the matrix exponential."""
    rates = {
        "free": [("warned", RATE)],
        "warned": [("free", 1 / RECTIFIED), ("banned", 1 / deadline_days)],
        "banned": [],
    }
    return float(advance({"free": 1.0}, lambda state: rates[state], DAYS)["banned"])


def timeline(changes: dict[str, object] | None = None) -> Scenario:
    """The golden case with everything in it but limited desks."""
    return load(GOLDEN / "timeline.yaml").with_values(changes or {})


def test_coverage() -> None:
    """Over 400 seeds, 95 % limits of `compare` and of `run` hold the exact answer.

    A correct interval of 95 % falls outside 92 % to 98 % of 400 with a chance of about 0.7 %; the seeds are fixed.
    """
    all_codes = [codes_of(ladder(deadline)) for deadline in ("20 days", "14 days")]
    words = Words.of(all_codes)
    exact = [exact_ban_rate(20.0), exact_ban_rate(14.0)]
    measure, days = (
        Measure("ban_rate", "accounts", "", "share"),
        Measure("account_days", "accounts", "banned", "account-days"),
    )
    held = {"run": 0, "compare": 0}
    widths: list[float] = []
    errors: list[float] = []
    for seed in range(400):
        a, b = run_logged(all_codes, seed)
        sample, honest = sample_of(words, a, b)
        assert honest
        found = account_limits(
            sample, a.outcome.measures, b.outcome.measures, keyed(all_codes[0].law, seed, 0), tuple(all_codes)
        )
        low, high, unpaired = found[measure]
        held["compare"] += low <= exact[1] - exact[0] <= high
        value = a.outcome.measures[measure]
        low, high = wilson(value.successes, value.trials)
        held["run"] += low <= exact[0] <= high
        widths.append(found[days].high - found[days].low)
        errors.append(b.outcome.measures[days].value - a.outcome.measures[days].value)
        assert unpaired > 0
    for name, count in held.items():
        assert 0.92 <= count / 400 <= 0.98, (name, count)
    assert np.mean(widths) / (2 * 1.96) == pytest.approx(np.std(errors), rel=0.12)


@pytest.mark.parametrize(("name", "replications"), [("timeline", 3), ("desk", 1), ("desk", 3), ("strikes", 1)])
def test_itself_again(name: str, replications: int) -> None:
    """The same over replications, and where accounts meet at desks: every difference and every limit that there is, is exactly zero."""
    scenario = load(GOLDEN / f"{name}.yaml")
    found = compare_scenarios([scenario, scenario], seed=2, replications=replications)
    assert (found.differences["difference"].dropna() == 0.0).all()
    assert (found.curves["difference"].dropna() == 0.0).all()
    if replications > 1:
        assert (found.differences[["low", "high"]].dropna() == 0.0).all(axis=None)
    assert found.differences["low"].notna().any() == (replications > 1 or name != "desk")
    assert found.lives[["part", "end_differently"]].to_numpy().sum() == 0


def test_restricted_days() -> None:
    """Days in restricted states together: the sum over the states, within limits that know how these go together.

    A longer deadline trades days in one for days in another state, so the limits of the sum are narrower than the sum of the limits.
    """
    other = timeline({"ladder.states.rectifying.exits.deadline.after": "1 day"})
    found = compare_scenarios([timeline(), other], seed=5).differences
    for segment in ("", "traders"):
        rows = found[found["segment"] == segment]
        total = rows[rows["measure"] == "restricted_days"].iloc[0]
        parts = rows[(rows["measure"] == "account_days") & rows["state"].isin(["rectifying", "restricted"])]
        assert len(parts) == 2
        assert total["difference"] == pytest.approx(parts["difference"].sum())
        assert total["low"] < total["difference"] < total["high"]
        widest, narrowest = parts["half_width"].sum(), abs(parts["half_width"].diff().iloc[-1])
        assert narrowest < total["half_width"] < widest


def test_itself() -> None:
    """A scenario differs from itself in nothing, exactly."""
    found = compare_scenarios([timeline(), timeline()], seed=5)
    assert found.names == ("timeline", "timeline (2)")
    assert (found.differences["difference"].dropna() == 0.0).all()
    assert (found.curves["difference"].dropna() == 0.0).all()
    assert found.flips.empty
    assert found.examples.empty
    assert found.lives[["part", "end_differently"]].to_numpy().sum() == 0
    counted = found.differences[~found.differences["measure"].str.startswith("wrongly_")]  # no limits over accounts yet
    totals = counted[counted["unit"].isin(["entries", "account-days"])]
    assert (totals[["low", "high"]] == 0.0).all(axis=None)


def test_other_segments_stay() -> None:
    """A change to one segment leaves every other segment's numbers and lives as they were."""
    found = compare_scenarios([timeline(), timeline({"violations.trading.rate.traders": "30 per year"})], seed=5)
    others = found.differences[~found.differences["segment"].isin(["", "traders"])]
    assert len(others) > 50
    assert (others["difference"].dropna() == 0.0).all()
    assert set(found.flips["segment"]) == {"traders"}
    own = found.differences[(found.differences["segment"] == "traders") & (found.differences["measure"] == "ban_rate")]
    assert own["difference"].item() != 0.0


def brute(scenarios: list[Scenario], seed: int) -> pd.DataFrame:
    """Fates of every account of both scenarios from whole histories of the other engine, one row an account."""
    frames = []
    for scenario in scenarios:
        histories = sim.run(scenario, seed, engine="process", histories=None).histories
        bans = scenario.spec.ladder.bans
        rows = {}
        for key, life in histories.groupby(["segment", "account"], observed=True):
            told = [(row.time, row.to_state, row.cause, row.wrongful) for row in life.itertuples()]
            ever = any(state in bans for _, state, _, _ in told)
            rows[key] = (told, ever, told[-1][1] + (", after a ban" if ever and told[-1][1] not in bans else ""))
        frames.append(pd.DataFrame.from_dict(rows, orient="index", columns=["life", "ever", "fate"]))
    return frames[0].add_suffix("_a").join(frames[1].add_suffix("_b"), how="outer")


def test_against_whole_histories() -> None:
    """Flips, lives and limits agree with what whole histories of the SimPy engine give, counted one by one."""
    scenarios = [timeline(), timeline({"ladder.states.rectifying.exits.deadline.after": "2 days"})]
    found = compare_scenarios(scenarios, seed=3)
    lives = brute(scenarios, 3)
    both = lives.dropna()
    parted = both[[a != b for a, b in zip(both["life_a"], both["life_b"], strict=True)]]
    assert found.lives["part"].sum() == len(parted) > 5
    ends = parted.groupby(["fate_a", "fate_b"]).size()
    mine = found.flips.groupby(["fate_a", "fate_b"])["accounts"].sum()
    assert ends.to_dict() == mine.to_dict()
    deadline = found.flips["rule"].str.endswith("exits.deadline")
    assert found.flips.loc[deadline, "accounts"].sum() > 0.8 * found.flips["accounts"].sum()
    only_a, only_b = (both["ever_a"] & ~both["ever_b"]).sum(), (both["ever_b"] & ~both["ever_a"]).sum()
    row = found.differences[(found.differences["measure"] == "ban_rate") & (found.differences["segment"] == "")].iloc[0]
    low, high = paired_shares(only_a, only_b, len(both))
    assert (row["low"], row["high"]) == (pytest.approx(float(low)), pytest.approx(float(high)))
    last = found.curves[(found.curves["measure"] == "ban_rate") & (found.curves["segment"] == "")].iloc[-1]
    assert (last["low"], last["high"]) == (pytest.approx(row["low"]), pytest.approx(row["high"]))


@pytest.mark.parametrize("at_once", [1 << 18, 3])
def test_curves_of_states(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts that are in a state in one scenario only, at every grid time, are those that whole histories of the SimPy engine show."""
    monkeypatch.setattr(curves_home, "ACCOUNTS_AT_ONCE", at_once)
    scenarios = [timeline(), timeline({"ladder.states.rectifying.exits.deadline.after": "2 days"})]
    found = compare_scenarios(scenarios, seed=3)
    keys = ["measure", "segment", "state"]
    last = found.curves[found.curves["time"] == found.curves["time"].max()].set_index(keys)
    ends = found.differences.set_index(keys).loc[last.index]
    for column in ("a", "b", "difference", "low", "high"):
        assert last[column].to_numpy() == pytest.approx(ends[column].to_numpy(), nan_ok=True), column
    histories = [sim.run(each, 3, engine="process", histories=None).histories for each in scenarios]
    times = found.curves["time"].drop_duplicates()
    bans = scenarios[0].spec.ladder.bans
    for time in times.iloc[:: len(times) // 5]:
        states = [
            h[h["time"] <= time].groupby(["segment", "account"], observed=True)["to_state"].last().astype(str)
            for h in histories
        ]
        a, b = states[0].align(states[1], join="outer", fill_value="")
        for state in (*scenarios[0].spec.ladder.states, "banned share"):
            in_a, in_b = (each.isin(bans) if state == "banned share" else each == state for each in (a, b))
            low, high = paired_shares((in_a & ~in_b).sum(), (in_b & ~in_a).sum(), len(a))
            measure = "banned_share" if state == "banned share" else "occupancy_share"
            rows = found.curves[(found.curves["segment"] == "") & (found.curves["time"] == time)]
            row = rows[(rows["measure"] == measure) & rows["state"].isin(["", state])].iloc[0]
            assert (row["low"], row["high"]) == (pytest.approx(float(low)), pytest.approx(float(high))), (time, state)


def test_days_of_those_wronged() -> None:
    """Where every violation is a false alarm, all restricted and banned days are of accounts wronged: same values, same limits."""
    scenarios = [
        ladder(deadline).with_values({"violations.spam.genuine": "false"}) for deadline in ("20 days", "14 days")
    ]
    found = compare_scenarios(scenarios, seed=3).differences.set_index(["measure", "state"]).sort_index()
    columns = ["a", "b", "difference", "low", "high", "unpaired_half_width"]
    for wronged, state in (("wrongly_restricted_days", "warned"), ("wrongly_banned_days", "banned")):
        (mine,), (whole,) = (
            [row for _, row in found.loc[[key], columns].iterrows()] for key in ((wronged, ""), ("account_days", state))
        )
        assert mine.to_numpy() == pytest.approx(whole.to_numpy(), rel=1e-9)
        assert mine["low"] < mine["difference"] < mine["high"]


def wronged_days(life: list[tuple[Any, ...]], states: tuple[str, ...], end: pd.Timestamp) -> float:
    """Days that an account marked wrongful spends in some states."""
    ends = [*(time for time, *_ in life[1:]), end]
    return sum(
        (until - time) / pd.Timedelta(days=1)
        for (time, state, _, wrongful), until in zip(life, ends, strict=True)
        if wrongful and state in states
    )


def test_days_of_those_wronged_against_whole_histories() -> None:
    """Right and wrong mixed: limits from the lives of the SimPy engine, summed one by one, segment by segment."""
    base = {"violations.trading.genuine": "false"}
    changes = {"ladder.states.rectifying.exits.deadline.after": "2 days", "waves.closure_order.count": 12}
    scenarios = [timeline(base), timeline(base | changes)]
    found = compare_scenarios(scenarios, seed=3).differences.set_index(["measure", "segment"]).sort_index()
    lives, spec = brute(scenarios, 3).dropna(), scenarios[0].spec
    end = pd.Timestamp(spec.start) + pd.Timedelta(microseconds=spec.end_us)
    for measure, states in (
        ("wrongly_restricted_days", restricted_states(spec.ladder)),
        ("wrongly_banned_days", spec.ladder.bans),
    ):
        days = lives[["life_a", "life_b"]].map(wronged_days, states=states, end=end)
        changed = days["life_b"] - days["life_a"]
        segments = changed.index.map(lambda key: key[0])
        variance = sum(part.var() * len(part) for _, part in changed.groupby(segments))
        row = found.loc[[(measure, "")]].iloc[0]
        assert row["a"] == pytest.approx(days["life_a"].sum())
        assert row["difference"] == pytest.approx(changed.sum(), abs=1e-9)
        assert row["high"] - row["low"] == pytest.approx(2 * 1.959964 * math.sqrt(variance), rel=1e-6)
        assert variance > 0.0, measure


def test_examples_are_side_by_side() -> None:
    """Up to the step where they part two lives are the same, and there they are not."""
    found = compare_scenarios([ladder("20 days"), ladder("5 days")], seed=1)
    assert len(found.examples) > 10
    for _, life in found.examples.groupby(["segment", "account"]):
        same = (life["time_a"] == life["time_b"]) & (life["to_a"] == life["to_b"])
        before = life[~life["parted"]]
        assert same[before.index].all()
        assert not same[life[life["parted"]].index[0]]
        assert life["fate_a"].iloc[0] != life["fate_b"].iloc[0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(6))
def test_busy_accounts_are_logged_whole(engine: str, seed: int) -> None:
    """In the log of busy accounts nobody is missing who moves or joins later, and whoever is there is there whole."""
    codes = compile_text(as_yaml(random_scenario(np.random.default_rng(seed))))
    whole_tally, whole = lived(codes, engine, seed=seed)
    law = keyed(codes.law, seed, 0)
    tally = new_tally(law, codes.names, codes.scenario.spec.observe_us)
    parts = [np.empty(0, EVENT)]
    ENGINES[engine](law, tally, BUSY, parts.append)
    events = np.concatenate(parts)
    events = events[np.argsort(key_of(events), kind="stable")]
    assert same_tally(whole_tally, tally) == []
    there = np.isin(key_of(whole), key_of(events))
    assert np.array_equal(whole[there], events)
    missing = whole[~there]
    assert (missing["time"] == 0).all()
    assert len(np.unique(key_of(missing))) == len(missing)


def test_replications() -> None:
    """Several replications: Student limits over paired differences, beside those of Welch."""
    scenarios = [ladder("20 days", 500), ladder("10 days", 500)]
    found = compare_scenarios(scenarios, seed=2, replications=6)
    rates = np.array([[_ban_rate(scenario, 2, r) for r in range(6)] for scenario in scenarios])
    row = found.differences[found.differences["measure"] == "ban_rate"].iloc[0]
    changes = rates[1] - rates[0]
    half = 2.5706 * changes.std(ddof=1) / math.sqrt(6)
    assert row["difference"] == pytest.approx(changes.mean())
    assert row["half_width"] == pytest.approx(half, rel=1e-4)
    assert row["unpaired_half_width"] == pytest.approx(welch(*rates))
    assert row["narrower"] > 1.0
    assert found.variance_reduction() == row["narrower"]
    last = found.curves[found.curves["measure"] == "ban_rate"].iloc[-1]
    assert (last["low"], last["high"]) == (pytest.approx(row["low"]), pytest.approx(row["high"]))


def _ban_rate(scenario: Scenario, seed: int, replication: int) -> float:
    bans = sim.run(scenario, seed, replications=replication + 1, histories=0).bans
    last = bans[bans["replication"] == replication].iloc[-1]
    return float(last["ever_banned"] / last["joined"])


def test_nothing_happens() -> None:
    """Scenarios in which no account does anything can be compared."""
    quiet = ladder("5 days").with_values({"violations.spam.rate.accounts": "0 per day"})
    found = compare_scenarios([quiet, quiet])
    assert (found.differences["difference"] == 0.0).all()
    assert found.lives["compared"].item() == 2000


def test_pairing_is_worth_its_while() -> None:
    """Three days to rectify instead of seven (the first 3 % of the platform's accounts): limits of the ban rate are at least twice as narrow."""
    scenarios = [load(name).scaled(0.03) for name in ("wechat_2022", "wechat_2022_short_deadline")]
    found = compare_scenarios(scenarios, seed=1)
    assert found.variance_reduction("ban_rate") >= 2.0
    own = found.differences[(found.differences["measure"] == "ban_rate") & (found.differences["segment"] == "")].iloc[0]
    assert own["narrower"] == pytest.approx(own["unpaired_half_width"] / own["half_width"])


def test_limited_desk_has_no_limits() -> None:
    """Where accounts meet, one replication tells no limits, but lives are compared all the same."""
    desk = load(GOLDEN / "desk.yaml")
    reviewers = next(f"desks.{name}.reviewers" for name, d in desk.spec.desks.items() if d.reviewers is not None)
    found = compare_scenarios([desk, desk.with_values({reviewers: 50})], seed=1)
    assert found.differences["low"].isna().all()
    assert found.curves["low"].isna().all()
    assert found.lives["part"].sum() > 0
    assert math.isnan(found.variance_reduction())


def test_too_many_events() -> None:
    """Where the events of all do not fit, the first accounts of each segment are compared, and said to be."""
    scenarios = [ladder("20 days"), ladder("10 days")]
    whole = compare_scenarios(scenarios, seed=1)
    few = compare_scenarios(scenarios, seed=1, most_rows=4000, first=1000)
    assert few.manifest["accounts_compared"] == few.lives["compared"].item() == 1000
    assert few.differences["difference"].equals(whole.differences["difference"])
    assert few.differences["low"].isna().all()
    assert 0 < few.lives["part"].item() < whole.lives["part"].item()


def test_what_cannot_be_compared() -> None:
    """Other dates, no segment in common, or one scenario alone: all faults are told at once."""
    other = loads(
        LADDER.replace("DEADLINE", "5 days").replace("ACCOUNTS", "9").replace("100 days", "90 days"), name="x"
    )
    with pytest.raises(ScenarioError, match="end: not that of ladder_5"):
        compare_scenarios([ladder("5 days"), other])
    with pytest.raises(ScenarioError, match="segments: none in common"):
        compare_scenarios([ladder("5 days"), loads(as_text("people"), name="y")])
    with pytest.raises(ScenarioError, match="two or more"):
        compare_scenarios([other])
    with pytest.raises(ValueError, match="replications must be at least 1, found 0"):
        compare_scenarios([ladder("5 days"), ladder("9 days")], replications=0)


def as_text(segment: str) -> str:
    """The ladder with another name of its segment."""
    text = LADDER.replace("DEADLINE", "5 days").replace("ACCOUNTS", "10")
    return text.replace("{accounts: {accounts:", f"{{{segment}: {{accounts:").replace(
        "{accounts: 0.01", f"{{{segment}: 0.01"
    )


def test_other_crowds() -> None:
    """Segments of other sizes, other starts: accounts that both have are compared, and no limits are told that would not hold."""
    fewer = compare_scenarios([ladder("20 days"), ladder("10 days", 1500)])
    assert fewer.lives["part"].item() > 0
    assert fewer.differences["low"].isna().all()
    started = loads(as_text("accounts").replace("start: free", "start: warned").replace("10}", "2000}"), name="z")
    found = compare_scenarios([ladder("5 days"), started])
    assert found.lives["part"].item() == 2000
    assert set(found.flips["first_in"]) == {"both"}


@pytest.mark.parametrize(("only_a", "only_b", "trials"), [(0, 0, 50), (3, 0, 50), (7, 12, 100), (0, 50, 50)])
def test_paired_shares(only_a: int, only_b: int, trials: int) -> None:
    """Agresti and Min: Wald's limits after half an account is added to each of the four counts."""
    low, high = (float(limit) for limit in paired_shares(only_a, only_b, trials))
    values = np.repeat([-1.0, 1.0, 0.0], [2 * only_a + 1, 2 * only_b + 1, 2 * (trials - only_a - only_b) + 2])
    half = 1.959964 * values.std() / math.sqrt(trials + 2)
    assert low == pytest.approx(max(-1.0, values.mean() - half), rel=1e-6)
    assert high == pytest.approx(min(1.0, values.mean() + half), rel=1e-6)
    assert low <= (only_b - only_a) / trials <= high


def test_unpaired_shares() -> None:
    """Without pairing the limits are wider; no trials, no limits."""
    low, high = unpaired_shares(40, 100, 45, 100)
    assert (float(low), float(high)) == (pytest.approx(-0.0863, abs=5e-4), pytest.approx(0.1843, abs=5e-4))
    assert np.isnan(unpaired_shares(0, 0, 1, 2)).all()
    assert np.isnan(paired_shares(0, 0, 0)).all()


def test_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The verb prints differences, flips and what pairing brings, and leaves a folder with everything in it."""
    monkeypatch.chdir(tmp_path)
    for name, deadline in (("a", "20 days"), ("b", "5 days")):
        Path(f"{name}.yaml").write_text(ladder(deadline).resolved_yaml())
    arguments = ["enforcement-sim", "compare", "a.yaml", "b.yaml", "--seed", "3"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    out = capsys.readouterr().out
    assert "times narrower" in out
    assert "exit:deadline of warned" in out
    folder = tmp_path / "results" / "a_vs_b"
    told: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    assert told["command"] == arguments
    assert [each["name"] for each in told["scenarios"]] == ["a", "b"]
    assert all(len(each["sha256"]) == 64 for each in told["scenarios"])
    assert set(told["tables"]) == {"differences", "curves", "flips", "examples", "lives", "transitions"}
    assert len(pd.read_parquet(folder / "curves.parquet")) == told["tables"]["curves"]["rows"]
    assert len(pd.read_csv(folder / "flips.csv")) == told["tables"]["flips"]["rows"] > 0
    pictures = {path.name for path in (folder / "figures").iterdir()}
    names = ("ban_rate_difference", "banned_share_difference", "wrongful_ban_rate_difference", "flips", "examples")
    assert pictures == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "exists already" in capsys.readouterr().err


def test_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Days in all restricted states together are told where there are several; where accounts meet, what would give limits."""
    monkeypatch.setenv("COLUMNS", "200")
    found = sim.compare(timeline(), timeline({"ladder.states.rectifying.exits.deadline.after": "1 day"}), seed=5)
    assert repr(found) == "<Comparison of timeline and timeline (2), seed 5>"
    print_comparison(found, Path("there"))
    told = capsys.readouterr().out
    lines = told.splitlines()
    headings = [line.strip() for line in lines if line.strip().startswith(("days", "restricted"))]
    assert headings == ["restricted days", "days rectifying", "days restricted"]
    assert "Tables, figures and manifest are in there" in told
    desk = load(GOLDEN / "desk.yaml")
    print_comparison(sim.compare(desk, desk, seed=1), Path("there"))
    assert "No limits of the ban rate: accounts meet at a limited desk" in capsys.readouterr().out


@pytest.mark.parametrize(("a", "b"), [(300, 400), (400, 300)])
def test_other_numbers_of_accounts(a: int, b: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The accounts that both have are compared, those to whom nothing happens too; why there are no limits is said."""
    scenarios = [timeline({"segments.traders.accounts": accounts}) for accounts in (a, b)]
    found = sim.compare(*scenarios, seed=5)
    alike = sim.compare(*[timeline({"segments.traders.accounts": 300})] * 2, seed=5)
    assert found.lives["compared"].tolist() == alike.lives["compared"].tolist()
    assert found.lives["part"].sum() == 0
    print_comparison(found, Path("there"))
    told = " ".join(capsys.readouterr().out.split())
    assert f"Of {alike.lives['compared'].sum():,} accounts, 0 live another life" in told
    assert "No limits of the ban rate: A and B differ in accounts, or in when they join; take --replications" in told


def test_nobody_joins(capsys: pytest.CaptureFixture[str]) -> None:
    """Then there is no ban rate, and no number of replications would give it limits."""
    late = {f"segments.{name}.joins": {"from": "2023-12-31", "to": "2024-02-01"} for name in timeline().spec.segments}
    print_comparison(sim.compare(timeline(late), timeline(late), seed=5), Path("there"))
    told = " ".join(capsys.readouterr().out.split())
    assert "There is no ban rate: nobody has joined by the end." in told
    assert "--replications" not in told


def test_too_many_readers_have_no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of reader-days are left out where readers would have to be drawn for too many accounts; all other numbers are there."""
    readers = {"segments.traders.audience": 100}
    scenarios = [timeline(readers), timeline({**readers, "ladder.states.rectifying.exits.deadline.after": "1 day"})]
    usual = compare_scenarios(scenarios, seed=5).differences
    monkeypatch.setattr(paired, "MOST_READERS", 0)
    found = compare_scenarios(scenarios, seed=5).differences
    of_readers = found["measure"] == "audience_days"
    assert of_readers.any()
    assert found["difference"].equals(usual["difference"])
    assert found.loc[of_readers, "low"].isna().all()
    assert usual.loc[of_readers, "low"].notna().any()
    assert found.loc[~of_readers, "low"].equals(usual.loc[~of_readers, "low"])


def test_the_segments_that_differ_most_are_drawn() -> None:
    """All together, and as many segments as there is room for, in the order of the file."""
    names = ["", *"abcdefgh"]
    rows = [
        {"segment": name, "time": time, "difference": time * (-1) ** place * place}
        for place, name in enumerate(names)
        for time in (0, 1)
    ]
    assert _panel_segments(pd.DataFrame(rows)) == ["", *"defgh"]
    assert _panel_segments(pd.DataFrame(rows[:12])) == names[:6]


def test_api() -> None:
    """`sim.compare` gives frames and plots, also of three scenarios and where nothing differs."""
    found = sim.compare(ladder("20 days", 300), ladder("5 days", 300), ladder("20 days", 300), seed=1)
    assert isinstance(found, Compared)
    assert names_of(found.scenarios) == found.names == ("ladder_20", "ladder_5", "ladder_20 (2)")
    assert set(found.differences["scenario"]) == {"ladder_5", "ladder_20 (2)"}
    lines = [
        line.get_label() for line in found.plot.difference().get_lines() if not str(line.get_label()).startswith("_")
    ]
    assert lines == ["ladder_5", "ladder_20 (2)"]
    assert (
        found.plot.difference("occupancy_share", state="warned").get_title(loc="left").endswith("share now in warned")
    )
    with pytest.raises(ValueError, match=r"state: no 'lost'\. Allowed: free, warned, banned"):
        found.plot.difference("occupancy_share", state="lost")
    with pytest.raises(ValueError, match=r"measure: no 'rate'\. Allowed: ban_rate"):
        found.plot.difference("rate")  # type: ignore[arg-type]
    assert len(found.plot.flips().patches) > 0
    own = found.plot.examples()
    assert found.plot.flips(ax=own) is found.plot.examples(ax=own) is own
    assert len(found.plot.flips(scenario="ladder_20 (2)").patches) == 0
    assert found.plot.examples(scenario="ladder_20 (2)").texts[0].get_text() == "no account ends differently"
    assert len(found.plot.examples().patches) > 0
