"""What can happen to an account, each event one function: an exit, a violation, a decision, a phase, a wave, a service.

==============================  ============================================================================
the law                         here
==============================  ============================================================================
"States"                        `leave_by_exit`
"Violations"                    `violate`
"Cases"                         `violate` (opens or joins), `decide`, `room_for_strike`
"Phases"                        `turn_phase`, `restart`
"Waves"                         `hit_by_wave`
"Desks" (one account's part)    `begin_service`, `end_service`
==============================  ============================================================================

Functions that move an account return the number of the move, or `STAYED`. `me`, `entries` and `strikes` are as in `sim.model.account`.
"""

from __future__ import annotations

from typing import Any

from sim.model.account import (
    STAYED,
    UNDRAWN,
    aim,
    catch_up,
    chosen,
    clock_draw,
    draw,
    enter,
    find_next_wave,
    hazard_now,
    settle,
    stop_clock,
)
from sim.model.durations import FIXED, microseconds, quantile
from sim.model.jit import NEVER, Array, inlined, pasted
from sim.model.tables import DELAY, DETECTION, KIND_OF, LONGEST_EXPIRE, SEVERITY, SHORTEST_EXPIRE, Tables


@pasted
def leave_by_exit(law: Tables, me: Any, entries: Array, now: int) -> int:
    """The earliest exit rings. Returns the move."""
    settle(me, now)
    way = law.exits[me.exit_phase, me.exit]
    enter(law, me, entries, way.to, now)
    return way.move


@pasted
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
        place = clock_draw(law, me, KIND_OF, number) * total
        while kind < kinds - 1 and law.rates[me.phase, me.segment, kind] <= place:
            kind += 1
    spec = law.kinds[me.phase, kind]
    row = spec.severity_first
    if spec.severity_count > 1:
        row = chosen(law, row, spec.severity_count, clock_draw(law, me, SEVERITY, number))
    severity = law.choices[row].to
    detected = spec.detection >= 1.0 or clock_draw(law, me, DETECTION, number) < spec.detection
    if detected:
        _open_or_join(law, me, spec, kind, severity, number, now)
    me.violation = number + 1
    me.to_go = UNDRAWN
    me.since = now
    me.violation_at = NEVER
    if me.case_at > now:  # otherwise the decision comes next, and opens the next stretch
        aim(law, me, now)
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
            me.case_at = now + microseconds(quantile(delay, law.quantiles, draw(law, me, law.codes[DELAY], number)))
        else:  # and above 0: without a delay there is no row
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
            aim(law, me, now)
        return STAYED
    count = _strike(law, me, strikes, now)
    target = law.targets[listed.first + min(count, listed.count) - 1]
    me.wrongful = 1 - me.case_genuine
    settle(me, now)
    enter(law, me, entries, target.to, now)
    return target.move


@pasted
def turn_phase(law: Tables, me: Any, now: int) -> None:
    """A phase comes into force.

    A violation that is due at this very instant stays due if the phase leaves anything to violate; else nothing is left to go, and it waits.
    """
    catch_up(law, me, now)
    kinds = law.rates.shape[2]
    if kinds == 0 or (me.violation_at == now and law.rates[me.phase, me.segment, kinds - 1] > 0.0):
        return
    if hazard_now(law, me) != me.hazard:
        due = me.violation_at == now
        settle(me, now)
        if due:
            me.to_go = 0.0
        aim(law, me, now)


@pasted
def restart(law: Tables, me: Any, entries: Array, now: int) -> int:
    """Enter the state anew if the phase changed its exits; look for another phase of the same instant. Returns the move or `STAYED`."""
    phase = me.restart_phase
    me.restart_at = NEVER
    for later in range(phase + 1, me.phase + 1):
        if law.restarts[later] != 0:
            me.restart_at = now
            me.seldom_at = 0
            me.restart_phase = later
            break
    move = law.states[phase, me.state].restart
    if move == STAYED:
        return STAYED
    settle(me, now)
    enter(law, me, entries, me.state, now)
    return move


@pasted
def hit_by_wave(law: Tables, me: Any, entries: Array, now: int) -> int:
    """A wave moves the account if its state is one of those named, and marks it (law, "Waves"). Returns the move or `STAYED`."""
    number = me.wave
    me.wave += 1
    find_next_wave(law, me)
    move = law.wave_moves[number, me.state]
    if move == STAYED:
        return STAYED
    me.wrongful = 1 - law.waves[number].genuine
    settle(me, now)
    enter(law, me, entries, law.waves[number].to, now)
    return move


@inlined
def begin_service(law: Tables, me: Any, entries: Array, now: int) -> int:
    """Service starts: the account is held until it ends (law, "Desks"). Returns when that is."""
    spec = law.states[me.phase, me.state]
    service = law.distributions[spec.service]
    lasts = service.a
    if service.family != FIXED:
        lasts = quantile(service, law.quantiles, draw(law, me, spec.service_code, entries[me.state] - 1))
    stop_clock(me, now)
    me.exit_at = NEVER
    me.service_at = NEVER
    me.service_phase = me.phase
    me.seldom_at = 0
    me.service_end = now + microseconds(lasts)
    return me.service_end


@pasted
def end_service(law: Tables, me: Any, entries: Array, now: int) -> int:
    """Service ends: one of the outcomes is drawn, by the table of the account's mark. Returns the move."""
    spec = law.states[me.service_phase, me.state]
    mark = me.wrongful
    row = spec.outcome_first[mark]
    if spec.outcome_count[mark] > 1:
        u = draw(law, me, spec.outcome_code, entries[me.state] - 1)
        row = chosen(law, row, spec.outcome_count[mark], u)
    choice = law.choices[row]
    me.service_end = NEVER
    me.since = now
    catch_up(law, me, now)
    enter(law, me, entries, choice.to, now)
    return choice.move
