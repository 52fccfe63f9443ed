"""Knobs: the numbers of a scenario that a person may want to move, each with a span, a step and the text that a file would hold.

==================  ===============================================================================================
span                a range `{low, best, high}` of the scenario; else from nothing to three times the value, within the limits of the grammar
step                one, two or five of some decimal place, such that the scenario's own value is on a step
text                the amount with the unit that the scenario chose
==================  ===============================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from sim.scenario import Range, Scenario
from sim.scenario.families import FAMILIES
from sim.scenario.fields import UNLIMITED
from sim.scenario.inheritance import matches
from sim.scenario.quantities import ACTIVITY, CHANCE, DURATION, HIT, RATE, REVIEWERS, Kind
from sim.scenario.units import UNITS_US, Measured, canonical

DEADLINES, DETECTION, RATES, REVIEWS, CHANCES = "Deadlines", "Detection", "Rates", "Reviewers", "Chances and orders"
GROUPS = (DEADLINES, DETECTION, RATES, REVIEWS, CHANCES)
MOST_KNOBS = 150
"""Knobs of one scenario; those after these are left to a file."""
STEPS = 20
"""A span has at least so many steps, where its limits allow."""
STAFF = ("0", "1", "2", "5", "10", "20", "50", "100", "200", "500", "1000", "2000", "5000", "10000", UNLIMITED)
"""Where a desk without a limit may be moved."""


@dataclass(frozen=True)
class Knob:
    """One number of a scenario.

    Attributes
    ----------
    path
        As for `Scenario.with_values`.
    group, label
        Where it is shown, and what it says.
    unit
        What stands behind the amount: ``days``, ``per year``, ``%`` or nothing.
    low, high, step, value
        The span, and the amount that the scenario has, in that unit.
    choices
        Instead of a span: the texts to choose from, of which the last is the scenario's.
    """

    path: str
    group: str
    label: str
    unit: str
    low: float
    high: float
    step: float
    value: float
    choices: tuple[str, ...] = ()

    @property
    def places(self) -> int:
        """Decimal places that tell each step and the value."""
        return max(_places(self.step), _places(self.value), _places(self.low))

    def written(self, amount: float | str) -> str:
        """An amount as a scenario file holds it.

        Raises
        ------
        ValueError
            An amount of a number that is none.
        """
        if isinstance(amount, str):
            return amount
        if not math.isfinite(amount):
            raise ValueError(f"{amount!r} is not an amount")
        text = canonical(Decimal(f"{amount:.{self.places}f}"))
        unit = self.unit.removesuffix("s") if text == "1" else self.unit
        return f"{text}{unit}" if unit == "%" else f"{text} {unit}".strip()

    @property
    def start(self) -> float | str:
        """Where the scenario has it."""
        return self.choices[-1] if self.choices else self.value

    def is_moved(self, amount: float | str) -> bool:
        """Whether it says something else than the scenario."""
        return self.written(amount) != self.written(self.start)


@dataclass(frozen=True)
class _Sort:
    """Paths of one sort; ``{0}``, ``{1}`` in the words stand for the names in place of the stars."""

    pattern: tuple[str, ...]
    group: str
    words: str
    kind: Kind
    variable: bool = False


_STATE = ("ladder", "states", "*")
_SORTS = (
    _Sort((*_STATE, "exits", "*", "after"), DEADLINES, "{0}: {1} after", DURATION, True),
    _Sort(("ladder", "strikes", "expire"), DEADLINES, "strikes expire after", DURATION),
    _Sort(("violations", "*", "detection", "chance"), DETECTION, "{0}: chance of detection", CHANCE),
    _Sort(("violations", "*", "detection", "delay"), DETECTION, "{0}: decided after", DURATION, True),
    _Sort(("violations", "*", "rate", "*"), RATES, "{0}: rate of {1}", RATE),
    _Sort(("desks", "*", "reviewers"), REVIEWS, "{0}: reviewers", REVIEWERS),
    _Sort((*_STATE, "service"), REVIEWS, "{0}: time to review", DURATION, True),
    _Sort((*_STATE, "exits", "*", "chance"), CHANCES, "{0}: chance of {1}", CHANCE),
    _Sort((*_STATE, "activity"), CHANCES, "{0}: violations that remain", ACTIVITY),
    _Sort(("waves", "*", "share"), CHANCES, "order {0}: share of accounts", CHANCE),
    _Sort(("waves", "*", "count"), CHANCES, "order {0}: accounts", HIT),
)


def _sort_of(parts: tuple[str, ...]) -> tuple[_Sort, str] | None:
    """What a path is of, and which parameter of its distribution; none if it is no knob."""
    for sort in _SORTS:
        if matches(parts, sort.pattern):
            return sort, ""
        if sort.variable and matches(parts[:-2], sort.pattern):
            family, parameter = parts[-2:]
            kinds = FAMILIES[family].parameters if family in FAMILIES else {}
            return (sort, parameter) if isinstance(kinds.get(parameter), str) else None
    return None


def _places(amount: float) -> int:
    exponent = Decimal(repr(amount)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _amount(value: float, unit: str, kind: Kind) -> Fraction:
    """A value of the scenario's own scale in a unit."""
    if kind is DURATION:
        return Fraction(value).limit_denominator(1) / UNITS_US[unit]
    if kind is RATE:
        return Fraction(value) * UNITS_US[unit]
    return Fraction(value) * 100 if unit == "%" else Fraction(value)


