"""One account: what it remembers, how it enters a state, and what comes next. What then happens to it is in `sim.model.events`.

Every engine calls these functions and owns nothing but the calendar and the desks. They know nothing of tallies, logs or other accounts.

==============================  ============================================================================
the law                         here
==============================  ============================================================================
"Population"                    `born`, `join_time`, `audience_of`, `propensity_of`
"Violations"                    `aim`, `settle`, `stop_clock` (hazard integrated over time)
"States"                        `enter`
"Desks" (one account's part)    `is_limited`, `opens`; the queue is the engine's
"Waves", "Phases"               `find_next_wave`, `catch_up`
"Order at one instant"          `next_event`: a phase first, then ties go to the lower event number
==============================  ============================================================================

`me` is one row of a table with dtype `ACCOUNT`: all that an account remembers, except `entries` (how often it has entered each state) and
`strikes` (times of the strikes that may still count).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sim.model.draws import uniform
from sim.model.durations import microseconds, quantile
from sim.model.jit import NEVER, Array, inlined, ndtri, pasted
from sim.model.logarithm import standard_exponential
from sim.model.tables import AUDIENCE, JOIN, PROPENSITY, START, VIOLATION, Tables

ACCOUNT = np.dtype(
    [
        ("segment", "u4"),
        ("state", "u4"),
        ("account", "i8"),  # index within its segment
        ("entered", "i8"),  # when it entered its state
        ("propensity", "f8"),
        ("audience", "i8"),
        ("phase", "u4"),  # phase in force
        ("exit", "u4"),  # the exit that will ring first, and when
        ("exit_at", "i8"),
        ("exit_phase", "u4"),  # phase in force at entry, whose exits count
        ("to_go", "f8"),  # hazard still to be integrated before the next violation, as of `since`
        ("hazard", "f8"),  # per microsecond, since `since`
        ("since", "i8"),
        ("violation_at", "i8"),
        ("violation", "u4"),  # its number k
        ("case_kind", "i4"),  # worst violation of the case that is open, or of the last one
        ("case_at", "i8"),  # when the open case is decided; NEVER when none is open
        ("case_severity", "i4"),
        ("case_genuine", "u1"),
        ("wrongful", "u1"),  # the account's mark
        ("wronged", "i8", (2,)),  # time in states that restrict it, and in bans, while it is marked wrongful
        ("banned", "u1"),  # has it ever entered a ban?
        ("logged", "u1"),  # does the engine keep its history?
        ("restart_at", "i8"),
        ("restart_phase", "u4"),
        ("wave", "u4"),  # the next wave that hits it, and when
        ("wave_at", "i8"),
        ("service_at", "i8"),  # when its service starts, known only at unlimited desks
        ("service_end", "i8"),
        ("seldom_at", "i8"),  # no service, wave, restart or phase is due before this; 0: not known
        ("service_phase", "u4"),
        ("held", "i4"),  # strikes remembered
        ("lane", "u4"),  # place among the accounts of `Tables.ahead`
        ("counted", "i4"),  # strikes that counted at the last decision
    ],
    align=True,
)

SERVICE_END, EXIT, VIOLATE, DECIDE, RESTART, WAVE_HITS, SERVICE_START, PHASE = range(8)
STAYED = -1
UNDRAWN = -1.0
"""`to_go` of an account whose next violation has not been drawn: keyed draws can be left until they decide something."""


@inlined
def draw(law: Tables, me: Any, code: int, occurrence: int) -> float:
    """Uniform number of one draw of the account (law, "Random numbers")."""
    return uniform(law.key, law.segments[me.segment].code, me.account, code, occurrence)


@inlined
def clock_draw(law: Tables, me: Any, name: int, number: int) -> float:
    """A draw of the violation clock, from those made ahead if it is among them."""
    if number < law.depth[name - VIOLATION]:
        return law.ahead[name - VIOLATION, number, me.lane]
    return draw(law, me, law.codes[name], number)


@inlined
def next_violation(law: Tables, me: Any) -> float:
    """Hazard to be integrated before the account's next violation: exponential of mean 1 (law, "Violations")."""
    if me.violation < law.depth[0]:
        return law.ahead[0, me.violation, me.lane]
    return standard_exponential(draw(law, me, law.codes[VIOLATION], me.violation))


