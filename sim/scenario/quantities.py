"""Quantities: a value, or a range `{low, best, high}` of what it may be; and the kinds of quantity with their limits.

A `Kind` says how a quantity is read (`units`), what it may be, and how an editor is told (JSON Schema). Every number
of the grammar is of one of the kinds below; a limit changes here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .names import allowed
from .units import (
    CHANCE_REMEDY,
    UNITS_US,
    Measured,
    Part,
    RefusedError,
    count,
    duration,
    level,
    number,
    rate,
    share,
    shown,
)

RANGE_KEYS = ("low", "best", "high")
MAX_POINTS = 100_000
"""Points of a sweep."""


@dataclass(frozen=True)
class Range:
    """A quantity that is not known for sure: a run uses `best`, draws sample from the triangle over all three.

    Attributes
    ----------
    low, best, high
        In microseconds, events per microsecond, shares of 1, or plain; ``low <= best <= high``.
    text
        The three as written, units included.
    unit
        The unit of `best`: a unit of time, ``%`` or nothing.
    kind
        ``duration``, ``rate``, ``chance``, ``share``, ``count`` or ``number``.
    """

    low: float
    best: float
    high: float
    text: tuple[str, str, str]
    unit: str = ""
    kind: str = "number"

    @property
    def value(self) -> float:
        """What a run without draws uses."""
        return self.best

    def written(self, value: float) -> str:
        """A value of this range's own scale as a scenario writes it, in the unit of `best`; counts are rounded."""
        if self.kind == "count":
            return str(round(value))
        if self.kind == "rate":
            return f"{value * UNITS_US[self.unit]!r} per {self.unit}"
        if self.kind == "duration":
            return f"{value / UNITS_US[self.unit]!r} {self.unit}s"
        return f"{value * 100!r}%" if self.unit == "%" else repr(float(value))


Quantity = Measured | Range


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of quantity.

    Attributes
    ----------
    name, describes
        A word for `Range.kind`; what an editor shows.
    read
        Plain value -> `Measured`.
    low, high
        Limits of the value, both allowed, except `low` where it is `open`.
    limits
        The limits in words.
    schema
        JSON Schema of one value.
    """

    name: str
    describes: str
    read: Callable[[object], Measured]
    low: float
    high: float
    limits: str
    schema: Mapping[str, Any]
    open: bool = False

    def measured(self, value: object) -> Measured:
        """One value within the limits."""
        return _remembered(self, value) if type(value) is str and len(value) <= _SHORT else self._measured(value)

    def _measured(self, value: object) -> Measured:
        found = self.read(value)
        if not self.low <= found.value <= self.high or (self.open and found.value == self.low):
            raise RefusedError(f"{shown(value)} is out of bounds", self.limits)
        return found

    def certain(self, value: object) -> Measured:
        """One value where a range has no place."""
        if isinstance(value, Mapping):
            raise RefusedError("a mapping cannot stand here", "write one value: this is not uncertain")
        return self.measured(value)

    def quantity(self, value: object) -> Quantity:
        """One value or `{low, best, high}`."""
        if not isinstance(value, Mapping):
            return self.measured(value)
        parts: list[Part] = [
            ((str(key),), f"unexpected key `{key}`", allowed(RANGE_KEYS, str(key)))
            for key in value
            if key not in RANGE_KEYS
        ]
        found: dict[str, Measured] = {}
        for key in RANGE_KEYS:
            if key not in value:
                parts.append(((), f"the range has no `{key}`", "a range gives all of low, best and high"))
                continue
            try:
                found[key] = self.measured(value[key])
            except RefusedError as refused:
                parts += [((key, *path), problem, remedy) for path, problem, remedy in refused.parts]
        if parts:
            raise RefusedError("", parts=parts)
        low, best, high = (found[key] for key in RANGE_KEYS)
        if not low.value <= best.value <= high.value:
            raise RefusedError(f"the range {low.text}, {best.text}, {high.text} is out of order", "low <= best <= high")
        return Range(low.value, best.value, high.value, (low.text, best.text, high.text), best.unit, self.name)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of one value or a range of it."""
        one = dict(self.schema)
        spread = {
            "type": "object",
            "description": "not known for sure: a run uses `best`, `--draws` samples them all",
            "properties": dict.fromkeys(RANGE_KEYS, one),
            "required": list(RANGE_KEYS),
            "additionalProperties": False,
        }
        return {"description": self.describes, "anyOf": [one, spread]}


