"""The house is as its pages say: every module is named in the plan, the version stands in one place."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

import sim

ROOT = Path(__file__).parents[1]
PLAN = (ROOT / "sim" / "README.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| \d \| `(\w+?)(?:/|\.py)?` \|(.*)$", PLAN, re.MULTILINE))
FLOORS = ("scenario", "model", "engines", "results", "experiments", "views", "cli")


@pytest.mark.parametrize("floor", FLOORS)
def test_every_module_is_in_the_plan(floor: str) -> None:
    """The row of a floor names its modules, each once (as a word of its own), and none that is not there."""
    folder = ROOT / "sim" / floor
    modules = {file.stem for file in folder.rglob("*.py") if file.stem != "__init__"}
    packages = {file.parent.name for file in folder.rglob("__init__.py")}
    named = re.findall(r"`(\w+)/?`", ROWS[floor].split("|", 1)[1])
    assert modules - set(named) == set(), "not in the plan"
    assert set(named) - modules - packages == set(), "in the plan, but not there"


def test_version_is_told_once() -> None:
    """`CITATION.cff` cites the version that `pyproject.toml` makes."""
    made = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited is not None
    assert cited[1] == made


@pytest.mark.parametrize("name", [name for name in sim.__all__ if inspect.isfunction(getattr(sim, name))])
def test_public_functions_are_documented(name: str) -> None:
    """A summary; every parameter by name, in order; what comes back; and, where something is raised, what."""
    function = getattr(sim, name)
    told = inspect.getdoc(function) or ""
    summary, *sections = re.split(r"\n\n(?=\w+\n-+\n)", told)
    assert summary.split("\n")[0].endswith(".")
    by_title = {section.split("\n", 1)[0]: section.split("\n", 2)[2] for section in sections}
    entries = re.findall(r"^(\S.*)$", by_title.get("Parameters", ""), re.MULTILINE)
    named = [one.strip("*") for entry in entries for one in entry.split(", ")]
    assert named == list(inspect.signature(function).parameters)
    assert "Returns" in by_title
    if name not in {"shipped", "json_schema"}:
        assert "Raises" in by_title


@pytest.mark.parametrize("name", [name for name in sim.__all__ if inspect.isclass(getattr(sim, name))])
def test_public_classes_are_documented(name: str) -> None:
    """A summary of its own, and one for everything public in it."""
    cls = getattr(sim, name)
    assert cls.__doc__
    assert not cls.__doc__.startswith(f"{name}("), "made by dataclass"
    public = {key: value for key, value in vars(cls).items() if not key.startswith("_")}
    methods = [key for key, value in public.items() if inspect.isfunction(value) or isinstance(value, property)]
    assert [key for key in methods if not inspect.getdoc(public[key])] == []
