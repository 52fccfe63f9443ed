"""Numbers with units as people write them, read exactly: durations, rates, chances, dates, times of day, weekdays.

Every reader takes a plain value of the file and gives a `Measured`: its value in the project's unit (microseconds,
events per microsecond, shares of 1, plain numbers) and its canonical text, which reads as the same value and says the
unit the author chose (`7d` and `7.0 days` become `7 days`, never `1 week`). What cannot be read raises `RefusedError`
with the remedy.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction

from .names import allowed, nearest
from .yaml_tree import kind_of

MICROSECOND = timedelta(microseconds=1)
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
UNITS_US = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": SECOND_US,
    "minute": 60 * SECOND_US,
    "hour": 3_600 * SECOND_US,
    "day": DAY_US,
    "week": 7 * DAY_US,
    "month": 30 * DAY_US,
    "year": 365 * DAY_US,
}
"""Microseconds in a unit: a month is 30 days, a year 365."""

SHORT_FORMS = {
    "microsecond": ("us", "µs", "μs", "usec"),
    "millisecond": ("ms", "msec"),
    "second": ("s", "sec", "secs"),
    "minute": ("min", "mins"),
    "hour": ("h", "hr", "hrs"),
    "day": ("d",),
    "week": ("w", "wk", "wks"),
    "month": ("mo", "mon", "mos"),
    "year": ("y", "yr", "yrs"),
}
_UNIT_OF = {form: unit for unit, forms in SHORT_FORMS.items() for form in (unit, unit + "s", *forms)}
_RATE_UNITS = ("hour", "day", "week", "month", "year")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

MAX_DURATION_YEARS = 10_000
_MAX_DIGITS = 40
_NUMBER = r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]{1,3})?"
_PLAIN = re.compile(_NUMBER)
_PERCENT = re.compile(rf"({_NUMBER})\s*%")
_DURATION = re.compile(rf"({_NUMBER})\s*([^\W\d_].*)")
_RATE = re.compile(rf"({_NUMBER})\s+per\s+(.+)")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?)?")
_ZONE = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_EXACT = Context(prec=200)

DURATION_REMEDY = (
    "write a number and microseconds, seconds, minutes, hours, days, weeks, months or years, as in `7 days`"
)
RATE_REMEDY = "write a number `per` hour, day, week, month or year, as in `4 per year`"
CHANCE_REMEDY = "a chance is 0% to 100%, or 0 to 1"
NUMBER_REMEDY = "write a number, as in `20_000` or `1.5`"
COUNT_REMEDY = "write a whole number, as in `3_000`"
DATE_REMEDY = "write a date, as in `2022-06-20` or `2022-06-20 12:00`"


Part = tuple[tuple[str, ...], str, str]  # path below a value, problem, remedy


class RefusedError(ValueError):
    """A value that cannot be read.

    Attributes
    ----------
    parts
        (path below the value, problem, remedy) of every fault found in it.
    """

    def __init__(self, problem: str, remedy: str = "", *, parts: list[Part] | None = None) -> None:
        self.parts = parts if parts is not None else [((), problem, remedy)]
        super().__init__(self.parts[0][1])


@dataclass(frozen=True)
class Measured:
    """A value as written.

    Attributes
    ----------
    value
        In microseconds, events per microsecond, shares of 1, or plain.
    text
        The canonical text, unit included.
    unit
        The unit it was written in: a key of `UNITS_US`, ``%`` or nothing.
    """

    value: float
    text: str
    unit: str = ""


@dataclass(frozen=True)
class Moment:
    """A date, or a duration since `start`."""

    date: datetime | None
    since_us: int
    text: str

    def after(self, start: datetime) -> int:
        """Microseconds since `start`; negative before it."""
        return self.since_us if self.date is None else (self.date - start) // MICROSECOND


def shown(value: object) -> str:
    """What was found, short enough for a message."""
    if isinstance(value, str):
        return f"`{value if len(value) <= 60 else value[:57] + '...'}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value!r}`" if isinstance(value, numbers.Real) else kind_of(value)


def canonical(amount: Decimal) -> str:
    """An exact decimal without exponent, leading or trailing zeros: `1E+3` -> `1000`, `0.50` -> `0.5`."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def amount_of(value: object, remedy: str) -> Decimal:
    """The exact decimal that a number, or text of one, says (a float: its shortest decimal)."""
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, str)):
        raise RefusedError(f"{shown(value)} is not a number", remedy)
    if isinstance(value, numbers.Integral):
        text = str(int(value)) if abs(int(value)) < 10**_MAX_DIGITS else "1" + "0" * (_MAX_DIGITS + 1)
    elif isinstance(value, str):
        text = value.strip()
        if not _PLAIN.fullmatch(text) or len(text) > 100:
            raise RefusedError(f"{shown(value)} is not a number", remedy)
    elif math.isfinite(value):
        text = repr(float(value))
    else:
        raise RefusedError(f"{shown(float(value))} is not a finite number", remedy)
    amount = Decimal(text.replace("_", ""))
    if len(amount.as_tuple().digits) > _MAX_DIGITS or (amount and abs(amount.adjusted()) > _MAX_DIGITS):
        raise RefusedError(f"{shown(value)} has more digits than any scenario needs", remedy)
    return amount if amount else Decimal(0)


