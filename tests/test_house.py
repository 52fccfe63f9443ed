"""The house is as its pages say: every module is named in the plan, the version stands in one place."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import sim
from sim.results import estimators
from sim.views import plots

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
    """`CITATION.cff` cites the version that `pyproject.toml` makes, with the date of its heading in `CHANGELOG.md`; what comes next stands above."""
    made = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    dated = re.search(r"^date-released: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited is not None
    assert dated is not None
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == f"{cited[1]} ({dated[1]})"
    assert cited[1] == made


def sections(told: str) -> tuple[str, dict[str, str]]:
    """Summary and titled sections of a numpydoc docstring."""
    summary, *parts = re.split(r"\n\n(?=\w+\n-+\n)", inspect.cleandoc(told))
    return summary, {part.split("\n", 1)[0]: part.split("\n", 2)[2] for part in parts}


def entries(section: str) -> list[str]:
    """What a section tells of, by name, in order."""
    heads = re.findall(r"^(\S.*)$", section, re.MULTILINE)
    return [name.strip("*") for head in heads for name in head.split(", ")]


def lacking(function: Any) -> list[str]:
    """What the docstring of a function does not tell: every parameter by name, in order; what comes back; and, where it raises, what."""
    summary, told = sections(function.__doc__ or "")
    takes = [name for name in inspect.signature(function).parameters if name != "self"]
    found = [] if summary.split("\n")[0].endswith(".") else ["a summary, one line"]
    if entries(told.get("Parameters", "")) != takes:
        found.append(f"parameters {takes}")
    if inspect.signature(function).return_annotation != "None" and "Returns" not in told:
        found.append("what it returns")
    if re.search(r"^ +raise ", inspect.getsource(function), re.MULTILINE) and "Raises" not in told:
        found.append("what it raises")
    return found


def classes_of(name: str) -> list[type]:
    """A public class, and those of the package that it is made of."""
    return [cls for cls in getattr(sim, name).__mro__ if cls.__module__.startswith("sim.")]


FUNCTIONS = [getattr(sim, name) for name in sim.__all__ if inspect.isfunction(getattr(sim, name))]
CLASSES = [name for name in sim.__all__ if inspect.isclass(getattr(sim, name))]
METHODS = [
    method
    for name in CLASSES
    for cls in classes_of(name)
    for key, method in vars(cls).items()
    if not key.startswith("_") and inspect.isfunction(method) and len(inspect.signature(method).parameters) > 1
]
OTHERS = [
    function
    for module in (estimators, plots)
    for key, function in vars(module).items()
    if key in getattr(module, "__all__", ("kaplan_meier", "aalen_johansen", "first_entry"))
    and inspect.isfunction(function)
]
"""Functions of modules that the documentation names: estimators, and the figures, whose options `Result.plot` takes."""


@pytest.mark.parametrize("function", [*FUNCTIONS, *dict.fromkeys(METHODS), *OTHERS], ids=lambda each: each.__qualname__)
def test_public_functions_are_documented(function: Any) -> None:
    """In numpydoc: parameters, what comes back, what is raised. What takes nothing is told in a sentence (below)."""
    assert lacking(function) == []


READERS = (
    "load",
    "loads",
    "run",
    "open",
    "compare",
    "sweep",
    "draws",
    "sensitivity",
    "calibrate",
    "fit",
    "resume",
    "reproduce",
)


@pytest.mark.parametrize("name", READERS)
def test_what_reads_files_says_how_it_fails(name: str) -> None:
    """Errors of the package, which may come from far below."""
    told = sections(getattr(sim, name).__doc__)[1]["Raises"]
    assert {"ScenarioError", "ResultsError", "RunError"} & set(entries(told))


def test_what_a_docstring_lacks_is_seen() -> None:
    """The check itself: a function that tells nothing lacks all four."""

    def silent(days: int) -> int:
        raise ValueError(days)

    assert lacking(silent) == ["a summary, one line", "parameters ['days']", "what it returns", "what it raises"]


@pytest.mark.parametrize("name", CLASSES)
def test_public_classes_are_documented(name: str) -> None:
    """A summary of its own, one for everything public in it, and every field told under `Attributes`, where it stands first."""
    for cls in classes_of(name):
        assert cls.__doc__
        assert not cls.__doc__.startswith(f"{cls.__name__}("), "made by dataclass"
        public = {key: value for key, value in vars(cls).items() if not key.startswith("_")}
        methods = [key for key, value in public.items() if inspect.isfunction(value) or isinstance(value, property)]
        assert [key for key in methods if not inspect.getdoc(public[key])] == []
        if dataclasses.is_dataclass(cls) and "__annotations__" in vars(cls):
            told = entries(sections(cls.__doc__)[1].get("Attributes", ""))
            assert [key for key in inspect.get_annotations(cls) if not key.startswith("_") and key not in told] == []


def test_every_function_of_the_package_has_a_docstring() -> None:
    """Public ones: modules, classes and functions of `sim/`."""
    bare = []
    for file in sorted((ROOT / "sim").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        named = [each for each in tree.body if isinstance(each, ast.FunctionDef | ast.ClassDef)]
        bare += [
            f"{file.name}: {each.name}"
            for each in named
            if not each.name.startswith("_") and not ast.get_docstring(each)
        ]
        bare += [] if ast.get_docstring(tree) or not tree.body else [file.name]
    assert bare == []


def files_named(cell: str) -> list[Path]:
    """Files and folders that a text names in backticks: from the root, or beside the last one that is named so."""
    found: list[Path] = []
    for name in re.findall(r"`([\w./-]+?(?:/|\.(?:py|md|yaml|toml|cff))|\.ci/\w+)(?: [^`]*)?`", cell):
        beside = found[-1] if found and found[-1].is_dir() else found[-1].parent if found else ROOT
        found.append(ROOT / name if "/" in name.rstrip("/") or (ROOT / name).exists() else beside / name)
    return found


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
HOW_TO_ADD = dict(re.findall(r"^\| ((?:a|an) [^|]+?) \| (.+) \|$", CONTRIBUTING, re.MULTILINE))


@pytest.mark.parametrize("what", HOW_TO_ADD)
def test_files_to_touch_are_there(what: str) -> None:
    """Each row of "How to add" names files or folders, and all of them exist."""
    named = files_named(HOW_TO_ADD[what])
    assert named
    assert [str(path.relative_to(ROOT)) for path in named if not path.exists()] == []


def test_how_to_add_what_is_asked_for_most() -> None:
    """A state, a scenario, a duration and a plot have their rows; and other files that the page names are there."""
    for word in ("state", "scenario", "duration", "plot"):
        assert [row for row in HOW_TO_ADD if re.search(rf"\b{word}s?\b", row)], word
    assert [str(path) for path in files_named(CONTRIBUTING.partition("## Check")[2]) if not path.exists()] == []
