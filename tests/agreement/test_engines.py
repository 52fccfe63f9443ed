"""The engines agree: with the golden cases, with the naive reference simulator, with each other, on every event and every count.

Agreement is an equality, not a tolerance; only against other implementations may a time differ by one microsecond, since logarithms differ in
the last bit between libraries. ``--scenarios N`` sets how many random scenarios are lived (200 unless told).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import reference
from agreement.lives import ENGINES, as_yaml, compile_text, first_difference, lived, same_tally, told
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_scenarios import FEATURES, features, random_scenario

from sim.engines import ahead, compiled
from sim.engines.tally import EVENT, new_tally
from sim.experiments.replications import codes_of
from sim.model.tables import keyed
from sim.scenario import Scenario, load, loads

GOLDEN = Path(__file__).parents[1] / "golden"
LADDER = Path(__file__).parents[1] / "benchmarks" / "ladder.yaml"
BATCH = 10


@pytest.fixture(autouse=True, scope="module")
def _draws_ahead_soon() -> Iterator[None]:
    """Have the compiled engine make draws ahead after two accounts of a shard: the segments of random scenarios are small."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compiled, "PILOT", 2)
        yield


def golden_events(name: str) -> list[reference.Event]:
    """Events of a golden case."""
    with (GOLDEN / f"{name}.events.csv").open() as file:
        return [
            reference.Event(
                int(row["time_us"]),
                row["segment"],
                int(row["account"]),
                row["from_state"],
                row["to_state"],
                row["cause"],
                row["kind"],
                row["severity"],
                int(row["strikes"]) if row["strikes"] else None,
                row["wrongful"] == "1",
            )
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["strikes", "timeline", "desk"])
def test_golden(name: str, engine: str) -> None:
    """The golden cases come out event for event (seed 42, replication 0)."""
    codes = compile_text((GOLDEN / f"{name}.yaml").read_text())
    _, events = lived(codes, engine, seed=42)
    assert first_difference(told(codes, events), golden_events(name)) == ""


