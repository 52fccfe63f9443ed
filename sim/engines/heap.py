"""Heaps from which any member can be taken: binary heaps that know where everybody stands (Knuth 1998, 5.2.3).

Every row of a `Heap` is one heap of slots in the order (priority, time, slot). A slot stands in at most one row at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.model.jit import Array, inlined


class Heap(NamedTuple):
    """Keys and slots by place, the size of each row, and the place and row of every slot (-1: none)."""

    priority: Array
    time: Array
    slot: Array
    size: Array
    place: Array
    row: Array


STANDING = np.dtype([("place", "i4"), ("row", "i4")])
"""Where a slot stands in a heap."""


def new_heap(rows: int, standing: Array) -> Heap:
    """Empty heaps for as many slots as `standing` has rows.

    `standing` has dtype `STANDING` and may be a field of a larger record: what belongs to a slot then lies side by side in memory.
    """
    slots = len(standing)
    standing["place"] = -1
    standing["row"] = -1
    return Heap(
        priority=np.zeros((rows, slots)),
        time=np.zeros((rows, slots), np.int64),
        slot=np.zeros((rows, slots), np.int32),
        size=np.zeros(rows, np.int64),
        place=standing["place"],
        row=standing["row"],
    )


@inlined
def _before(heap: Heap, row: int, priority: float, time: int, slot: int, other: int) -> bool:
    """Whether a key comes before the one at place `other`."""
    if priority != heap.priority[row, other]:
        return priority < heap.priority[row, other]
    if time != heap.time[row, other]:
        return time < heap.time[row, other]
    return slot < heap.slot[row, other]


@inlined
def _put(heap: Heap, row: int, place: int, priority: float, time: int, slot: int) -> None:
    heap.priority[row, place] = priority
    heap.time[row, place] = time
    heap.slot[row, place] = slot
    heap.place[slot] = place


@inlined
def _rise(heap: Heap, row: int, place: int, priority: float, time: int, slot: int) -> None:
    while place > 0:
        parent = (place - 1) >> 1
        if not _before(heap, row, priority, time, slot, parent):
            break
        _put(heap, row, place, heap.priority[row, parent], heap.time[row, parent], heap.slot[row, parent])
        place = parent
    _put(heap, row, place, priority, time, slot)


@inlined
def _sink(heap: Heap, row: int, place: int, priority: float, time: int, slot: int) -> None:
    count = heap.size[row]
    while True:
        child = 2 * place + 1
        if child >= count:
            break
        right = child + 1
        if right < count and _before(
            heap, row, heap.priority[row, right], heap.time[row, right], heap.slot[row, right], child
        ):
            child = right
        if _before(heap, row, priority, time, slot, child):
            break
        _put(heap, row, place, heap.priority[row, child], heap.time[row, child], heap.slot[row, child])
        place = child
    _put(heap, row, place, priority, time, slot)


@inlined
def push(heap: Heap, row: int, priority: float, time: int, slot: int) -> None:
    """Add a slot that stands in no row."""
    place = heap.size[row]
    heap.size[row] = place + 1
    heap.row[slot] = row
    _rise(heap, row, place, priority, time, slot)


@inlined
def remove(heap: Heap, slot: int) -> None:
    """Take a slot out of the row in which it stands."""
    row = heap.row[slot]
    place = heap.place[slot]
    heap.row[slot] = -1
    heap.place[slot] = -1
    last = heap.size[row] - 1
    heap.size[row] = last
    if place == last:
        return
    priority = heap.priority[row, last]
    time = heap.time[row, last]
    moved = heap.slot[row, last]
    if place > 0 and _before(heap, row, priority, time, moved, (place - 1) >> 1):
        _rise(heap, row, place, priority, time, moved)
    else:
        _sink(heap, row, place, priority, time, moved)


@inlined
def reorder(heap: Heap, row: int) -> None:
    """Make a row a heap again after its priorities were rewritten in place."""
    for place in range(heap.size[row] // 2 - 1, -1, -1):
        _sink(heap, row, place, heap.priority[row, place], heap.time[row, place], heap.slot[row, place])