def _unit(read: Measured | Range, kind: Kind) -> str:
    """The unit in which a quantity was written, or a smaller one if that tells the ends of its range in few digits."""
    if kind is DURATION and isinstance(read, Range):
        for unit in (read.unit, "day", "hour", "minute"):
            ends = [_amount(end, unit, kind) * 1000 for end in (read.low, read.best, read.high)]
            if all(end.denominator == 1 for end in ends):
                return unit
    return read.unit


def _decimal(amount: Fraction) -> Decimal:
    """Twelve digits of an amount: as it was written, without the binary tail."""
    return Decimal(f"{float(amount):.12g}")


def _nice_step(span: Decimal, *on: Decimal) -> Decimal:
    """The largest step of one, two or five that divides all of `on` and the span into at least `STEPS` parts; else a fine one that does not."""
    top = span.adjusted()
    for exponent in range(top, top - 5, -1):
        for digit in (5, 2, 1):
            step = Decimal(digit).scaleb(exponent)
            if step * STEPS <= span and all(each % step == 0 for each in on):
                return step
    return Decimal(1).scaleb(top - 2)


def _span(best: Decimal, low: Decimal, high: Decimal, *, whole: bool) -> tuple[Decimal, Decimal, Decimal]:
    """Low, high and step; whole numbers have whole steps."""
    step = _nice_step(high - low, best - low, high - low)
    return low, high, (max(step, Decimal(1)) if whole else step)


def _guessed(best: Decimal, kind: Kind) -> tuple[Decimal, Decimal]:
    """A span about a value of which the scenario gives none."""
    if kind is CHANCE:
        return Decimal(0), min(Decimal(100), 10 * best) or Decimal(100)
    if kind is ACTIVITY:
        return Decimal(0), max(Decimal(100), 2 * best)
    if kind in (REVIEWERS, HIT):
        return Decimal(0), max(Decimal(10), 3 * best)
    return Decimal(0), 3 * best


def _knob(path: str, parts: tuple[str, ...], value: object, suffix: str) -> Knob | None:
    """A knob for what stands at a path, if it is one."""
    found = _sort_of(parts)
    if found is None:
        return None
    sort, parameter = found
    names = [part for part, mark in zip(parts, sort.pattern, strict=False) if mark == "*"]
    label = sort.words.format(*names) + (f" ({parameter})" if parameter else "") + suffix
    if value == UNLIMITED:
        return Knob(path, sort.group, label, "", 0.0, 0.0, 1.0, 0.0, STAFF)
    read: Measured | Range = value if isinstance(value, Range) else sort.kind.measured(value)
    unit = "%" if sort.kind in (CHANCE, ACTIVITY) else _unit(read, sort.kind)
    best = _decimal(_amount(read.value, unit, sort.kind))
    if isinstance(read, Range) and read.low < read.high:
        low, high = (_decimal(_amount(end, unit, sort.kind)) for end in (read.low, read.high))
    elif best == 0 and sort.kind in (DURATION, RATE, ACTIVITY):
        return None  # not done at all, or at once: another scenario, not another amount
    elif best == 100 and sort.pattern[-1] == "chance" and sort.group == CHANCES:
        return None  # an exit that always rings
    else:
        low, high = _guessed(best, sort.kind)
    low, high, step = _span(best, low, high, whole=sort.kind in (REVIEWERS, HIT))
    if low == 0 and sort.kind is DURATION:
        low = step  # a mean or a median is above 0
    shown = f"{unit}s" if sort.kind is DURATION else f"per {unit}" if sort.kind is RATE else unit
    return Knob(path, sort.group, label, shown, float(min(low, best)), float(max(high, best)), float(step), float(best))


def _patches(scenario: Scenario, values: Mapping[str, object]) -> Iterator[tuple[str, str, str, object]]:
    """Phase, path in the file, path that it patches, value."""
    for path, value in values.items():
        parts = path.split(".", 3)
        if parts[0] == "phases" and parts[2] == "set" and parts[1] in scenario.spec.phases:
            yield parts[1], path, parts[3], value


def knobs(scenario: Scenario) -> list[Knob]:
    """The knobs of a scenario, by group, at most `MOST_KNOBS`; those for which it gives ranges come first in their group.

    What a phase patches has a knob of its own, that says from when; what stands before it says until when, and is left out if that is never in force.
    """
    values = scenario.values()
    first: dict[str, tuple[int, str]] = {}
    found: list[tuple[Knob, bool]] = []

    def add(path: str, inner: str, value: object, suffix: str) -> None:
        knob = _knob(path, tuple(inner.split(".")), value, suffix)
        if knob is not None:
            found.append((knob, isinstance(value, Range)))

    for name, path, inner, value in _patches(scenario, values):
        at = scenario.spec.phases[name].from_us
        if inner not in first or at < first[inner][0]:
            first[inner] = (at, name)
        day = (scenario.spec.start + timedelta(microseconds=at)).date().isoformat()
        add(path, inner, value, f", from {day}")
    for path, value in values.items():
        at, _ = first.get(path, (scenario.spec.end_us, ""))
        if not path.startswith("phases.") and at > 0:
            until = (scenario.spec.start + timedelta(microseconds=at)).date().isoformat()
            add(path, path, value, f", until {until}" if path in first else "")
    order = sorted(found, key=lambda each: (GROUPS.index(each[0].group), not each[1]))
    return [knob for knob, _ in order[:MOST_KNOBS]]
