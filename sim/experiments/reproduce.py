"""A run or another experiment made again from its results folder alone, and held to it: table by table, by the hashes of their contents.

It takes the manifest (seed, replications, histories) and the resolved scenario; experiments are made by `sim.experiments.repeat`. Neither
machine, nor engine, nor the number of workers may show; nor may it matter where the scenario's file has gone.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from operator import index
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from sim.errors import ResultsError
from sim.experiments.estimate import check_events
from sim.experiments.folders import content_of
from sim.experiments.repeat import cells_in, cells_of, engine_of, repeated, scenarios_changed
from sim.experiments.replications import Engine, Parts, Settings, codes_of, parts_of
from sim.model.jit import Array
from sim.model.tables import is_coupled
from sim.processors import cores
from sim.results import invariants
from sim.results.columns import TABLES, Column
from sim.results.content import ContentHash, summary_hash
from sim.results.manifest import manifest, versions
from sim.results.outcome import Outcome
from sim.results.placing import writing
from sim.results.store import SUMMARY, Stored, Writer, file_hash
from sim.results.summary import Measure, Value, summarise
from sim.results.tables import Codes
from sim.scenario import Scenario

Likeness = Literal["identical", "differs", "changed after the run", "cannot be read"]

_MISSING = np.iinfo(np.int64).min


@dataclass(frozen=True)
class ComparedTable:
    """A table then and now.

    Attributes
    ----------
    verdict
        ``identical``: the hash in the manifest came out again, and the file, if it is there, holds it. ``differs``: another hash came out.
        ``changed after the run``: the hash came out again, but the file holds something else; ``cannot be read``: or nothing that can be read.
    rows, sha256
        As the manifest has them; 0 and empty for a table that it does not know.
    rows_again, sha256_again
        As they came out.
    """

    name: str
    verdict: Likeness
    rows: int
    sha256: str
    rows_again: int
    sha256_again: str


@dataclass(frozen=True)
class Difference:
    """The first row that differs between the table in the folder and the one made now.

    Attributes
    ----------
    row
        Its number, from 0.
    columns
        Those that differ; empty where one of the tables has no such row.
    then, now
        The row in the folder and the one made now, column by column; `None` where there is none.
    """

    table: str
    row: int
    columns: tuple[str, ...]
    then: Mapping[str, Any] | None
    now: Mapping[str, Any] | None


@dataclass(frozen=True)
class Reproduction:
    """A run made again.

    Attributes
    ----------
    folder, engine
        What was made again, and by which engine.
    tables
        For each table of the folder its verdict and both hashes.
    difference
        The first differing row of the first table that is not identical; `None` where all are, and where the rows in the folder cannot be read
        or are the same.
    versions
        Packages whose versions differ: (then, now).
    scenario_changed
        Whether the resolved scenario in the folder is not the one that the manifest tells of.
    """

    folder: Path
    engine: Engine
    tables: tuple[ComparedTable, ...]
    difference: Difference | None
    versions: Mapping[str, tuple[str, str]]
    scenario_changed: bool

    @property
    def identical(self) -> bool:
        """Whether every table is the same."""
        return not self.scenario_changed and all(table.verdict == "identical" for table in self.tables)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a table."""
        return pd.DataFrame([asdict(table) for table in self.tables])


