"""Speed of the engines, with pytest-benchmark: ``pytest tests/benchmarks --benchmark-enable --benchmark-only -n 0``.

In an ordinary run of the suite each is run once, small and untimed, and only its answer is checked. The figures that the project promises
are printed in one run by ``enforcement-sim bench`` and ``python tests/benchmarks/compare.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from benchmarks import yardstick

from sim.engines import compiled, process
from sim.engines.tally import Tally, new_tally
from sim.experiments.bench import benchmark_scenario, idle_scenario
from sim.experiments.replications import codes_of
from sim.model.tables import Tables, keyed

EXACT_LADDER, EXACT_DESK = 0.32964, 0.34295
"""Share ever banned at day 365, from the delay equations of ``tests/verification/renewal.py``; for the desk without delay in the queue."""


def lived(name: str, accounts: int, engine: Callable[[Tables, Tally], None]) -> Callable[[], float]:
    """A run of a benchmark scenario that returns the share of accounts ever banned."""
    codes = codes_of(benchmark_scenario(name, accounts))
    law = keyed(codes.law, 1, 0)

    def run() -> float:
        tally = new_tally(law, codes.names, codes.scenario.spec.observe_us)
        engine(law, tally)
        return float(tally.first_bans.sum()) / accounts

    return run


def slack(share: float, accounts: int) -> float:
    """Three standard errors."""
    return 3.0 * math.sqrt(share * (1.0 - share) / accounts)


def size(benchmark: object, full: int) -> int:
    """The full size when timed, a tenth of it otherwise."""
    return full if getattr(benchmark, "enabled", False) else full // 10


def test_ladder_simpy(benchmark: pytest.FixtureRequest) -> None:
    """SimPy engine on the ladder."""
    accounts = size(benchmark, 100_000)
    share = benchmark(lived("ladder", accounts, process.run))  # type: ignore[operator]
    assert abs(share - EXACT_LADDER) < slack(EXACT_LADDER, accounts)


def test_ladder_compiled(benchmark: pytest.FixtureRequest) -> None:
    """Compiled engine on the ladder: 32.96 % ever banned, to three standard errors at one million accounts."""
    share = benchmark(lived("ladder", 1_000_000, compiled.run))  # type: ignore[operator]
    assert abs(share - EXACT_LADDER) < slack(EXACT_LADDER, 1_000_000)


def test_desk_compiled(benchmark: pytest.FixtureRequest) -> None:
    """Compiled engine on the ladder with a desk: 34.3 % ever banned."""
    share = benchmark(lived("desk", 1_000_000, compiled.run))  # type: ignore[operator]
    assert abs(share - EXACT_DESK) < slack(EXACT_DESK, 1_000_000)


def test_idle_scan(benchmark: pytest.FixtureRequest) -> None:
    """The scan over accounts of whom almost all are idle finds as many bans as their rates say."""
    accounts = size(benchmark, 200_000_000)
    codes = codes_of(idle_scenario(accounts))
    law = keyed(codes.law, 1, 0)

    def run() -> Tally:
        tally = new_tally(law, codes.names, codes.scenario.spec.observe_us)
        compiled.run(law, tally)
        return tally

    tally = benchmark(run)  # type: ignore[operator]
    violations = int(tally.violations.sum())
    expected = accounts * 0.0005
    assert abs(violations - expected) < 4.0 * math.sqrt(expected)
    assert int(tally.moves[:, :, 0].sum()) == accounts


@pytest.mark.parametrize("tables", [False, True])
def test_yardstick(benchmark: pytest.FixtureRequest, tables: bool) -> None:
    """The NumPy yardstick has the same answer, so that comparing speeds is fair."""
    accounts = size(benchmark, 1_000_000)
    _, banned = benchmark(yardstick.ladder, accounts, 1, tables=tables)  # type: ignore[operator]
    assert abs(banned / accounts - EXACT_LADDER) < slack(EXACT_LADDER, accounts)
