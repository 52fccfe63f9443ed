"""Accounts that meet: those who stand before limited desks are merged in the law's order.

An account lives alone until it stands before a desk, and again after its service. Only that is on the calendar: when somebody comes before a desk,
what happens to those who wait, and when services end. At one instant accounts come first, then changes of staff, then each desk in the order
written (law, "Order at one instant").
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim.engines.calendar import DATE, Calendar, cancel, first_after, new_calendar, next_date, schedule
from sim.engines.heap import STANDING, Heap, new_heap, push, remove, reorder
from sim.engines.live import AT_DESK, LATER, finish, live
from sim.engines.tally import Tally, served
from sim.model.account import is_limited
from sim.model.events import begin_service
from sim.model.jit import NEVER, Array, compiled, fetch_row, inlined
from sim.model.tables import END, Tables

MERGED, STILL_MERGING = -1, -2
STEPS_PER_CALL = 1 << 17
"""Dates kept before the merge looks up from its work."""


SLOT = np.dtype([("date", DATE), ("queue", STANDING)])
"""Everything that the merge remembers of a slot, side by side: 32 bytes, so that looking it up costs one line of the processor's cache."""


class Crowd(NamedTuple):
    """Accounts that ever come before a limited desk, by slot in the order (segment, account), and the desks.

    Attributes
    ----------
    accounts, entries, strikes
        Their memory: (N,) `ACCOUNT`, (N, X) int32, (N, R) int64.
    calendar
        When something that concerns a desk happens to them.
    queue
        One row a desk: those who wait.
    busy, reviewers, change
        (B,) int64: reviewers who serve, reviewers there are, next row of the desk's staff table.
    called
        (B,) uint8: must the desk look whom it can serve at the end of this instant?
    phase
        (1,) int64: phase whose priorities order the queues.
    """

    accounts: Array
    entries: Array
    strikes: Array
    calendar: Calendar
    queue: Heap
    busy: Array
    reviewers: Array
    change: Array
    called: Array
    phase: Array


def new_crowd(law: Tables, accounts: Array, entries: Array, strikes: Array) -> Crowd:
    """A crowd of accounts none of whom has a date yet."""
    desks = len(law.desks)
    slots = np.zeros(len(accounts), SLOT)
    return Crowd(
        accounts=accounts,
        entries=entries,
        strikes=strikes,
        calendar=new_calendar(slots["date"], int(law.constants[END])),
        queue=new_heap(desks, slots["queue"]),
        busy=np.zeros(desks, np.int64),
        reviewers=np.zeros(desks, np.int64),
        change=law.desks["staff_first"].astype(np.int64),
        called=np.zeros(desks, np.uint8),
        phase=np.zeros(1, np.int64),
    )


@compiled
def invite(crowd: Crowd, arrivals: Array) -> None:
    """Put the accounts' first arrivals before a desk on the calendar."""
    for slot in range(len(arrivals)):
        schedule(crowd.calendar, slot, arrivals[slot])


@inlined
def _next_change(law: Tables, crowd: Crowd) -> int:
    """When staff or priorities change next."""
    at = law.phase_from[crowd.phase[0] + 1]
    for desk in range(len(law.desks)):
        if crowd.change[desk] < law.desks[desk].staff_first + law.desks[desk].staff_count:
            at = min(at, law.staff_from[crowd.change[desk]])
    return at


@inlined
def _change(law: Tables, crowd: Crowd, now: int) -> None:
    """Apply the changes of staff and priorities of this instant."""
    for desk in range(len(law.desks)):
        last = law.desks[desk].staff_first + law.desks[desk].staff_count
        while crowd.change[desk] < last and law.staff_from[crowd.change[desk]] <= now:
            crowd.reviewers[desk] = law.staff[crowd.change[desk]]
            crowd.change[desk] += 1
            crowd.called[desk] = 1
    turned = False
    while law.phase_from[crowd.phase[0] + 1] <= now:
        crowd.phase[0] += 1
        turned = True
    if not turned:
        return
    for desk in range(len(law.desks)):
        for place in range(crowd.queue.size[desk]):
            state = crowd.accounts[crowd.queue.slot[desk, place]].state
            crowd.queue.priority[desk, place] = law.states[crowd.phase[0], state].priority
        reorder(crowd.queue, desk)


