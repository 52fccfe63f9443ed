"""The JSON Schema for editors: valid itself, takes what the loader takes, refuses what an editor can see."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sim.scenario import json_schema, shipped
from sim.scenario.schema import Document
from sim.scenario.yaml_reading import parse
from sim.scenario.yaml_tree import Source, plain

TESTS = Path(__file__).parent.parent
VALID = [*(TESTS / "golden").glob("*.yaml"), TESTS / "scenario" / "every_feature.yaml", *shipped().values()]
REFUSED = (
    "unknown_key",
    "unknown_top_key",
    "missing_key",
    "missing_unit",
    "two_distributions",
    "range_incomplete",
    "sweep_grammar",
)


def values(path: Path) -> Any:
    tree, faults = parse(path.read_text(encoding="utf-8"), Source(None, None))
    assert tree is not None
    assert not faults
    return plain(tree)[0]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_valid_files_are_valid(path: Path, validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(values(path))


@pytest.mark.parametrize("name", REFUSED)
def test_an_editor_sees_faults_of_grammar(name: str, validator: jsonschema.Draft202012Validator) -> None:
    assert not validator.is_valid(values(TESTS / "invalid" / f"{name}.yaml"))


def test_every_key_is_described_or_named_for_what_it_is() -> None:
    plainly = {
        "title",
        "purpose",
        "accounts",
        "chance",
        "sigma",
        "ladder",
        "states",
        "strikes",
        "propensity",
        "detection",
    }
    for definition in json_schema()["$defs"].values():
        for key, told in definition["properties"].items():
            assert "description" in told or key in plainly | {"below", "above"}, key


def test_defaults_are_shown_as_they_are_written() -> None:
    properties = json_schema()["$defs"]["Document"]["properties"]
    assert properties["observe"]["default"] == "1 day"
    assert properties["severities"]["default"] == ["minor", "serious", "severe"]
    assert set(properties) == {field.alias or name for name, field in Document.model_fields.items()}
