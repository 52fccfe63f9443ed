"""YAML as text: what is understood, and that no text whatever gives anything but a scenario or its faults."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.errors import ScenarioError
from sim.scenario import loads
from sim.scenario.writing import yaml_text
from sim.scenario.yaml_reading import parse
from sim.scenario.yaml_tree import Source, plain, resolve

HERE = Path(__file__).parent
BASE = (HERE.parent / "invalid" / "unit_base.yaml").read_text(encoding="utf-8")
SOURCE = Source("text", None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1_100_000_000", 1_100_000_000),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("true", True),
        ("yes", "yes"),
        ("null", None),
        ("~", None),
        ("", None),
        ("2022-06-20", "2022-06-20"),
        ("09:00", "09:00"),
        ("30%", "30%"),
        ("-.inf", float("-inf")),
        ("1" * 100, "1" * 100),
    ],
)
def test_scalars_of_the_core_schema(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_the_examples_of_the_reference_are_what_they_say() -> None:
    reference = (HERE.parents[1] / "scenarios" / "README.md").read_text(encoding="utf-8")
    whole, *others = re.findall(r"```yaml\n(.*?)```", reference, re.DOTALL)
    assert loads(whole).spec.title == "Rectify or be banned"
    for example in others:
        assert parse(example, SOURCE)[1] == []


def test_aliases_keep_the_line_where_they_are_used() -> None:
    text = BASE.replace("media: {accounts: 100}", "media: &some {accounts: 100}").replace(
        "shops: {accounts: 50}", "shops: *some"
    )
    assert loads(text).spec.segments["shops"].accounts == 100
    tree, faults = parse(text, SOURCE)
    assert not faults
    assert tree is not None
    shops = tree.at("segments", "shops")
    assert shops is not None
    assert shops.place.line == text.split("\n").index("  shops: *some") + 1


def test_block_and_flow_and_comments() -> None:
    tree, faults = parse("a: # one\n  - x\n  - {b: 'y', c: !!str 3}\nd: >\n  folded\n  text\n", SOURCE)
    assert not faults
    assert tree is not None
    assert plain(tree)[0] == {"a": ["x", {"b": "y", "c": "3"}], "d": "folded text\n"}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    TEXTS | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_back(values: dict[str, object]) -> None:
    tree, faults = parse(yaml_text(values), SOURCE)
    assert not faults
    assert tree is not None
    assert plain(tree) == (values, [])


@given(TEXTS)
def test_any_title_survives(title: str) -> None:
    scenario = loads(BASE).with_values({"title": title})
    assert loads(scenario.resolved_yaml()).spec.title == title


@given(st.text(max_size=200))
def test_any_text_is_a_scenario_or_faults(text: str) -> None:
    with pytest.raises(ScenarioError):
        loads(text)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["3 days", "30%", "compliant", "x"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["to", "after", "low", "best", "high", "exponential", "mean"]), inner)
        ),
        max_leaves=6,
    ),
    st.sampled_from(
        [
            "segments.media", "segments", "violations.trading.rate", "violations.trading.severity.minor", "ladder",
            "ladder.states.warned.exits", "ladder.states.warned.exits.lapsed.after", "ladder.states.under_review.outcomes",
            "desks.review.hours", "waves", "phases", "expect", "severities", "start", "horizon", "ladder.bans",
        ]
    ),
)  # fmt: skip
def test_any_value_anywhere_is_a_scenario_or_faults(value: object, path: str) -> None:
    try:
        scenario = loads(BASE).with_values({path: value})
    except ScenarioError:
        return
    assert loads(scenario.resolved_yaml()) == scenario


def test_damaged_files_are_scenarios_or_faults() -> None:
    source = (HERE / "every_feature.yaml").read_text(encoding="utf-8")
    rng = random.Random(20220620)
    for _ in range(150):
        text = list(source)
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(len(text))
            if rng.random() < 0.5:
                text[at] = rng.choice("{}[]:,-&*!|>'\"%@`#\n \t0x~?.a1é\u2028")
            else:
                del text[at : at + rng.randint(1, 30)]
        try:
            scenario = loads("".join(text), folder=HERE)
        except ScenarioError:
            continue
        assert loads(scenario.resolved_yaml()) == scenario