_SHORT = 40


@lru_cache(maxsize=4096)
def _remembered(kind: Kind, text: str) -> Measured:
    """A value as it was read the last time: the same few texts stand in every state, and in every phase."""
    return kind._measured(text)


_AMOUNT = r"[-+]?[0-9._]+([eE][-+]?[0-9]+)?"
_DURATION_SCHEMA = {
    "type": "string",
    "pattern": rf"^\s*{_AMOUNT}\s*[A-Za-zµμ]+\s*$",
    "examples": ["7 days", "90 minutes", "2 weeks"],
}
_RATE_SCHEMA = {
    "type": "string",
    "pattern": rf"^\s*{_AMOUNT}\s+per\s+[A-Za-z]+\s*$",
    "examples": ["4 per year", "0.5 per day"],
}
_PERCENT_SCHEMA = {"type": "string", "pattern": rf"^\s*{_AMOUNT}\s*%\s*$", "examples": ["30%"]}
_LONGEST = 10_000.0 * UNITS_US["year"]

DURATION = Kind(
    "duration", "a duration with its unit", duration, 0, _LONGEST, "a duration is 0 or longer", _DURATION_SCHEMA
)
POSITIVE_DURATION = Kind(
    "duration", "a duration longer than 0", duration, 0, _LONGEST, "longer than 0", _DURATION_SCHEMA, open=True
)
RATE = Kind("rate", "a rate: `N per day|week|month|year`", rate, 0, 1e-6, "a rate is 0 to one per second", _RATE_SCHEMA)
CHANCE = Kind(
    "chance",
    "a chance: 30% or 0.3",
    share,
    0,
    1,
    CHANCE_REMEDY,
    {"anyOf": [_PERCENT_SCHEMA, {"type": "number", "minimum": 0, "maximum": 1}]},
)
ACTIVITY = Kind(
    "share",
    "what is left of the violation rate: 50% or 0.5",
    lambda value: share(value, "write a percentage, or a number as in `0.5`"),
    0,
    1000,
    "0% to 100000%; 100% changes nothing",
    {"anyOf": [_PERCENT_SCHEMA, {"type": "number", "minimum": 0, "maximum": 1000}]},
)
ACCOUNTS = Kind(
    "count",
    "a number of accounts",
    count,
    1,
    2**32 - 1,
    "1 to 4,294,967,295 accounts",
    {"type": "integer", "minimum": 1, "maximum": 2**32 - 1},
)
HIT = Kind(
    "count",
    "an exact number of accounts",
    count,
    0,
    2**32 - 1,
    "0 or more accounts",
    {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
)
REVIEWERS = Kind(
    "count",
    "a number of reviewers",
    count,
    0,
    2**31 - 1,
    "0 or more reviewers, or `unlimited`",
    {"type": "integer", "minimum": 0},
)
PRIORITY = Kind(
    "number", "a priority: the lowest is served first", number, -1e6, 1e6, "-1,000,000 to 1,000,000", {"type": "number"}
)
READERS = Kind(
    "number", "a number of readers", number, 0, 1e10, "0 to 10,000,000,000 readers", {"type": "number", "minimum": 0}
)
POSITIVE_READERS = Kind(
    "number",
    "a number of readers",
    number,
    0,
    1e10,
    "more than 0 and at most 10,000,000,000 readers",
    {"type": "number"},
    open=True,
)
SIGMA = Kind(
    "number",
    "the standard deviation of the logarithm",
    number,
    0,
    20,
    "0 to 20",
    {"type": "number", "minimum": 0, "maximum": 20},
)
SHAPE = Kind(
    "number",
    "the shape of the distribution",
    number,
    0.1,
    1000,
    "0.1 to 1,000",
    {"type": "number", "minimum": 0.1, "maximum": 1000},
)
SAMPLES = Kind(
    "count",
    "a number of points",
    count,
    1,
    MAX_POINTS,
    f"1 to {MAX_POINTS:,} points",
    {"type": "integer", "minimum": 1, "maximum": MAX_POINTS},
)
LEVEL = Kind(
    "number",
    "a percentage or a number",
    level,
    -1e18,
    1e18,
    "a percentage or a number",
    {"anyOf": [_PERCENT_SCHEMA, {"type": "number"}]},
)


def corners(quantity: Quantity) -> tuple[float, float]:
    """The least and the greatest that a quantity may be."""
    return (quantity.low, quantity.high) if isinstance(quantity, Range) else (quantity.value, quantity.value)
