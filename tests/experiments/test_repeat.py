"""Comparisons, sweeps, draws and sensitivity analyses made again from their folders alone: elsewhere, by either engine, any number of workers."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import sim
from sim.cli import app
from sim.errors import ResultsError
from sim.experiments.reproduce import reproduce
from sim.views.verdicts import reproduction_lines

LADDER = """
start: 2023-01-01
horizon: 60 days
observe: 20 days
segments: {accounts: {accounts: 60}, others: {accounts: 9}}
violations:
  spam:
    rate: {accounts: {low: 2 per year, best: 6 per year, high: 9 per year}, others: 3 per year}
    severity: {minor: 100%}
    detection: {chance: 100%}
ladder:
  start: free
  bans: [banned]
  states:
    free: {on_violation: {minor: warned}}
    warned:
      exits:
        rectified: {to: free, after: {exponential: {mean: 9 days}}}
        deadline: {to: banned, after: {empirical: {file: observed.csv}}}
    banned: {activity: 0}
"""
AFTER = "ladder.states.warned.exits.deadline.after"
SWEEP = f"sweep:\n  vary:\n    {AFTER}: [3d, {{uniform: {{low: 1 day, high: 4 days}}}}]\n    segments.accounts.accounts: [40, 50]\n"
VERBS = {
    "compare": ["compare", "ladder.yaml", "short.yaml", "--seed", "4"],
    "compare_replications": ["compare", "ladder.yaml", "short.yaml", "short.yaml", "--replications", "3"],
    "sweep": ["sweep", "ladder.yaml", "--vary", f"{AFTER}=3d,{{empirical: {{file: observed.csv}}}}", "--replications", "2"],
    "sweep_section": ["sweep", "section.yaml", "--seed", "2"],
    "samples": ["sweep", "ladder.yaml", "--samples", "3", "--seed", "1"],
    "draws": ["run", "ladder.yaml", "--draws", "3", "--scale", "0.5"],
    "sensitivity": ["sensitivity", "ladder.yaml", "--samples", "2", "--outputs", "ban_rate@end,ban_rate:others@40 days"],
    "morris": ["sensitivity", "ladder.yaml", "--samples", "2", "--method", "morris", "--seed", "3"],
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Results of every verb; the files that they were made from are gone, and the folders have been moved."""
    made, moved = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("moved")
    (made / "ladder.yaml").write_text(LADDER)
    (made / "section.yaml").write_text(LADDER + SWEEP)
    (made / "short.yaml").write_text(f"extends: ladder.yaml\nset: {{{AFTER}: 2 days}}\n")
    (made / "observed.csv").write_text("days\n2\n5\n9\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for name, arguments in VERBS.items():
            done = CliRunner().invoke(app, [*arguments, "--out", name, "--quiet"])
            assert done.exit_code == 0, done.output
    for name in VERBS:
        shutil.move(made / name, moved / name)
    shutil.rmtree(made)
    return {name: moved / name for name in VERBS}


@pytest.mark.parametrize("name", VERBS)
def test_identical_elsewhere(
    name: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By either engine and with one worker or three, from another folder, without the files it was made from."""
    monkeypatch.chdir(tmp_path)
    for engine, workers in (("compiled", 1), ("process", 3)):
        done = reproduce(folders[name], engine=engine, workers=workers)  # type: ignore[arg-type]
        assert done.identical, list(reproduction_lines(done))
        assert done.engine == engine
        assert sum(table.rows for table in done.tables) >= 3
        assert (done.difference, done.versions) == (None, {})
    assert list(tmp_path.iterdir()) == []


def test_the_verb(folders: dict[str, Path]) -> None:
    """It says `identical`, with exit code 0."""
    done = CliRunner().invoke(app, ["reproduce", str(folders["sweep_section"])])
    assert done.exit_code == 0, done.output
    assert "identical: 3 tables" in done.output


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest."""
    told = json.loads((folder / "manifest.json").read_text())
    edit(told)
    (folder / "manifest.json").write_text(json.dumps(told))


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a folder, to be spoilt."""
    return lambda name: Path(shutil.copytree(folders[name], tmp_path / name))


def test_the_first_differing_row_and_versions_are_named(copy: Callable[[str], Path]) -> None:
    """Another value in the manifest: every row of that point differs, and the first is told with both values."""
    folder = copy("sweep_section")
    change(folder, lambda told: told["values"]["segments.accounts.accounts"].__setitem__(1, "51"))
    change(folder, lambda told: told["versions"].update(numpy="0.1"))
    done = reproduce(folder)
    text = "\n".join(reproduction_lines(done))
    assert not done.identical
    assert done.difference is not None
    assert done.difference.row == next(
        row for row, line in enumerate((folder / "sweep.csv").read_text().splitlines()[1:]) if line.startswith("1,")
    )
    assert "sweep: differs" in text
    assert "numpy: 0.1 then" in text


def test_a_cell_changed_afterwards(copy: Callable[[str], Path]) -> None:
    """The hash comes out again, but the file holds something else."""
    folder = copy("compare")
    file = folder / "lives.csv"
    file.write_text(file.read_text().replace(",60,", ",61,", 1))
    done = reproduce(folder)
    assert done.difference is not None
    assert (done.difference.table, done.difference.row, done.difference.columns) == ("lives", 0, ("compared",))
    assert {table.name: table.verdict for table in done.tables}["lives"] == "changed after the run"


def test_other_scenarios(copy: Callable[[str], Path]) -> None:
    """A scenario that is not the one of the manifest's hash is told of, B's too."""
    folder = copy("compare")
    change(folder, lambda told: told["scenarios"][1].update(resolved=told["scenarios"][1]["resolved"] + "\n"))
    done = reproduce(folder)
    assert done.scenario_changed
    assert not done.identical


def test_scenario_of_b_changed_afterwards(copy: Callable[[str], Path]) -> None:
    """The file beside it, which a reader would take for what was run; without it the manifest is enough."""
    folder = copy("compare")
    beside = folder / "scenario_2.resolved.yaml"
    beside.write_text(beside.read_text(encoding="utf-8") + "# more\n", encoding="utf-8")
    done = reproduce(folder)
    assert done.scenario_changed
    assert any("changed after the run" in line for line in reproduction_lines(done))
    beside.unlink()
    assert reproduce(folder).identical


def test_pipes_are_not_waited_for(copy: Callable[[str], Path]) -> None:
    """A named pipe in the place of a table or of the scenario is told of."""
    folder = copy("sweep")
    (folder / "sweep.csv").unlink()
    os.mkfifo(folder / "sweep.csv")
    assert {table.name: table.verdict for table in reproduce(folder).tables}["sweep"] == "cannot be read"
    (folder / "scenario.resolved.yaml").unlink()
    os.mkfifo(folder / "scenario.resolved.yaml")
    with pytest.raises(ResultsError, match="it is not a file"):
        reproduce(folder)


def test_tables_need_not_be_there(copy: Callable[[str], Path]) -> None:
    """The manifest and the scenario are enough."""
    folder = copy("draws")
    for file in folder.glob("*.csv"):
        file.unlink()
    assert reproduce(folder).identical


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("sweep", lambda told: told.pop("values")),
        ("sweep", lambda told: told.update(experiment="séance")),
        ("compare", lambda told: told["scenarios"][0].pop("resolved")),
        ("draws", lambda told: told.pop("tables")),
        ("sensitivity", lambda told: told.update(samples="two")),
    ],
)
def test_manifests_that_do_not_tell(
    name: str, edit: Callable[[dict[str, Any]], object], copy: Callable[[str], Path]
) -> None:
    """What is missing is an error with the folder's name."""
    folder = copy(name)
    change(folder, edit)
    with pytest.raises(ResultsError, match=str(folder)):
        sim.reproduce(folder)
