"""The calendar of those who meet at desks, against a dictionary of dates."""

from __future__ import annotations

import numpy as np
import pytest

from sim.engines.calendar import DATE, LISTS, Calendar, cancel, new_calendar, next_date, schedule
from sim.model.jit import NEVER

SLOTS = 40


def first_of(calendar: Calendar) -> tuple[int, int]:
    """Earliest date and whose it is."""
    at = next_date(calendar)
    return at, (-1 if at == NEVER else int(calendar.heap.slot[0, 0]))


def expected(dates: dict[int, int]) -> tuple[int, int]:
    """The same from a dictionary; ties go to the lower slot."""
    return min(((at, slot) for slot, at in dates.items()), default=(NEVER, -1))


@pytest.mark.parametrize("end", [0, 1, 50, LISTS - 1, LISTS, 10**6, 365 * 86_400_000_000])
@pytest.mark.parametrize("seed", range(3))
def test_random_operations(end: int, seed: int) -> None:
    """Schedule, move, cancel and look ahead while time passes; dates of the present and of the end among them."""
    rng = np.random.default_rng([seed, end])
    calendar, dates, now = new_calendar(np.ones(SLOTS, DATE), end), dict[int, int](), 0
    for _ in range(600):
        slot, what = int(rng.integers(SLOTS)), rng.random()
        if what < 0.6:
            spread = int(rng.choice([0, 3, end // 1000 + 1, end + 1]))
            dates[slot] = min(end, now + int(rng.integers(0, spread + 1)))
            schedule(calendar, slot, dates[slot])
        elif what < 0.8:
            cancel(calendar, slot)
            dates.pop(slot, None)
        else:
            assert first_of(calendar) == expected(dates)
            if dates:
                now, slot = expected(dates)
                if rng.random() < 0.7:
                    cancel(calendar, slot)
                    del dates[slot]
        assert {slot: at for slot, at in enumerate(calendar.due.tolist()) if at != NEVER} == dates
    while dates:
        found = first_of(calendar)
        assert found == expected(dates)
        cancel(calendar, found[1])
        del dates[found[1]]
    assert first_of(calendar) == (NEVER, -1)


def test_an_earlier_date_after_looking_far_ahead() -> None:
    """Looking ahead moves the calendar on; a date before the one it found still comes first."""
    calendar = new_calendar(np.ones(3, DATE), 10**9)
    schedule(calendar, 0, 9 * 10**8)
    assert next_date(calendar) == 9 * 10**8
    schedule(calendar, 1, 5)
    schedule(calendar, 2, 4 * 10**8)
    assert [first_of(calendar)[1]] == [1]
    for slot in (1, 2, 0):
        assert first_of(calendar)[1] == slot
        cancel(calendar, slot)
    assert next_date(calendar) == NEVER


def test_cancelling_what_is_not_there() -> None:
    """A slot without a date has none to strike out; a list loses its first, middle and last member alike."""
    calendar = new_calendar(np.ones(4, DATE), 10**9)
    cancel(calendar, 2)
    for slot in range(4):
        schedule(calendar, slot, 10**9 - slot)
    for slot in (1, 3, 0):
        cancel(calendar, slot)
        cancel(calendar, slot)
    assert first_of(calendar) == (10**9 - 2, 2)
