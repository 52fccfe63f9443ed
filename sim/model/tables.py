"""The resolved scenario as flat NumPy tables: what compiled code reads.

Every table that a phase may patch has the phase in force as its first axis: ``states[phase, state]``. Things have numbers in the order in which
they are written; `Names` keeps their names. A **move** is one way of changing state, a triple (from, to, cause): all moves that a scenario allows are
numbered once, so that an engine counts a transition with one addition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from sim.model.draws import key, name_code
from sim.model.durations import DISTRIBUTION, FAMILIES, FIXED, microseconds, share_within
from sim.model.jit import NEVER, Array
from sim.model.population import cutoff
from sim.model.schedule import UNLIMITED, staffing
from sim.scenario import Distribution, Ladder, Scenario, Spec, State

SEGMENT = np.dtype(
    [
        ("accounts", "i8"),
        ("code", "u8"),
        ("joins_from", "f8"),
        ("joins_to", "f8"),
        ("propensity_sigma", "f8"),
        ("audience", "i4"),
    ]
)
KIND = np.dtype(
    [("detection", "f8"), ("delay", "i4"), ("genuine", "u1"), ("severity_first", "i4"), ("severity_count", "i4")]
)
STATE = np.dtype(
    [
        ("activity", "f8"),
        ("priority", "f8"),
        ("exit_first", "i4"),
        ("exit_count", "i4"),
        ("desk", "i4"),
        ("service", "i4"),
        ("service_code", "u8"),
        ("outcome_code", "u8"),
        ("outcome_first", "i4", (2,)),
        ("outcome_count", "i4", (2,)),
        ("restart", "i4"),
    ]
)
EXIT = np.dtype(
    [
        ("to", "u4"),
        ("move", "i4"),
        ("after", "u4"),
        ("fixed", "i8"),  # microseconds, where the duration is one fixed value; else -1
        ("ahead", "i4"),  # row of `Tables.ahead` that may hold its durations, or -1
        ("chance", "f8"),
        ("too_late", "f8"),
        ("chance_code", "u8"),
        ("ring_code", "u8"),
    ]
)
CHOICE = np.dtype([("to", "u4"), ("move", "i4"), ("sum", "f8")])
TARGETS = np.dtype([("first", "i4"), ("count", "i4")])
TARGET = np.dtype([("to", "u4"), ("move", "i4")])
WAVE = np.dtype(
    [
        ("at", "i8"),
        ("segment", "u4"),
        ("to", "u4"),
        ("genuine", "u1"),
        ("code", "u8"),
        ("cut", "f8"),
        ("cut_account", "i8"),
    ]
)
DESK = np.dtype([("limited", "u1"), ("staff_first", "i4"), ("staff_count", "i4")])


class Tables(NamedTuple):
    """All that the law needs to know of a scenario and a replication; arrays only, so that compiled code takes it as it is.

    ==================  ==================================  ===========================================================
    field               shape                               what
    ==================  ==================================  ===========================================================
    constants           (4,) int64                          `END`, `START`, `LONGEST_EXPIRE`, `SHORTEST_EXPIRE`
    key                 (2,) uint64                         Philox key of the replication
    codes               (8,) uint64                         CRC-32 of the draws whose names are fixed, see ``DRAWS``
    phase_from          (P + 1,) int64                      when each phase comes into force; `NEVER` closes the list
    restarts            (P,) uint8                          does a phase enter accounts anew?
    segments            (S,)                                `SEGMENT`
    rates               (P, S, K) float64                   running sums of the kinds' rates per microsecond
    kinds               (P, K)                              `KIND`
    states              (P, X)                              `STATE`; ``restart`` is the move of the phase, or -1
    exits               (P, E)                              `EXIT`
    choices             (C,)                                `CHOICE`: running sums of severities and outcomes
    on_violation        (P, X, V)                           `TARGETS`: where the list of targets stands
    targets             (T,)                                `TARGET`
    strikes_expire      (P,) int64                          age at which a strike no longer counts
    distributions       (D,)                                `sim.model.durations.DISTRIBUTION`
    quantiles           (Q,) float64                        of the empirical distributions
    waves               (W,)                                `WAVE`, in order of time; selected when the draw is below ``cut``
    wave_moves          (W, X) int32                        move of an account in a state, or -1: left alone
    bans                (X,) uint8                          does the state count as a ban?
    enforced            (X,) uint8                          what the state does to an account: nothing, `RESTRICTED` or `BANNED`
    desks               (B,)                                `DESK`
    staff_from, staff   (Z,) int64                          reviewers over time, all desks one after another
    ahead               (A, N, L) float64                   draws made ahead for L accounts at once (keyed draws may be made at any time): see
                                                            `sim.engines.ahead`
    depth               (A,) int64                          how many of each: draws 0 to depth - 1; 0 unless an engine makes them
    ==================  ==================================  ===========================================================
    """

    constants: Array
    key: Array
    codes: Array
    phase_from: Array
    restarts: Array
    segments: Array
    rates: Array
    kinds: Array
    states: Array
    exits: Array
    choices: Array
    on_violation: Array
    targets: Array
    strikes_expire: Array
    distributions: Array
    quantiles: Array
    waves: Array
    wave_moves: Array
    bans: Array
    enforced: Array
    desks: Array
    staff_from: Array
    staff: Array
    ahead: Array
    depth: Array


DRAWS = ("join", "audience", "propensity", "violation", "kind", "severity", "detection", "delay")
"""Draws whose names are the same in every scenario, in the order of ``Tables.codes``."""
JOIN, AUDIENCE, PROPENSITY, VIOLATION, KIND_OF, SEVERITY, DETECTION, DELAY = range(8)

AHEAD = (VIOLATION, KIND_OF, SEVERITY, DETECTION)
"""Draws of the violation clock that may be made ahead for many accounts: the first rows of ``Tables.ahead``. Then come the exits, a row each."""

RESTRICTED, BANNED = 1, 2
"""``Tables.enforced`` of `restricted_states` and of bans."""

END, START, LONGEST_EXPIRE, SHORTEST_EXPIRE = range(4)
"""Places in ``Tables.constants``: end of the run, number of the start state, longest and shortest age at which strikes expire."""


@dataclass(frozen=True)
class Names:
    """Names behind the numbers of `Tables`, in file order."""

    segments: tuple[str, ...]
    kinds: tuple[str, ...]
    severities: tuple[str, ...]
    states: tuple[str, ...]
    exits: tuple[tuple[str, str], ...]
    desks: tuple[str, ...]
    waves: tuple[str, ...]
    moves: tuple[tuple[int, int, str], ...]
    """(from, to, cause) of every move; ``from`` is -1 for `joined`, which is move 0."""


class _Moves:
    """Numbers the moves as they are met."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int, str], int] = {}

    def number(self, origin: int, to: int, cause: str) -> int:
        return self.known.setdefault((origin, to, cause), len(self.known))