def number(value: object) -> Measured:
    """A plain number."""
    amount = amount_of(value, NUMBER_REMEDY)
    return Measured(float(amount), canonical(amount))


def count(value: object) -> Measured:
    """A whole number."""
    amount = amount_of(value, COUNT_REMEDY)
    if amount != amount.to_integral_value():
        raise RefusedError(f"{shown(value)} is not a whole number", COUNT_REMEDY)
    return Measured(float(amount), canonical(amount))


def share(value: object, remedy: str = CHANCE_REMEDY) -> Measured:
    """A percentage, or a number as a share of 1; the canonical form is the percentage."""
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    amount = amount_of(match[1], remedy) if match else _EXACT.multiply(amount_of(value, remedy), Decimal(100))
    return Measured(float(Fraction(amount) / 100), canonical(amount) + "%", "%")


def level(value: object) -> Measured:
    """A percentage or a plain number, kept as written: a limit of an expectation."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return share(value, "write a number or a percentage")
    return number(value)


def duration(value: object) -> Measured:
    """A duration with its unit, in microseconds."""
    if not isinstance(value, str) or _PLAIN.fullmatch(value.strip()):
        told = (
            f"{shown(value)} has no unit"
            if not isinstance(value, bool) and isinstance(value, (str, numbers.Real))
            else f"{shown(value)} is not a duration"
        )
        raise RefusedError(told, DURATION_REMEDY)
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise RefusedError(f"{shown(value)} is not a duration", DURATION_REMEDY)
    unit = _UNIT_OF.get(match[2].casefold()) or _UNIT_OF.get(match[2])
    if unit is None:
        ambiguous = "`m` may be minutes (min) or months (mo)" if match[2].casefold() == "m" else ""
        hint = ambiguous or _unit_hint(match[2], UNITS_US)
        raise RefusedError(f"`{match[2][:40]}` is not a unit of time", hint or DURATION_REMEDY)
    amount = amount_of(match[1], DURATION_REMEDY)
    exact = Fraction(amount) * UNITS_US[unit]
    if exact > MAX_DURATION_YEARS * UNITS_US["year"]:
        raise RefusedError(f"{shown(value)} is too long", f"a duration is at most {MAX_DURATION_YEARS:,} years")
    return Measured(float(exact), f"{canonical(amount)} {unit}{'' if amount == 1 else 's'}", unit)


def _unit_hint(found: str, units: Iterable[str], plural: str = "s") -> str:
    """The nearest unit and all others, if one is near."""
    forms = [unit + plural for unit in units]
    return allowed(forms, found, what="units") if nearest(found, forms) else ""


def rate(value: object) -> Measured:
    """A rate `per` unit of time, in events per microsecond: the amount as a float over the microseconds of the unit."""
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        told = "has no unit" if isinstance(value, (int, float)) and not isinstance(value, bool) else "is not a rate"
        raise RefusedError(f"{shown(value)} {told}", RATE_REMEDY)
    unit = _UNIT_OF.get(match[2].strip().casefold())
    if unit not in _RATE_UNITS:
        hint = _unit_hint(match[2], _RATE_UNITS, "")
        raise RefusedError(f"`per {match[2][:40]}` is not a unit of rates", hint or RATE_REMEDY)
    amount = amount_of(match[1], RATE_REMEDY)
    return Measured(float(amount) / UNITS_US[unit], f"{canonical(amount)} per {unit}", unit)


def day(value: object) -> Moment:
    """A date, or a date and a time of day; the scenario's calendar has no zones."""
    match = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        zoned = isinstance(value, str) and _ZONE.search(value.strip()) and ":" in value
        raise RefusedError(
            f"{shown(value)} is not a date",
            "leave out the time zone: a scenario has one calendar" if zoned else DATE_REMEDY,
        )
    year, month, of_month, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        date = datetime(year, month, of_month, hour, minute, second, int((match[7] or "").ljust(6, "0")))
    except ValueError as error:
        raise RefusedError(f"{shown(value)} is not in the calendar ({error})", DATE_REMEDY) from None
    return Moment(date, 0, date_text(date))


