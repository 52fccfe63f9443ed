"""The results folder appears whole or not at all, and never in the place of something else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from results.written import FILES, desk, everything, write

from sim.errors import ResultsError
from sim.experiments import replications
from sim.experiments.replications import Settings, run_to_folder
from sim.results.placing import MANIFEST, check_target
from sim.results.store import Stored, Writer


def fail(*_: Any, **__: Any) -> Any:
    """Something goes wrong."""
    raise RuntimeError("on purpose")


def interrupt(*_: Any, **__: Any) -> Any:
    """The user has had enough."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("error", [fail, interrupt])
@pytest.mark.parametrize("where", ["_run_all", "tables_of", "manifest", "decorate", "publish"])
def test_a_failure_leaves_nothing(
    where: str, error: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it happens: before, within or after the tables, or while the figures are drawn."""
    options: dict[str, Any] = {"decorate": error} if where == "decorate" else {}
    if where == "publish":
        monkeypatch.setattr(Writer, "publish", error)
    elif where != "decorate":
        monkeypatch.setattr(replications, where, error)
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        write(tmp_path / "x", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_the_second_replication_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of the first replication are on disk by then, and go."""
    real = replications.tables_of

    def second(tally: Any, codes: Any, replication: int) -> dict[str, pd.DataFrame]:
        if replication == 1:
            assert len(list(tmp_path.iterdir())) == 1
            fail()
        return real(tally, codes, replication)

    monkeypatch.setattr(replications, "tables_of", second)
    with pytest.raises(RuntimeError, match="on purpose"):
        write(tmp_path / "x", csv=True)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    """While figures are drawn all tables are there, elsewhere."""

    def look(partial: Path) -> None:
        assert not (tmp_path / "x").exists()
        assert {path.name for path in partial.iterdir()} == FILES
        assert partial.parent == tmp_path
        assert len(Stored(partial).table("bans")) > 0
        (partial / "figures").mkdir()

    write(tmp_path / "x", decorate=look)
    assert (tmp_path / "x" / "figures").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_existing_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any work is done, with what to do about it."""
    write(tmp_path / "x")
    before = everything(tmp_path)
    monkeypatch.setattr(replications, "_run_all", fail)
    with pytest.raises(ResultsError, match=r"exists already; give --force to replace it, or --out"):
        write(tmp_path / "x")
    assert everything(tmp_path) == before


def test_force_replaces(tmp_path: Path) -> None:
    """The old folder is gone, with whatever was added to it; nothing is left beside."""
    write(tmp_path / "x", csv=True)
    (tmp_path / "x" / "notes.txt").write_text("mine")
    run_to_folder(desk(), Settings(4), tmp_path / "x", force=True)
    assert {path.name for path in (tmp_path / "x").iterdir()} == FILES
    assert Stored(tmp_path / "x").manifest["seed"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_force_where_there_is_nothing(tmp_path: Path) -> None:
    """Force does no harm."""
    assert write(tmp_path / "x", force=True).is_dir()


@pytest.mark.parametrize("error", [fail, interrupt])
@pytest.mark.parametrize("where", ["_run_all", "manifest", "decorate", "publish"])
def test_old_results_survive_a_failure(
    where: str, error: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With force, the old folder stays until the new one is whole."""
    write(tmp_path / "x")
    before = everything(tmp_path)
    if where == "publish":
        monkeypatch.setattr(Writer, "publish", error)
    elif where != "decorate":
        monkeypatch.setattr(replications, where, error)
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        write(tmp_path / "x", force=True, decorate=error if where == "decorate" else lambda folder: None)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("turn", [1, 2])
def test_old_results_survive_a_failure_of_the_exchange(
    turn: int, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even between taking the old folder away and putting the new one there."""
    write(tmp_path / "x")
    before = everything(tmp_path)
    real, calls = Path.rename, list[Path]()

    def rename(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == turn:
            raise error
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(error):
        write(tmp_path / "x", force=True)
    assert everything(tmp_path / "x") == {name.removeprefix("x/"): content for name, content in before.items()}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_results_folder_is_never_replaced(force: bool, tmp_path: Path) -> None:
    """A folder or file of somebody else's stays as it is, force or not."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.txt").write_text("years of work")
    (tmp_path / "y").write_text("a file")
    before = everything(tmp_path)
    for name in ("x", "y"):
        with pytest.raises(ResultsError, match="is not a results folder" if force else "exists already"):
            write(tmp_path / name, force=force)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("content", ["foreign", "results"])
def test_a_folder_that_appears_meanwhile_is_not_replaced(content: str, tmp_path: Path) -> None:
    """Somebody else's files, or another run's results, that come into the way while the run lasts: refused, for want of force."""

    def appear(partial: Path) -> None:
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / ("thesis.txt" if content == "foreign" else MANIFEST)).write_text("{}")

    with pytest.raises(ResultsError):
        write(tmp_path / "x", decorate=appear)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [
        "thesis.txt" if content == "foreign" else MANIFEST
    ]


def test_a_foreign_folder_that_appears_meanwhile_is_not_replaced_by_force(tmp_path: Path) -> None:
    """Force replaces results, not what took their place."""

    def appear(partial: Path) -> None:
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "thesis.txt").write_text("years of work")

    with pytest.raises(ResultsError):
        write(tmp_path / "x", decorate=appear, force=True)
    assert (tmp_path / "x" / "thesis.txt").read_text() == "years of work"


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    """No folder can be made below a file."""
    (tmp_path / "file").write_text("")
    for place in ("file/x", "file/deep/x"):
        with pytest.raises(ResultsError, match=r"cannot be written: .*file is not a folder that takes files"):
            write(tmp_path / place)


def test_a_parent_that_takes_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is begun where nothing can be written (asked of the system, since a superuser may write anywhere)."""
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(ResultsError, match="cannot be written"):
        check_target(tmp_path / "deep" / "x", force=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="a superuser may write anywhere")
def test_a_parent_without_permission(tmp_path: Path) -> None:
    """The same with a folder that really is closed."""
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(ResultsError, match="cannot be written"):
        write(tmp_path / "closed" / "x")


def test_a_writer_that_cannot_begin_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the files of the tables cannot be opened, the folder they were meant for goes."""
    monkeypatch.setattr(pq, "ParquetWriter", fail)
    with pytest.raises(RuntimeError):
        write(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_writers_do_not_meet(tmp_path: Path) -> None:
    """Two runs into one parent at a time use folders of their own."""
    with Writer(tmp_path / "x") as one, Writer(tmp_path / "y") as other:
        assert one.partial != other.partial
        assert tempfile.gettempdir() not in (str(one.partial), str(other.partial))
    assert list(tmp_path.iterdir()) == []