class _Pool:
    """Flat tables that grow while a scenario is compiled: distributions, quantiles, choices, targets."""

    def __init__(self) -> None:
        self.distributions: list[tuple[int, int, int, float, float, float]] = []
        self.quantiles: list[float] = []
        self.choices: list[tuple[int, int, float]] = []
        self.targets: list[tuple[int, int]] = []
        self.found: dict[Distribution, int] = {}

    def distribution(self, wanted: Distribution | None) -> int:
        """Number of a distribution, -1 for none; equal ones share a number."""
        if wanted is None:
            return -1
        if wanted not in self.found:
            self.found[wanted] = len(self.distributions)
            family = FAMILIES.index(wanted.family)
            if wanted.family == "empirical":
                self.distributions.append((family, len(self.quantiles), len(wanted.values), 0.0, 0.0, 0.0))
                self.quantiles.extend(wanted.values)
            else:
                a, b, c = (*wanted.values, 0.0, 0.0)[:3]
                self.distributions.append((family, 0, 0, a, b, c))
        return self.found[wanted]

    def choice(self, shares: Mapping[int, float], moves: Mapping[int, int] | None = None) -> tuple[int, int]:
        """First row and length of a table of running sums, in the order written; entries without a share are left out."""
        kept = [(to, share) for to, share in shares.items() if share > 0.0]
        first = len(self.choices)
        for (to, _), total in zip(kept, accumulate(share for _, share in kept), strict=True):
            self.choices.append((to, -1 if moves is None else moves[to], total))
        return first, len(kept)


