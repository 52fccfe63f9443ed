"""How many reviewers a desk has, as a step function of time: phases and weekly working hours folded into one list of changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sim.model.jit import NEVER
from sim.scenario import Desk, Hours

UNLIMITED = NEVER
"""Number of reviewers of an unlimited desk."""

DAY_US = 86_400_000_000


def staffing(
    desks: Sequence[Desk], phase_starts: Sequence[int], start: datetime, end_us: int
) -> tuple[list[int], list[int]]:
    """Reviewers of one desk over time.

    Parameters
    ----------
    desks
        The desk as each phase has it, in order of time.
    phase_starts
        When each of these comes into force, in microseconds since `start`; the first is 0.
    start
        Calendar date of time 0: it says which weekday a time falls on.
    end_us
        End of the run in microseconds.

    Returns
    -------
    times, reviewers
        From ``times[i]`` on (inclusive) the desk has ``reviewers[i]``; the first time is 0. Reviewers of an unlimited desk are `UNLIMITED`.
    """
    times: list[int] = []
    reviewers: list[int] = []
    for number, desk in enumerate(desks):
        begins = phase_starts[number]
        ends = phase_starts[number + 1] if number + 1 < len(desks) else end_us + 1
        full = UNLIMITED if desk.reviewers is None else desk.reviewers
        changes = [(begins, full)] if desk.hours is None else _open_hours(desk.hours, full, start, begins, ends)
        for time, count in changes:
            if begins <= time < min(ends, end_us + 1):
                if reviewers and reviewers[-1] == count:
                    continue
                times.append(time)
                reviewers.append(count)
    return times, reviewers


def _open_hours(hours: Hours, full: int, start: datetime, begins: int, ends: int) -> list[tuple[int, int]]:
    """Changes between `begins` (always the first) and `ends` of a desk that is open by the week."""
    length = (hours.to_us - hours.from_us) % DAY_US or DAY_US
    midnight = datetime(start.year, start.month, start.day, tzinfo=start.tzinfo)
    offset = -((start - midnight) // timedelta(microseconds=1))
    first_day = (begins - offset) // DAY_US - 1
    steps: dict[int, int] = {begins: 0}
    day = first_day
    while day * DAY_US + offset < ends:
        opens = day * DAY_US + offset + hours.from_us
        closes = opens + length
        if (midnight.weekday() + day) % 7 in hours.days and closes > begins:
            steps[max(opens, begins)] = full
            steps.setdefault(closes, 0)
        day += 1
    return sorted(steps.items())
