"""Imports go down the floors of the house, never up and never in circles; heavy packages are imported where they belong, and only when needed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "errors": 0,
    "collector": 0,
    "processors": 0,
    "scenario": 1,
    "model": 2,
    "engines": 3,
    "results": 4,
    "experiments": 5,
    "views": 6,
    "cli": 7,
}
HOMES = {
    "altair": {"sim.views.chart_lines", "sim.views.charts", "sim.views.report.page"},
    "distributed": {"sim.experiments.cluster"},
    "jinja2": {"sim.views.report.page"},
    "lifelines": {"sim.experiments.fitting.families"},
    "numba": {"sim.model.jit"},
    "markdown_it": {"sim.views.report.checklist"},
    "llvmlite": {"sim.model.jit"},
    "pyarrow": {"sim.results.store"},
    "simpy": {"sim.engines.process"},
    "starlette": {"sim.views.app.serving"},
    "streamlit": {"sim.views.app.page", "sim.views.app.serving"},
    "vl_convert": {"sim.views.report.page"},
}
"""Packages and the modules that import them. matplotlib belongs to a whole floor: the views."""
HEAVY = {
    "streamlit",
    "altair",
    "jinja2",
    "numba",
    "llvmlite",
    "pandas",
    "matplotlib",
    "simpy",
    "scipy",
    "pyarrow",
    "numpy",
}


def module_name(file: Path) -> str:
    """Dotted name of a file below the root."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted((ROOT / "sim").rglob("*.py"))}


def imports_of(module: str, file: Path) -> set[str]:
    """Dotted names that a file imports, anywhere in it; a name imported from a package of ours counts as its module if it is one."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                found.add(inner if inner in MODULES else origin)
    return found


IMPORTS = {module: imports_of(module, file) for module, file in MODULES.items()}


def floor(module: str) -> int:
    """Floor of a module of ours; the package itself is the roof."""
    parts = module.split(".")
    return FLOORS[parts[1]] if len(parts) > 1 else len(FLOORS)


def ours(imported: set[str]) -> set[str]:
    """Those of some imports that are modules of the package."""
    return {name for name in imported if name.split(".")[0] == "sim"}


def test_every_module_has_a_floor() -> None:
    """Nothing stands beside the house."""
    assert {module.split(".")[1] for module in MODULES if module != "sim"} == set(FLOORS)


@pytest.mark.parametrize("module", [module for module in MODULES if module != "sim"])
def test_imports_go_down(module: str) -> None:
    """A module imports from its own floor or from lower ones; what it imports of ours exists."""
    imported = ours(IMPORTS[module])
    assert imported <= set(MODULES), "not a module"
    assert [name for name in sorted(imported) if floor(name) > floor(module)] == []


def test_no_circles() -> None:
    """Within a floor, and so everywhere, imports form no circle."""
    graph = {module: ours(imported) - {module, "sim"} for module, imported in IMPORTS.items() if module != "sim"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_circles_are_seen() -> None:
    """A test of the test: relative imports, imports of a module from its package, and imports inside functions are found."""
    assert "sim.scenario.files" in IMPORTS["sim.scenario"]
    assert "sim.model.account" in IMPORTS["sim.engines.live"]
    assert "sim.views.description" in IMPORTS["sim.cli.files"]
    assert {"sim.views.plots", "matplotlib.axes"} <= IMPORTS["sim.views.result"]


@pytest.mark.parametrize("package", HOMES)
def test_package_has_one_home(package: str) -> None:
    """numba, pyarrow and SimPy are each imported by one module."""
    users = {module for module, names in IMPORTS.items() if package in {name.split(".")[0] for name in names}}
    assert users == HOMES[package]


def test_matplotlib_belongs_to_the_views() -> None:
    """Only views draw."""
    users = {module for module, names in IMPORTS.items() if "matplotlib" in {name.split(".")[0] for name in names}}
    assert users
    assert {floor(module) for module in users} == {FLOORS["views"]}


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running some code."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
    script += "import json; print('\\n' + json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_import_sim_is_light() -> None:
    """``import sim`` loads no engine, no table, no picture."""
    modules = loaded_by("import sim")
    assert modules & HEAVY == set()
    assert {name for name in modules if name.startswith("sim.")} == set()


@pytest.mark.parametrize(
    "verb", [(), ("run",), ("fit",), ("validate",), ("show",), ("schema",), ("list",), ("app",)], ids=" ".join
)
def test_help_is_light(verb: tuple[str, ...]) -> None:
    """Help needs none of the heavy packages."""
    assert loaded_by("from sim.cli import main; main()", *verb, "--help") & HEAVY == set()


def test_words_need_no_engine() -> None:
    """Checking and showing a scenario loads neither engine nor pictures."""
    golden = str(ROOT / "tests" / "golden" / "desk.yaml")
    for verb in ("validate", "show"):
        assert loaded_by("from sim.cli import main; main()", verb, golden) & (HEAVY - {"numpy"}) == set()


def test_a_report_needs_no_matplotlib() -> None:
    """A run writes its report while another process draws (`sim/views/beside.py`): each fetches what it needs itself, and no more."""
    assert "matplotlib" not in loaded_by("import sim.views.report.run")
    assert "sim.scenario" not in loaded_by("import sim.views.plots, sim.results.store")


def test_public_names() -> None:
    """Every public name can be had, and nothing else can."""
    import sim

    assert sorted(sim.__all__) == sorted(set(sim.__all__))
    assert all(getattr(sim, name) is not None for name in sim.__all__)
    assert set(dir(sim)) >= set(sim.__all__)
    with pytest.raises(AttributeError, match="no attribute 'simulate'"):
        sim.simulate  # noqa: B018
