"""Accounts told idle from one random word are idle: the same run with every account lived counts the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement.lives import ENGINES, as_yaml, compile_text, lived, same_tally
from random_scenarios import random_scenario

from sim.engines import compiled, idle
from sim.engines.idle import _limit, flag_candidates, idle_tests
from sim.engines.tally import Tally, new_tally
from sim.model.tables import END, Tables, keyed
from sim.results.tables import Codes
from sim.scenario import load

GOLDEN = Path(__file__).parents[1] / "golden"
NOT_SIMPLE = idle.Tests(np.zeros(1, np.uint8), np.zeros(0, np.uint64), np.zeros(0, np.uint32))

QUIET: dict[str, Any] = {
    "schema": 1,
    "title": "Segments in which little happens",
    "assumed": ["every number"],
    "start": "2023-01-01",
    "horizon": "90 days",
    "segments": {"calm": {"accounts": 6000}, "still": {"accounts": 5000}, "hit": {"accounts": 3000}},
    "violations": {
        "spam": {
            "rate": {"calm": "0.05 per year", "hit": "0.01 per year"},
            "severity": {"minor": "100%"},
            "detection": {"chance": "80%"},
        }
    },
    "ladder": {
        "start": "fine",
        "bans": ["out"],
        "states": {
            "fine": {
                "exits": {
                    "rare": {"to": "gone", "after": {"weibull": {"shape": 2, "scale": "3 years"}}},
                    "seldom": {"to": "gone", "after": {"exponential": {"mean": "10 days"}}, "chance": "1%"},
                    "late": {"to": "gone", "after": "91 days"},
                },
                "on_violation": {"minor": "out"},
            },
            "out": {"activity": 0, "exits": {"back": {"to": "fine", "after": "9 days"}}},
            "gone": {"activity": 0},
        },
    },
    "waves": {
        "audit": {"at": "2023-02-01", "segment": "hit", "share": "2%", "to": "out"},
        "order": {"at": "2023-04-01", "segment": "hit", "count": 11, "to": "gone", "genuine": False},
        "after": {"at": "2023-03-01", "segment": "still", "share": "50%", "to": "gone", "states": ["out"]},
    },
    "phases": {
        "strict": {"from": "2023-02-10", "set": {"violations.spam.rate.calm": "0.4 per year"}},
        "stricter": {"from": "2023-03-20", "set": {"ladder.states.fine.activity": "50%"}},
    },
}


def run(codes: Codes, seed: int, **options: Any) -> Tally:
    """Tally of a run that keeps no histories."""
    tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
    compiled.run(keyed(codes.law, seed, 0), tally, 0, threads=1, **options)
    return tally


def both(codes: Codes, seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Tally, Tally]:
    """Tallies with and without the tests for idleness."""
    quick = run(codes, seed)
    with monkeypatch.context() as patched:
        patched.setattr(compiled, "idle_tests", lambda law, segment: NOT_SIMPLE)
        return quick, run(codes, seed)


@pytest.mark.machine_code
def test_quiet_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """All three kinds of test at work: violations over phases, exits with and without chance, orders by share and count."""
    codes = compile_text(as_yaml(QUIET))
    law = keyed(codes.law, 0, 0)
    assert [len(idle_tests(law, segment).codes) for segment in range(3)] == [4, 3, 6]
    for seed in range(4):
        quick, lived = both(codes, seed, monkeypatch)
        assert same_tally(quick, lived) == []
        assert lived.moves.sum() > 14_100


def candidates(law: Tables, segment: int) -> int:
    """How many accounts of a segment would be lived."""
    flags, accounts = np.zeros(1024, np.uint8), int(law.segments[segment]["accounts"])
    firsts = range(0, accounts, len(flags))
    tests = idle_tests(law, segment)
    idle = sum(flag_candidates(law, tests, segment, first, accounts, 0, flags) for first in firsts)
    return accounts - idle


@pytest.mark.machine_code
def test_most_of_a_quiet_segment_is_not_lived() -> None:
    """The tests are worth their words: candidates are few, and few of them are idle after all."""
    codes = compile_text(as_yaml(QUIET))
    law = keyed(codes.law, 0, 0)
    moved = run(codes, 0).moves[:, :, 1:].sum(axis=(0, 2, 3))
    for segment, accounts in enumerate((6000, 5000, 3000)):
        found = candidates(law, segment)
        assert 0 < found < 0.12 * accounts
        assert found <= 2 * moved[segment] + 60


@pytest.mark.parametrize("name", ["desk", "strikes", "timeline"])
def test_golden(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden cases: joins, propensity and desks make segments untold, media of `timeline` is told."""
    codes = compile_text((GOLDEN / f"{name}.yaml").read_text())
    quick, lived = both(codes, 42, monkeypatch)
    assert same_tally(quick, lived) == []


