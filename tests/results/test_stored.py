"""What a results folder holds, read back as it was; its manifest; and what a broken one says."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from results.written import FILES, GOLDEN, SETTINGS, desk, everything, in_memory, write

import sim
from sim.errors import ResultsError
from sim.experiments import replications
from sim.experiments.replications import Settings, codes_of, run_in_memory, run_to_folder
from sim.results import manifest as manifests
from sim.results.columns import TABLES
from sim.results.content import ContentHash, summary_hash
from sim.results.placing import MANIFEST
from sim.results.store import SCENARIO, SUMMARY, Stored, packed, unpacked
from sim.scenario import load, loads


# --------------------------------------------------------------------------------------------------------- what is in it
def test_files(folder: Path) -> None:
    """The files of the design and no others; nothing is left beside the folder."""
    assert {path.name for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["desk"]
    assert stat.S_IMODE(folder.stat().st_mode) & 0o055 == 0o055, "others may look"


def test_folder_is_absolute(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative place is meant from where the run began."""
    assert folder.is_absolute()
    monkeypatch.chdir(tmp_path)
    assert write(Path("here")).resolve() == (tmp_path / "here").resolve()


@pytest.mark.parametrize("name", TABLES)
def test_tables_come_back_as_they_were(folder: Path, name: str) -> None:
    """Read back, a table equals the one in memory: values, types, categories and their order."""
    pd.testing.assert_frame_equal(Stored(folder).table(name), in_memory().table(name))


def test_packed_tables_come_back_as_they_were() -> None:
    """A text and the parts of tables, in the order in which they were packed, the two parts of one table too."""
    parts = [(name, in_memory().table(name)) for name in (*TABLES, "bans")]
    text, found = unpacked(packed("any text", parts))
    assert text == "any text"
    for (name, part), (other, table) in zip(parts, found, strict=True):
        assert other == name
        pd.testing.assert_frame_equal(table, part)


def test_summary_comes_back_as_it_was(folder: Path) -> None:
    """To the last bit: the CSV holds every digit, and reading loses none."""
    pd.testing.assert_frame_equal(Stored(folder).summary, in_memory().summary, check_exact=True)


def test_summary_of_one_replication_keeps_empty_limits(tmp_path: Path) -> None:
    """Limits that are not known are empty; so are segments and states that a measure has not."""
    settings = Settings(3, 1, "auto", 0)
    stored = Stored(run_to_folder(desk(), settings, tmp_path / "x"))
    pd.testing.assert_frame_equal(stored.summary, run_in_memory(desk(), settings).summary, check_exact=True)
    assert stored.summary["low"].isna().all()
    assert set(stored.summary["segment"]) == {"", "sellers", "shops"}


def test_names_that_look_empty(tmp_path: Path) -> None:
    """Segments and states called `null`, `nan` or `none` come back as names."""
    text = "schema: 1\ntitle: Names\nassumed: [all]\nstart: 2023-01-01\nhorizon: 2 days\nsegments: {nan: {accounts: 2}, none: {accounts: 1}}\n"
    text += 'ladder: {start: "null", bans: [], states: {"null": {activity: 0, exits: {na: {to: inf, after: 1 days}}}, inf: {activity: 0}}}\n'
    scenario = loads(text)
    stored, mine = (
        Stored(run_to_folder(scenario, Settings(), tmp_path / "x", csv=True)),
        run_in_memory(scenario, Settings()),
    )
    pd.testing.assert_frame_equal(stored.summary, mine.summary, check_exact=True)
    for name in TABLES:
        pd.testing.assert_frame_equal(stored.table(name), mine.table(name))


def test_parquet_can_be_read_by_others(folder: Path) -> None:
    """Types in the files are those of the design: whole numbers, timestamps in microseconds, names as dictionaries."""
    schema = pq.read_schema(folder / "histories.parquet")
    assert schema.names == [column.name for column in TABLES["histories"]]
    assert schema.field("time").type == pa.timestamp("us")
    assert schema.field("account").type == pa.int64()
    assert schema.field("wrongful").type == pa.bool_()
    assert pa.types.is_dictionary(schema.field("segment").type)
    found = pq.read_table(folder / "histories.parquet")
    assert found.column("from_state").null_count == (in_memory().table("histories")["cause"] == "joined").sum()
    assert found.column("strikes").null_count == in_memory().table("histories")["strikes"].isna().sum()


