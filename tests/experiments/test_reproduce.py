"""A run made again from its folder: identical with either engine and any number of workers, and every way in which it may not be is told."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sim
from sim import cli
from sim.errors import ResultsError
from sim.experiments import replications
from sim.experiments import reproduce as home
from sim.experiments.replications import Settings, run_in_memory, run_to_folder
from sim.experiments.reproduce import first_difference, reproduce
from sim.results.columns import TABLES
from sim.results.content import ContentHash
from sim.results.store import Stored
from sim.scenario import Scenario, load
from sim.views.verdicts import reproduction_lines

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = ("desk", "strikes", "timeline")
ENGINES = ("process", "compiled")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Results of the golden cases, three replications each."""
    place = tmp_path_factory.mktemp("results")
    settings = Settings(3, 3, "auto", 4)
    return {case: run_to_folder(load(GOLDEN / f"{case}.yaml"), settings, place / case) for case in CASES}


@pytest.fixture
def folder(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the results of `strikes`, to be spoilt."""
    return Path(shutil.copytree(folders["strikes"], tmp_path / "strikes"))


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest."""
    file = folder / "manifest.json"
    told = json.loads(file.read_text())
    edit(told)
    file.write_text(json.dumps(told))


def write(folder: Path, name: str, table: pd.DataFrame, *, hashed: bool) -> None:
    """Put another table in the place of one, and if `hashed` its hash into the manifest."""
    file = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_pandas(table, schema=pq.read_schema(file), preserve_index=False), file)
    found = ContentHash(TABLES[name])
    found.add(table)
    if hashed:
        told = {"rows": found.rows, "sha256": found.hexdigest()}
        change(folder, lambda manifest: manifest["tables"].update({name: told}))


def spoilt(folder: Path, name: str, row: int, column: str, value: object, *, hashed: bool = True) -> pd.DataFrame:
    """Change one cell of a table; the table as it was."""
    table = Stored(folder).table(name)
    other = table.copy()
    other.loc[row, column] = value
    write(folder, name, other, hashed=hashed)
    return table


def text(folder: Path, **options: Any) -> str:
    """What the command line would say."""
    return "\n".join(reproduction_lines(reproduce(folder, **options)))


# -------------------------------------------------------------------------------------------------------- the same again
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES)
def test_identical(case: str, engine: Any, folders: dict[str, Path]) -> None:
    """Every table of every golden case, by either engine."""
    done = sim.reproduce(folders[case], engine=engine)
    assert done.identical
    assert done.difference is None
    assert (done.engine, done.versions, done.scenario_changed) == (engine, {}, False)
    assert list(done.frame["name"]) == [*TABLES, "summary"]
    assert (done.frame["sha256"] == done.frame["sha256_again"]).all()
    assert text(folders[case], engine=engine).startswith("identical: 9 tables")


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_do_not_show(workers: int, folders: dict[str, Path]) -> None:
    """Replications side by side, several threads for each, or one after the other."""
    assert all(reproduce(folder, workers=workers).identical for folder in folders.values())


def test_engine_of_the_run_is_the_default(folder: Path) -> None:
    """`auto` is never told: the manifest names the engine that was taken."""
    assert reproduce(folder).engine == "compiled"
    change(folder, lambda told: told.update(engine="process"))
    assert reproduce(folder).engine == "process"


