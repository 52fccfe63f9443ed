"""How many events a run would make, told before it starts: a bound, from rates, durations and the ways round the ladder.

An account is a semi-Markov chain. Let `a` be a rate of discount, and `w(s)` the expected sum of `exp(-a t)` over the times `t` of all events of an
account that enters state `s` at time 0. What happens first in `s` gives one linear equation for each state:

    w(s) = c(s) + sum over jumps j of E[exp(-a T); j comes first, at T] * w(to of j)

with `c` for the events themselves. As `1 <= exp(a (H - t))` for every `t` up to the horizon `H`, the expected number of events within it is at most
`exp(a H) * w(start)`, whatever `a`; the least over some `a` near `1 / H` is taken. For an account that goes round and round, this is at most `e`
times too high; for one whose life ends soon, hardly.

=====================================  ==========================================================================================
where the chain is not that simple     taken is
=====================================  ==========================================================================================
target depends on the strikes          the target from which most follows
desks                                  served at once, or waiting for good, whichever makes more; outcomes of the worse table
decisions after a delay                those of the most active state, in every state that a decision leads out of
phases                                 each as if it were in force throughout, weighed by its length
waves, restarts                        all that they may hit
ranges                                 where many points of them are run, each point (`check_events`); where a search goes anywhere, `busiest`
joining                                at time 0, of those who join within the run; not counted, as idle accounts cost next to nothing
=====================================  ==========================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from sim.errors import Fault, ScenarioError
from sim.model.durations import DISTRIBUTION, FAMILIES, quantile, share_within
from sim.model.jit import Array
from sim.scenario import Distribution, Scenario, Segment, Spec, State

LIMIT = 1e11
"""Events of one replication from which on a run is refused unless it is forced: hours, at ten to thirty million events a second."""
_DISCOUNTS = (1.0, 0.3, 0.1)  # times 1 / horizon
_PLACES = 16  # quantiles at which a duration is looked at
_ROUNDS = 30
_SHORTEST = 1e-14  # of the horizon: what is shorter could not be told from 0 beside 1


@dataclass(frozen=True)
class Estimate:
    """What a replication would make.

    Attributes
    ----------
    events
        A bound of the expected number of events: violations, decisions, exits, beginnings and ends of services, waves, restarts.
    busiest
        The state in which most of them happen.
    """

    events: float
    busiest: str


class TooManyEventsError(ScenarioError):
    """A run would make more than `LIMIT` events, and is not forced."""


AT_A_TERMINAL = "say that it is meant with --force (`force=True`)"


def check_events(scenarios: Iterable[Scenario], *, force: bool = False, otherwise: str = AT_A_TERMINAL) -> None:
    """Refuse scenarios of which one replication would make more than `LIMIT` events, unless it is forced.

    Parameters
    ----------
    otherwise
        What to do if it is meant, for the message.

    Raises
    ------
    TooManyEventsError
        With the estimate of each of them, before anything is run.
    """
    if force:
        return
    faults = []
    for scenario in scenarios:
        estimate = expected_events(scenario)
        if estimate.events > LIMIT:
            told = f"one replication may make up to {_rounded(estimate.events)} events, most of them in `{estimate.busiest}`"
            remedy = (
                f"above {_rounded(LIMIT)} it takes hours: lower the rates, lengthen the shortest stays, scale it down, "
                f"or {otherwise}"
            )
            shown = scenario.name if scenario.file is None else str(scenario.file)
            faults.append(Fault(shown, None, "", told, remedy))
    if faults:
        raise TooManyEventsError(dict.fromkeys(faults))


def busiest(scenario: Scenario, paths: Iterable[str]) -> Scenario:
    """The scenario with the ranges at these paths at whichever of their ends makes more events while the others are at their best."""
    ranges, ends = scenario.ranges(), dict[str, float]()
    for path in paths:
        low, high = ranges[path].low, ranges[path].high
        few, many = (expected_events(scenario.drawn({path: end})).events for end in (low, high))
        ends[path] = high if many >= few else low
    return scenario.drawn(ends) if ends else scenario


def _rounded(number: float) -> str:
    """`3.2 × 10^12`."""
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')} × 10^{int(exponent)}"


def expected_events(scenario: Scenario) -> Estimate:
    """A bound of the events that a replication makes."""
    bounds = []
    end = float(scenario.spec.end_us)
    for discount in _DISCOUNTS:
        by_state = np.zeros(len(scenario.spec.ladder.states))
        for spec, share in _stretches(scenario):
            for lived in _lived(spec):
                by_state += share * lived.events(spec, discount / end, end)
        bounds.append(by_state * math.exp(discount))
    least = min(bounds, key=lambda bound: float(bound.sum()))
    names = tuple(scenario.spec.ladder.states)
    accounts = sum(segment.accounts for segment in scenario.spec.segments.values())
    return Estimate(float(least.sum()) + accounts * sum(scenario.phase_restart), names[int(least.argmax())])


def _stretches(scenario: Scenario) -> Iterator[tuple[Spec, float]]:
    """Each law with the share of the run in which it is in force."""
    end = scenario.spec.end_us
    bounds = [min(begins, end) for begins in (*scenario.phase_starts, end)]
    for spec, (begins, ends) in zip(scenario.in_force, pairwise(bounds), strict=True):
        if ends > begins:
            yield spec, (ends - begins) / end


@dataclass(frozen=True)
class _Lived:
    """Segments whose accounts live alike.

    Attributes
    ----------
    violations
        Events per microsecond at an activity of 1.
    decisions
        Severity -> the same, of those that are detected.
    entries
        State -> accounts that enter it from outside of the ladder: by joining, and by waves.
    """

    violations: float
    decisions: Mapping[str, float]
    entries: Mapping[str, float]

    def events(self, spec: Spec, discount: float, end: float) -> Array:
        """Discounted sums of events, by the state in which they happen."""
        states = spec.ladder.states
        number = {name: place for place, name in enumerate(states)}
        busy = max(state.activity for state in states.values())
        delayed = any(kind.delay is not None for kind in spec.violations.values())
        options = [
            list(_options(state, spec, self, busy if delayed else state.activity, discount, end))
            for state in states.values()
        ]
        began = np.zeros(len(states))
        for name, accounts in self.entries.items():
            began[number[name]] += accounts
        return _solved(options, number, began)


def _lived(spec: Spec) -> Iterator[_Lived]:
    """All accounts, those of segments with the same rates together."""
    groups: dict[tuple[float, ...], dict[str, float]] = {}
    for name, segment in spec.segments.items():
        entries = groups.setdefault(tuple(kind.rate[name] for kind in spec.violations.values()), {})
        entries[spec.ladder.start] = entries.get(spec.ladder.start, 0.0) + _joining(segment, spec.end_us)
        for wave in spec.waves.values():
            if wave.segment == name and wave.at_us <= spec.end_us:
                hit = segment.accounts * wave.share if wave.share is not None else wave.count or 0
                entries[wave.to] = entries.get(wave.to, 0.0) + hit
    for rates, entries in groups.items():
        decisions = dict.fromkeys(spec.severities, 0.0)
        for rate, kind in zip(rates, spec.violations.values(), strict=True):
            for severity, share in kind.severity.items():
                decisions[severity] += rate * kind.detection * share
        yield _Lived(math.fsum(rates), decisions, entries)


def _joining(segment: Segment, end_us: int) -> float:
    """Accounts that join within the run."""
    first, last = segment.joins_from_us, segment.joins_to_us
    share = float(first <= end_us) if last <= end_us or last == first else max(0.0, (end_us - first) / (last - first))
    return segment.accounts * share


@dataclass(frozen=True)
class _Option:
    """What may become of an account in a state: discounted events, and jumps as (discounted chance, states it may lead to)."""

    events: float
    jumps: tuple[tuple[float, tuple[str, ...]], ...]


def _options(
    state: State, spec: Spec, lived: _Lived, activity: float, discount: float, end: float
) -> Iterator[_Option]:
    """A state alone or in a queue; and in service, if there may be one."""
    desk = None if state.desk is None else spec.desks[state.desk]
    if desk is None or desk.reviewers is not None or desk.hours is not None:
        yield _alone(state, lived, activity, discount, end)
    if desk is not None and desk.reviewers != 0 and state.service is not None:
        times, shares = _race(((state.service, 1.0),))
        within = float(shares[0] @ np.exp(-discount * np.maximum(times[0], end * _SHORTEST)))
        for table in {state.outcomes_rightful, state.outcomes_wrongful}:
            yield _Option(1.0 + within, tuple((within * share, (to,)) for to, share in table.items()))


def _alone(state: State, lived: _Lived, activity: float, discount: float, end: float) -> _Option:
    """Exits, violations and decisions, whichever comes first."""
    hazards = [(activity * lived.decisions[severity], targets) for severity, targets in state.on_violation.items()]
    total = discount + math.fsum(hazard for hazard, _ in hazards)
    exits = tuple(state.exits.values())
    times, shares = _race(tuple((way.after, way.chance) for way in exits))
    rung = (shares * np.exp(-total * np.maximum(times, end * _SHORTEST))).sum(axis=1)
    stay = (1.0 - float(rung.sum())) / total  # discounted time in the state
    jumps: list[tuple[float, tuple[str, ...]]] = [
        (float(chance), (way.to,)) for chance, way in zip(rung, exits, strict=True)
    ]
    jumps += [(hazard * stay, targets) for hazard, targets in hazards]
    events = math.fsum(chance for chance, _ in jumps) + state.activity * lived.violations * stay
    return _Option(events, tuple(jumps))


@lru_cache(maxsize=4096)
def _race(exits: tuple[tuple[Distribution, float], ...]) -> tuple[Array, Array]:
    """When each of some exits rings first: times in microseconds and their chances, a row each."""
    rows = [_row(after) for after, _ in exits]
    places = (np.arange(_PLACES) + 0.5) / _PLACES
    times = np.ones((len(exits), _PLACES))
    shares = np.ones((len(exits), _PLACES)) / _PLACES
    for number, (row, values) in enumerate(rows):
        times[number] = [max(1.0, float(np.rint(quantile(row, values, place)))) for place in places]
    for number, (_, chance) in enumerate(exits):
        shares[number] *= chance
        for other, (row, values) in enumerate(rows):
            if other == number:
                continue
            ahead = [share_within(row, values, time - (0.5 if other > number else -0.5)) for time in times[number]]
            shares[number] *= 1.0 - exits[other][1] * np.array(ahead)
    return times, shares


def _row(wanted: Distribution) -> tuple[Array, Array]:
    """A distribution as `sim.model.durations` takes it, and its quantiles."""
    empirical = wanted.family == "empirical"
    first, second, third = (0.0, 0.0, 0.0) if empirical else (*wanted.values, 0.0, 0.0)[:3]
    count = len(wanted.values) if empirical else 0
    row = np.array([(FAMILIES.index(wanted.family), 0, count, first, second, third)], DISTRIBUTION)[0]
    return row, np.array(wanted.values if empirical else (), np.float64)


def _solved(options: Sequence[Sequence[_Option]], number: Mapping[str, int], began: Array) -> Array:
    """Discounted events by state, of accounts that begin as told; in every state the option and the targets from which most follows.

    That is policy iteration (Howard 1960): solve for the options taken, take better ones, until there are none.
    """
    size = len(options)
    worth = np.zeros(size)
    taken: list[tuple[int, ...]] | None = None
    chosen: list[tuple[_Option, list[int]]] = []
    for _ in range(_ROUNDS):
        chosen = [max((_aimed(option, number, worth) for option in each), key=_value(worth)) for each in options]
        picks = [(id(option), *targets) for option, targets in chosen]
        if picks == taken:
            break
        taken = picks
        rows = [place for place, (_, targets) in enumerate(chosen) for _ in targets]
        columns = [target for _, targets in chosen for target in targets]
        system = np.eye(size)
        np.subtract.at(system, (rows, columns), [chance for option, _ in chosen for chance, _ in option.jumps])
        events = np.array([option.events for option, _ in chosen])
        worth = np.linalg.solve(system, events)
    reached: Array = np.linalg.solve(system.T, began) * events
    return reached


def _aimed(option: _Option, number: Mapping[str, int], worth: Array) -> tuple[_Option, list[int]]:
    """An option with the target of each jump."""
    return option, [max((number[to] for to in targets), key=lambda place: worth[place]) for _, targets in option.jumps]


def _value(worth: Array) -> Callable[[tuple[_Option, list[int]]], float]:
    """What follows from an option, given what follows from each state."""

    def value(aimed: tuple[_Option, list[int]]) -> float:
        option, targets = aimed
        return option.events + math.fsum(
            chance * float(worth[to]) for (chance, _), to in zip(option.jumps, targets, strict=True)
        )

    return value