def test_tables_are_read_once(folder: Path) -> None:
    """The second look costs nothing."""
    stored = Stored(folder)
    assert stored.table("bans") is stored.table("bans")


def test_scenario_is_the_resolved_one(folder: Path) -> None:
    """What stands in the folder makes the same run again."""
    assert Stored(folder).scenario_text == desk().resolved_yaml()
    again = run_in_memory(loads(Stored(folder).scenario_text), SETTINGS)
    for name in TABLES:
        pd.testing.assert_frame_equal(again.table(name), in_memory().table(name))


@pytest.mark.parametrize("name", TABLES)
def test_csv(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every table as CSV beside the Parquet: one heading, all rows of all replications, also where there are none."""
    place = csv_folder(tmp_path_factory)
    assert {path.name for path in place.iterdir()} == FILES | {f"{name}.csv" for name in TABLES}
    lines = (place / f"{name}.csv").read_text().splitlines()
    assert lines[0] == ",".join(column.name for column in TABLES[name])
    found, theirs = pd.read_csv(place / f"{name}.csv", keep_default_na=False, na_values=[""]), Stored(place).table(name)
    assert len(lines) == 1 + len(theirs)
    for column in TABLES[name]:
        mine, expected = found[column.name], theirs[column.name]
        if column.type == "time":
            assert pd.to_datetime(mine, format="ISO8601").astype("datetime64[us]").tolist() == expected.tolist()
        elif column.type == "category":
            assert mine.fillna("").tolist() == expected.astype(object).fillna("").tolist()
        elif column.type == "float":
            np.testing.assert_allclose(mine.astype(float), expected, rtol=1e-15)
        else:
            assert mine.astype(expected.dtype).tolist() == expected.tolist()


_CSV: list[Path] = []


def csv_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder with CSV tables, of a scenario without desks, made once."""
    if not _CSV:
        _CSV.append(
            run_to_folder(
                load(GOLDEN / "timeline.yaml"), Settings(1, 2, "auto", 3), factory.mktemp("csv") / "x", csv=True
            )
        )
    return _CSV[0]


# ------------------------------------------------------------------------------------------------------------- manifest
def test_manifest(folder: Path) -> None:
    """What it takes to make the same run again, and on what it was made."""
    told = json.loads((folder / MANIFEST).read_text())
    assert told["scenario"]["name"] == "desk"
    assert told["scenario"]["title"] == desk().spec.title
    assert Path(told["scenario"]["file"]).name == "desk.yaml"
    assert told["scenario"]["sha256"] == desk().sha256()
    assert (told["seed"], told["replications"], told["histories"]) == (3, 2, 5)
    assert told["engine"] in ("compiled", "process")
    assert {"python", "numpy", "numba", "scipy", "simpy", "pandas", "pyarrow", "enforcement-sim"} <= set(
        told["versions"]
    )
    assert told["versions"]["numpy"] == np.__version__
    assert told["platform"]
    assert told["wall_seconds"] >= 0.0
    assert pd.Timestamp(told["written"]).tzinfo is not None
    assert set(told["tables"]) == set(TABLES)


def test_summary_hash_is_of_the_file_as_it_is_read() -> None:
    """Anyone can take it: names and rows, no numbers of rows."""
    text = "measure,segment,value\nban_rate,all,0.25\nban_rate,,0.333333333333\n"
    table = pd.DataFrame({"measure": "ban_rate", "segment": ["all", ""], "value": [0.25, 1 / 3]}, index=[7, 3])
    assert summary_hash(table) == hashlib.sha256(text.encode()).hexdigest()


def test_summary_hash_is_of_twelve_digits() -> None:
    """The last bits of a limit do not show, a thousandth does; nor does it matter whether the numbers were read from a file."""
    table = pd.DataFrame({"measure": ["ban_rate"], "value": [1 / 3], "low": [np.nan], "high": [0.4]})
    assert summary_hash(table.assign(value=np.nextafter(1 / 3, 1))) == summary_hash(table)
    assert summary_hash(table.assign(value=1 / 3 + 1e-3)) != summary_hash(table)
    assert summary_hash(table.assign(measure="banned_share")) != summary_hash(table)


def test_manifest_hashes_the_summary(folder: Path) -> None:
    """As it is read back."""
    stored = Stored(folder)
    assert stored.manifest["summary"] == {"rows": len(stored.summary), "sha256": summary_hash(stored.summary)}


def test_manifest_hashes_content(folder: Path) -> None:
    """Rows and hashes are those of the tables as they are read back."""
    stored = Stored(folder)
    for name, columns in TABLES.items():
        found = ContentHash(columns)
        found.add(stored.table(name))
        assert stored.manifest["tables"][name] == {"rows": len(stored.table(name)), "sha256": found.hexdigest()}


@pytest.mark.parametrize("engine", ["process", "compiled"])
def test_hashes_do_not_depend_on_the_engine(engine: str, folder: Path, tmp_path: Path) -> None:
    """Nor on files: another engine, another folder, the same content."""
    settings = Settings(**{**asdict(SETTINGS), "engine": engine})
    other = Stored(run_to_folder(desk(), settings, tmp_path / "x"))
    assert other.manifest["tables"] == Stored(folder).manifest["tables"]
    assert other.manifest["engine"] == engine


def test_hashes_do_not_depend_on_threads_and_portions(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards of seven accounts, three threads, histories in parts of eleven rows: the same content."""
    real = replications.compiled.run
    monkeypatch.setattr(
        replications.compiled, "run", lambda *args, **more: real(*args, **{**more, "threads": 3, "shard": 7})
    )
    monkeypatch.setattr(replications, "HISTORY_ROWS", 11)
    assert Stored(write(tmp_path / "x")).manifest["tables"] == Stored(folder).manifest["tables"]


def test_hashes_depend_on_the_seed(folder: Path, tmp_path: Path) -> None:
    """Another seed is another run."""
    other = Stored(run_to_folder(desk(), Settings(4, 2, "auto", 5), tmp_path / "x")).manifest["tables"]
    mine = Stored(folder).manifest["tables"]
    assert all(other[name]["sha256"] != mine[name]["sha256"] for name in TABLES)


def test_packages_that_are_missing_are_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout that is not installed has no version."""
    monkeypatch.setattr(manifests, "PACKAGES", ("numpy", "no-such-package"))
    monkeypatch.setattr(manifests, "_versions", manifests._versions.__wrapped__)  # not those looked up before
    assert manifests.versions()["no-such-package"] == "not installed"


def test_categories_are_told(folder: Path) -> None:
    """Names that each column may hold, in the order of the file."""
    told = Stored(folder).manifest["categories"]
    assert told["state"] == list(desk().spec.ladder.states)
    assert told["segment"] == ["sellers", "shops"]
    assert told == manifests.categories(codes_of(desk()))


# ------------------------------------------------------------------------------------------------------- what is broken
def broken(folder: Path, tmp_path: Path, name: str, content: bytes | None) -> Stored:
    """A copy of a results folder with one file replaced, or removed."""
    for path, bytes_ in everything(folder).items():
        (tmp_path / path).write_bytes(bytes_)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    return Stored(tmp_path)


READS: Mapping[str, Callable[[Stored], object]] = {
    MANIFEST: lambda stored: stored.manifest["seed"],
    SCENARIO: lambda stored: stored.scenario_text,
    SUMMARY: lambda stored: stored.summary,
    "bans.parquet": lambda stored: stored.table("bans"),
    "histories.parquet": lambda stored: stored.table("histories"),
}


@pytest.mark.parametrize("name", sorted(set(READS) - {MANIFEST}))
def test_a_missing_file(name: str, folder: Path, tmp_path: Path) -> None:
    """The error names the file."""
    stored = broken(folder, tmp_path, name, None)
    with pytest.raises(ResultsError, match=rf"{name} cannot be read"):
        READS[name](stored)
    assert stored.manifest["seed"] == 3


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"PAR1 and no more"])
@pytest.mark.parametrize("name", [MANIFEST, "bans.parquet", "histories.parquet"])
def test_a_broken_file(name: str, content: bytes, folder: Path, tmp_path: Path) -> None:
    """Cut off, empty, or something else altogether."""
    with pytest.raises(ResultsError, match="cannot be read"):
        READS[name](broken(folder, tmp_path, name, content))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'"'])
