"""Families of distributions: their parameters, their limits, and how a file writes them.

A duration (or an audience) is a fixed value or one of the `FAMILIES`. CONTRIBUTING.md tells
what else a new family touches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .names import allowed
from .quantities import (
    DURATION,
    POSITIVE_DURATION,
    POSITIVE_READERS,
    RANGE_KEYS,
    READERS,
    SHAPE,
    SIGMA,
    Kind,
    Quantity,
    Range,
    corners,
)
from .units import Part, RefusedError, shown

MAX_QUANTILES = 10_000


@dataclass(frozen=True)
class Family:
    """The parameters of a family, in the order of `Distribution.values`.

    Attributes
    ----------
    parameters
        Name -> kind; ``"zero"`` and ``"positive"`` stand for the variable's own kind, 0 allowed or not.
    rising
        Pairs of parameters of which the first must be less than the second (`<`), or not more (`<=`).
    """

    parameters: Mapping[str, Kind | str]
    rising: tuple[tuple[str, str, str], ...] = ()


FAMILIES: dict[str, Family] = {
    "exponential": Family({"mean": "positive"}),
    "uniform": Family({"low": "zero", "high": "positive"}, (("low", "<", "high"),)),
    "triangular": Family(
        {"low": "zero", "mode": "zero", "high": "positive"},
        (("low", "<=", "mode"), ("mode", "<=", "high"), ("low", "<", "high")),
    ),
    "weibull": Family({"shape": SHAPE, "scale": "positive"}),
    "lognormal": Family({"median": "positive", "sigma": SIGMA}),
    "loglogistic": Family({"median": "positive", "shape": SHAPE}),
}
EMPIRICAL = "empirical"


@dataclass(frozen=True)
class Variable:
    """A fixed value or a distribution, as written.

    Attributes
    ----------
    family
        ``fixed``, ``empirical`` or one of `FAMILIES`.
    parameters
        (name, quantity) in the order of the family; quantiles are named by their index, a fixed value by nothing.
    """

    family: str
    parameters: tuple[tuple[str, Quantity], ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The parameters' values, as `Distribution.values` has them."""
        return tuple(quantity.value for _, quantity in self.parameters)