@pytest.mark.parametrize("histories", [None, 0])
def test_all_and_no_histories(histories: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept as they were kept, also where they are written in many parts."""
    monkeypatch.setattr(replications, "HISTORY_ROWS", 11)
    settings = Settings(1, 2, "process", histories)
    place = run_to_folder(load(GOLDEN / "timeline.yaml"), settings, tmp_path / "x")
    assert (len(Stored(place).table("histories")) > 0) == (histories is None)
    assert reproduce(place).identical


def test_manifest_and_scenario_are_enough(folder: Path) -> None:
    """No table needs to be there."""
    for file in (*folder.glob("*.parquet"), folder / "summary.csv"):
        file.unlink()
    assert reproduce(folder).identical


def test_summary_is_held_to_its_hash(folder: Path) -> None:
    """Another value in the file, another hash in the manifest, and a file that is none; a folder from before there was a hash tells nothing of it."""
    file, asked = folder / "summary.csv", json.loads((folder / "manifest.json").read_text())["summary"]
    whole = file.read_text()
    assert asked["rows"] == len(whole.splitlines()) - 1

    def verdict() -> str:
        done = reproduce(folder)
        unlike = {each.name: each.verdict for each in done.tables if each.verdict != "identical"}
        assert unlike.keys() <= {"summary"}
        assert done.identical is not bool(unlike)
        return unlike.get("summary", "identical")

    measure, segment, state, value, *rest = whole.splitlines()[1].split(",")
    row, other = (",".join((measure, segment, state, each, *rest)) for each in (value, str(float(value) + 1e-6)))
    file.write_text(whole.replace(row, other, 1))
    assert verdict() == "changed after the run"
    file.write_bytes(b"\xff")
    assert verdict() == "cannot be read"
    file.write_text(whole)
    assert verdict() == "identical"
    change(folder, lambda told: told["summary"].update(sha256="0" * 64))
    assert verdict() == "differs"
    change(folder, lambda told: told.pop("summary"))
    assert [table.name for table in reproduce(folder).tables] == list(TABLES)


def test_nothing_is_left_behind(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the folder, nor where temporary files lie, nor after a failure."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    reproduce(folder)

    def fail(*_: object, **__: object) -> None:
        assert list(place.iterdir())
        raise RuntimeError("on purpose")

    monkeypatch.setattr(home, "parts_of", fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        reproduce(folder)
    assert list(place.iterdir()) == []
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_progress(folder: Path) -> None:
    """Told after each replication."""
    shares: list[float] = []
    reproduce(folder, progress=shares.append)
    assert shares == [1 / 3, 2 / 3, 1.0]


# -------------------------------------------------------------------------------------------------- engines, run by run
def hashes(scenario: Scenario, engine: Any, place: Path) -> dict[str, Any]:
    """Rows and content hashes of all tables of a run."""
    found: dict[str, Any] = Stored(run_to_folder(scenario, Settings(5, 2, engine, 50), place / engine)).manifest[
        "tables"
    ]
    return found


@pytest.mark.parametrize("case", CASES)
def test_engines_give_the_same_hashes(case: str, tmp_path: Path) -> None:
    """Golden cases."""
    scenario = load(GOLDEN / f"{case}.yaml")
    process, compiled = (hashes(scenario, engine, tmp_path) for engine in ENGINES)
    assert process == compiled


def test_engines_give_the_same_hashes_at_scale(tmp_path: Path) -> None:
    """560,000 accounts of a scenario that ships."""
    scenario = load("wechat_2022").scaled(0.0005)
    process, compiled = (hashes(scenario, engine, tmp_path) for engine in ENGINES)
    assert process == compiled
    assert compiled["transitions"]["rows"] > 100


# ------------------------------------------------------------------------------------------------------ what is not same
@pytest.mark.parametrize(
    ("name", "row", "column", "value"),
    [
        ("occupancy", 7, "accounts", 99),
        ("bans", 5, "time", pd.Timestamp("2023-02-01 00:00:00.000001")),
        ("transitions", 11, "to_state", "terminated"),
        ("transitions", 0, "wrongful", True),
        ("states", 3, "account_days", 0.1 + 0.2),
        ("states", 2, "audience_days", float("nan")),
        ("histories", 4, "strikes", 7),
        ("histories", 2, "severity", "severe"),
    ],
)
def test_a_changed_cell_is_found(name: str, row: int, column: str, value: object, folder: Path) -> None:
    """One cell of a table and its hash in the manifest: table, row, column and both values are named."""
    table = spoilt(folder, name, row, column, value)
    done = reproduce(folder)
    assert not done.identical
    assert [each.name for each in done.tables if each.verdict != "identical"] == [name]
    assert done.difference is not None
    assert (done.difference.table, done.difference.row, done.difference.columns) == (name, row, (column,))
    now, then = done.difference.now, done.difference.then
    assert now is not None
    assert then is not None
    pd.testing.assert_series_equal(pd.Series(now), table.iloc[row], check_names=False, check_dtype=False)
    assert then[column] == value or then[column] != then[column]
    assert f"{name}: differs\nfirst difference: {name}, row {row} (from 0): {column} " in text(folder)
    assert "no version differs" in text(folder)


def test_the_first_of_several(folder: Path) -> None:
    """The first table in their order, and its first row; the other tables are named too."""
    spoilt(folder, "states", 1, "entries", -1)
    spoilt(folder, "bans", 30, "joined", -1)
    spoilt(folder, "bans", 20, "banned", -1)
    done = reproduce(folder)
    assert done.difference is not None
    assert (done.difference.table, done.difference.row, done.difference.columns) == ("bans", 20, ("banned",))
    assert [line for line in text(folder).splitlines() if line.endswith("differs")][:2] == [
        "bans: differs",
        "states: differs",
    ]


@pytest.mark.parametrize("kind", ["one less", "one more"])
def test_rows_that_are_missing(kind: str, folder: Path) -> None:
    """The row that only one of the tables has is told."""
    table = Stored(folder).table("bans")
    other = table.iloc[:-1] if kind == "one less" else pd.concat([table, table.iloc[-1:]], ignore_index=True)
    write(folder, "bans", other, hashed=True)
    done = reproduce(folder)
    assert done.difference is not None
    assert done.difference.row == min(len(table), len(other))
    assert (done.difference.then is None, done.difference.now is None) == (kind == "one less", kind == "one more")
    assert f"is only {'made now' if kind == 'one less' else 'in the folder'}: replication 2" in text(folder)


def test_a_table_changed_after_the_run(folder: Path) -> None:
    """The hash of the manifest comes out again, but not that of the file."""
    spoilt(folder, "bans", 9, "banned", 1_000, hashed=False)
    done = reproduce(folder)
    assert {each.name: each.verdict for each in done.tables}["bans"] == "changed after the run"
    assert done.difference is not None
    assert (done.difference.row, done.difference.columns) == (9, ("banned",))


def test_a_table_that_cannot_be_read(folder: Path) -> None:
    """Not even that."""
    (folder / "bans.parquet").write_bytes(b"PAR1 and no more")
    done = reproduce(folder)
    assert not done.identical
    assert done.difference is None
    assert "bans: cannot be read" in text(folder)


def test_a_hash_that_is_of_nothing(folder: Path) -> None:
    """A manifest whose hash is not that of the rows; a table that nobody knows; a table that the manifest does not know."""
    change(folder, lambda told: told["tables"]["bans"].update(sha256="0" * 64))
    change(folder, lambda told: told["tables"].update(moods={"rows": 0, "sha256": ""}))
    change(folder, lambda told: told["tables"].pop("waits"))
    done = reproduce(folder)
    unlike = [each.name for each in done.tables if each.verdict == "differs"]
    assert unlike == ["bans", "waits", "moods"]
    assert done.difference is None


def test_a_difference_without_tables(folder: Path) -> None:
    """The table is named, the row cannot be."""
    change(folder, lambda told: told.update(seed=4))
    (folder / "occupancy.parquet").unlink()
    done = reproduce(folder)
    assert not done.identical
    assert done.difference is None
    assert "occupancy: differs" in text(folder)


def test_versions_are_named(folder: Path, folders: dict[str, Path]) -> None:
    """Also where all tables are identical; nothing is said of those that are the same."""
    change(folder, lambda told: told["versions"].update(numpy="1.0.0", fortran="77"))
    done = reproduce(folder)
    assert done.identical
    now = Stored(folders["desk"]).manifest["versions"]["numpy"]
    assert done.versions == {"numpy": ("1.0.0", now), "fortran": ("77", "not asked for")}
    assert f"numpy: 1.0.0 then, {now} now" in text(folder)
    assert "no version differs" not in text(folder)


def test_another_scenario(folder: Path) -> None:
    """Not that of the manifest, even where no table can tell."""
    file = folder / "scenario.resolved.yaml"
    file.write_text(file.read_text().replace("title: ", "title: Not ", 1))
    done = reproduce(folder)
    assert all(each.verdict == "identical" for each in done.tables)
    assert done.scenario_changed
    assert not done.identical
    assert "changed after the run" in text(folder)
    change(folder, lambda told: told["scenario"].update(sha256=hashlib.sha256(file.read_bytes()).hexdigest()))
    assert reproduce(folder).identical


def test_empty_cells_are_the_same() -> None:
    """No number equals no number, and differs from every number."""
    then = run_in_memory(load(GOLDEN / "desk.yaml"), Settings(1, 2, "auto", 0)).table("waits")
    then["utilisation"] = float("nan")
    now = then.copy()
    assert first_difference("waits", then, now) is None
    now.loc[1, "utilisation"] = 0.0
    found = first_difference("waits", then, now)
    assert found is not None
    assert (found.row, found.columns) == (1, ("utilisation",))


def test_tables_of_other_categories() -> None:
    """Names are compared, not their numbers."""
    scenario = load(GOLDEN / "desk.yaml")
    then = run_in_memory(scenario, Settings(1, 1, "auto", 0)).table("occupancy")
    now = then.copy()
    now["state"] = now["state"].cat.reorder_categories(list(reversed(now["state"].cat.categories)))
    assert first_difference("occupancy", then, now) is None
    now["state"] = now["state"].cat.rename_categories({"healthy": "well"})
    found = first_difference("occupancy", then, now)
    assert found is not None
    assert (found.row, found.columns) == (0, ("state",))
    assert found.now is not None
    assert found.now["state"] == "well"


# ----------------------------------------------------------------------------------------------- what is no results folder
@pytest.mark.parametrize(
    "edit",
    [
        lambda told: told.pop("tables"),
        lambda told: told.pop("seed"),
        lambda told: told.pop("versions"),
        lambda told: told.update(seed="3"),
        lambda told: told.update(seed=-1),
        lambda told: told.update(replications=1.5),
        lambda told: told.update(engine="steam"),
        lambda told: told.update(scenario="desk"),
        lambda told: told["tables"].update(bans=3),
    ],
)
def test_manifests_of_something_else(edit: Callable[[dict[str, Any]], object], folder: Path) -> None:
    """JSON that does not say what was run."""
    change(folder, edit)
    with pytest.raises(ResultsError, match="is not the results folder of a run"):
        reproduce(folder)


def test_other_experiments(folder: Path) -> None:
    """What a manifest calls something that nobody knows is not made again."""
    change(folder, lambda told: told.update(experiment="séance"))
    with pytest.raises(
        ResultsError, match="holds a séance; known are calibrate, compare, sweep, uncertainty, sensitivity"
    ):
        reproduce(folder)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"schema: 1\n"])
def test_scenarios_that_cannot_be_run(content: bytes | None, folder: Path) -> None:
    """Missing, broken, or not valid."""
    file = folder / "scenario.resolved.yaml"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ResultsError):
        reproduce(folder)


# ------------------------------------------------------------------------------------------------------------ command line
@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("same", 0, "identical: 9 tables"),
        ("spoilt", 1, "first difference: bans, row 3"),
        ("none", 2, "is not a results folder"),
    ],
)
def test_exit_codes(
    kind: str,
    code: int,
    said: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """0, 1, 2, and what is printed."""
    if kind == "spoilt":
        spoilt(folder, "bans", 3, "banned", 5_000)
    place = tmp_path / "nowhere" if kind == "none" else folder
    for options in ((), ("--engine", "process", "--workers", "1"), ("--quiet",)):
        monkeypatch.setattr(sys, "argv", ["enforcement-sim", "reproduce", str(place), *options])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        assert (stop.value.code or 0) == code
        expected_on = captured.err if code == 2 else captured.out
        assert (said in expected_on) == (code == 2 or "--quiet" not in options)


def test_csv_beside_the_tables(tmp_path: Path) -> None:
    """A copy for readers of spreadsheets, which are what people look at."""
    run_to_folder(load(GOLDEN / "desk.yaml"), Settings(seed=1), tmp_path / "x", csv=True)
    assert reproduce(tmp_path / "x").identical
    file = tmp_path / "x" / "bans.csv"
    whole = file.read_text()
    file.write_text(whole.replace(",3", ",4", 1))
    assert {each.name for each in reproduce(tmp_path / "x").tables if each.verdict == "changed after the run"} == {
        "bans"
    }
    file.unlink()
    assert reproduce(tmp_path / "x").identical