@pytest.mark.parametrize("batch", range(4))
@pytest.mark.machine_code
def test_random_scenarios(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random scenarios whose rates are cut, so that many accounts are idle."""
    told = 0
    for seed in range(10 * batch, 10 * batch + 10):
        scenario = random_scenario(np.random.default_rng(seed))
        for kind in scenario["violations"].values():
            kind["rate"] = dict.fromkeys(kind["rate"], "0.2 per year")
        codes = compile_text(as_yaml(scenario))
        told += sum(
            int(idle_tests(keyed(codes.law, seed, 0), segment).simple[0])
            for segment in range(len(codes.names.segments))
        )
        quick, lived = both(codes, seed, monkeypatch)
        assert same_tally(quick, lived) == [], f"scenario {seed}"
    assert told > 0


@pytest.mark.parametrize(
    "change",
    [
        {"segments.calm.propensity": {"sigma": 0.1}},
        {"segments.calm.audience": 10},
        {"segments.calm.joins": {"from": "2023-01-01", "to": "2023-02-01"}},
        {
            "phases.strict.set": {"ladder.states.fine.exits.late.after": "92 days"},
            "phases.strict.in_progress": "restart",
        },
    ],
    ids=["propensity", "audience", "joins", "restart"],
)
@pytest.mark.machine_code
def test_what_cannot_be_told_is_lived(change: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments with more to look at than single draws are lived, account by account, and come out the same."""
    codes = compile_text(load_quiet(change))
    assert idle_tests(keyed(codes.law, 0, 0), 0).simple[0] == 0
    assert candidates(keyed(codes.law, 0, 0), 0) == 6000
    quick, lived = both(codes, 1, monkeypatch)
    assert same_tally(quick, lived) == []


def load_quiet(change: dict[str, object]) -> str:
    """The quiet scenario with some values changed."""
    from sim.scenario import loads

    return loads(as_yaml(QUIET)).with_values(change).resolved_yaml()


def test_histories_are_kept_of_idle_accounts() -> None:
    """An account whose history is wanted is lived even if nothing happens to it."""
    codes = compile_text(as_yaml(QUIET))
    tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
    parts: list[np.ndarray] = []
    compiled.run(keyed(codes.law, 0, 0), tally, 2500, parts.append, threads=1)
    events = np.concatenate(parts)
    assert np.count_nonzero(events["move"] == 0) == 7500
    assert same_tally(tally, run(codes, 0)) == []


@pytest.mark.parametrize("chance", [0.0, 1e-12, 1e-6, 0.3, 0.999999, 1.0])
def test_limit_is_on_the_safe_side(chance: float) -> None:
    """The first word of every uniform number below the chance is at most the limit."""
    largest = math.nextafter(chance, 0.0)
    assert min(int(largest * 2.0**32), 2**32 - 1) <= _limit(chance) < 2**32


@pytest.mark.parametrize(
    ("horizon", "rate"), [("1 second", "86400 per day"), ("10 minutes", "144 per day"), ("1 day", "1 per day")]
)
def test_violation_that_is_rounded_to_the_end(horizon: str, rate: str) -> None:
    """A violation due half a microsecond after the end is rounded to the end and happens: its account is not idle."""
    ladder = {"start": "on", "bans": [], "states": {"on": {}}}
    kind = {"rate": {"a": rate}, "severity": {"minor": "100%"}, "detection": {"chance": "100%"}}
    text = {"schema": 1, "title": "Short", "assumed": ["all"], "start": "2023-01-01", "horizon": horizon}
    codes = compile_text(
        as_yaml({**text, "segments": {"a": {"accounts": 1}}, "violations": {"v": kind}, "ladder": ladder})
    )
    hazard = float(codes.law.rates[0, 0, 0])
    end = int(codes.law.constants[END])
    latest = -math.expm1(-(end + 0.499) * hazard)
    assert round(-math.log1p(-latest) / hazard) == end
    assert int(latest * 2.0**32) <= idle_tests(codes.law, 0).limits[0]


def test_golden_files_are_found() -> None:
    """`media` of the golden timeline is a segment that can be told."""
    codes = compile_text(load(GOLDEN / "timeline.yaml").with_values({"phases.clampdown": None}).resolved_yaml())
    law = keyed(codes.law, 42, 0)
    assert [int(idle_tests(law, segment).simple[0]) for segment in range(3)] == [1, 0, 0]


@pytest.mark.parametrize("bans", ["out", "fine"])
def test_both_engines_count_who_keeps_no_history(bans: str) -> None:
    """Few accounts, so that Python can live them, too: those that stay where they began are counted as if they had been followed, ban or not."""
    few = {name: {**segment, "accounts": 40} for name, segment in QUIET["segments"].items()}
    few["late"] = {"accounts": 30, "joins": {"from": "2023-02-01", "to": "2023-05-01"}}
    waves = {**QUIET["waves"], "order": {**QUIET["waves"]["order"], "count": 3}}
    world = {**QUIET, "segments": few, "waves": waves, "ladder": {**QUIET["ladder"], "bans": [bans]}}
    codes = compile_text(as_yaml(world))
    followed, _ = lived(codes, "process", seed=5)
    for engine in ENGINES.values():
        tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
        engine(keyed(codes.law, 5, 0), tally, 0)
        assert same_tally(tally, followed) == []
    assert followed.moves[:, :, 0].sum() > 3 * followed.moves[:, :, 1:].sum() > 0