def test_a_broken_summary(content: bytes, folder: Path, tmp_path: Path) -> None:
    """The summary is text with columns."""
    with pytest.raises(ResultsError, match="cannot be read"):
        READS[SUMMARY](broken(folder, tmp_path, SUMMARY, content))


@pytest.mark.parametrize("content", ["{}", "[]", "3", "null", '"text"', '{"seed": 3, "categories": {}}'])
def test_a_manifest_that_says_too_little(content: str, folder: Path, tmp_path: Path) -> None:
    """JSON of another kind is no manifest; the tables cannot be read without it."""
    with pytest.raises(ResultsError):
        broken(folder, tmp_path, MANIFEST, content.encode()).table("bans")


def test_a_table_of_another_kind(folder: Path, tmp_path: Path) -> None:
    """A Parquet file with other columns is not the table."""
    with pytest.raises(ResultsError):
        broken(folder, tmp_path, "bans.parquet", (folder / "waits.parquet").read_bytes()).table("bans")


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_no_results_folder(kind: str, tmp_path: Path) -> None:
    """Nothing there, an empty folder, a file."""
    place = tmp_path / "x"
    if kind == "empty":
        place.mkdir()
    elif kind == "file":
        place.write_text("")
    with pytest.raises(ResultsError, match=r"is not a results folder: it has no manifest\.json"):
        Stored(place)


