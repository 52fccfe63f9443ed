"""The calendar of accounts that meet at desks: who is due when, one date a slot.

A calendar queue (Brown 1988, doi:10.1145/63039.63045): dates far ahead lie unsorted in the list of their stretch of time, dates of the
current stretch in a heap. Both are small, so that a run of a million accounts stays in the processor's cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.engines.heap import STANDING, Heap, new_heap, push, remove
from sim.model.jit import NEVER, Array, inlined

LISTS = 1 << 14


class Calendar(NamedTuple):
    """Dates of slots.

    Attributes
    ----------
    now
        (2,) int64: stretch whose dates are in the heap, length of a stretch in microseconds.
    due
        (N,) int64: date of each slot, `NEVER` for none.
    head, after, before
        Lists of the slots of each stretch still ahead, linked both ways; -1 ends them.
    heap
        The current stretch.
    """

    now: Array
    due: Array
    head: Array
    after: Array
    before: Array
    heap: Heap


DATE = np.dtype([("due", "i8"), ("after", "i4"), ("before", "i4"), ("standing", STANDING)])
"""What the calendar remembers of a slot."""


def new_calendar(dates: Array, end_us: int) -> Calendar:
    """An empty calendar for dates from 0 to `end_us`; `dates` has dtype `DATE` and a row for each slot."""
    dates["due"] = NEVER
    return Calendar(
        now=np.array([-1, max(1, end_us // (LISTS - 1) + 1)], np.int64),
        due=dates["due"],
        head=np.full(LISTS, -1, np.int32),
        after=dates["after"],
        before=dates["before"],
        heap=new_heap(1, dates["standing"]),
    )


@inlined
def cancel(calendar: Calendar, slot: int) -> None:
    """Strike out the date of a slot, if it has one."""
    if calendar.due[slot] == NEVER:
        return
    if calendar.heap.row[slot] >= 0:
        remove(calendar.heap, slot)
    else:
        after = calendar.after[slot]
        before = calendar.before[slot]
        if after >= 0:
            calendar.before[after] = before
        if before >= 0:
            calendar.after[before] = after
        else:
            calendar.head[calendar.due[slot] // calendar.now[1]] = after
    calendar.due[slot] = NEVER


@inlined
def schedule(calendar: Calendar, slot: int, time: int) -> None:
    """Give a slot a date, which must not be past, in place of the one it had."""
    cancel(calendar, slot)
    calendar.due[slot] = time
    stretch = time // calendar.now[1]
    if stretch <= calendar.now[0]:
        push(calendar.heap, 0, 0.0, time, slot)
        return
    first = calendar.head[stretch]
    calendar.head[stretch] = slot
    calendar.after[slot] = first
    calendar.before[slot] = -1
    if first >= 0:
        calendar.before[first] = slot


@inlined
def next_date(calendar: Calendar) -> int:
    """The earliest date, `NEVER` if there is none; its slot is the first of the heap."""
    while calendar.heap.size[0] == 0:
        stretch = calendar.now[0] + 1
        while stretch < len(calendar.head) and calendar.head[stretch] < 0:
            stretch += 1
        if stretch >= len(calendar.head):
            return NEVER
        calendar.now[0] = stretch
        slot = calendar.head[stretch]
        calendar.head[stretch] = -1
        while slot >= 0:
            push(calendar.heap, 0, 0.0, calendar.due[slot], slot)
            slot = calendar.after[slot]
    return calendar.heap.time[0, 0]


@inlined
def first_after(calendar: Calendar) -> int:
    """The first slot in the list of the stretch after the current one, -1 if there is none; `after` leads on from it."""
    stretch = calendar.now[0] + 1
    return calendar.head[stretch] if stretch < len(calendar.head) else -1
