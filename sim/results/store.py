"""The results folder: Parquet tables, manifest, summary. It appears whole or not at all.

====================  ============================================================================
`Writer`              takes the tables of one replication after another, then puts the folder in place
`Stored`              a folder that is there, its tables read when asked for
====================  ============================================================================
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sim.errors import ResultsError, ScenarioError
from sim.results.columns import TABLES, Column
from sim.results.content import ContentHash
from sim.scenario import Scenario, loads

MANIFEST = "manifest.json"
SCENARIO = "scenario.resolved.yaml"
SUMMARY = "summary.csv"

_ARROW: dict[str, pa.DataType] = {
    "int": pa.int64(),
    "nullable int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "time": pa.timestamp("us"),
    "category": pa.dictionary(pa.int32(), pa.string()),
}


def schema_of(columns: tuple[Column, ...]) -> pa.Schema:
    """Arrow schema of a table."""
    return pa.schema([(column.name, _ARROW[column.type]) for column in columns])


def check_target(folder: Path, *, force: bool) -> None:
    """Refuse a folder that cannot be written before any work is done.

    Raises
    ------
    ResultsError
        The folder exists and `force` is not given, or it is not a results folder, or its parent cannot be written.
    """
    if folder.exists():
        if not force:
            raise ResultsError(f"{folder} exists already; give --force to replace it, or --out for another place")
        if not (folder / MANIFEST).is_file():
            raise ResultsError(f"{folder} is not a results folder (it has no {MANIFEST}): it will not be replaced")
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise ResultsError(f"{folder} cannot be written: {parent} is not a folder that takes files from you")


class Writer:
    """Writes a results folder beside its place and renames it when everything is there; on an error nothing is left."""

    def __init__(self, folder: Path, *, force: bool = False, csv: bool = False) -> None:
        check_target(folder, force=force)
        self.folder = folder.absolute()
        self.force = force
        self.csv = csv
        self.hashes = {name: ContentHash(columns) for name, columns in TABLES.items()}
        self._writers: dict[str, pq.ParquetWriter] = {}
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=self.folder.parent))
        try:
            self.partial.chmod(0o755)
            for name, columns in TABLES.items():
                path = self.partial / f"{name}.parquet"
                self._writers[name] = pq.ParquetWriter(path, schema_of(columns), compression="zstd")
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        """Leave nothing half-written."""
        if self.partial.exists():
            for writer in self._writers.values():
                with suppress(OSError, pa.ArrowException):
                    writer.close()
            shutil.rmtree(self.partial, ignore_errors=True)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def add(self, name: str, table: pd.DataFrame) -> None:
        """Add rows to a table."""
        columns = TABLES[name]
        self.hashes[name].add(table)
        arrow = pa.Table.from_pandas(table, schema=schema_of(columns), preserve_index=False)
        self._writers[name].write_table(arrow)
        if self.csv:
            path = self.partial / f"{name}.csv"
            table.to_csv(path, mode="a", header=not path.exists(), index=False)

    def finish(self, manifest: Mapping[str, Any], scenario: str, summary: pd.DataFrame) -> Path:
        """Write what describes the run. The tables can then be read from the folder that is returned; `publish` puts it in place."""
        for writer in self._writers.values():
            writer.close()
        if self.csv:
            for name, columns in TABLES.items():
                path = self.partial / f"{name}.csv"
                if not path.exists():
                    path.write_text(",".join(column.name for column in columns) + "\n")
        told = dict(manifest)
        told["tables"] = {
            name: {"rows": found.rows, "sha256": found.hexdigest()} for name, found in self.hashes.items()
        }
        (self.partial / SCENARIO).write_text(scenario, encoding="utf-8")
        summary.to_csv(self.partial / SUMMARY, index=False)
        (self.partial / MANIFEST).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return self.partial

    def publish(self) -> Path:
        """Put the folder in its place; one that was there goes only now, and stays if that fails.

        Raises
        ------
        ResultsError
            Something that may not be replaced has come into its place meanwhile.
        """
        check_target(self.folder, force=self.force)
        if not self.folder.exists():
            self.partial.rename(self.folder)
            return self.folder
        aside = self.partial.with_suffix(".old")
        self.folder.rename(aside)
        try:
            self.partial.rename(self.folder)
        except BaseException:
            aside.rename(self.folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)
        return self.folder


class Stored:
    """A results folder.

    Raises
    ------
    ResultsError
        The folder is not there, is not a results folder, or a table in it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, pd.DataFrame] = {}
        if not (folder / MANIFEST).is_file():
            raise ResultsError(f"{folder} is not a results folder: it has no {MANIFEST}")

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the manifest says."""
        told = self._guard(MANIFEST, lambda path: json.loads(path.read_text(encoding="utf-8")))
        if not isinstance(told, dict):
            raise ResultsError(f"{self.folder / MANIFEST} cannot be read: it is not an object")
        return told

    @cached_property
    def scenario_text(self) -> str:
        """The resolved scenario."""
        return str(self._guard(SCENARIO, lambda path: path.read_text(encoding="utf-8")))

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario that was run."""
        try:
            return loads(self.scenario_text, name=str(self.manifest["scenario"]["name"]))
        except (KeyError, TypeError, ScenarioError) as error:
            raise ResultsError(f"{self.folder} cannot be read: {type(error).__name__} {error}") from error

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The summary, as `sim.results.summary.summarise` made it."""
        texts = {"measure": str, "segment": str, "state": str, "unit": str}
        table: pd.DataFrame = self._guard(
            SUMMARY,
            lambda path: pd.read_csv(
                path, dtype=texts, keep_default_na=False, na_values={"low": [""], "high": [""], "value": [""]}
            ),
        )
        return table

    def table(self, name: str) -> pd.DataFrame:
        """One of the tables of `sim.results.columns.TABLES`, its categories in file order."""
        if name not in self._read:
            self._read[name] = self._guard(f"{name}.parquet", lambda path: self._typed(name, path))
        return self._read[name]

    def _typed(self, name: str, path: Path) -> pd.DataFrame:
        table: pd.DataFrame = pq.read_table(path).to_pandas()
        for column in TABLES[name]:
            if column.type == "category":
                order = pd.Index(self.manifest["categories"][column.name], dtype=str)
                table[column.name] = table[column.name].astype(pd.CategoricalDtype(order))
            elif column.type == "nullable int":
                table[column.name] = table[column.name].astype("Int64")
        return table

    def _guard(self, name: str, read: Callable[[Path], Any]) -> Any:
        try:
            return read(self.folder / name)
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise ResultsError(f"{self.folder / name} cannot be read: {type(error).__name__} {error}") from error
