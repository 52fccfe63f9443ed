"""How fast this machine is: both engines and the scan over idle accounts, in one run, so that ratios mean something on a noisy machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sim.engines import compiled, process
from sim.engines.tally import Tally, new_tally
from sim.experiments.replications import codes_of
from sim.model.tables import Tables, keyed
from sim.processors import cores
from sim.results.tables import Codes
from sim.scenario import Scenario, load

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "_benchmarks", PACKAGE.parent / "tests" / "benchmarks")
"""Where the benchmark scenarios lie: in a wheel, in a checkout."""

SIMPY_ACCOUNTS = 100_000
COMPILED_ACCOUNTS = 1_000_000
IDLE_ACCOUNTS = 200_000_000
ACCOUNTS_PER_REVIEWER = 5_000


@dataclass(frozen=True)
class Timing:
    """One line of the benchmark: `count` of `unit` in `seconds`, the median of several runs."""

    name: str
    count: int
    unit: str
    seconds: float

    @property
    def per_second(self) -> float:
        """Speed in units per second."""
        return self.count / self.seconds


def benchmark_scenario(name: str, accounts: int) -> Scenario:
    """``ladder`` or ``desk`` with so many accounts, and one reviewer per 5,000 of them."""
    folder = next(folder for folder in FOLDERS if folder.is_dir())
    scenario = load(folder / f"{name}.yaml")
    changes: dict[str, object] = {"segments.accounts.accounts": accounts}
    if scenario.spec.desks:
        changes["desks.review.reviewers"] = max(1, accounts // ACCOUNTS_PER_REVIEWER)
    return scenario.with_values(changes)


def idle_scenario(accounts: int) -> Scenario:
    """The ladder with violations so rare that almost every account is idle."""
    return benchmark_scenario("ladder", accounts).with_values({"violations.violation.rate.accounts": "0.0005 per year"})


def time_engine(codes: Codes, run: Callable[[Tables, Tally], None], seed: int) -> tuple[int, float]:
    """Transitions of one replication and the seconds that it took."""
    law = keyed(codes.law, seed, 0)
    tally = new_tally(law, codes.names, codes.scenario.spec.observe_us)
    began = time.perf_counter()
    run(law, tally)
    seconds = time.perf_counter() - began
    return int(tally.moves[:, :, 1:].sum()), seconds


def median_timing(name: str, scenario: Scenario, run: Callable[[Tables, Tally], None], repeats: int) -> Timing:
    """Median of several runs, after one that is not counted."""
    codes = codes_of(scenario)
    time_engine(codes, run, 0)
    timed = sorted((time_engine(codes, run, seed) for seed in range(1, repeats + 1)), key=lambda each: each[1])
    transitions, seconds = timed[len(timed) // 2]
    return Timing(name, transitions, "transitions", seconds)


def bench(repeats: int = 5) -> Iterator[Timing]:
    """Time both engines and the idle scan; the compiled engine on one core and on all."""
    small, large = (benchmark_scenario("ladder", count) for count in (SIMPY_ACCOUNTS, COMPILED_ACCOUNTS))
    yield median_timing(
        "ladder, SimPy engine, 1 core", small, lambda law, tally: process.run(law, tally), min(repeats, 3)
    )
    for threads in dict.fromkeys((1, cores())):
        yield median_timing(
            f"ladder, compiled engine, {threads} core{'s' if threads > 1 else ''}",
            large,
            lambda law, tally, threads=threads: compiled.run(law, tally, threads=threads),  # type: ignore[misc]
            repeats,
        )
    desk = benchmark_scenario("desk", COMPILED_ACCOUNTS)
    yield median_timing(
        f"desk, compiled engine, {cores} cores", desk, lambda law, tally: compiled.run(law, tally), repeats
    )
    idle = median_timing("idle", idle_scenario(IDLE_ACCOUNTS), lambda law, tally: compiled.run(law, tally), repeats)
    yield Timing(f"idle scan, {cores} cores", IDLE_ACCOUNTS, "accounts", idle.seconds)
