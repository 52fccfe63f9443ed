"""Bad input that has a name. What is not here is in `tests/invalid`: alias bombs, loops of `extends`, double keys, dates, links out of the folder."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sim.errors import ScenarioError
from sim.scenario import load, loads

BASE = (Path(__file__).parents[1] / "invalid" / "unit_base.yaml").read_text(encoding="utf-8")
HEAD = "start: 2022-01-01\nhorizon: 1 year\nsegments: {a: {accounts: 1}}\n"


def states(count: int, first: str) -> str:
    """A ladder of so many states in a ring; each has an exit that leads to `first` and its number."""
    rows = (f"    s{i}: {{exits: {{e: {{to: {first}{(i + 1) % count}, after: 1 d}}}}}}" for i in range(count))
    return HEAD + "ladder:\n  start: s0\n  states:\n" + "\n".join(rows) + "\n"


MANY = states(2_000, "s")
VARIED = ", ".join(str(i / 1000) for i in range(900))
NAMED = {
    "tag of Python": ("title: !!python/object/apply:os.system [x]\n" + HEAD, "has the tag"),
    "deep nesting": (HEAD + "x: " + "[" * 5_000, "nested more than 50"),
    "not a number": (BASE.replace("20 minutes", ".nan"), "no unit|not a duration"),
    "infinity": (BASE.replace("20 minutes", "{lognormal: {median: 1 day, sigma: .inf}}"), "infinite|finite|not a number"),
    "negative duration": (BASE.replace("20 minutes", "-3 days"), "out of bounds"),
    "enormous duration": (BASE.replace("20 minutes", "1e30 years"), "too long"),
    "misspelt names by the thousand": (states(2_000, "t"), "is not a state"),
    "phases by the hundred": (
        MANY + "phases:\n" + "".join(f"  p{i}: {{from: 1 d, set: {{ladder.states.s{i}.activity: 5%}}}}\n" for i in range(900)),
        "make 900 variants",
    ),
    "values of a sweep": (MANY + f"sweep: {{vary: {{ladder.states.s0.activity: [{VARIED}]}}}}\n", "makes 900 variants"),
    "paths of a set": ("extends: wechat_2022\nset:\n" + "".join(f"  q{i}: 1\n" for i in range(2_001)), "sets 2,001 paths"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_it_is_refused_in_no_time(name: str) -> None:
    text, told = NAMED[name]
    began = time.process_time()
    with pytest.raises(ScenarioError, match=told) as caught:
        loads(text, name="case.yaml")
    assert time.process_time() - began < 5.0
    assert all(fault.file == "case.yaml" and fault.line is not None for fault in caught.value.faults)


def test_a_file_of_a_gibibyte_is_refused_without_reading_it(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as opened:
        opened.truncate(2**30)
    began = time.process_time()
    with pytest.raises(ScenarioError, match="has 1,073,741,824 bytes"):
        load(file)
    assert time.process_time() - began < 0.5


def test_a_million_states_are_too_long_for_a_file(tmp_path: Path) -> None:
    file = tmp_path / "states.yaml"
    file.write_text("ladder: {states: {" + ", ".join(f"s{i}: {{}}" for i in range(1_000_000)) + "}}", encoding="utf-8")
    with pytest.raises(ScenarioError, match="at most 1,048,576 bytes"):
        load(file)
