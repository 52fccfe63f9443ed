"""Orders for an exact count: the cut-off against a full sort, and ties by index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim.engines import compiled
from sim.engines.tally import EVENT, new_tally
from sim.experiments.replications import codes_of
from sim.model import population
from sim.model.draws import key, name_code, uniform
from sim.model.population import cutoff
from sim.model.tables import keyed
from sim.scenario import load

TIMELINE = Path(__file__).parents[1] / "golden" / "timeline.yaml"
SEGMENT, DRAW = name_code("media"), name_code("wave:closure_order")


def sorted_draws(seed: int, accounts: int) -> list[tuple[float, int]]:
    """Every account's draw and index, smallest first."""
    mine = key(seed, 0)
    return sorted((uniform(mine, SEGMENT, account, DRAW, 0), account) for account in range(accounts))


@pytest.mark.parametrize("accounts", [1, 2, 3, 10, 257, pytest.param(20_000, marks=pytest.mark.machine_code)])
def test_cutoff_equals_a_full_sort(accounts: int) -> None:
    """The last account hit is that of a sort of the whole segment, at every size of order."""
    for seed in range(3):
        draws = sorted_draws(seed, accounts)
        for count in {1, 2, accounts // 3, accounts // 2, accounts - 1, accounts} & set(range(1, accounts + 1)):
            assert cutoff(key(seed, 0), SEGMENT, accounts, DRAW, count) == draws[count - 1]


@pytest.mark.machine_code
def test_cutoff_of_a_large_segment() -> None:
    """A few accounts of a million: the pass over all of them keeps only a few draws."""
    draw, account = cutoff(key(1, 0), SEGMENT, 1_000_000, DRAW, 8)
    assert draw < 1e-4
    assert uniform(key(1, 0), SEGMENT, account, DRAW, 0) == draw
    found = np.zeros(64), np.zeros(64, np.int64)
    above = float(np.nextafter(draw, 1.0))
    assert population._draws_below(key(1, 0), np.uint64(SEGMENT), 1_000_000, np.uint64(DRAW), above, *found) == 8


@pytest.mark.parametrize("wrong", [0, 10**9], ids=["too_few", "too_many"])
def test_cutoff_tries_again(wrong: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first pass that found too few draws, or more than there is room for, is not believed."""
    calls: list[float] = []
    real = population._draws_below

    def first_wrong(key, segment, accounts, draw, threshold, draws, numbers):
        calls.append(threshold)
        found = real(key, segment, accounts, draw, threshold, draws, numbers)
        return wrong if len(calls) == 1 else found

    monkeypatch.setattr(population, "_draws_below", first_wrong)
    assert cutoff(key(0, 0), SEGMENT, 5_000, DRAW, 40) == sorted_draws(0, 5_000)[39]
    assert len(calls) >= 2
    assert calls[1] == (1.0 if wrong == 0 else pytest.approx(0.9 * calls[0]))


@pytest.mark.parametrize("deviations", [-4, 4])
@pytest.mark.parametrize("count", [1, 1_000, 100_000])
def test_one_pass_is_enough(count: int, deviations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 million accounts, four standard deviations fewer draws than expected are still enough, and as many more still have room."""
    passes: list[int] = []

    def scripted(key, segment, accounts, draw, threshold, draws, numbers):
        assert passes == []
        expected = threshold * accounts
        passes.append(int(expected + deviations * expected**0.5))
        kept = min(passes[0], len(draws))
        draws[:kept] = numbers[:kept] = np.arange(kept)
        return passes[0]

    monkeypatch.setattr(population, "_draws_below", scripted)
    assert cutoff(key(0, 0), SEGMENT, 10**8, DRAW, count) == (count - 1, count - 1)


def test_cutoff_breaks_ties_by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among equal draws the lower index comes first, in whatever order they are found."""

    def tied(key, segment, accounts, draw, threshold, draws, numbers):
        draws[:6] = [0.5, 0.25, 0.5, 0.25, 0.5, 0.25]
        numbers[:6] = [9, 8, 3, 4, 7, 2]
        return 6

    monkeypatch.setattr(population, "_draws_below", tied)
    expected = [(0.25, 2), (0.25, 4), (0.25, 8), (0.5, 3), (0.5, 7), (0.5, 9)]
    assert [cutoff(key(0, 0), SEGMENT, 50, DRAW, count) for count in range(1, 7)] == expected


def hit(cut: float, cut_account: int) -> set[int]:
    """Accounts of `media` that an order with this cut-off moves."""
    orders = {"waves.audit": None, "violations.trading.rate.media": "0 per year"}
    clocks = {f"phases.{name}": None for name in ("announced", "enforced", "clampdown")}
    exits = {"ladder.states.compliant.exits.leaves.chance": "0%"}
    codes = codes_of(load(TIMELINE).with_values({**orders, **clocks, **exits}))
    law = keyed(codes.law, 0, 0)
    waves = law.waves.copy()
    waves["cut"], waves["cut_account"] = cut, cut_account
    parts = [np.empty(0, EVENT)]
    tally = new_tally(law, codes.names, codes.scenario.spec.observe_us)
    compiled.run(law._replace(waves=waves), tally, 2**32, parts.append, threads=1)
    events = np.concatenate(parts)
    causes = np.array([cause for _, _, cause in codes.names.moves])
    moved = events[causes[events["move"]] == "wave:closure_order"]
    return set(moved["account"].tolist())


def test_selection_at_the_cutoff() -> None:
    """Below the cut-off everybody is hit; exactly at it, those up to the index; above it nobody."""
    draws = sorted_draws(0, 40)
    below = {account for _, account in draws[:5]}
    cut, account = draws[5]
    assert hit(cut, account) == below | {account}
    assert hit(cut, 10**6) == below | {account}
    assert hit(cut, account - 1) == below
    assert hit(cut, -1) == below, "a share: strictly below"
    assert hit(0.0, -1) == set()
    assert hit(1.0, -1) == set(range(40))


@pytest.mark.parametrize("count", [0, 1, 6, 40])
def test_an_order_hits_exactly_its_count(count: int) -> None:
    """As many accounts as the order says, those with the smallest draws."""
    codes = codes_of(load(TIMELINE).with_values({"waves.closure_order.count": count}))
    law = keyed(codes.law, 7, 3)
    wave = law.waves[list(codes.names.waves).index("closure_order")]
    mine = key(7, 3)
    draws = sorted((uniform(mine, SEGMENT, account, DRAW, 0), account) for account in range(40))
    chosen = [
        account
        for u, account in draws
        if u < float(wave["cut"]) or (u == float(wave["cut"]) and account <= int(wave["cut_account"]))
    ]
    assert chosen == [account for _, account in draws[:count]]