def compile_tables(scenario: Scenario) -> tuple[Tables, Names]:
    """Compile a scenario. The tables still lack a replication's key and the cut-offs of its waves: see `keyed`."""
    first = scenario.spec
    states = {name: number for number, name in enumerate(first.ladder.states)}
    severities = {name: number for number, name in enumerate(first.severities)}
    exits = tuple((state, name) for state, spec in first.ladder.states.items() for name in spec.exits)
    moves, pool = _Moves(), _Pool()
    start = states[first.ladder.start]
    moves.number(-1, start, "joined")
    specs = scenario.in_force
    on_violation, strikes_expire = _reactions(specs, states, severities, moves, pool)
    state_rows, exit_rows = _ladder(scenario, states, exits, moves, pool)
    waves, wave_moves = _waves(scenario, states, moves)
    desks, staff_from, staff = _desks(scenario)
    kinds = np.array([[_kind(s, kind, severities, pool) for kind in s.violations] for s in specs], KIND).reshape(
        len(specs), len(first.violations)
    )
    rates = [[list(accumulate(v.rate[g] for v in s.violations.values())) for g in first.segments] for s in specs]
    segments = [
        (g.accounts, name_code(n), g.joins_from_us, g.joins_to_us, g.propensity_sigma, pool.distribution(g.audience))
        for n, g in first.segments.items()
    ]
    tables = Tables(
        constants=np.array([first.end_us, start, strikes_expire.max(), strikes_expire.min()], np.int64),
        key=np.zeros(2, np.uint64),
        codes=np.array([name_code(draw) for draw in DRAWS], np.uint64),
        phase_from=np.array([*scenario.phase_starts, NEVER], np.int64),
        restarts=np.array(scenario.phase_restart, np.uint8),
        segments=np.array(segments, SEGMENT),
        rates=np.array(rates, np.float64).reshape(len(specs), len(first.segments), len(first.violations)),
        kinds=kinds,
        states=state_rows,
        exits=_shortened(exit_rows, state_rows, pool, first.end_us),
        choices=np.array(pool.choices, CHOICE),
        on_violation=on_violation,
        targets=np.array(pool.targets, TARGET),
        strikes_expire=strikes_expire,
        distributions=np.array(pool.distributions, DISTRIBUTION),
        quantiles=np.array(pool.quantiles, np.float64),
        waves=waves,
        wave_moves=wave_moves,
        bans=np.array([name in first.ladder.bans for name in states], np.uint8),
        enforced=_enforced(first.ladder),
        desks=desks,
        staff_from=staff_from,
        staff=staff,
        ahead=np.zeros((len(AHEAD) + len(exits), 0, 0)),
        depth=np.zeros(len(AHEAD) + len(exits), np.int64),
    )
    names = Names(
        segments=tuple(first.segments),
        kinds=tuple(first.violations),
        severities=first.severities,
        states=tuple(states),
        exits=exits,
        desks=tuple(first.desks),
        waves=tuple(_by_date(scenario)),
        moves=tuple(moves.known),
    )
    return tables, names


def keyed(tables: Tables, seed: int, replication: int) -> Tables:
    """Tables of one replication: its key, and for waves by count the draw of the last account that is hit."""
    made = key(seed, replication)
    waves = tables.waves.copy()
    for wave in waves:
        if wave["cut_account"] > 0:
            segment = tables.segments[wave["segment"]]
            count = int(wave["cut_account"])
            wave["cut"], wave["cut_account"] = cutoff(made, segment["code"], segment["accounts"], wave["code"], count)
    return tables._replace(key=made, waves=waves)