def test_difference_is_seen() -> None:
    """A test of the test: one event more, one other state, two microseconds are told."""
    events = golden_events("desk")
    assert first_difference(events, events) == ""
    assert first_difference(events[:-1], events) != ""
    assert first_difference([events[0]._replace(to_state="banned"), *events[1:]], events) != ""
    assert first_difference([events[0]._replace(time_us=2), *events[1:]], events) != ""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Random scenarios in batches, so that workers can share them."""
    if "batch" in metafunc.fixturenames:
        metafunc.parametrize("batch", range(-(-metafunc.config.getoption("--scenarios") // BATCH)))


def test_random_scenarios(batch: int) -> None:
    """Reference, SimPy engine and compiled engine live the same lives; shards and threads do not show."""
    for seed in range(BATCH * batch, BATCH * (batch + 1)):
        scenario = random_scenario(np.random.default_rng(seed))
        codes = compile_text(as_yaml(scenario))
        tally, events = lived(codes, "process", seed=seed, replication=seed % 3)
        theirs = reference.events(scenario, seed, seed % 3)
        assert first_difference(told(codes, events), theirs) == "", f"scenario {seed}: SimPy engine and reference"
        total = int(codes.law.segments["accounts"].sum())
        for shards in (1, 2, 3, 7):
            threads = 1 + shards % 2
            options = {"shard": -(-total // shards), "threads": threads}
            other, compiled_events = lived(codes, "compiled", seed=seed, replication=seed % 3, **options)
            place = f"scenario {seed}, {shards} shards, {threads} threads"
            assert np.array_equal(events, compiled_events), place
            assert same_tally(tally, other) == [], place


def test_features_are_covered() -> None:
    """Between them, the first 30 scenarios use every feature of the law."""
    used: set[str] = set()
    for seed in range(30):
        used |= features(random_scenario(np.random.default_rng(seed)))
    assert set(FEATURES) - used == set()


@pytest.mark.parametrize("seed", range(30))
def test_every_feature(seed: int) -> None:
    """The scenarios that use every feature once more, each a test of its own and quick enough for Python without Numba.

    The compiled engine, which is slow there, lives every sixth of them; what it does otherwise than the SimPy engine it does in all.
    """
    scenario = random_scenario(np.random.default_rng(seed))
    codes = compile_text(as_yaml(scenario))
    tally, events = lived(codes, "process", seed=seed)
    assert first_difference(told(codes, events), reference.events(scenario, seed, 0)) == ""
    if seed % 6 == 0:
        other, compiled_events = lived(codes, "compiled", seed=seed)
        assert np.array_equal(events, compiled_events)
        assert same_tally(tally, other) == []


@pytest.mark.parametrize("name", ["timeline", "strikes"])
def test_prefix(name: str) -> None:
    """Promise 3: the first accounts of a large segment live the same lives in a small one."""
    large = load(GOLDEN / f"{name}.yaml")
    waves = {f"waves.{wave}": None for wave, spec in large.spec.waves.items() if spec.count is not None}
    large = large.with_values(waves)
    small = large.with_values({f"segments.{segment}.accounts": 9 for segment in large.spec.segments})
    results = []
    for scenario in (large, small):
        codes = compile_text(scenario.resolved_yaml())
        _, events = lived(codes, "compiled", seed=3)
        results.append([event for event in told(codes, events) if event.account < 9])
    assert results[0] == results[1]
    assert len(results[0]) > 9 * len(large.spec.segments)


def _histories(scenario_changes: dict[str, object], name: str = "timeline") -> dict[str, list[reference.Event]]:
    scenario = load(GOLDEN / f"{name}.yaml").with_values(scenario_changes)
    codes = compile_text(scenario.resolved_yaml())
    _, events = lived(codes, "compiled", seed=11)
    found: dict[str, list[reference.Event]] = {segment: [] for segment in codes.names.segments}
    for event in told(codes, events):
        found[event.segment].append(event)
    return found


def test_what_ifs_are_paired() -> None:
    """Promise 4: a change to one segment leaves every other segment's histories untouched."""
    base = _histories({})
    other = _histories(
        {"violations.trading.rate.traders": "30 per year", "segments.traders.propensity": {"sigma": 0.2}}
    )
    assert base["media"] == other["media"]
    assert base["newcomers"] == other["newcomers"]
    assert base["traders"] != other["traders"]


def test_detection_only_adds() -> None:
    """Promise 4: a higher chance of detection never delays a first decision, and adds some."""
    changes = {f"phases.{phase}": None for phase in ("announced", "enforced", "clampdown")}
    waves = {f"waves.{wave}": None for wave in ("closure_order", "audit")}
    first: list[dict[tuple[str, int], int]] = []
    for chance in ("20%", "60%"):
        histories = _histories({**changes, **waves, "violations.trading.detection.chance": chance})
        decided: dict[tuple[str, int], int] = {}
        for segment, events in histories.items():
            for event in events:
                if event.cause == "decision":
                    decided.setdefault((segment, event.account), event.time_us)
        first.append(decided)
    low, high = first
    assert all(high[account] <= time for account, time in low.items())
    assert len(high) > len(low)


@pytest.mark.machine_code
def test_detection_is_never_later() -> None:
    """Promise 4, in 40 random scenarios: half of what went unseen being seen never delays the first detection of an account.

    Cases are decided at once, so that the first decision is the first detection that leads anywhere; with drawn delays a decision may well come
    later, as the violation that opens the case draws its delay. Desks are unlimited, for in a queue accounts do meet.
    """
    added = 0
    for seed in range(40):
        base = loads(as_yaml(random_scenario(np.random.default_rng(seed))))
        changes: dict[str, object] = {f"desks.{desk}.reviewers": "unlimited" for desk in base.spec.desks}
        changes |= {f"phases.{phase}": None for phase in base.spec.phases}
        changes |= {f"violations.{kind}.detection.delay": "0 days" for kind in base.spec.violations}
        base = base.with_values(changes)
        more = {
            f"violations.{kind}.detection.chance": (1.0 + each.detection) / 2.0
            for kind, each in base.spec.violations.items()
        }
        low, high = (_first_decisions(scenario, seed) for scenario in (base, base.with_values(more)))
        assert [account for account, time in low.items() if account not in high or high[account] > time] == [], seed
        added += len(high) > len(low)
    assert added > 20


