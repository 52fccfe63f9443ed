"""Hypothesis strategies from the JSON Schema of scenario files: what an editor would let pass, with some values that it would not.

What fits the schema is seldom a scenario, since no schema can say that a name must exist or that chances add up. So a third of the cases are as the
schema gives them, odd values among them; in the others names and sums are put right (`coherent`), and in half of those one value is then spoilt.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from coherent import coherent
from hypothesis import strategies as st
from mutations import NAMES, ODD

from sim.scenario import json_schema

Schema = dict[str, Any]
FEW = ("a", "b", "banned", "minor", "é 2")
"""Names of all sorts: few, so that they are often those of something."""
ANYTHING = (1, "1 day", "50%", True, {}, [], "a", {"low": 1, "best": 2, "high": 3})
HUGE = 2**70


def scenarios() -> st.SearchStrategy[Any]:
    """Whole scenarios and what-ifs, as plain values."""
    schema = json_schema()
    wild, tame = (_Strategies(schema["$defs"], odd=odd) for odd in (True, False))
    whole, what_if = schema["else"], schema["then"]
    right = st.one_of(tame.of(whole), tame.of(whole), tame.of(what_if)).map(coherent)
    dice = st.randoms(use_true_random=False)
    return st.one_of(st.one_of(wild.of(whole), wild.of(whole), wild.of(what_if)), right, st.builds(spoilt, right, dice))


def spoilt(values: Any, rng: Random) -> Any:
    """Values with one of them replaced by an odd one, in place."""
    place, key = rng.choice(list(_places(values)))
    place[key] = rng.choice(ODD)
    return values


def _places(values: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested values at which something stands."""
    for key in list(values) if isinstance(values, dict) else range(len(values)):
        yield values, key
        if isinstance(values[key], (dict, list)):
            yield from _places(values[key])


class _Strategies:
    """A strategy for each definition, made once."""

    def __init__(self, definitions: Schema, *, odd: bool) -> None:
        self.definitions, self.odd = definitions, odd
        self.known: dict[str, st.SearchStrategy[Any]] = {}

    def of(self, schema: Schema) -> st.SearchStrategy[Any]:
        """What fits a schema; if it may be odd, one time in forty something else."""
        fitting = self._fitting(schema)
        if not self.odd:
            return fitting
        return st.integers(0, 39).flatmap(lambda die: st.sampled_from(ODD) if die == 0 else fitting)

    def _fitting(self, schema: Schema) -> st.SearchStrategy[Any]:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name not in self.known:
                self.known[name] = st.deferred(lambda: self._fitting(self.definitions[name]))
            return self.known[name]
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return st.one_of([self.of(option) for option in schema[key]])
        return getattr(self, f"_{schema.get('type', 'any')}")(schema)  # type: ignore[no-any-return]

    def _object(self, schema: Schema) -> st.SearchStrategy[Any]:
        required = schema.get("required", ())
        parts = {key: self.of(part) for key, part in schema.get("properties", {}).items()}
        if parts:
            rare = st.integers(0, 2)  # an optional key one time in three
            optional = {
                key: rare.flatmap(lambda die, part=part: part if die == 0 else st.none())
                for key, part in parts.items()
                if key not in required
            }
            always = {key: parts[key] for key in required if key in parts}
            return st.fixed_dictionaries({**always, **optional}).map(
                lambda found: {key: value for key, value in found.items() if value is not None}
            )
        more = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
        values = self.of(more) if isinstance(more, dict) else self._any({})
        keys = st.sampled_from(FEW) if isinstance(more, dict) else st.sampled_from(("desks.a.reviewers", *NAMES))
        return st.dictionaries(keys, values, min_size=schema.get("minProperties", 0), max_size=3)

    def _array(self, schema: Schema) -> st.SearchStrategy[Any]:
        return st.lists(self.of(schema.get("items", {})), min_size=min(3, schema.get("minItems", 0)), max_size=3)

    def _string(self, schema: Schema) -> st.SearchStrategy[Any]:
        if "examples" in schema:
            written = st.sampled_from(schema["examples"])
            wild = self.odd and "pattern" in schema
            return st.one_of(written, st.from_regex(schema["pattern"])) if wild else written
        return st.sampled_from(FEW)

    def _integer(self, schema: Schema) -> st.SearchStrategy[Any]:
        least = schema.get("minimum", 0)
        near = st.integers(least, min(schema.get("maximum", HUGE), least + 20))
        return near | st.integers(-HUGE, HUGE) if self.odd else near

    def _number(self, schema: Schema) -> st.SearchStrategy[Any]:
        plain = st.sampled_from([number for number in (0, 0.5, 1) if number > schema.get("exclusiveMinimum", -1)])
        return plain | st.floats() if self.odd else plain

    def _boolean(self, schema: Schema) -> st.SearchStrategy[Any]:
        return st.booleans()

    def _null(self, schema: Schema) -> st.SearchStrategy[Any]:
        return st.none()

    def _any(self, schema: Schema) -> st.SearchStrategy[Any]:
        return st.sampled_from(ANYTHING)
