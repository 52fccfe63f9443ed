"""Hypothesis strategies from the JSON Schema of scenario files: what an editor would let pass, with some values that it would not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from mutations import NAMES, ODD

from sim.scenario import json_schema

Schema = dict[str, Any]
FEW = ("a", "b", "banned", "minor")
"""Names of all sorts: few, so that they are often those of something."""


def scenarios() -> st.SearchStrategy[Any]:
    """Whole scenarios and what-ifs, as plain values."""
    schema = json_schema()
    made = _Strategies(schema["$defs"])
    return st.one_of(made.of(schema["else"]), made.of(schema["else"]), made.of(schema["then"]))


class _Strategies:
    """A strategy for each definition, made once."""

    def __init__(self, definitions: Schema) -> None:
        self.definitions = definitions
        self.known: dict[str, st.SearchStrategy[Any]] = {}

    def of(self, schema: Schema) -> st.SearchStrategy[Any]:
        """What fits a schema, and one time in forty something else."""
        fitting = self._fitting(schema)
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
        more = schema.get("additionalProperties")
        values = self.of(more) if isinstance(more, dict) else self._any({})
        keys = st.sampled_from(FEW) if isinstance(more, dict) else st.sampled_from(("desks.a.reviewers", *NAMES))
        return st.dictionaries(keys, values, min_size=schema.get("minProperties", 0), max_size=2)

    def _array(self, schema: Schema) -> st.SearchStrategy[Any]:
        return st.lists(self.of(schema.get("items", {})), min_size=min(3, schema.get("minItems", 0)), max_size=3)

    def _string(self, schema: Schema) -> st.SearchStrategy[Any]:
        if "examples" in schema:
            written = st.sampled_from(schema["examples"])
            return st.one_of(written, st.from_regex(schema["pattern"])) if "pattern" in schema else written
        return st.sampled_from(FEW)

    def _integer(self, schema: Schema) -> st.SearchStrategy[Any]:
        least = schema.get("minimum", 0)
        return st.integers(least, min(schema.get("maximum", 2**70), least + 20)) | st.integers(-(2**70), 2**70)

    def _number(self, schema: Schema) -> st.SearchStrategy[Any]:
        return st.sampled_from((0, 0.5, 1)) | st.floats()

    def _boolean(self, schema: Schema) -> st.SearchStrategy[Any]:
        return st.booleans()

    def _null(self, schema: Schema) -> st.SearchStrategy[Any]:
        return st.none()

    def _any(self, schema: Schema) -> st.SearchStrategy[Any]:
        return st.sampled_from((1, "1 day", "50%", True, {}, [], "a", {"low": 1, "best": 2, "high": 3}))