@inlined
def chosen(law: Tables, first: int, count: int, u: float) -> int:
    """Row of the first choice whose running sum exceeds u times the total (the last one, should rounding leave none)."""
    last = first + count - 1
    place = u * law.choices[last].sum
    row = first
    while row < last and law.choices[row].sum <= place:
        row += 1
    return row


@inlined
def _due(to_go: float, hazard: float, now: int) -> int:
    """When the next violation falls due under a constant hazard."""
    if hazard <= 0.0:
        return NEVER
    return now + microseconds(to_go / hazard)


@inlined
def hazard_now(law: Tables, me: Any) -> float:
    """Violations per microsecond in the state and phase the account is in (law, "Violations")."""
    kinds = law.rates.shape[2]
    if kinds == 0:
        return 0.0
    return me.propensity * law.states[me.phase, me.state].activity * law.rates[me.phase, me.segment, kinds - 1]


@inlined
def settle(me: Any, now: int) -> None:
    """Close the stretch of constant hazard: what is left to go carries over."""
    if me.to_go > 0.0:
        me.to_go = max(me.to_go - me.hazard * (now - me.since), 0.0)
    me.since = now


@inlined
def aim(law: Tables, me: Any, now: int) -> None:
    """Open a stretch of constant hazard; the draw of the next violation is made when there is a hazard at last."""
    me.hazard = hazard_now(law, me)
    me.since = now
    if me.to_go < 0.0 and me.hazard > 0.0:
        me.to_go = next_violation(law, me)
    me.violation_at = _due(me.to_go, me.hazard, now)


@inlined
def stop_clock(me: Any, now: int) -> None:
    """The violation clock stands still from now on."""
    settle(me, now)
    me.hazard = 0.0
    me.violation_at = NEVER


@inlined
def is_limited(law: Tables, me: Any) -> bool:
    """Whether the account stands before (or is served at) a desk where accounts meet."""
    desk = law.states[me.phase, me.state].desk
    return desk >= 0 and law.desks[desk].limited != 0


@inlined
def opens(law: Tables, desk: int, now: int) -> int:
    """First time from `now` on at which an unlimited desk serves; `NEVER` if it does not open again."""
    first = law.desks[desk].staff_first
    last = first + law.desks[desk].staff_count
    low = first
    high = last
    while high - low > 1:
        middle = (low + high) // 2
        if law.staff_from[middle] <= now:
            low = middle
        else:
            high = middle
    if law.staff[low] > 0:
        return now
    while low < last:
        if law.staff[low] > 0:
            return law.staff_from[low]
        low += 1
    return NEVER


@inlined
def enter(law: Tables, me: Any, entries: Array, state: int, now: int) -> None:
    """Enter a state: every exit draws its clock, the earliest will win, ties go to the one written first (law, "States")."""
    earlier = entries[state]
    entries[state] = earlier + 1
    me.state = state
    me.entered = now
    spec = law.states[me.phase, state]
    me.exit_at = NEVER
    me.exit_phase = me.phase
    for number in range(spec.exit_first, spec.exit_first + spec.exit_count):
        way = law.exits[me.phase, number]
        if way.chance < 1.0 and draw(law, me, way.chance_code, earlier) >= way.chance:
            continue
        if way.fixed >= 0:  # the draw would decide nothing
            rings = now + way.fixed
        elif way.ahead >= 0 and earlier < law.depth[way.ahead]:
            rings = now + int(law.ahead[way.ahead, earlier, me.lane])
        else:
            u = draw(law, me, way.ring_code, earlier)
            if u > way.too_late:
                continue
            rings = now + microseconds(quantile(law.distributions[way.after], law.quantiles, u))
        if rings < me.exit_at:
            me.exit_at = rings
            me.exit = number
    me.service_at = NEVER
    if spec.desk >= 0 and law.desks[spec.desk].limited == 0:
        me.service_at = opens(law, spec.desk, now)
        me.seldom_at = 0
    aim(law, me, now)


@inlined
def find_next_wave(law: Tables, me: Any) -> None:
    """Find the next wave from `me.wave` on that hits the account."""
    me.wave_at = NEVER
    while me.wave < law.waves.shape[0]:
        wave = law.waves[me.wave]
        if wave.segment == me.segment:
            u = draw(law, me, wave.code, 0)
            if u < wave.cut or (u == wave.cut and me.account <= wave.cut_account):
                me.wave_at = wave.at
                return
        me.wave += 1


