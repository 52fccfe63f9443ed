"""What stands at the keys of a scenario file: each type reads plain values, and tells an editor what it takes.

`quantities`, `families` and `units` read what is measured; here are names, texts, tables of chances, targets, days of
the week.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import PlainValidator, WithJsonSchema

from . import quantities
from .families import AUDIENCES, DURATIONS, Variable
from .measures import MEASURES
from .names import NAME_PATTERN, NAME_RULE, allowed, name_fault
from .quantities import Kind, Quantity
from .units import Measured, Moment, Part, RefusedError, day, moment, shown, time_of_day, weekdays
from .yaml_tree import kind_of

UNLIMITED = "unlimited"


@dataclass(frozen=True)
class Outcomes:
    """What service leads to: tables of state -> chance, in the order written; one for all accounts unless `split`."""

    rightful: Mapping[str, Quantity]
    wrongful: Mapping[str, Quantity]
    split: bool


@dataclass(frozen=True)
class Targets:
    """The next state by number of strikes; `listed` if it was written as a list."""

    states: tuple[str, ...]
    listed: bool


@dataclass(frozen=True)
class WorkingDays:
    """Days of the week (0 = Monday) and how they were written."""

    days: tuple[int, ...]
    text: str | tuple[str, ...]

    @classmethod
    def read(cls, value: object) -> WorkingDays:
        """`mon-fri`, `sat`, `[mon, wed]`."""
        return cls(*weekdays(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        kind = "not text" if isinstance(value, (Mapping, list)) else kind_of(value)
        raise RefusedError(f"{shown(value)} is {kind}", "write text, in quotes if it could be taken for something else")
    return value


def _name(value: object) -> str:
    name = _text(value)
    if fault := name_fault(name):
        raise RefusedError(fault, NAME_RULE)
    return name


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise RefusedError(f"{shown(value)} is neither true nor false", "write `true` or `false`")


def _targets(value: object) -> Targets:
    if not isinstance(value, (list, tuple)):
        return Targets((_text(value),), False)
    if not value:
        raise RefusedError(
            "the list of states is empty", "name one state for each number of strikes, or leave the severity out"
        )
    return Targets(tuple(_each(value, _text)), True)


def _each(values: list[Any] | tuple[Any, ...], read: Callable[[object], Any]) -> list[Any]:
    """Every item read, with the faults of all of them."""
    found: list[Any] = []
    parts: list[Part] = []
    for index, value in enumerate(values):
        try:
            found.append(read(value))
        except RefusedError as refused:
            parts += [((str(index), *path), problem, remedy) for path, problem, remedy in refused.parts]
    if parts:
        raise RefusedError("", parts=parts)
    return found


def _chances(value: object, what: str) -> dict[str, Quantity]:
    if not isinstance(value, Mapping) or not value:
        raise RefusedError(
            f"{shown(value) if value != {} else 'an empty table'} is not a table", f"write {what}: chance"
        )
    found: dict[str, Quantity] = {}
    parts: list[Part] = []
    for name, written in value.items():
        try:
            found[name] = quantities.CHANCE.quantity(written)
        except RefusedError as refused:
            parts += [((name, *path), problem, remedy) for path, problem, remedy in refused.parts]
    if parts:
        raise RefusedError("", parts=parts)
    return found


def _outcomes(value: object) -> Outcomes:
    marks = ("rightful", "wrongful")
    if not isinstance(value, Mapping) or not any(_is_table(value.get(mark)) for mark in marks):
        table = _chances(value, "state")
        return Outcomes(table, table, False)
    parts: list[Part] = [
        ((str(key),), f"unexpected key `{key}`", allowed(marks, str(key))) for key in value if key not in marks
    ]
    tables: dict[str, dict[str, Quantity]] = {}
    for mark in marks:
        if mark not in value:
            parts.append(((), f"`{mark}` is missing", "give both tables, rightful and wrongful, or one table for all"))
            continue
        try:
            tables[mark] = _chances(value[mark], "state")
        except RefusedError as refused:
            parts += [((mark, *path), problem, remedy) for path, problem, remedy in refused.parts]
    if parts:
        raise RefusedError("", parts=parts)
    return Outcomes(tables["rightful"], tables["wrongful"], True)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) != set(quantities.RANGE_KEYS)


def _reviewers(value: object) -> Quantity | None:
    return None if value == UNLIMITED else quantities.REVIEWERS.quantity(value)


def _when(value: object) -> Moment | None:
    return None if value == "end" else moment(value)


def _patches(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value:
        raise RefusedError("patches nothing", "write `set: {path: value}`")
    return value


def _axes(value: object) -> Mapping[str, list[Any]]:
    if not isinstance(value, Mapping) or not value:
        raise RefusedError("varies nothing", "write `vary: {path: [value, value]}`")
    parts: list[Part] = []
    for path, values in value.items():
        if not isinstance(values, list):
            parts.append(
                ((str(path),), f"{shown(values)} is not a list", "write the values as a list, `[one, another]`")
            )
        elif not values:
            parts.append(((str(path),), "has no values", "give at least one"))
    if parts:
        raise RefusedError("", parts=parts)
    return value


def _of(kind: Kind) -> tuple[PlainValidator, WithJsonSchema]:
    return PlainValidator(kind.quantity), WithJsonSchema(kind.json_schema())


_STRINGS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_CHANCES = {"type": "object", "additionalProperties": quantities.CHANCE.json_schema(), "minProperties": 1}
_BOTH_TABLES = {
    "type": "object",
    "properties": {"rightful": _CHANCES, "wrongful": _CHANCES},
    "required": ["rightful", "wrongful"],
    "additionalProperties": False,
}
_NAME_SCHEMA = {"type": "string", "pattern": NAME_PATTERN, "maxLength": 100}
_DATE_SCHEMA = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?$",
    "examples": ["2022-06-20", "2022-06-20 12:00"],
}
_MOMENT_SCHEMA = {"anyOf": [_DATE_SCHEMA, quantities.DURATION.schema]}
_TIME_SCHEMA = {"type": "string", "pattern": r"^\d{1,2}:\d{2}$", "examples": ["09:00", "24:00"]}
_DAYS_SCHEMA = {"anyOf": [{"type": "string", "examples": ["mon-fri", "sat"]}, _STRINGS]}
_MEASURE_SCHEMA = {"enum": list(MEASURES), "description": "; ".join(f"{k}: {m.meaning}" for k, m in MEASURES.items())}
_REVIEWERS_SCHEMA = {"anyOf": [*quantities.REVIEWERS.json_schema()["anyOf"], {"const": UNLIMITED}]}
_PATCHES_SCHEMA = {"type": "object", "additionalProperties": True}
_AXES_SCHEMA = {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}, "minProperties": 1}

Text: TypeAlias = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string"})]
Name: TypeAlias = Annotated[str, PlainValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
Flag: TypeAlias = Annotated[bool, PlainValidator(_flag), WithJsonSchema({"type": "boolean"})]
MeasureName: TypeAlias = Annotated[str, PlainValidator(_text), WithJsonSchema(_MEASURE_SCHEMA)]
Patches: TypeAlias = Annotated[Mapping[str, Any], PlainValidator(_patches), WithJsonSchema(_PATCHES_SCHEMA)]

Axes: TypeAlias = Annotated[Mapping[str, list[Any]], PlainValidator(_axes), WithJsonSchema(_AXES_SCHEMA)]
Samples: TypeAlias = Annotated[
    Measured, PlainValidator(quantities.SAMPLES.certain), WithJsonSchema(dict(quantities.SAMPLES.schema))
]

Day: TypeAlias = Annotated[Moment, PlainValidator(day), WithJsonSchema(_DATE_SCHEMA)]
When: TypeAlias = Annotated[Moment, PlainValidator(moment), WithJsonSchema(_MOMENT_SCHEMA)]
WhenOrEnd: TypeAlias = Annotated[
    Moment | None, PlainValidator(_when), WithJsonSchema({"anyOf": [{"const": "end"}, *_MOMENT_SCHEMA["anyOf"]]})
]
TimeOfDay: TypeAlias = Annotated[Measured, PlainValidator(time_of_day), WithJsonSchema(_TIME_SCHEMA)]
Days: TypeAlias = Annotated[WorkingDays, PlainValidator(WorkingDays.read), WithJsonSchema(_DAYS_SCHEMA)]
Length: TypeAlias = Annotated[
    Measured, PlainValidator(quantities.POSITIVE_DURATION.certain), WithJsonSchema(dict(quantities.DURATION.schema))
]

Chance: TypeAlias = Annotated[Quantity, *_of(quantities.CHANCE)]
Rate: TypeAlias = Annotated[Quantity, *_of(quantities.RATE)]
Activity: TypeAlias = Annotated[Quantity, *_of(quantities.ACTIVITY)]
Accounts: TypeAlias = Annotated[Quantity, *_of(quantities.ACCOUNTS)]
Hit: TypeAlias = Annotated[Quantity, *_of(quantities.HIT)]
Priority: TypeAlias = Annotated[Quantity, *_of(quantities.PRIORITY)]
Sigma: TypeAlias = Annotated[Quantity, *_of(quantities.SIGMA)]
Expiry: TypeAlias = Annotated[Quantity, *_of(quantities.POSITIVE_DURATION)]
Reviewers: TypeAlias = Annotated[Quantity | None, PlainValidator(_reviewers), WithJsonSchema(_REVIEWERS_SCHEMA)]
Limit: TypeAlias = Annotated[
    Measured, PlainValidator(quantities.LEVEL.certain), WithJsonSchema(dict(quantities.LEVEL.schema))
]

Duration: TypeAlias = Annotated[Variable, PlainValidator(DURATIONS.read), WithJsonSchema(DURATIONS.json_schema())]
Audience: TypeAlias = Annotated[Variable, PlainValidator(AUDIENCES.read), WithJsonSchema(AUDIENCES.json_schema())]
Severities: TypeAlias = Annotated[
    Mapping[str, Quantity], PlainValidator(lambda value: _chances(value, "severity")), WithJsonSchema(_CHANCES)
]
OutcomeTables: TypeAlias = Annotated[
    Outcomes, PlainValidator(_outcomes), WithJsonSchema({"anyOf": [_CHANCES, _BOTH_TABLES]})
]
NextStates: TypeAlias = Annotated[
    Targets, PlainValidator(_targets), WithJsonSchema({"anyOf": [{"type": "string"}, _STRINGS]})
]