def read_all(place: Path) -> list[pd.DataFrame]:
    """Everything that results can be asked for."""
    result = sim.open(place)
    return [getattr(result, table) for table in (*TABLES, "summary")]


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_pipe(name: str, folder: Path, tmp_path: Path) -> None:
    """It is refused, and not waited for."""
    place = tmp_path / "x"
    shutil.copytree(folder, place)
    (place / name).unlink()
    os.mkfifo(place / name)
    with pytest.raises(ResultsError, match=name):
        read_all(place)


def test_a_summary_cut_short(folder: Path, tmp_path: Path) -> None:
    """Within a number, where it can still be read; `summary_as_found` shows what is there."""
    place = tmp_path / "x"
    shutil.copytree(folder, place)
    text = (place / SUMMARY).read_text()
    (place / SUMMARY).write_text(text[: text.index(".", text.index("\n")) + 2])
    with pytest.raises(ResultsError, match=r"summary\.csv is not as the run wrote it; .*reproduce"):
        _ = sim.open(place).summary
    assert len(Stored(place).summary_as_found) == 1


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda told: told["tables"]["bans"].pop("rows"), "look at tables.bans"),
        (lambda told: told["tables"].update(bans=None, waits=3), "look at tables.bans, tables.waits"),
        (lambda told: (told.pop("written"), told.update(seed="one")), "look at seed, written"),
        (lambda told: told.update(versions={}, command=3), r"look at versions\.enforcement-sim, command$"),
        (lambda told: told["scenario"].pop("sha256"), "look at scenario.sha256"),
        (lambda told: told["versions"].update(python="\ud800"), "surrogates"),
    ],
)
def test_a_manifest_that_was_altered(
    edit: Callable[[dict[str, Any]], object], told: str, folder: Path, tmp_path: Path
) -> None:
    """What the report needs is looked at when results are opened, all of it at once."""
    place = tmp_path / "x"
    shutil.copytree(folder, place)
    found = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    edit(found)
    (place / MANIFEST).write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(ResultsError, match=told):
        sim.open(place)


@pytest.mark.parametrize("column", ["segment", "state", "desk"])
def test_names_that_the_manifest_has_not(column: str, folder: Path, tmp_path: Path) -> None:
    """A table with a name that is not among the categories is refused, and does not lose it."""
    place = tmp_path / "x"
    shutil.copytree(folder, place)
    told = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    lost = told["categories"][column][0]
    told["categories"][column][0] = "someone else"
    (place / MANIFEST).write_text(json.dumps(told), encoding="utf-8")
    table = {"segment": "bans", "state": "occupancy", "desk": "desks"}[column]
    with pytest.raises(ResultsError, match=f"{table}.parquet cannot be read: .*{column} `{lost}` is none of those"):
        Stored(place).table(table)
