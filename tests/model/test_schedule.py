"""Staff over time: the list of changes against a naive look at calendar and clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from sim.model.schedule import DAY_US, UNLIMITED, staffing
from sim.scenario import Desk, Hours

HOUR = DAY_US // 24
MONDAY = datetime(2023, 1, 2)
WEEK = (0, 1, 2, 3, 4)
Steps = list[tuple[float, int]]


def hours(days: tuple[int, ...], opens: float, closes: float) -> Hours:
    """Working hours, from and to in hours of the day."""
    return Hours(days, round(opens * HOUR), round(closes * HOUR))


def steps(*desks: Desk, starts: tuple[int, ...] = (0,), start: datetime = MONDAY, days: float = 7) -> Steps:
    """Changes of staff, in hours since the start."""
    times, reviewers = staffing(desks, starts, start, round(days * DAY_US))
    return [(time / HOUR, count) for time, count in zip(times, reviewers, strict=True)]


def on_duty(desk: Desk, start: datetime, time: int) -> int:
    """Reviewers on duty at a time, by the calendar: a window belongs to the weekday on which it opens."""
    full = UNLIMITED if desk.reviewers is None else desk.reviewers
    if desk.hours is None:
        return full
    now = start + timedelta(microseconds=time)
    of_day = (now - datetime(now.year, now.month, now.day)) // timedelta(microseconds=1)
    opens, closes = desk.hours.from_us, desk.hours.to_us
    today, yesterday = now.weekday() in desk.hours.days, (now.weekday() - 1) % 7 in desk.hours.days
    if closes > opens:
        return full if today and opens <= of_day < closes else 0
    return full if (today and of_day >= opens) or (yesterday and of_day < closes) else 0


def test_without_hours() -> None:
    """One line for a desk that never changes, unlimited or not, even empty."""
    assert steps(Desk(3, None)) == [(0, 3)]
    assert steps(Desk(None, None)) == [(0, UNLIMITED)]
    assert steps(Desk(0, None)) == [(0, 0)]


@pytest.mark.parametrize("end", [5, 6])
def test_a_phase_at_the_end(end: int) -> None:
    """The last instant of the run belongs to it; what would come a microsecond later does not."""
    desks = [Desk(1, None), Desk(2, None)]
    assert staffing(desks, [0, end], MONDAY, end) == ([0, end], [1, 2])
    assert staffing(desks, [0, end - 1], MONDAY, end) == ([0, end - 1], [1, 2])
    assert staffing(desks, [0, end + 1], MONDAY, end) == ([0], [1])


def test_office_hours_and_weekend() -> None:
    """Nine to five from Monday to Friday, closed before, between and on the weekend."""
    expected: Steps = [(0, 0)]
    for day in range(5):
        expected += [(24 * day + 9, 4), (24 * day + 17, 0)]
    assert steps(Desk(4, hours(WEEK, 9, 17)), days=9) == [
        *expected,
        (24 * 7 + 9, 4),
        (24 * 7 + 17, 0),
        (24 * 8 + 9, 4),
        (24 * 8 + 17, 0),
    ]


def test_past_midnight() -> None:
    """A night shift of Friday ends on Saturday morning, and one that began before the start is under way."""
    night = Desk(2, hours((4,), 22, 6))
    assert steps(night) == [(0, 0), (4 * 24 + 22, 2), (5 * 24 + 6, 0)]
    saturday = datetime(2023, 1, 7)
    assert steps(night, start=saturday, days=2) == [(0, 2), (6, 0)]


def test_start_not_at_midnight() -> None:
    """The clock on the wall counts, not the time since the start."""
    assert steps(Desk(1, hours(WEEK, 9, 17)), start=datetime(2023, 1, 2, 10, 30), days=1) == [
        (0, 1),
        (6.5, 0),
        (22.5, 1),
    ]


def test_contiguous_days_leave_no_gap() -> None:
    """All day, every day is one line; all day on weekdays closes at midnight only before the weekend."""
    assert steps(Desk(5, hours(tuple(range(7)), 0, 0))) == [(0, 5)]
    assert steps(Desk(5, hours(tuple(range(7)), 8, 8))) == [(0, 5)]
    assert steps(Desk(5, hours(WEEK, 0, 0)), days=8) == [(0, 5), (5 * 24, 0), (7 * 24, 5)]
    assert steps(Desk(5, hours((0, 1), 8, 8)), days=4) == [(0, 0), (8, 5), (2 * 24 + 8, 0)]


def test_unlimited_with_hours() -> None:
    """An unlimited desk opens and closes too."""
    assert steps(Desk(None, hours((0,), 9, 17)), days=2) == [(0, 0), (9, UNLIMITED), (17, 0)]


def test_phases_within_and_between_windows() -> None:
    """Phases change staff, hours or both, at their own instant; equal neighbours are one line."""
    morning = hours(WEEK, 8, 12)
    desks = (Desk(3, morning), Desk(5, morning), Desk(5, None), Desk(None, None))
    starts = (0, 10 * HOUR, 20 * HOUR, 30 * HOUR)
    assert steps(*desks, starts=starts) == [(0, 0), (8, 3), (10, 5), (12, 0), (20, 5), (30, UNLIMITED)]
    assert steps(Desk(3, None), Desk(3, morning), starts=(0, 9 * HOUR), days=0.5) == [(0, 3), (12, 0)]


def test_two_phases_of_one_date() -> None:
    """Only the later of two phases of a date is ever in force."""
    assert steps(Desk(1, None), Desk(9, None), Desk(2, None), starts=(0, HOUR, HOUR)) == [(0, 1), (1, 2)]


def test_a_change_at_the_end_counts_and_one_after_it_does_not() -> None:
    """Events at `end` happen, and so do changes of staff."""
    desks = (Desk(1, None), Desk(2, None))
    assert steps(*desks, starts=(0, DAY_US), days=1) == [(0, 1), (24, 2)]
    assert steps(*desks, starts=(0, DAY_US + 1), days=1) == [(0, 1)]
    assert steps(Desk(3, hours(WEEK, 0, 12)), days=1) == [(0, 3), (12, 0), (24, 3)]


@pytest.mark.parametrize("seed", range(40))
def test_random_schedules(seed: int) -> None:
    """Any mix of hours, phases and starts says at each time what the calendar says."""
    rng = np.random.default_rng(seed)
    start = MONDAY + timedelta(minutes=int(rng.integers(0, 20_000)), microseconds=int(rng.integers(0, 2)))
    end = int(rng.integers(1, 20 * DAY_US))
    desks, starts = [], [0, *sorted(int(time) for time in rng.integers(1, 22 * DAY_US, rng.integers(0, 4)))]
    for _ in starts:
        days = tuple(sorted(int(day) for day in rng.choice(7, rng.integers(1, 8), replace=False)))
        opens, closes = (int(time) * HOUR // 4 for time in rng.integers(0, 96, 2))
        window = Hours(days, opens, closes) if rng.random() < 0.8 else None
        desks.append(Desk(None if rng.random() < 0.2 else int(rng.integers(0, 4)), window))
    times, reviewers = staffing(desks, starts, start, end)
    assert times[0] == 0
    assert times[-1] <= end
    assert all(before < after for before, after in pairwise(times))
    assert all(before != after for before, after in pairwise(reviewers))
    probes = {0, end, *times, *(time - 1 for time in times if time), *range(0, end, 7 * HOUR // 5), *starts}
    for time in sorted(time for time in probes if time <= end):
        phase = int(np.searchsorted(starts, time, side="right")) - 1
        row = int(np.searchsorted(times, time, side="right")) - 1
        assert reviewers[row] == on_duty(desks[phase], start, time), timedelta(microseconds=time)
