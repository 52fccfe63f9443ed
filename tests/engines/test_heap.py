"""Heaps from which any member can be taken, against sorted lists."""

from __future__ import annotations

import numpy as np
import pytest

from sim.engines.heap import STANDING, Heap, new_heap, push, remove, reorder

SLOTS = 60
Key = tuple[float, int, int]


def empty(rows: int) -> Heap:
    """Heaps in which nobody stands."""
    return new_heap(rows, np.ones(SLOTS, STANDING))


def check(heap: Heap, rows: list[dict[int, Key]]) -> None:
    """The heap holds just these members, knows where each stands, and has the first of each row in front."""
    for number, members in enumerate(rows):
        assert heap.size[number] == len(members)
        assert set(heap.slot[number, : len(members)].tolist()) == set(members)
        if members:
            assert heap.slot[number, 0] == min(members.values())[2]
        for slot, (priority, time, _) in members.items():
            place = heap.place[slot]
            assert heap.row[slot] == number
            assert (heap.slot[number, place], heap.priority[number, place], heap.time[number, place]) == (
                slot,
                priority,
                time,
            )
    absent = set(range(SLOTS)) - {slot for members in rows for slot in members}
    assert {int(heap.row[slot]) for slot in absent} <= {-1}


@pytest.mark.parametrize("seed", range(6))
def test_random_operations(seed: int) -> None:
    """Push, take the first, take any, renew priorities: many ties, several rows."""
    rng = np.random.default_rng(seed)
    heap, rows = empty(3), [dict[int, Key]() for _ in range(3)]
    for _ in range(500):
        row = int(rng.integers(3))
        members = rows[row]
        what = rng.random()
        free = [slot for slot in range(SLOTS) if heap.row[slot] < 0]
        if what < 0.55 and free:
            slot = int(rng.choice(free))
            members[slot] = (float(rng.integers(-2, 3)), int(rng.integers(4)), slot)
            push(heap, row, *members[slot])
        elif what < 0.75 and members:
            first = min(members.values())
            assert heap.slot[row, 0] == first[2]
            remove(heap, first[2])
            del members[first[2]]
        elif what < 0.97 and members:
            slot = int(rng.choice(list(members)))
            remove(heap, slot)
            del members[slot]
        elif members:
            for place in range(heap.size[row]):
                slot = int(heap.slot[row, place])
                members[slot] = (float(rng.integers(-2, 3)), members[slot][1], slot)
                heap.priority[row, place] = members[slot][0]
            reorder(heap, row)
        check(heap, rows)


@pytest.mark.parametrize("count", [1, 2, 3, 10, SLOTS])
def test_comes_out_sorted(count: int) -> None:
    """By priority, then time, then slot, whatever the order of arrival."""
    rng = np.random.default_rng(count)
    heap = empty(1)
    keys = [(float(rng.integers(3)), int(rng.integers(3)), int(slot)) for slot in rng.permutation(SLOTS)[:count]]
    for priority, time, slot in keys:
        push(heap, 0, priority, time, slot)
    found = []
    while heap.size[0]:
        found.append(int(heap.slot[0, 0]))
        remove(heap, found[-1])
    assert found == [slot for _, _, slot in sorted(keys)]


def test_a_removed_member_that_must_rise() -> None:
    """The last member takes the place of the one removed; in another branch it may be smaller than its new parent."""
    heap = empty(1)
    for slot, time in enumerate([1, 10, 2, 20, 11, 3, 4]):
        push(heap, 0, 0.0, time, slot)
    remove(heap, 3)
    assert heap.time[0, heap.place[6]] == 4
    members = {slot: (0.0, time, slot) for slot, time in enumerate([1, 10, 2, 20, 11, 3, 4]) if slot != 3}
    check(heap, [members])