def date_text(date: datetime) -> str:
    """`2022-06-20`, with the time of day only where there is one."""
    if date.hour == date.minute == date.second == date.microsecond == 0:
        return f"{date.year:04d}-{date:%m-%d}"
    text = f"{date.year:04d}-{date:%m-%d %H:%M}"
    if date.second or date.microsecond:
        text += f":{date.second:02d}"
    return text + (f".{date.microsecond:06d}".rstrip("0") if date.microsecond else "")


def moment(value: object) -> Moment:
    """A date or a duration since `start`."""
    if isinstance(value, str) and not _DATE.fullmatch(value.strip()) and _DURATION.fullmatch(value.strip()):
        since = duration(value)
        if since.value < 0:
            raise RefusedError(f"{shown(value)} is before the start", DATE_REMEDY)
        return Moment(None, round(since.value), since.text)
    try:
        return day(value)
    except RefusedError as refused:
        _, problem, remedy = refused.parts[0]
        also = ", or a duration since `start`, as in `90 days`" if remedy == DATE_REMEDY else ""
        raise RefusedError(problem, remedy + also) from None


def time_of_day(value: object) -> Measured:
    """`09:00`, in microseconds of the day; `24:00` is the end of it."""
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match or int(match[2]) > 59 or int(match[1]) * 60 + int(match[2]) > 24 * 60:
        raise RefusedError(
            f"{shown(value)} is not a time of day", 'write hours and minutes in quotes, "00:00" to "24:00"'
        )
    return Measured((int(match[1]) * 60 + int(match[2])) * 60.0 * SECOND_US, f"{int(match[1]):02d}:{match[2]}")


def weekdays(value: object) -> tuple[tuple[int, ...], str | tuple[str, ...]]:
    """Days of the week: `mon-fri`, `sat`, `mon, wed` or a list of these (`fri-mon` runs over the weekend).

    Returns
    -------
    The days in the order of the week, 0 = Monday, and their canonical form (text or a tuple of texts, as written).
    """
    if isinstance(value, (list, tuple)):
        read = [weekdays(item) for item in value]
        if not read or any(not isinstance(form, str) for _, form in read):
            raise RefusedError(f"{shown(value)} is not days of the week", "write `mon-fri`, `sat` or `[mon, wed]`")
        return tuple(sorted({d for days, _ in read for d in days})), tuple(str(form) for _, form in read)
    if not isinstance(value, str):
        raise RefusedError(f"{shown(value)} is not days of the week", "write `mon-fri`, `sat` or `[mon, wed]`")
    days: set[int] = set()
    forms = []
    for part in value.split(","):
        ends = [_weekday(end, value) for end in part.split("-")]
        if len(ends) > 2:
            raise RefusedError(f"{shown(value)} is not days of the week", "write `mon-fri`, `sat` or `[mon, wed]`")
        days.update((ends[0] + step) % 7 for step in range((ends[-1] - ends[0]) % 7 + 1))
        forms.append("-".join(DAYS[end] for end in ends))
    return tuple(sorted(days)), ", ".join(forms)


def _weekday(text: str, found: str) -> int:
    name = text.strip().casefold()
    for names in (DAYS, _DAY_NAMES):
        if name in names:
            return names.index(name)
    raise RefusedError(f"{shown(found)}: `{text.strip()[:20]}` is not a day of the week", f"days: {', '.join(DAYS)}")
