"""Holds a scenario's run to exact answers, wherever it has any: `validate --exact`.

==========================================  =====================================================================================
what                                        exact answer
==========================================  =====================================================================================
segments that are semi-Markov processes     `semi_markov`, solved by `renewal`: states at several times, share ever banned
limited desks fed by many                   `steady_desk`: accounts waiting, reviewers busy, mean wait (M/M/c)
==========================================  =====================================================================================

Counts of accounts that never meet are binomial, so that their z is that of the exact binomial tail; what the solver may be off by is granted to the
simulator. A file is refuted if any |z| passes a limit that a faultless simulator passes in one of 1 / `FALSE_ALARM` files (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from sim.experiments.estimate import check_events
from sim.experiments.renewal import Joining, solved
from sim.experiments.replications import Engine, Settings, codes_of, replicate
from sim.experiments.semi_markov import obstacles, process_of
from sim.experiments.steady_desk import Average, Queue, queue_of
from sim.model.jit import Array
from sim.results.invariants import check
from sim.results.ledger import whole
from sim.results.tables import Codes, Counts, counts_of
from sim.scenario import Scenario

FALSE_ALARM = 1e-4
LOOKS = 4
"""Times at which states are compared, the last one at the end."""
HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Compared:
    """A measure found in a run beside its exact value.

    Attributes
    ----------
    subject
        Segment or desk.
    measure
        What is compared.
    at
        When, in microseconds since the start; ``None``: over the whole run.
    exact, simulated, error
        Value, value found, and standard error of the latter.
    z
        Standard deviations between them; of a count, that of a normal number with the same tail.
    """

    subject: str
    measure: str
    at: int | None
    exact: float
    simulated: float
    error: float
    z: float


@dataclass(frozen=True)
class Exactness:
    """What came of holding a scenario to exact answers.

    Attributes
    ----------
    scenario
        The one that was run.
    compared
        All comparisons.
    unsolved
        (segment or desk, what forbids to solve it).
    """

    scenario: Scenario
    compared: tuple[Compared, ...]
    unsolved: tuple[tuple[str, str], ...]

    @property
    def limit(self) -> float:
        """Largest |z| that is no refutation."""
        return float(stats.norm.isf(FALSE_ALARM / max(1, len(self.compared)) / 2.0))

    @property
    def verdict(self) -> Literal["agrees", "refuted", "unsolved"]:
        """Whether any comparison fails; ``unsolved`` if there is none."""
        if not self.compared:
            return "unsolved"
        return "agrees" if all(abs(one.z) <= self.limit for one in self.compared) else "refuted"


def hold_to_exact(
    scenario: Scenario,
    seed: int = 0,
    *,
    replications: int = 1,
    engine: Engine = "auto",
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Exactness:
    """Run a scenario and compare it with exact answers; nothing is run if there are none.

    Raises
    ------
    TooManyEventsError
        The run may make more events than `sim.experiments.estimate.LIMIT`, and it is not forced.
    InvariantError
        The numbers of the run contradict each other.
    """
    spec = scenario.spec
    reasons = {name: obstacles(scenario, name) for name in spec.segments}
    segments = [name for name, told in reasons.items() if not told]
    limited = [name for name, desk in spec.desks.items() if desk.reviewers is not None]
    queues = {name: queue_of(scenario, name) for name in limited}
    unsolved = [(f"segment {name}", "; ".join(told)) for name, told in reasons.items() if told]
    unsolved += [(f"desk {name}", told) for name, told in queues.items() if isinstance(told, str)]
    lengths = {name: _averages(queue, spec.end_us) for name, queue in queues.items() if isinstance(queue, Queue)}
    unsolved += [(f"desk {name}", "the run is too short for a steady state") for name, told in lengths.items() if told is None]  # fmt: skip
    desks = {name: told for name, told in lengths.items() if told is not None}
    if not segments and not desks:
        return Exactness(scenario, (), tuple(unsolved))
    check_events([scenario], force=force)
    codes, runs = codes_of(scenario), []
    for number in range(replications):
        told = lambda share, done=number: progress((done + share) / replications)  # noqa: E731
        tally, _ = replicate(codes, Settings(seed=seed, engine=engine, histories=0), number, told)
        counts = counts_of(tally, codes)
        check(counts, codes)
        runs.append(counts)
    found = [one for name in segments for one in _of_segment(codes, runs, name)]
    for name, averages in desks.items():
        found += _of_desk(codes, runs, name, queues[name], averages)  # type: ignore[arg-type]
    return Exactness(scenario, tuple(found), tuple(unsolved))


def _of_segment(codes: Codes, runs: list[Counts], name: str) -> Iterator[Compared]:
    """States at several times, and the share ever banned."""
    spec, segment = codes.scenario.spec, codes.scenario.spec.segments[name]
    number, grid = codes.names.segments.index(name), codes.grid
    looks = sorted({round(part * (len(grid) - 1) / LOOKS) for part in range(1, LOOKS + 1)} - {0})
    times = [int(grid[look]) for look in looks]
    trials = segment.accounts * len(runs)
    process = process_of(spec, name)
    joining = Joining(segment.joins_from_us, segment.joins_to_us)
    enough = max(0.02 / math.sqrt(trials), 2e-6)
    shares, off = solved(process, segment.propensity_sigma, joining, times, enough)
    occupancy = np.sum([run.occupancy[looks, number] for run in runs], axis=0)
    for place, state in enumerate(codes.names.states):
        nodes = [node for node, (reached, _, _) in enumerate(process.nodes) if reached == state]
        exact, slack = shares[:, nodes].sum(axis=1), off[:, nodes].sum(axis=1)
        yield from _counts(name, f"in {state}", times, exact, slack, occupancy[:, place], trials)
    if spec.ladder.bans:
        ends = [node for node, (reached, _, _) in enumerate(process.nodes) if reached in spec.ladder.bans]
        shares, off = solved(process.absorbed(spec.ladder.bans), segment.propensity_sigma, joining, times, enough)
        ever = np.sum([run.bans[looks, number, 1] for run in runs], axis=0)
        banned, slack = shares[:, ends].sum(axis=1), off[:, ends].sum(axis=1)
        yield from _counts(name, "ever banned", times, banned, slack, ever, trials)


def _counts(
    segment: str, measure: str, times: list[int], exact: Array, off: Array, counts: Array, trials: int
) -> Iterator[Compared]:
    for at, chance, slack, count in zip(times, exact.tolist(), off.tolist(), counts.tolist(), strict=True):
        share = min(max(chance, 0.0), 1.0)
        error = math.sqrt(share * (1.0 - share) / trials)
        z = binomial_z(count, trials, share, slack)
        yield Compared(f"segment {segment}", measure, at, share, count / trials, error, z)


def binomial_z(count: int, trials: int, chance: float, slack: float = 0.0) -> float:
    """How unlikely a count is, as a normal number; the chance is taken as near to what was found as `slack` allows."""
    found = count / trials
    nearest = min(max(found, chance - slack), chance + slack)
    if nearest == found:
        return 0.0
    nearest = min(max(nearest, 0.0), 1.0)
    above = found > nearest
    tail = stats.binom.logsf(count - 1, trials, nearest) if above else stats.binom.logcdf(count, trials, nearest)
    return _z(float(tail), above=above)


def _z(log_tail: float, *, above: bool) -> float:
    """Normal number with the same two-sided tail, from the logarithm of a one-sided one."""
    if log_tail < -600.0:
        return math.copysign(math.sqrt(-2.0 * log_tail), 1.0 if above else -1.0)  # beyond doubles: to first order
    size = float(stats.norm.isf(min(1.0, 2.0 * math.exp(log_tail)) / 2.0))
    return size if above else -size


def _averages(queue: Queue, length: int) -> tuple[Average, Average] | None:
    """Accounts waiting and reviewers busy over a run; ``None`` if it is too short."""
    waiting, busy = queue.average(length, waiting=True), queue.average(length, waiting=False)
    return None if waiting is None or busy is None else (waiting, busy)


def _of_desk(
    codes: Codes, runs: list[Counts], name: str, queue: Queue, averages: tuple[Average, Average]
) -> Iterator[Compared]:
    """Accounts waiting and reviewers busy, averaged over the run, and the mean wait by Little's law.

    The mean wait moves with the number waiting, and relatively at most as much: it is given the same relative error.
    """
    desk, length = codes.names.desks.index(name), codes.scenario.spec.end_us
    before = codes.law.states["desk"][0] == desk
    worked = np.array([int(whole(run.tally.worked[desk])) for run in runs], float) / length
    there = np.array([int(whole(run.tally.sojourn)[:, before].sum()) for run in runs], float) / length
    waited = sum(int(whole(run.tally.waited[desk])) for run in runs)
    served = sum(int(run.tally.starts[:, desk].sum()) for run in runs)
    waiting, busy = averages
    error, busy_error = (part.deviation / math.sqrt(len(runs)) for part in averages)
    arriving = queue.services * busy.mean
    wait, per_wait = waiting.mean / arriving / HOUR_US, arriving * HOUR_US
    rows = (
        ("accounts waiting, mean", waiting.mean, float((there - worked).mean()), error),
        ("reviewers busy, mean", busy.mean, float(worked.mean()), busy_error),
        ("mean wait in hours", wait, waited / max(served, 1) / HOUR_US, error / per_wait),
    )
    for measure, exact, found, deviation in rows:
        skewed = not measure.startswith("reviewers")
        z = _gamma_z(found, exact, deviation) if skewed else (found - exact) / deviation
        yield Compared(f"desk {name}", measure, None, exact, found, deviation, z)


def _gamma_z(found: float, exact: float, deviation: float) -> float:
    """Means of waits are skewed: z of the tail of a gamma distribution."""
    shape, above = (exact / deviation) ** 2, found > exact
    tail = stats.gamma.logsf if above else stats.gamma.logcdf
    return _z(float(tail(shape * max(found, 0.0) / exact, shape)), above=above)
