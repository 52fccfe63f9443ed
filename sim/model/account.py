"""The life of one account, as small functions over flat tables: enter a state, say what comes next, apply it.

Every engine calls these functions and owns nothing but the calendar and the desks. They know nothing of tallies, logs or other accounts.

==============================  ============================================================================
the law                         here
==============================  ============================================================================
"Population"                    `born`
"Violations"                    `_aim`, `_settle` (hazard integrated over time), `violate`
"Cases"                         `violate` (opens or joins), `decide`
"States"                        `_enter`, `leave_by_exit`
"Desks" (one account's part)    `begin_service`, `end_service`; the queue is the engine's
"Waves"                         `_next_wave`, `hit_by_wave`
"Phases"                        `turn_phase`, `restart`
"Order at one instant"          `next_event`: a phase first, then ties go to the lower event number
==============================  ============================================================================

`me` is one row of a table with dtype `ACCOUNT`: all that an account remembers, except `entries` (how often it has entered each state) and
`strikes` (times of the strikes that may still count). Functions that move an account return the number of the move, or `STAYED`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sim.model.draws import uniform
from sim.model.durations import FIXED, microseconds, quantile
from sim.model.jit import NEVER, Array, inlined, ndtri
from sim.model.tables import (
    AUDIENCE,
    DELAY,
    DETECTION,
    JOIN,
    KIND_OF,
    LONGEST_EXPIRE,
    PROPENSITY,
    SEVERITY,
    SHORTEST_EXPIRE,
    START,
    VIOLATION,
    Tables,
)

ACCOUNT = np.dtype(
    [
        ("segment", "i4"),
        ("state", "i4"),
        ("account", "i8"),  # index within its segment
        ("entered", "i8"),  # when it entered its state
        ("propensity", "f8"),
        ("audience", "i8"),
        ("phase", "i4"),  # phase in force
        ("exit", "i4"),  # the exit that will ring first, and when
        ("exit_at", "i8"),
        ("exit_phase", "i4"),  # phase in force at entry, whose exits count
        ("to_go", "f8"),  # hazard still to be integrated before the next violation, as of `since`
        ("hazard", "f8"),  # per microsecond, since `since`
        ("since", "i8"),
        ("violation_at", "i8"),
        ("violation", "i4"),  # its number k
        ("case_kind", "i4"),  # worst violation of the case that is open, or of the last one
        ("case_at", "i8"),  # when the open case is decided; NEVER when none is open
        ("case_severity", "i4"),
        ("case_genuine", "u1"),
        ("wrongful", "u1"),  # the account's mark
        ("banned", "u1"),  # has it ever entered a ban?
        ("logged", "u1"),  # does the engine keep its history?
        ("restart_at", "i8"),
        ("restart_phase", "i4"),
        ("wave", "i4"),  # the next wave that hits it, and when
        ("wave_at", "i8"),
        ("service_at", "i8"),  # when its service starts, known only at unlimited desks
        ("service_end", "i8"),
        ("service_phase", "i4"),
        ("held", "i4"),  # strikes remembered
        ("lane", "i4"),  # place in `Tables.ahead`, from 1 on; 0: none
        ("counted", "i4"),  # strikes that counted at the last decision
    ],
    align=True,
)

SERVICE_END, EXIT, VIOLATE, DECIDE, RESTART, WAVE_HITS, SERVICE_START, PHASE = range(8)
STAYED = -1
UNDRAWN = -1.0
"""`to_go` of an account whose next violation has not been drawn: keyed draws can be left until they decide something."""


@inlined
def _draw(law: Tables, me: Any, code: int, occurrence: int) -> float:
    return uniform(law.key, law.segments[me.segment].code, me.account, code, occurrence)


@inlined
def _clock_draw(law: Tables, me: Any, draw: int, number: int) -> float:
    """A draw of the violation clock, from those made ahead if it is among them."""
    if number < law.ahead.shape[1] and me.lane > 0:
        return law.ahead[draw - VIOLATION, number, me.lane - 1]
    return _draw(law, me, law.codes[draw], number)


@inlined
def _chosen(law: Tables, first: int, count: int, u: float) -> int:
    """Row of the first choice whose running sum exceeds u times the total (the last one, should rounding leave none)."""
    last = first + count - 1
    aim = u * law.choices[last].sum
    row = first
    while row < last and law.choices[row].sum <= aim:
        row += 1
    return row


@inlined
def _due(to_go: float, hazard: float, now: int) -> int:
    """When the next violation falls due under a constant hazard."""
    if hazard <= 0.0:
        return NEVER
    return now + microseconds(to_go / hazard)


@inlined
def _hazard(law: Tables, me: Any) -> float:
    kinds = law.rates.shape[2]
    if kinds == 0:
        return 0.0
    return me.propensity * law.states[me.phase, me.state].activity * law.rates[me.phase, me.segment, kinds - 1]


@inlined
def _settle(me: Any, now: int) -> None:
    """Close the stretch of constant hazard: what is left to go carries over."""
    if me.to_go > 0.0:
        me.to_go = max(me.to_go - me.hazard * (now - me.since), 0.0)
    me.since = now


@inlined
def _aim(law: Tables, me: Any, now: int) -> None:
    """Open a stretch of constant hazard; the draw of the next violation is made when there is a hazard at last."""
    me.hazard = _hazard(law, me)
    me.since = now
    if me.to_go < 0.0 and me.hazard > 0.0:
        me.to_go = -math.log1p(-_clock_draw(law, me, VIOLATION, me.violation))
    me.violation_at = _due(me.to_go, me.hazard, now)


@inlined
def _stop_clock(me: Any, now: int) -> None:
    """The violation clock stands still from now on."""
    _settle(me, now)
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
def _enter(law: Tables, me: Any, entries: Array, state: int, now: int) -> None:
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
        if way.chance < 1.0 and _draw(law, me, way.chance_code, earlier) >= way.chance:
            continue
        after = law.distributions[way.after]
        if after.family == FIXED:  # the draw would decide nothing
            rings = now + microseconds(after.a)
        else:
            u = _draw(law, me, way.ring_code, earlier)
            if u > way.too_late:
                continue
            rings = now + microseconds(quantile(after, law.quantiles, u))
        if rings < me.exit_at:
            me.exit_at = rings
            me.exit = number
    me.service_at = NEVER
    if spec.desk >= 0 and law.desks[spec.desk].limited == 0:
        me.service_at = opens(law, spec.desk, now)
    _aim(law, me, now)


@inlined
def _next_wave(law: Tables, me: Any) -> None:
    """Find the next wave from `me.wave` on that hits the account."""
    me.wave_at = NEVER
    while me.wave < law.waves.shape[0]:
        wave = law.waves[me.wave]
        if wave.segment == me.segment:
            u = _draw(law, me, wave.code, 0)
            if u < wave.cut or (u == wave.cut and me.account <= wave.cut_account):
                me.wave_at = wave.at
                return
        me.wave += 1


@inlined
def _catch_up(law: Tables, me: Any, now: int) -> None:
    """Put the phase in force at `now` in force; remember the first restart that falls on this very instant."""
    while law.phase_from[me.phase + 1] <= now:
        me.phase += 1
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


@inlined
def born(law: Tables, me: Any, entries: Array, segment: int, account: int, joins: int) -> int:
    """The account joins at time `joins` and enters the start state; `entries` must be all zero. Returns the move."""
    me.segment = segment
    me.account = account
    me.propensity = propensity_of(law, segment, account)
    me.audience = audience_of(law, segment, account)
    me.phase = 0
    me.restart_at = NEVER
    me.restart_phase = 0
    me.case_at = NEVER
    me.wrongful = 0
    me.banned = 0
    me.held = 0
    me.counted = 0
    me.service_end = NEVER
    me.wave = 0
    _catch_up(law, me, joins)
    _next_wave(law, me)
    while me.wave_at < joins:  # what hit its segment before it joined passes it by
        me.wave += 1
        _next_wave(law, me)
    me.violation = 0
    me.to_go = UNDRAWN
    _enter(law, me, entries, law.constants[START], joins)
    return 0


@inlined
def next_event(law: Tables, me: Any) -> tuple[int, int]:
    """When the account's next event is due, and which it is.

    A service comes to its end before anything else is looked at. What fell due meanwhile has a time that is past: it is applied at once, in the
    order of due times. A change of phase comes before the events of its instant, because it is in force then.
    """
    if me.service_end != NEVER:
        return me.service_end, SERVICE_END
    at = me.exit_at
    what = EXIT
    if me.violation_at < at:
        at = me.violation_at
        what = VIOLATE
    if me.case_at < at:
        at = me.case_at
        what = DECIDE
    if me.restart_at < at:
        at = me.restart_at
        what = RESTART
    if me.wave_at < at:
        at = me.wave_at
        what = WAVE_HITS
    if me.service_at < at:
        at = me.service_at
        what = SERVICE_START
    if law.phase_from[me.phase + 1] <= at:
        at = law.phase_from[me.phase + 1]
        what = PHASE
    return at, what


@inlined
def leave_by_exit(law: Tables, me: Any, entries: Array, now: int) -> int:
    """The earliest exit rings. Returns the move."""
    _settle(me, now)
    way = law.exits[me.exit_phase, me.exit]
    _enter(law, me, entries, way.to, now)
    return way.move


@inlined
def violate(law: Tables, me: Any, now: int) -> tuple[int, int, bool]:
    """A violation: its kind, severity and detection are drawn, and a detected one opens a case or joins the open one.

    Returns
    -------
    kind, severity, detected
        Numbers of the kind and the severity, and whether it was noticed.
    """
    number = me.violation
    kinds = law.rates.shape[2]
    total = law.rates[me.phase, me.segment, kinds - 1]
    kind = 0
    if kinds > 1:
        aim = _clock_draw(law, me, KIND_OF, number) * total
        while kind < kinds - 1 and law.rates[me.phase, me.segment, kind] <= aim:
            kind += 1
    spec = law.kinds[me.phase, kind]
    row = spec.severity_first
    if spec.severity_count > 1:
        row = _chosen(law, row, spec.severity_count, _clock_draw(law, me, SEVERITY, number))
    severity = law.choices[row].to
    detected = spec.detection >= 1.0 or _clock_draw(law, me, DETECTION, number) < spec.detection
    if detected:
        _open_or_join(law, me, spec, kind, severity, number, now)
    me.violation = number + 1
    me.to_go = UNDRAWN
    me.since = now
    me.violation_at = NEVER
    if me.case_at > now:  # otherwise the decision comes next, and opens the next stretch
        _aim(law, me, now)
    return kind, severity, detected


@inlined
def _open_or_join(law: Tables, me: Any, spec: Any, kind: int, severity: int, number: int, now: int) -> None:
    if me.case_at != NEVER:
        if severity > me.case_severity:
            me.case_severity = severity
            me.case_kind = kind
        me.case_genuine |= spec.genuine
        return
    me.case_kind = kind
    me.case_severity = severity
    me.case_genuine = spec.genuine
    me.case_at = now
    if spec.delay >= 0:
        delay = law.distributions[spec.delay]
        if delay.family != FIXED:
            me.case_at = now + microseconds(quantile(delay, law.quantiles, _draw(law, me, law.codes[DELAY], number)))
        elif delay.a > 0.0:
            me.case_at = now + microseconds(delay.a)


@inlined
def _strike(law: Tables, me: Any, strikes: Array, now: int) -> int:
    """Count a strike: forget those that can never count again, add this one, say how many are unexpired.

    `strikes` has room for one more: see `room_for_strike`.
    """
    if law.constants[SHORTEST_EXPIRE] == NEVER:
        me.counted += 1
        return me.counted
    expire = law.strikes_expire[me.phase]
    count = 1
    for i in range(me.held):
        if now - strikes[i] < expire:
            count += 1
    strikes[me.held] = now
    me.held += 1
    me.counted = count
    return count


@inlined
def room_for_strike(law: Tables, me: Any, strikes: Array, now: int) -> bool:
    """Whether one more strike can be remembered, after forgetting those that are too old for every phase."""
    if me.held < strikes.shape[0]:
        return True
    longest = law.constants[LONGEST_EXPIRE]
    kept = 0
    for i in range(me.held):
        if now - strikes[i] < longest:
            strikes[kept] = strikes[i]
            kept += 1
    me.held = kept
    return kept < strikes.shape[0]


@inlined
def decide(law: Tables, me: Any, entries: Array, strikes: Array, now: int) -> int:
    """The open case is decided (law, "Cases"). Returns the move, or `STAYED` where the state has no entry for the severity."""
    me.case_at = NEVER
    listed = law.on_violation[me.phase, me.state, me.case_severity]
    if listed.count == 0:
        if me.violation_at == NEVER:
            _aim(law, me, now)
        return STAYED
    count = _strike(law, me, strikes, now)
    target = law.targets[listed.first + min(count, listed.count) - 1]
    me.wrongful = 1 - me.case_genuine
    _settle(me, now)
    _enter(law, me, entries, target.to, now)
    return target.move


@inlined
def turn_phase(law: Tables, me: Any, now: int) -> None:
    """A phase comes into force.

    A violation that is due at this very instant stays due if the phase leaves anything to violate; else nothing is left to go, and it waits.
    """
    _catch_up(law, me, now)
    kinds = law.rates.shape[2]
    if kinds == 0 or (me.violation_at == now and law.rates[me.phase, me.segment, kinds - 1] > 0.0):
        return
    if _hazard(law, me) != me.hazard:
        due = me.violation_at == now
        _settle(me, now)
        if due:
            me.to_go = 0.0
        _aim(law, me, now)


@inlined
def restart(law: Tables, me: Any, entries: Array, now: int) -> int:
    """Enter the state anew if the phase changed its exits; look for another phase of the same instant. Returns the move or `STAYED`."""
    phase = me.restart_phase
    me.restart_at = NEVER
    for later in range(phase + 1, me.phase + 1):
        if law.restarts[later] != 0:
            me.restart_at = now
            me.restart_phase = later
            break
    move = law.states[phase, me.state].restart
    if move == STAYED:
        return STAYED
    _settle(me, now)
    _enter(law, me, entries, me.state, now)
    return move


@inlined
def hit_by_wave(law: Tables, me: Any, entries: Array, now: int) -> int:
    """A wave moves the account if its state is one of those named, and marks it (law, "Waves"). Returns the move or `STAYED`."""
    number = me.wave
    me.wave += 1
    _next_wave(law, me)
    move = law.wave_moves[number, me.state]
    if move == STAYED:
        return STAYED
    me.wrongful = 1 - law.waves[number].genuine
    _settle(me, now)
    _enter(law, me, entries, law.waves[number].to, now)
    return move


@inlined
def begin_service(law: Tables, me: Any, entries: Array, now: int) -> int:
    """Service starts: the account is held until it ends (law, "Desks"). Returns when that is."""
    spec = law.states[me.phase, me.state]
    service = law.distributions[spec.service]
    lasts = service.a
    if service.family != FIXED:
        lasts = quantile(service, law.quantiles, _draw(law, me, spec.service_code, entries[me.state] - 1))
    _stop_clock(me, now)
    me.exit_at = NEVER
    me.service_at = NEVER
    me.service_phase = me.phase
    me.service_end = now + microseconds(lasts)
    return me.service_end


@inlined
def end_service(law: Tables, me: Any, entries: Array, now: int) -> int:
    """Service ends: one of the outcomes is drawn, by the table of the account's mark. Returns the move."""
    spec = law.states[me.service_phase, me.state]
    mark = me.wrongful
    row = spec.outcome_first[mark]
    if spec.outcome_count[mark] > 1:
        u = _draw(law, me, spec.outcome_code, entries[me.state] - 1)
        row = _chosen(law, row, spec.outcome_count[mark], u)
    choice = law.choices[row]
    me.service_end = NEVER
    me.since = now
    _catch_up(law, me, now)
    _enter(law, me, entries, choice.to, now)
    return choice.move