def reproduce(
    folder: str | os.PathLike[str],
    *,
    engine: Engine | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Reproduction:
    """Make a run, a comparison, a sweep, draws or a sensitivity analysis again from its results folder alone and compare.

    Parameters
    ----------
    folder
        A results folder; its tables need not be there, but without them a difference can only be told by table.
    engine
        By default the one that made the folder.
    workers
        Processors to use, by default all: for replications side by side, and for the threads of each.
    force
        Run it even if it may make more events than `sim.experiments.estimate.LIMIT`.
    progress
        Told the share of the replications that are done.

    Returns
    -------
    Reproduction
        Whether every table is identical, and the first difference.

    Raises
    ------
    ScenarioError
        It may, and is not forced.
    ResultsError
        It is not the results folder of a run or an experiment.
    RunError
        The run failed.
    """
    stored = Stored(Path(folder))
    if "experiment" in stored.manifest:
        return _experiment(stored, engine, workers, force, progress)
    scenario, settings, told, unlike = _asked(stored, engine)
    check_events([scenario], force=force)
    changed = hashlib.sha256(stored.scenario_text.encode()).hexdigest() != stored.manifest["scenario"]["sha256"]
    with (
        writing(Path(tempfile.gettempdir()), "make room, or set TMPDIR to a folder with room"),
        tempfile.TemporaryDirectory() as place,
        Writer(Path(place) / "again") as writer,
    ):
        codes = codes_of(scenario)
        again = Stored(_run_again(codes, settings, writer, workers or cores(), progress))
        tables = tuple(
            _compared(name, told.get(name, (0, "")), writer.hashes.get(name), stored.folder)
            for name in dict.fromkeys((*TABLES, *told))
        )
        if "summary" in stored.manifest:
            tables = (*tables, _compared_summary(stored, again))
        first = next((table for table in tables if table.verdict != "identical"), None)
        difference = None if first is None else _first_difference(first, stored, again)
    return Reproduction(stored.folder, settings.engine, tables, difference, unlike, changed)


def _asked(
    stored: Stored, engine: Engine | None
) -> tuple[Scenario, Settings, dict[str, tuple[int, str]], dict[str, tuple[str, str]]]:
    """What a folder says was run, the rows and hashes of its tables, and the versions that are others now."""
    told = stored.manifest
    try:
        kept = None if told["histories"] is None else index(told["histories"])
        settings = Settings(index(told["seed"]), index(told["replications"]), engine or told["engine"], kept)
        tables = _hashes(told)
        if "summary" in told:
            _hashes({"tables": {"summary": told["summary"]}})
        str(told["scenario"]["sha256"])
        unlike = _unlike_versions(told)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(
            f"{stored.folder} is not the results folder of a run: {type(error).__name__} {error}"
        ) from error
    return stored.scenario, settings, tables, unlike


def _hashes(told: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Rows and hash of each table that a manifest tells of."""
    return {str(name): (int(table["rows"]), str(table["sha256"])) for name, table in told["tables"].items()}


def _unlike_versions(told: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Packages whose versions are others now."""
    then = {str(package): str(version) for package, version in told["versions"].items()}
    now = versions()
    return {
        package: (then.get(package, "not told"), now.get(package, "not asked for"))
        for package in dict.fromkeys((*then, *now))
        if then.get(package) != now.get(package)
    }


def _experiment(
    stored: Stored, engine: Engine | None, workers: int | None, force: bool, progress: Callable[[float], None]
) -> Reproduction:
    """Make an experiment of several runs again; its tables are CSV, and are compared as such where their hashes differ."""
    try:
        told, unlike, changed = _hashes(stored.manifest), _unlike_versions(stored.manifest), scenarios_changed(stored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"{type(error).__name__} {error}"
        raise ResultsError(f"{stored.folder} is not the results folder of an experiment: {problem}") from error
    again = repeated(stored, engine, workers, force, progress)
    tables, difference = [], None
    for name in dict.fromkeys((*again, *told)):
        table, found = _compared_cells(name, told.get(name, (0, "")), again.get(name), stored.folder)
        tables.append(table)
        difference = difference or found
    taken = engine_of(stored, engine)
    return Reproduction(stored.folder, taken, tuple(tables), difference, unlike, changed)


def _compared_cells(
    name: str, told: tuple[int, str], again: pd.DataFrame | None, folder: Path
) -> tuple[ComparedTable, Difference | None]:
    """A table of the manifest beside the one made now and the cells in the folder, and the first row that differs."""
    rows_again, sha256_again = (0, "") if again is None else (len(again), content_of(again))
    verdict: Likeness = "identical" if told == (rows_again, sha256_again) else "differs"
    difference = None
    try:
        then = cells_in(folder, name)
    except ResultsError:
        verdict, then = "cannot be read" if verdict == "identical" else verdict, None
    if then is not None and again is not None:
        difference = first_unlike_cell(name, then, cells_of(again))
        if difference is not None and verdict == "identical":
            verdict = "changed after the run"
    return ComparedTable(name, verdict, *told, rows_again, sha256_again), difference


def first_unlike_cell(name: str, then: pd.DataFrame, now: pd.DataFrame) -> Difference | None:
    """The first row in which two tables of texts differ; a column or a row that only one of them has differs too."""
    both = min(len(then), len(now))
    columns = list(dict.fromkeys((*then.columns, *now.columns)))
    here, there = (frame.reindex(columns=columns, fill_value="") for frame in (then, now))
    unlike = here[:both].to_numpy() != there[:both].to_numpy()
    rows = np.flatnonzero(unlike.any(axis=1))
    if len(rows) == 0 and len(then) == len(now):
        return None
    row = int(rows[0]) if len(rows) else both
    differing = tuple(column for column, where in zip(columns, unlike[row], strict=True) if where) if len(rows) else ()
    told, made = (dict(frame.iloc[row]) if row < len(frame) else None for frame in (here, there))
    return Difference(name, row, differing, told, made)


def _run_again(
    codes: Codes, settings: Settings, writer: Writer, workers: int, progress: Callable[[float], None]
) -> Path:
    """Run every replication on so many processors; its tables in the order of replications."""
    at_once = min(workers, settings.replications)
    threads = max(1, workers // at_once)

    def measured() -> Iterator[dict[Measure, Value]]:
        for done, (outcome, parts) in enumerate(_replications(codes, settings, at_once, threads)):
            for name, part in parts:
                writer.add(name, part)
            progress((done + 1) / settings.replications)
            yield outcome.measures

    summary = summarise(measured(), independent=not is_coupled(codes.law))
    told = manifest(codes, asdict(settings), 0.0, invariants.told([]))
    return writer.finish(told, codes.scenario.resolved_yaml(), summary)


def _replications(codes: Codes, settings: Settings, at_once: int, threads: int) -> Iterator[tuple[Outcome, Parts]]:
    """Outcome and tables of each replication, in order; no more are under way than work at once."""
    pool = ThreadPoolExecutor(at_once)
    under_way: deque[Future[tuple[Outcome, Parts]]] = deque()
    ahead = iter(range(settings.replications))
    try:
        for _ in range(settings.replications):
            for replication in islice(ahead, at_once - len(under_way)):
                under_way.append(pool.submit(parts_of, codes, settings, replication, threads=threads))
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _compared(name: str, told: tuple[int, str], again: ContentHash | None, folder: Path) -> ComparedTable:
    """A table of the manifest beside the one made now and the one in the folder."""
    rows, sha256 = told
    rows_again, sha256_again = (0, "") if again is None else (again.rows, again.hexdigest())
    verdict: Likeness = "identical"
    if again is None or (rows, sha256) != (rows_again, sha256_again):
        verdict = "differs"
    elif (folder / f"{name}.parquet").exists():
        verdict = _verdict_of_file(name, folder, sha256)
    return ComparedTable(name, verdict, rows, sha256, rows_again, sha256_again)


def _compared_summary(stored: Stored, again: Stored) -> ComparedTable:
    """The summary of the manifest beside the one made now and the one in the folder."""
    (rows, sha256), (rows_again, sha256_again) = (
        (each.manifest["summary"]["rows"], each.manifest["summary"]["sha256"]) for each in (stored, again)
    )
    verdict: Likeness = "identical" if (rows, sha256) == (rows_again, sha256_again) else "differs"
    if verdict == "identical" and (stored.folder / SUMMARY).exists():
        try:
            verdict = "identical" if summary_hash(stored.summary_as_found) == sha256 else "changed after the run"
        except ResultsError:
            verdict = "cannot be read"
    return ComparedTable("summary", verdict, rows, sha256, rows_again, sha256_again)


def _verdict_of_file(name: str, folder: Path, sha256: str) -> Likeness:
    """Whether the file, and the CSV beside it if there is one, still hold what the manifest says; they are read and forgotten."""
    stored, found, copy = Stored(folder), ContentHash(TABLES[name]), folder / f"{name}.csv"
    try:
        for part in stored.parts(name):
            found.add(part)
        if copy.exists() and "csv" in stored.manifest and file_hash(copy) != stored.manifest["csv"][name]:
            return "changed after the run"
    except (ResultsError, OSError, KeyError, ValueError, TypeError):
        return "cannot be read"
    return "identical" if found.hexdigest() == sha256 else "changed after the run"


def _first_difference(table: ComparedTable, stored: Stored, again: Stored) -> Difference | None:
    """The first row that is not the same; `None` where the rows in the folder cannot be read, or are the same."""
    if table.name not in TABLES:
        return None
    try:
        return first_difference(table.name, stored.table(table.name), again.table(table.name))
    except (ResultsError, KeyError, ValueError, TypeError):
        return None


def first_difference(name: str, then: pd.DataFrame, now: pd.DataFrame) -> Difference | None:
    """The first row in which two tables of the same name differ; the longer one's first row too many if they do not."""
    columns, both = TABLES[name], min(len(then), len(now))
    unlike = {column.name: _unlike(then[column.name][:both], now[column.name][:both], column) for column in columns}
    rows = np.flatnonzero(np.logical_or.reduce(list(unlike.values())))
    if len(rows) == 0 and len(then) == len(now):
        return None
    row = int(rows[0]) if len(rows) else both
    differing = tuple(column for column, where in unlike.items() if len(rows) and where[row])
    here, there = (dict(frame.iloc[row]) if row < len(frame) else None for frame in (then, now))
    return Difference(name, row, differing, here, there)


def _unlike(then: pd.Series, now: pd.Series, column: Column) -> Array:
    """Where two columns differ; empty cells equal one another."""
    if column.type == "category":
        names = pd.Index(dict.fromkeys((*then.cat.categories, *now.cat.categories)), dtype=str)
        one, other = (column.cat.set_categories(names).cat.codes.to_numpy() for column in (then, now))
    elif column.type == "nullable int":
        one, other = (column.to_numpy(dtype=np.int64, na_value=_MISSING) for column in (then, now))
    else:
        one, other = then.to_numpy(), now.to_numpy()
    found: Array = one != other
    if column.type == "float":
        found &= ~(np.isnan(one) & np.isnan(other))
    return found
