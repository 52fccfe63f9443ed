"""A segment of a scenario as a semi-Markov process, where it is one: what can be solved without simulating.

A node is a state, with the strikes and the mark of the account where these decide what comes next. In a node timed risks run against each other, each
with its own distribution and chance, and against one exponential clock: violations that are detected and lead somewhere. It has no memory, so that it
may begin anew at every entry. A state before a desk that is unlimited and always open is one risk, the service.

What does not fit is told by `obstacles`, feature by feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sim.scenario import Distribution, Scenario, Spec, State

Node = tuple[str, int, int]
"""State, strikes that count (0 where they decide nothing), mark (1: wrongful; 0 where it decides nothing)."""


@dataclass(frozen=True)
class Risk:
    """A timed way out: with `chance` it rings after the duration, and leads to each target with its share."""

    after: Distribution
    chance: float
    targets: Mapping[int, float]


@dataclass(frozen=True)
class Process:
    """A semi-Markov process.

    Attributes
    ----------
    nodes
        The first is where accounts begin.
    risks
        For each node its timed risks; of two at one instant, the one written first wins.
    rates
        For each node the rate per microsecond of violations that lead to a node, for a propensity of 1.
    """

    nodes: tuple[Node, ...]
    risks: tuple[tuple[Risk, ...], ...]
    rates: tuple[Mapping[int, float], ...]

    def is_markov(self) -> bool:
        """Whether every clock is exponential and certain to ring."""
        return all(risk.after.family == "exponential" and risk.chance >= 1.0 for risks in self.risks for risk in risks)

    def absorbed(self, states: tuple[str, ...]) -> Process:
        """The process that ends in these states."""
        ends = [state in states for state, _, _ in self.nodes]
        risks = tuple(() if end else risks for end, risks in zip(ends, self.risks, strict=True))
        rates = tuple({} if end else rates for end, rates in zip(ends, self.rates, strict=True))
        return Process(self.nodes, risks, rates)


def _reactions(spec: Spec, segment: str, state: State) -> Iterator[tuple[float, bool, tuple[str, ...], bool]]:
    """Violations that change something: rate per microsecond, is it genuine, targets by strikes, does the decision come later."""
    for kind in spec.violations.values():
        later = kind.delay is not None and not (kind.delay.family == "fixed" and kind.delay.values[0] == 0.0)
        for severity, targets in state.on_violation.items():
            rate = state.activity * kind.rate.get(segment, 0.0) * kind.detection * kind.severity.get(severity, 0.0)
            if rate > 0.0:
                yield rate, kind.genuine, targets, later


def _reachable(spec: Spec, segment: str) -> list[str]:
    """States that accounts of a segment can come to by exits, violations and outcomes."""
    found = [spec.ladder.start]
    for name in found:  # grows while it is read
        state = spec.ladder.states[name]
        ahead = [way.to for way in state.exits.values() if way.chance > 0.0]
        ahead += [to for _, _, targets, _ in _reactions(spec, segment, state) for to in targets]
        ahead += [
            to for table in (state.outcomes_rightful, state.outcomes_wrongful) for to, p in table.items() if p > 0.0
        ]
        found.extend(to for to in dict.fromkeys(ahead) if to not in found)
    return found


def obstacles(scenario: Scenario, segment: str) -> list[str]:
    """What makes a segment more than a semi-Markov process, in words; empty if nothing does."""
    spec, found = scenario.spec, []
    if len(scenario.in_force) > 1:
        found.append(f"phases change values during the run ({', '.join(spec.phases)})")
    waves = [name for name, wave in spec.waves.items() if wave.segment == segment and wave.at_us <= spec.end_us]
    if waves:
        found.append(f"waves move accounts at a date ({', '.join(waves)})")
    states = _reachable(spec, segment)
    desks = {spec.ladder.states[name].desk: name for name in states}
    for desk, name in desks.items():
        if desk is not None and spec.desks[desk].reviewers is not None:
            found.append(f"accounts meet at the limited desk `{desk}` (state `{name}`)")
        elif desk is not None and spec.desks[desk].hours is not None:
            found.append(f"desk `{desk}` has working hours (state `{name}`)")
    reactions = [one for name in states for one in _reactions(spec, segment, spec.ladder.states[name])]
    if any(later for *_, later in reactions):
        found.append("decisions come after a delay, while other clocks of the account run on")
    if spec.ladder.strikes_expire_us is not None and any(len(set(targets)) > 1 for _, _, targets, _ in reactions):
        found.append("targets depend on strikes, and strikes expire")
    return found


def process_of(spec: Spec, segment: str) -> Process:
    """The process of a segment without `obstacles`."""
    states = _reachable(spec, segment)
    reactions = {name: list(_reactions(spec, segment, spec.ladder.states[name])) for name in states}
    longest = max((len(t) for ways in reactions.values() for *_, t, _ in ways if len(set(t)) > 1), default=0)
    marked = any(
        dict(spec.ladder.states[name].outcomes_rightful) != dict(spec.ladder.states[name].outcomes_wrongful)
        for name in states
    )
    nodes: dict[Node, int] = {(spec.ladder.start, 0, 0): 0}
    all_risks, all_rates = [], []

    def number(node: Node) -> int:
        return nodes.setdefault(node, len(nodes))

    for place in range(10**6):
        if place == len(nodes):
            break
        name, strikes, mark = list(nodes)[place]
        state = spec.ladder.states[name]
        rates: dict[int, float] = {}
        risks: tuple[Risk, ...]
        if state.desk is not None and state.service is not None:
            table = state.outcomes_wrongful if mark else state.outcomes_rightful
            shares = {number((to, strikes, mark)): share for to, share in table.items() if share > 0.0}
            total = sum(shares.values())
            risks = (Risk(state.service, 1.0, {to: share / total for to, share in shares.items()}),)
        else:
            ways = [way for way in state.exits.values() if way.chance > 0.0]
            risks = tuple(Risk(way.after, way.chance, {number((way.to, strikes, mark)): 1.0}) for way in ways)
            for rate, genuine, targets, _ in reactions[name]:
                counted = min(strikes + 1, longest)
                to = targets[min(strikes + 1, len(targets)) - 1]
                node = number((to, counted, int(marked and not genuine)))
                rates[node] = rates.get(node, 0.0) + rate
        all_risks.append(risks)
        all_rates.append(rates)
    return Process(tuple(nodes), tuple(all_risks), tuple(all_rates))