@inlined
def catch_up(law: Tables, me: Any, now: int) -> None:
    """Put the phase in force at `now` in force; remember the first restart that falls on this very instant."""
    while law.phase_from[me.phase + 1] <= now:
        me.phase += 1
        me.seldom_at = 0
        if law.phase_from[me.phase] == now and law.restarts[me.phase] != 0 and me.restart_at != now:
            me.restart_at = now
            me.restart_phase = me.phase


@inlined
def join_time(law: Tables, segment: int, account: int) -> int:
    """When an account joins, in microseconds; 0 in a segment without join times."""
    row = law.segments[segment]
    if row.joins_to <= 0.0:
        return 0
    u = uniform(law.key, row.code, account, law.codes[JOIN], 0)
    return int(np.rint(row.joins_from + u * (row.joins_to - row.joins_from)))


@inlined
def audience_of(law: Tables, segment: int, account: int) -> int:
    """Readers of an account, a whole number; 0 in a segment without an audience."""
    row = law.segments[segment]
    if row.audience < 0:
        return 0
    u = uniform(law.key, row.code, account, law.codes[AUDIENCE], 0)
    readers = quantile(law.distributions[row.audience], law.quantiles, u)
    return int(np.rint(min(readers, 1e15)))


@inlined
def propensity_of(law: Tables, segment: int, account: int) -> float:
    """Lognormal multiplier of mean 1 on the account's violation rates; 1 in a segment without propensity."""
    row = law.segments[segment]
    sigma = row.propensity_sigma
    if sigma <= 0.0:
        return 1.0
    u = uniform(law.key, row.code, account, law.codes[PROPENSITY], 0)
    return math.exp(sigma * ndtri(u) - sigma * sigma / 2.0)


@pasted
def born(law: Tables, me: Any, entries: Array, segment: int, account: int, joins: int) -> int:
    """The account joins at time `joins` and enters the start state; `entries` must be all zero. Returns the move."""
    me.segment = segment
    me.account = account
    me.propensity = propensity_of(law, segment, account)
    me.audience = audience_of(law, segment, account)
    me.phase = 0
    me.restart_at = NEVER
    me.restart_phase = 0
    me.seldom_at = 0
    me.case_at = NEVER
    me.wrongful = 0
    me.wronged[0] = 0
    me.wronged[1] = 0
    me.banned = 0
    me.held = 0
    me.counted = 0
    me.service_end = NEVER
    me.wave = 0
    catch_up(law, me, joins)
    find_next_wave(law, me)
    while me.wave_at < joins:  # what hit its segment before it joined passes it by
        me.wave += 1
        find_next_wave(law, me)
    me.violation = 0
    me.to_go = UNDRAWN
    enter(law, me, entries, law.constants[START], joins)
    return 0


@inlined
def next_event(law: Tables, me: Any) -> tuple[int, int]:
    """When the account's next event is due, and which it is.

    A service comes to its end before anything else is looked at. What fell due meanwhile has a time that is past: it is applied at once, in the
    order of due times. A change of phase comes before the events of its instant, because it is in force then.
    """
    at = me.exit_at
    what = EXIT
    if me.violation_at < at:
        at = me.violation_at
        what = VIOLATE
    if me.case_at < at:
        at = me.case_at
        what = DECIDE
    if me.seldom_at <= at:
        return _with_seldom(law, me, at, what)
    return at, what


@inlined
def _with_seldom(law: Tables, me: Any, at: int, what: int) -> tuple[int, int]:
    """The next event, where it is not plain that none of the seldom ones comes before the one given."""
    if me.service_end != NEVER:
        return me.service_end, SERVICE_END
    turns = law.phase_from[me.phase + 1]
    me.seldom_at = min(min(me.restart_at, me.wave_at), min(me.service_at, turns))
    if me.restart_at < at:
        at = me.restart_at
        what = RESTART
    if me.wave_at < at:
        at = me.wave_at
        what = WAVE_HITS
    if me.service_at < at:
        at = me.service_at
        what = SERVICE_START
    if turns <= at:
        at = turns
        what = PHASE
    return at, what
