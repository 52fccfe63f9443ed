"""A limited desk in its steady state: M/M/c, where many accounts feed it and services are exponential (Erlang C).

The number of accounts at the desk is a birth and death process if they come from many independent accounts at one rate, all reviewers are always
there, nobody gives up, and one exponential distribution holds for all services. Two ladders do that: accounts join evenly before the desk and
never come back, or all of them live in the start state and return to it. (Then those at the desk do not come: with many accounts that is M/M/c,
with few the finite source.)

Averages over a run of length T that begins with nobody there: with shares p, births b and f the number of interest, let s(n) be the sum up to n of
p (f - mean f). The average is off by g(0) / T, where g(n+1) - g(n) = -s(n) / (b p), and has the variance 2 / T times the sum of s^2 / (b p)
(Whitt 1992, Oper. Res. 40(2)), both for T long beside the relaxation time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.experiments.semi_markov import obstacles, process_of
from sim.model.jit import Array
from sim.scenario import Scenario

LONG = 50.0
"""Relaxation times that a run must last at least."""
MOST_THERE = 200_000


@dataclass(frozen=True)
class Average:
    """Mean over a run, and its standard deviation."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Queue:
    """Rates per microsecond: arrivals while nobody is there, how many fewer with each account there, services of one reviewer."""

    arrivals: float
    fewer: float
    services: float
    reviewers: int

    def shares(self) -> tuple[Array, Array]:
        """Births and stationary shares by number of accounts at the desk."""
        most = MOST_THERE if self.fewer == 0.0 else min(MOST_THERE, round(self.arrivals / self.fewer))
        there = np.arange(most + 1)
        births = np.maximum(self.arrivals - self.fewer * there, 1e-300)
        deaths = self.services * np.minimum(there[1:], self.reviewers)
        weights = np.append(0.0, np.cumsum(np.log(births[:-1]) - np.log(deaths)))
        shares = np.exp(weights - weights.max())
        last = int(np.flatnonzero(shares > 1e-15)[-1]) + 1
        return births[:last], shares[:last] / shares[:last].sum()

    def average(self, length: float, *, waiting: bool) -> Average | None:
        """Accounts that wait (or reviewers who serve) over a run that begins with none; ``None`` if it is too short for a steady state."""
        births, shares = self.shares()
        there = np.arange(len(shares))
        value = np.maximum(there - self.reviewers, 0) if waiting else np.minimum(there, self.reviewers)
        mean = float(value @ shares)
        summed = np.cumsum(shares * (value - mean))[:-1]
        steps = -summed / (births * shares)[:-1]
        spread = float((shares * (value - mean) ** 2).sum())
        variance = 2.0 * float((summed * -steps).sum())
        if spread > 0.0 and variance / (2.0 * spread) * LONG > length:
            return None
        bias = np.append(0.0, np.cumsum(steps))
        return Average(mean - float(bias @ shares) / length, math.sqrt(variance / length))


def queue_of(scenario: Scenario, desk: str) -> Queue | str:
    """The queue of a limited desk; or what keeps it from being M/M/c, in words."""
    spec = scenario.spec
    there = {name: state for name, state in spec.ladder.states.items() if state.desk == desk}
    services = {state.service for state in there.values()}
    service = next(iter(services))
    reviewers = spec.desks[desk].reviewers
    if len(scenario.in_force) > 1:
        return "phases change values during the run"
    if spec.desks[desk].hours is not None or not reviewers:
        return "it is not always staffed"
    if any(wave.at_us <= spec.end_us for wave in spec.waves.values()):
        return "waves move accounts at a date"
    if len(services) > 1 or service is None or service.family != "exponential":
        return "services are not of one exponential distribution"
    if any(way.chance > 0.0 for state in there.values() for way in state.exits.values()):
        return "accounts may give up waiting"
    if any(state.on_violation for state in there.values()):
        return "decisions may take accounts out of the queue"
    fed = _fed(scenario, desk)
    if isinstance(fed, str):
        return fed
    queue = Queue(*fed, 1.0 / service.values[0], reviewers)
    if queue.fewer == 0.0 and queue.arrivals >= queue.services * reviewers:
        return "more accounts come than it can serve"
    return queue


def _fed(scenario: Scenario, desk: str) -> tuple[float, float] | str:
    """Arrivals while nobody is at the desk, and how many fewer with each account there, per microsecond."""
    spec = scenario.spec
    rates: list[tuple[int, float]] = []
    for name, segment in spec.segments.items():
        others = [told for told in obstacles(scenario, name) if f"limited desk `{desk}`" not in told]
        if others:
            return f"in segment `{name}` {others[0]}"
        process = process_of(spec, name)
        before = [spec.ladder.states[state].desk == desk for state, _, _ in process.nodes]
        ahead = [
            {to for risk in risks for to in risk.targets} | set(more)
            for risks, more in zip(process.risks, process.rates, strict=True)
        ]
        if before[0]:
            if segment.joins_from_us > 0 or segment.joins_to_us < spec.end_us:
                return f"segment `{name}` does not join evenly over the whole run"
            if any(before[to] for node in range(len(before)) for to in ahead[node]):
                return f"in segment `{name}` accounts come back to it"
            rates.append((0, segment.accounts / segment.joins_to_us))
            continue
        leaves = [risk.after for risk in process.risks[0]]
        alone = all(before[to] for to in ahead[0]) and all(ahead[node] == {0} for node in range(1, len(before)))
        if segment.joins_to_us > 0 or segment.propensity_sigma > 0.0 or not alone:
            return f"segment `{name}` does not come at a steady rate"
        if any(after.family != "exponential" for after in leaves) or any(
            risk.chance < 1.0 for risk in process.risks[0]
        ):
            return f"in segment `{name}` clocks of the start state are not exponential"
        rate = sum(process.rates[0].values()) + sum(1.0 / after.values[0] for after in leaves)
        if rate > 0.0:
            rates.append((segment.accounts, rate))
    if not rates:
        return "nobody comes"
    joining = [rate for accounts, rate in rates if accounts == 0]
    living = [(accounts, rate) for accounts, rate in rates if accounts > 0]
    if (joining and living) or len({rate for _, rate in living}) > 1:
        return "segments come at different rates"
    if joining:
        return sum(joining), 0.0
    return sum(accounts * rate for accounts, rate in living), living[0][1]
