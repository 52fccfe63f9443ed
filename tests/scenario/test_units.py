"""Numbers with units: what they are worth, how they are written canonically, what is refused."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.scenario.units import (
    UNITS_US,
    Measured,
    RefusedError,
    count,
    day,
    duration,
    level,
    moment,
    number,
    rate,
    share,
    time_of_day,
    weekdays,
)


@pytest.mark.parametrize(
    ("written", "microseconds", "text"),
    [
        ("90 minutes", 90 * 60e6, "90 minutes"),
        ("7 days", 7 * 86400e6, "7 days"),
        ("7d", 7 * 86400e6, "7 days"),
        ("1 days", 86400e6, "1 day"),
        ("1 Day", 86400e6, "1 day"),
        (" 2 weeks ", 14 * 86400e6, "2 weeks"),
        ("1 month", 30 * 86400e6, "1 month"),
        ("1 year", 365 * 86400e6, "1 year"),
        ("0.50 h", 1800e6, "0.5 hours"),
        (".5 hr", 1800e6, "0.5 hours"),
        ("1_000 s", 1e9, "1000 seconds"),
        ("1e3 sec", 1e9, "1000 seconds"),
        ("3 min", 180e6, "3 minutes"),
        ("5 mo", 150 * 86400e6, "5 months"),
        ("2 µs", 2, "2 microseconds"),
        ("2 ms", 2000, "2 milliseconds"),
        ("0 days", 0, "0 days"),
        ("0.7 days", 60480e6, "0.7 days"),
        ("10000 years", 10_000 * 365 * 86400e6, "10000 years"),
    ],
)
def test_durations(written: str, microseconds: float, text: str) -> None:
    found = duration(written)
    assert (found.value, found.text) == (microseconds, text)
    assert duration(found.text) == found


@pytest.mark.parametrize(
    "written",
    ["7", 7, 7.5, "7 dayz", "days", "", "7 days 3 hours", "7 m", "10001 years", True, None, [], "٣ days", "0x7 days"],
)
def test_durations_that_are_refused(written: object) -> None:
    with pytest.raises(RefusedError):
        duration(written)


@pytest.mark.parametrize(
    ("written", "per_us", "text"),
    [
        ("4 per year", 4 / UNITS_US["year"], "4 per year"),
        ("0.06 per day", 0.06 / UNITS_US["day"], "0.06 per day"),
        ("0.2  per  month", 0.2 / UNITS_US["month"], "0.2 per month"),
        ("1_0.0 per week", 10 / UNITS_US["week"], "10 per week"),
        ("1 per hour", 1 / UNITS_US["hour"], "1 per hour"),
    ],
)
def test_rates(written: str, per_us: float, text: str) -> None:
    found = rate(written)
    assert (found.value, found.text) == (per_us, text)
    assert rate(found.text) == found


@pytest.mark.parametrize("written", ["4", 4, "4 per fortnight", "4/year", "per year", "4 days", "4 per second", None])
def test_rates_that_are_refused(written: object) -> None:
    with pytest.raises(RefusedError):
        rate(written)


@pytest.mark.parametrize(
    ("written", "value", "text"),
    [
        ("30%", 0.3, "30%"),
        ("30 %", 0.3, "30%"),
        (0.3, 0.3, "30%"),
        ("0.3", 0.3, "30%"),
        (1, 1.0, "100%"),
        (0, 0.0, "0%"),
        ("0.1%", 0.001, "0.1%"),
        (1 / 3, 1 / 3, "33.33333333333333%"),
        (1e-7, 1e-7, "0.00001%"),
        (np.float64(0.25), 0.25, "25%"),
    ],
)
def test_chances(written: object, value: float, text: str) -> None:
    found = share(written)
    assert (found.value, found.text) == (value, text)
    assert share(found.text) == found


@pytest.mark.parametrize(
    ("read", "written", "found"),
    [
        (number, "20_000", Measured(20000.0, "20000")),
        (number, 1.50, Measured(1.5, "1.5")),
        (number, -0.0, Measured(0.0, "0")),
        (number, np.int64(3), Measured(3.0, "3")),
        (count, 3e3, Measured(3000.0, "3000")),
        (count, "12", Measured(12.0, "12")),
        (level, "2%", Measured(0.02, "2%", "%")),
        (level, 40, Measured(40.0, "40")),
    ],
)
def test_numbers(read: Callable[[object], Measured], written: object, found: Measured) -> None:
    assert read(written) == found


@pytest.mark.parametrize(
    "written",
    ["many", float("nan"), float("inf"), "1e999", 10**60, "1" * 60, "1,000", True, None, "0x10", [3], "--3"],
)
@pytest.mark.parametrize("read", [number, count, share, level])
def test_numbers_that_are_refused(read: Callable[[object], Measured], written: object) -> None:
    with pytest.raises(RefusedError):
        read(written)


def test_half_an_account_is_refused() -> None:
    with pytest.raises(RefusedError, match="whole number"):
        count(1.5)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("2022-06-20", "2022-06-20"),
        ("2022-06-20 00:00", "2022-06-20"),
        ("2022-06-20T12:00", "2022-06-20 12:00"),
        ("2022-06-20 12:00:05", "2022-06-20 12:00:05"),
        ("2022-06-20 12:00:05.250", "2022-06-20 12:00:05.25"),
        ("0900-01-01", "0900-01-01"),
    ],
)
def test_dates(written: str, text: str) -> None:
    found = day(written)
    assert found.text == text
    assert day(found.text) == found


@pytest.mark.parametrize(
    "written", ["2022-13-01", "2022-02-30", "2022", 2022, "20-06-2022", "2022-06-20T12:00Z", "2022-06-20 25:00", None]
)
def test_dates_that_are_refused(written: object) -> None:
    with pytest.raises(RefusedError):
        day(written)


def test_moments_are_dates_or_durations_since_the_start() -> None:
    start = day("2022-06-20 12:00").date
    assert start is not None
    assert moment("2022-06-21").after(start) == UNITS_US["day"] // 2
    assert moment("2022-06-20").after(start) == -UNITS_US["day"] // 2
    assert moment("90 days").after(start) == 90 * UNITS_US["day"]
    with pytest.raises(RefusedError, match="is before the start"):
        moment("-3 days")


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("mon-fri", (0, 1, 2, 3, 4)),
        ("sat", (5,)),
        ("Saturday", (5,)),
        ("fri-mon", (0, 4, 5, 6)),
        ("mon, wed", (0, 2)),
        (["wed", "mon", "mon-tue"], (0, 1, 2)),
    ],
)
def test_weekdays(written: object, days: tuple[int, ...]) -> None:
    found, form = weekdays(written)
    assert found == days
    assert weekdays(form) == (found, form)


@pytest.mark.parametrize("written", ["", "mon-wed-fri", "mo", 3, [], [["mon"]], None])
def test_weekdays_that_are_refused(written: object) -> None:
    with pytest.raises(RefusedError):
        weekdays(written)


def test_times_of_day() -> None:
    assert time_of_day("9:05").text == "09:05"
    assert time_of_day("24:00").value == UNITS_US["day"]
    for written in ("24:01", "9", 9, "09:60", "-1:00", None):
        with pytest.raises(RefusedError):
            time_of_day(written)


@given(st.floats(0, 1e6, allow_subnormal=False).filter(lambda x: x == 0 or x > 1e-30), st.sampled_from(list(UNITS_US)))
def test_canonical_text_is_exact(amount: float, unit: str) -> None:
    try:
        found = duration(f"{amount!r} {unit}")
    except RefusedError:
        assert amount * UNITS_US[unit] > 10_000 * UNITS_US["year"]
        return
    assert duration(found.text) == found
    assert found.value == pytest.approx(amount * UNITS_US[unit], rel=1e-15)