def _first_decisions(scenario: Scenario, seed: int) -> dict[tuple[str, int], int]:
    """Account -> time of its first decision."""
    codes = compile_text(scenario.resolved_yaml())
    found: dict[tuple[str, int], int] = {}
    for event in told(codes, lived(codes, "compiled", seed=seed)[1]):
        if event.cause == "decision":
            found.setdefault((event.segment, event.account), event.time_us)
    return found


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    scenario=st.integers(10_000, 2**31).map(lambda seed: random_scenario(np.random.default_rng(seed))),
    seed=st.integers(0, 2**31),
    replication=st.integers(0, 100),
    shard=st.integers(1, 40),
    threads=st.integers(1, 3),
)
@pytest.mark.machine_code
def test_any_scenario(scenario: dict[str, object], seed: int, replication: int, shard: int, threads: int) -> None:
    """Whatever scenario, seed, replication, shards and threads Hypothesis thinks of: all three simulators agree."""
    codes = compile_text(as_yaml(scenario))
    tally, events = lived(codes, "process", seed=seed, replication=replication)
    other, compiled_events = lived(codes, "compiled", seed=seed, replication=replication, shard=shard, threads=threads)
    assert first_difference(told(codes, events), reference.events(scenario, seed, replication)) == ""
    assert np.array_equal(events, compiled_events)
    assert same_tally(tally, other) == []


@pytest.mark.machine_code
def test_all_accounts_of_the_platform() -> None:
    """In a run of all 1.1 billion accounts, the first 1,000 of each segment live as in a run of SimPy over those accounts alone."""
    whole = load("wechat_2022")
    few = whole.with_values(
        {f"segments.{name}.accounts": min(1000, s.accounts) for name, s in whole.spec.segments.items()}
    )
    kept: list[list[np.ndarray]] = []
    for scenario, engine in ((whole, "compiled"), (few, "process")):
        codes = compile_text(scenario.resolved_yaml())
        law = keyed(codes.law, 1, 0)
        tally = new_tally(law, codes.names, scenario.spec.observe_us)
        kept.append([np.empty(0, EVENT)])
        ENGINES[engine](law, tally, 1000, kept[-1].append)
        assert int(tally.moves[:, :, 0].sum()) == sum(s.accounts for s in scenario.spec.segments.values())
    large, small = (np.concatenate(rows) for rows in kept)
    large, small = (rows[np.lexsort((rows["account"], rows["segment"]))] for rows in (large, small))
    assert np.array_equal(large, small)
    assert len(small) > 3500


@pytest.mark.machine_code
def test_draws_are_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the tests: on the benchmark ladder draws are made ahead, of exits too, and nothing shows of it."""
    planned: list[np.ndarray] = []
    plan = ahead.plan
    monkeypatch.setattr(compiled, "plan", lambda *given: planned.append(plan(*given)) or planned[-1])
    codes = codes_of(load(LADDER).with_values({"segments.accounts.accounts": 3000}))
    tally, events = lived(codes, "compiled", seed=42)
    depth = np.max(planned, axis=0)
    assert depth[0] > 0
    assert depth[len(ahead.AHEAD) :].max() > 0
    planned.clear()
    monkeypatch.setattr(ahead, "WORTH", 2.0)  # nothing is worth it
    single_tally, single = lived(codes, "compiled", seed=42)
    assert not np.max(planned, axis=0).any()
    assert np.array_equal(events, single)
    assert same_tally(tally, single_tally) == []