@dataclass(frozen=True)
class VariableKind:
    """What a distribution is of: durations or readers."""

    zero: Kind
    positive: Kind
    describes: str
    example: str

    def read(self, value: object) -> Variable:
        """A fixed value, a range of it, or `{family: {parameter: value}}`."""
        if not isinstance(value, Mapping) or (value and set(value) <= set(RANGE_KEYS)):
            return Variable("fixed", (("", self.zero.quantity(value)),))
        families = (*FAMILIES, EMPIRICAL)
        unknown = [str(family) for family in value if family not in families]
        if unknown:
            raise RefusedError(
                "", parts=[((name,), f"`{name}` is not a distribution", allowed(families, name)) for name in unknown]
            )
        if len(value) != 1:
            raise RefusedError(
                f"names {len(value)} distributions" if value else "names no distribution",
                allowed(families, what="one of"),
            )
        [(family, written)] = value.items()
        if family == EMPIRICAL:
            return Variable(EMPIRICAL, self._quantiles(written))
        return Variable(family, self._parameters(family, FAMILIES[family], written))

    def _kind(self, kind: Kind | str) -> Kind:
        if isinstance(kind, Kind):
            return kind
        return self.zero if kind == "zero" else self.positive

    def _parameters(self, name: str, family: Family, written: object) -> tuple[tuple[str, Quantity], ...]:
        wanted = tuple(family.parameters)
        if not isinstance(written, Mapping):
            raise RefusedError(
                "", parts=[((name,), f"{shown(written)} is not a mapping", f"{name} takes {', '.join(wanted)}")]
            )
        parts: list[Part] = [
            ((name, str(key)), f"unexpected key `{key}`", allowed(wanted, str(key)))
            for key in written
            if key not in wanted
        ]
        found: dict[str, Quantity] = {}
        for key, kind in family.parameters.items():
            if key not in written:
                parts.append(((name,), f"`{key}` is missing", f"{name} takes {', '.join(wanted)}"))
                continue
            try:
                found[key] = self._kind(kind).quantity(written[key])
            except RefusedError as refused:
                parts += [((name, key, *path), problem, remedy) for path, problem, remedy in refused.parts]
        for first, sign, second in family.rising:
            if first in found and second in found:
                (_, most), (least, _) = corners(found[first]), corners(found[second])
                if most > least or (sign == "<" and most == least):
                    one, other = (f"`{key}` ({' to '.join(_text(found[key]))})" for key in (first, second))
                    told = f"{one} is not {'below' if sign == '<' else 'up to'} {other}"
                    parts.append(((name,), told, f"{first} {sign} {second}"))
        if parts:
            raise RefusedError("", parts=parts)
        return tuple(found.items())

    def _quantiles(self, written: object) -> tuple[tuple[str, Quantity], ...]:
        example = f"write `{EMPIRICAL}: {{quantiles: [{self.example}]}}` or `{EMPIRICAL}: {{file: observed.csv}}`"
        if not isinstance(written, Mapping) or "quantiles" not in written:
            raise RefusedError("", parts=[((EMPIRICAL,), "has neither `quantiles` nor a `file`", example)])
        parts: list[Part] = [
            ((EMPIRICAL, str(key)), f"unexpected key `{key}`", "an empirical distribution has `quantiles` or a `file`")
            for key in written
            if key != "quantiles"
        ]
        values = written["quantiles"]
        if not isinstance(values, (list, tuple)) or not 2 <= len(values) <= MAX_QUANTILES:
            told = f"{len(values)} quantiles" if isinstance(values, (list, tuple)) else shown(values)
            parts.append(
                ((EMPIRICAL, "quantiles"), f"found {told}", f"a list of 2 to {MAX_QUANTILES:,}, rising: {example}")
            )
            values = []
        found: list[Quantity] = []
        for index, value in enumerate(values):
            place = (EMPIRICAL, "quantiles", str(index))
            try:
                quantity = self.zero.quantity(value)
            except RefusedError as refused:
                parts += [((*place, *path), problem, remedy) for path, problem, remedy in refused.parts]
                continue
            if found and corners(found[-1])[1] > corners(quantity)[0]:
                parts.append(
                    (place, "is less than the quantile before it", "quantiles rise from the least to the greatest")
                )
            found.append(quantity)
        if parts:
            raise RefusedError("", parts=parts)
        return tuple((str(index), quantity) for index, quantity in enumerate(found))

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of a fixed value, a range, or one of the families."""
        families: list[dict[str, Any]] = []
        for name, family in FAMILIES.items():
            inner = {
                "type": "object",
                "properties": {key: self._kind(kind).json_schema() for key, kind in family.parameters.items()},
                "required": list(family.parameters),
                "additionalProperties": False,
            }
            families.append(_one_key(name, inner))
        observed = {
            "type": "object",
            "properties": {
                "quantiles": {
                    "type": "array",
                    "items": self.zero.json_schema(),
                    "minItems": 2,
                    "maxItems": MAX_QUANTILES,
                },
                "file": {
                    "type": "string",
                    "description": "a CSV file beside the scenario: one column, its header a unit",
                },
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        }
        families.append(_one_key(EMPIRICAL, observed))
        return {"description": self.describes, "anyOf": [*self.zero.json_schema()["anyOf"], *families]}


def _text(quantity: Quantity) -> tuple[str, ...]:
    return (quantity.text[0], quantity.text[2]) if isinstance(quantity, Range) else (quantity.text,)


def _one_key(name: str, inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: inner}, "required": [name], "additionalProperties": False}


DURATIONS = VariableKind(
    DURATION, POSITIVE_DURATION, "a duration, or a distribution of durations", "1 hour, 2 days, 9 days"
)
AUDIENCES = VariableKind(READERS, POSITIVE_READERS, "a number of readers, or a distribution of it", "10, 200, 9_000")
