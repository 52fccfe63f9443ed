"""Carries one account forward in time and counts what happens to it. Every engine lives its accounts by these functions."""

from __future__ import annotations

from typing import Any

from sim.engines.tally import Tally, count_wronged, log_is_full, moved, served, stayed_until, suffered
from sim.model import events
from sim.model.account import (
    DECIDE,
    EXIT,
    PHASE,
    RESTART,
    SERVICE_END,
    SERVICE_START,
    STAYED,
    VIOLATE,
    born,
    is_limited,
    next_event,
)
from sim.model.jit import NEVER, Array, inlined, pasted
from sim.model.tables import END, Tables

TOO_MANY = 1 << 60
"""Counted for the violation that brings an account's number of them, which keys its draws, back to 0: `sim.results.invariants` refuses so many."""
LATER, AT_DESK, NEEDS_STRIKES, NEEDS_LOG = range(4)
"""Why an account stopped: nothing more up to the time given; it stands before a limited desk; its memory or the log is full."""


@pasted
def _apply(law: Tables, tally: Tally, me: Any, entries: Array, strikes: Array, what: int, now: int) -> int:
    """Apply one event; returns the move or `STAYED`."""
    if what == EXIT:
        return events.leave_by_exit(law, me, entries, now)
    if what == VIOLATE:
        kind, severity, detected = events.violate(law, me, now)
        tally.violations[me.segment, kind, severity, 1 if detected else 0] += 1 if me.violation != 0 else TOO_MANY
        if me.case_at > now or not events.room_for_strike(law, me, strikes, now):
            return STAYED
        return events.decide(law, me, entries, strikes, now)  # no delay: nothing comes between violation and decision
    if what == DECIDE:
        return events.decide(law, me, entries, strikes, now)
    if what == RESTART:
        return events.restart(law, me, entries, now)
    if what == SERVICE_START:
        entered_service = events.begin_service(law, me, entries, now)
        served(law, tally, me, now, entered_service)
        return STAYED
    if what == SERVICE_END:
        return events.end_service(law, me, entries, now)
    if what == PHASE:
        events.turn_phase(law, me, now)
        return STAYED
    return events.hit_by_wave(law, me, entries, now)


@pasted
def step(law: Tables, tally: Tally, me: Any, entries: Array, strikes: Array, what: int, now: int) -> bool:
    """Apply the account's next event, and count it; returns whether it entered a state."""
    state = me.state
    entered = me.entered
    wrongful = me.wrongful
    move = _apply(law, tally, me, entries, strikes, what, now)
    if move == STAYED:
        return False
    stayed_until(tally, me, state, entered, now)
    if wrongful != 0:
        suffered(law, me, state, now - entered)
    moved(law, tally, me, entries, move, now)
    return True


@pasted
def live(
    law: Tables, tally: Tally, me: Any, entries: Array, strikes: Array, now: int, until: int, stop_at_desk: bool
) -> tuple[int, int]:
    """Live an account from `now` through its events up to and including `until`.

    With `stop_at_desk` it stops as soon as it has entered a state before a limited desk, at whatever time that is.

    Returns
    -------
    status, at
        `LATER` and the time of the next event (`NEVER` if there is none); `AT_DESK` and the time of entry; or `NEEDS_STRIKES`, `NEEDS_LOG` and
        the time of an event that was not applied: make room and call again.
    """
    while True:
        at, what = next_event(law, me)
        now = max(at, now)
        if now > until:
            return LATER, now
        if me.logged != 0 and log_is_full(tally):
            return NEEDS_LOG, now
        if what == DECIDE and not events.room_for_strike(law, me, strikes, now):
            return NEEDS_STRIKES, now
        if step(law, tally, me, entries, strikes, what, now) and stop_at_desk and is_limited(law, me):
            return AT_DESK, now
    return LATER, NEVER


@pasted
def start(
    law: Tables, tally: Tally, me: Any, entries: Array, segment: int, account: int, joins: int, logged: bool
) -> None:
    """The account joins and is counted; `entries` must be all zero, and the log must have room (`log_is_full`) if it is logged."""
    me.logged = 1 if logged else 0
    move = born(law, me, entries, segment, account, joins)
    moved(law, tally, me, entries, move, joins)


@inlined
def finish(law: Tables, tally: Tally, me: Any) -> None:
    """The run ends: count the time in the state that the account is then in."""
    stayed_until(tally, me, me.state, me.entered, law.constants[END])
    if me.wrongful != 0:
        suffered(law, me, me.state, law.constants[END] - me.entered)
    count_wronged(tally, me)