def _kind(spec: Spec, name: str, severities: Mapping[str, int], pool: _Pool) -> tuple[float, int, bool, int, int]:
    kind = spec.violations[name]
    first, count = pool.choice({severities[severity]: share for severity, share in kind.severity.items()})
    return kind.detection, pool.distribution(kind.delay), kind.genuine, first, count


def _reactions(
    specs: Iterable[Spec], states: Mapping[str, int], severities: Mapping[str, int], moves: _Moves, pool: _Pool
) -> tuple[Array, Array]:
    """What a decision does in each phase, state and severity; and how long its strike counts."""
    specs = tuple(specs)
    found = np.zeros((len(specs), len(states), len(severities)), TARGETS)
    for phase, spec in enumerate(specs):
        for name, state in spec.ladder.states.items():
            for severity, targets in state.on_violation.items():
                origin = states[name]
                found[phase, origin, severities[severity]] = (len(pool.targets), len(targets))
                pool.targets.extend((states[to], moves.number(origin, states[to], "decision")) for to in targets)
    expire = [NEVER if s.ladder.strikes_expire_us is None else s.ladder.strikes_expire_us for s in specs]
    return found, np.array(expire, np.int64)


def _ladder(
    scenario: Scenario, states: Mapping[str, int], exits: tuple[tuple[str, str], ...], moves: _Moves, pool: _Pool
) -> tuple[Array, Array]:
    """States and exits in each phase."""
    specs = scenario.in_force
    desks = {name: number for number, name in enumerate(scenario.spec.desks)}
    state_rows = np.zeros((len(specs), len(states)), STATE)
    exit_rows = np.zeros((len(specs), len(exits)), EXIT)
    firsts = dict(
        zip(states, accumulate((len(s.exits) for s in scenario.spec.ladder.states.values()), initial=0), strict=False)
    )
    for phase, spec in enumerate(specs):
        for name, state in spec.ladder.states.items():
            row = state_rows[phase, states[name]]
            row["activity"], row["priority"] = state.activity, state.priority
            row["exit_first"], row["exit_count"] = firsts[name], len(state.exits)
            row["desk"] = -1 if state.desk is None else desks[state.desk]
            row["service"] = pool.distribution(state.service)
            row["service_code"], row["outcome_code"] = name_code(f"service:{name}"), name_code(f"outcome:{name}")
            for mark, outcomes in enumerate((state.outcomes_rightful, state.outcomes_wrongful)):
                shares = {states[to]: share for to, share in outcomes.items()}
                served = {to: moves.number(states[name], to, "served") for to in shares}
                row["outcome_first"][mark], row["outcome_count"][mark] = pool.choice(shares, served)
            row["restart"] = _restart(scenario, phase, name, states[name], moves)
        for number, (name, exit_name) in enumerate(exits):
            spec_exit = spec.ladder.states[name].exits[exit_name]
            to = states[spec_exit.to]
            exit_rows[phase, number] = (
                to,
                moves.number(states[name], to, f"exit:{exit_name}"),
                pool.distribution(spec_exit.after),
                -1,
                -1,
                spec_exit.chance,
                1.0,
                name_code(f"chance:{name}/{exit_name}"),
                name_code(f"exit:{name}/{exit_name}"),
            )
    return state_rows, exit_rows


def _shortened(exits: Array, states: Array, pool: _Pool, end_us: int) -> Array:
    """Note what saves work at entry: fixed durations; exits whose durations may be made ahead; and the draws that decide nothing.

    Above the draw ``too_late`` an exit rings after the end, or after another exit of its state that rings at a fixed time for certain. It is never
    the first, so that its time need not be computed.
    """
    distributions, quantiles = np.array(pool.distributions, DISTRIBUTION), np.array(pool.quantiles, np.float64)
    for phase, number in np.ndindex(exits.shape):
        way = exits[phase, number]
        after = distributions[way["after"]]
        if after["family"] == FIXED:
            way["fixed"] = microseconds(after["a"])
        elif way["after"] == exits[0, number]["after"]:
            way["ahead"] = len(AHEAD) + number
    for phase, row in np.ndindex(states.shape):
        state = states[phase, row]
        ways = exits[phase, state["exit_first"] : state["exit_first"] + state["exit_count"]]
        certain = [
            distributions["a"][way["after"]]
            for way in ways
            if way["chance"] >= 1.0 and distributions["family"][way["after"]] == FIXED
        ]
        limit = min(certain, default=float(end_us)) + 2.0
        for way in ways:
            way["too_late"] = min(1.0, share_within(distributions[way["after"]], quantiles, limit) * (1.0 + 1e-12))
    return exits