@inlined
def _expect(crowd: Crowd, slot: int) -> int:
    """Bring near what is remembered of a slot of the stretch to come, so that nothing waits for memory when it is due; returns the slot after it."""
    if slot < 0:
        return slot
    fetch_row(crowd.accounts, slot)
    fetch_row(crowd.entries, slot)
    after = crowd.calendar.after[slot]
    if after >= 0:
        fetch_row(crowd.calendar.due, after)
    return after


@inlined
def _attend(law: Tables, tally: Tally, crowd: Crowd, slot: int, now: int) -> int:
    """Do all that happens to one account at this instant, and find its next date.

    Returns `LATER`, or why the account stopped: make room and call again.
    """
    me = crowd.accounts[slot]
    entries = crowd.entries[slot]
    strikes = crowd.strikes[slot]
    desk = law.states[me.phase, me.state].desk
    serving = me.service_end != NEVER
    entered = me.entered
    status, at = live(law, tally, me, entries, strikes, now, now, False)
    if me.entered != entered:  # it has left the state in which it was served or waited
        if serving:
            crowd.busy[desk] -= 1
            crowd.called[desk] = 1
        elif crowd.queue.row[slot] >= 0:
            remove(crowd.queue, slot)
    if status != LATER:
        return status
    if is_limited(law, me):
        if crowd.queue.row[slot] < 0:
            state = law.states[me.phase, me.state]
            push(crowd.queue, state.desk, law.states[crowd.phase[0], me.state].priority, me.entered, slot)
            crowd.called[state.desk] = 1
    else:
        status, at = live(law, tally, me, entries, strikes, now, law.constants[END], True)
        if status != LATER and status != AT_DESK:
            return status
    if at > law.constants[END]:
        cancel(crowd.calendar, slot)
    else:
        schedule(crowd.calendar, slot, at)
    return LATER


@inlined
def _serve(law: Tables, tally: Tally, crowd: Crowd, desk: int, now: int) -> Any:
    """A desk starts as many services as it can, in the order of its queue."""
    crowd.called[desk] = 0
    while crowd.busy[desk] < crowd.reviewers[desk] and crowd.queue.size[desk] > 0:
        slot = crowd.queue.slot[desk, 0]
        remove(crowd.queue, slot)
        crowd.busy[desk] += 1
        me = crowd.accounts[slot]
        ends = begin_service(law, me, crowd.entries[slot], now)
        served(law, tally, me, now, ends)
        if ends > law.constants[END]:
            cancel(crowd.calendar, slot)
        else:
            schedule(crowd.calendar, slot, ends)


@compiled
def merge(law: Tables, tally: Tally, crowd: Crowd, reached: Array) -> int:
    """Go through the calendar to the end of the run.

    Returns `MERGED`, `STILL_MERGING` now and then, or why an account stopped (see `sim.engines.live`); call again to go on. ``reached[0]`` is the
    simulated time, ``reached[1]`` the slot that stopped.
    """
    steps = 0
    stretch = expected = -1
    while steps < STEPS_PER_CALL:
        now = min(next_date(crowd.calendar), _next_change(law, crowd))
        if now > law.constants[END]:
            return MERGED
        reached[0] = now
        if stretch != crowd.calendar.now[0]:
            stretch = crowd.calendar.now[0]
            expected = first_after(crowd.calendar)
        while next_date(crowd.calendar) == now:
            slot = crowd.calendar.heap.slot[0, 0]
            expected = _expect(crowd, expected)
            status = _attend(law, tally, crowd, slot, now)
            steps += 1
            if status != LATER:
                reached[1] = slot
                return status
        if _next_change(law, crowd) <= now:
            _change(law, crowd, now)
        for desk in range(len(law.desks)):
            if crowd.called[desk] != 0:
                _serve(law, tally, crowd, desk, now)
    return STILL_MERGING


@compiled
def finish_all(law: Tables, tally: Tally, accounts: Array) -> None:
    """Count the time that accounts spend in their last states."""
    for slot in range(len(accounts)):
        finish(law, tally, accounts[slot])