def _restart(scenario: Scenario, phase: int, name: str, number: int, moves: _Moves) -> int:
    """Move by which a phase enters accounts of a state anew: only where it changes an exit's target, duration or chance."""

    def exits(spec: Spec) -> Any:
        state: State = spec.ladder.states[name]
        return state.exits

    if not scenario.phase_restart[phase] or exits(scenario.in_force[phase]) == exits(scenario.in_force[phase - 1]):
        return -1
    return moves.number(number, number, f"phase:{scenario.phase_names[phase]}")


def _by_date(scenario: Scenario) -> list[str]:
    """Waves in order of their dates, ties in the order written."""
    waves = scenario.spec.waves
    return sorted(waves, key=lambda name: waves[name].at_us)


def _waves(scenario: Scenario, states: Mapping[str, int], moves: _Moves) -> tuple[Array, Array]:
    """Waves as the phase in force at their date has them. A wave by count carries its count until `keyed` knows the draws."""
    segments = list(scenario.spec.segments)
    order = _by_date(scenario)
    rows = np.zeros(len(order), WAVE)
    wave_moves = np.full((len(order), len(states)), -1, np.int32)
    for number, name in enumerate(order):
        at = scenario.spec.waves[name].at_us
        phase = max(i for i, begins in enumerate(scenario.phase_starts) if begins <= at)
        spec = scenario.in_force[phase]
        wave = spec.waves[name]
        to = states[wave.to]
        cut = (wave.share or 0.0, -1) if wave.count is None else (0.0, wave.count or -1)
        rows[number] = (at, segments.index(wave.segment), to, wave.genuine, name_code(f"wave:{name}"), *cut)
        for state, origin in states.items():
            if not absorbing(spec.ladder.states[state]) if wave.states is None else state in wave.states:
                wave_moves[number, origin] = moves.number(origin, to, f"wave:{name}")
    return rows, wave_moves


def _enforced(ladder: Ladder) -> Array:
    restricted = restricted_states(ladder)
    each = (BANNED if name in ladder.bans else RESTRICTED if name in restricted else 0 for name in ladder.states)
    return np.array(list(each), np.uint8)


def restricted_states(ladder: Ladder) -> tuple[str, ...]:
    """States in which an account can do less than usual (`activity` below 1), is not banned and has not gone for good."""
    return tuple(
        name
        for name, state in ladder.states.items()
        if state.activity < 1.0 and name not in ladder.bans and not absorbing(state)
    )


def absorbing(state: State) -> bool:
    """Whether nothing ever leaves the state (law, "States")."""
    return not state.exits and state.desk is None and not state.on_violation and state.activity == 0.0


def _desks(scenario: Scenario) -> tuple[Array, Array, Array]:
    """Reviewers over time; a desk is limited if it ever has some, but not any number of them."""
    first = scenario.spec
    rows = np.zeros(len(first.desks), DESK)
    times: list[int] = []
    reviewers: list[int] = []
    for number, name in enumerate(first.desks):
        versions = [spec.desks[name] for spec in scenario.in_force]
        at, count = staffing(versions, scenario.phase_starts, first.start, first.end_us)
        rows[number] = (any(0 < n < UNLIMITED for n in count), len(times), len(at))
        times.extend(at)
        reviewers.extend(count)
    return rows, np.array(times, np.int64), np.array(reviewers, np.int64)


def is_coupled(tables: Tables) -> bool:
    """Whether accounts meet: whether any desk is limited."""
    return bool(tables.desks["limited"].any())
