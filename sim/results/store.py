"""The results folder: Parquet tables, manifest, summary. It appears whole or not at all.

====================  ============================================================================
`Writer`              takes the tables of one replication after another, then puts the folder in place
`Stored`              a folder that is there, its tables read when asked for
`packed`              the tables of a replication as bytes, until it is their turn
====================  ============================================================================
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sim.errors import ResultsError, ScenarioError
from sim.results.columns import SUMMARY as MEASURED
from sim.results.columns import TABLES, Column
from sim.results.content import ContentHash, summary_hash
from sim.results.placing import MANIFEST, Partial

if TYPE_CHECKING:
    from sim.scenario import Scenario

SCENARIO = "scenario.resolved.yaml"
OTHER_SCENARIO = "scenario_{}.resolved.yaml"
"""Of a comparison: those after the first, by number from 2."""
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


def arrow_of(table: pd.DataFrame, columns: tuple[Column, ...]) -> pa.Table:
    """A table as Arrow has it; several times as quick as the general way, as it need not look what the columns are."""
    arrays = [_array(table[column.name].array, column) for column in columns]
    return pa.Table.from_arrays(arrays, schema=schema_of(columns))


@lru_cache(maxsize=64)
def _dictionary(names: tuple[str, ...]) -> pa.Array:
    return pa.array(names, pa.string())


def _array(values: Any, column: Column) -> pa.Array:
    if column.type == "category":
        codes = values.codes.astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), _dictionary(tuple(values.categories)))
    if column.type == "nullable int":
        return pa.array(values, pa.int64(), from_pandas=True)
    return pa.array(values.to_numpy(), _ARROW[column.type], from_pandas=column.type == "float")


ROW_GROUP = 1 << 16
"""Rows of a table that are held until they are written together: small groups cost time and room each."""


class Writer:
    """Writes a results folder beside its place and renames it when everything is there; on an error nothing is left."""

    def __init__(self, folder: Path, *, force: bool = False, csv: bool = False) -> None:
        self._partial = Partial(folder, force=force)
        self.partial = self._partial.path
        self.csv = csv
        self.hashes = {name: ContentHash(columns) for name, columns in TABLES.items()}
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._held: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
        try:
            for name, columns in TABLES.items():
                path = self.partial / f"{name}.parquet"
                self._writers[name] = pq.ParquetWriter(
                    path, schema_of(columns), compression="zstd", write_page_checksum=True
                )
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        """Leave nothing half-written."""
        if self.partial.exists():
            for writer in self._writers.values():
                with suppress(OSError, pa.ArrowException):
                    writer.close()
        self._partial.discard()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def add(self, name: str, table: pd.DataFrame) -> None:
        """Add rows to a table."""
        self.hashes[name].add(table)
        held = self._held[name]
        held.append(arrow_of(table, TABLES[name]))
        if sum(part.num_rows for part in held) >= ROW_GROUP:
            self._write(name)
        if self.csv:
            path = self.partial / f"{name}.csv"
            table.to_csv(path, mode="a", header=not path.exists(), index=False)

    def _write(self, name: str) -> None:
        """Write the rows that are held."""
        held, self._held[name] = self._held[name], []
        if held:
            self._writers[name].write_table(pa.concat_tables(held))

    def finish(self, manifest: Mapping[str, Any], scenario: str, summary: pd.DataFrame) -> Path:
        """Write what describes the run. The tables can then be read from the folder that is returned; `publish` puts it in place."""
        for name, writer in self._writers.items():
            self._write(name)
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
        if self.csv:
            told["csv"] = {name: file_hash(self.partial / f"{name}.csv") for name in TABLES}
        told["summary"] = {"rows": len(summary), "sha256": summary_hash(summary)}
        (self.partial / SCENARIO).write_text(scenario, encoding="utf-8")
        summary.to_csv(self.partial / SUMMARY, index=False)
        (self.partial / MANIFEST).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return self.partial

    def publish(self) -> Path:
        """Put the folder in its place: see `sim.results.placing.Partial.publish`."""
        return self._partial.publish()


OUTCOME = "outcome.json"
"""Name under which packed tables have the text that goes with them."""


def packed(text: str, parts: Iterable[tuple[str, pd.DataFrame]]) -> bytes:
    """Rows of tables, and a text that goes with them, as bytes that `unpacked` reads back to the same (a zip archive of Arrow streams)."""
    into = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)  # so small, threads only cost time
    with zipfile.ZipFile(into, "w") as archive:
        archive.writestr(OUTCOME, text)
        for number, (name, part) in enumerate(parts):
            arrow, member = arrow_of(part, TABLES[name]), pa.BufferOutputStream()
            with pa.ipc.new_stream(member, arrow.schema, options=options) as stream:
                stream.write_table(arrow)
            archive.writestr(f"{number}.{name}", member.getvalue())
    return into.getvalue()


def unpacked(source: bytes | Path) -> tuple[str, Iterator[tuple[str, pd.DataFrame]]]:
    """The text that went with packed tables, and their rows, each part read when it is asked for."""
    archive = zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
    return archive.read(OUTCOME).decode(), _parts(archive)


def _parts(archive: zipfile.ZipFile) -> Iterator[tuple[str, pd.DataFrame]]:
    with archive:
        for member in archive.namelist():
            if member != OUTCOME:
                name = member.partition(".")[2]
                table = pa.ipc.open_stream(archive.read(member)).read_all().to_pandas(use_threads=False)
                for column in TABLES[name]:
                    if column.type == "nullable int":
                        table[column.name] = table[column.name].astype("Int64")
                yield name, table


def file_hash(file: Path) -> str:
    """SHA-256 of the bytes of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


_OF_A_RUN: Mapping[str, type] = {
    "scenario.sha256": str,
    "seed": int,
    "replications": int,
    "versions.enforcement-sim": str,
    "command": list,
    "platform": str,
    "written": str,
    "categories": dict,
    "tables": dict,
}
"""Keys of the manifest of a run, and of what sort they are."""


def _at(told: Any, path: str) -> Any:
    """What stands at a dotted path; `None` where there is no such thing."""
    for key in path.split("."):
        told = told.get(key) if isinstance(told, dict) else None
    return told


def regular(file: Path) -> Path:
    """The file, unless it is something else that could be waited for, such as a pipe.

    Raises
    ------
    OSError
        It is.
    """
    if file.exists() and not file.is_file():
        raise OSError("it is not a file")
    return file


def _with_columns(table: pd.DataFrame, expected: Sequence[str]) -> pd.DataFrame:
    """A table as it is, if its columns are those expected: a name may be damaged where nothing is checked."""
    if list(table) != list(expected):
        raise ValueError(f"its columns are {', '.join(map(str, table))}, and not {', '.join(expected)}")
    return table


def _number(text: str) -> float:
    """A number as it was written, to the last bit, as pandas 2 reads it only if told so and pandas 3 if not; NaN where nothing is."""
    return float(text) if text else math.nan


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

    def check_manifest(self) -> None:
        """Refuse a manifest without what the report of a run tells from it.

        Raises
        ------
        ResultsError
            With every key that is missing or of another sort.
        """
        told = self.manifest
        wrong = [key for key, sort in _OF_A_RUN.items() if not isinstance(_at(told, key), sort)]
        hashes = told.get("tables")
        for name, table in hashes.items() if isinstance(hashes, dict) else ():
            if not (isinstance(table, dict) and isinstance(table.get("rows"), int) and "sha256" in table):
                wrong.append(f"tables.{name}")
        if wrong:
            raise ResultsError(
                f"{self.folder / MANIFEST} is not that of a run, or was altered: look at {', '.join(wrong)}"
            )
        self._guard(MANIFEST, lambda path: json.dumps(told, ensure_ascii=False).encode())  # halves of a letter are none

    @cached_property
    def scenario_text(self) -> str:
        """The resolved scenario."""
        return self.text(SCENARIO)

    def text(self, name: str) -> str:
        """The text of a file in the folder."""
        return str(self._guard(name, lambda path: path.read_text(encoding="utf-8")))

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario that was run."""
        from sim.scenario import loads  # takes a quarter of a second, which who reads tables only need not spend

        try:
            name = str(self.manifest["scenario"]["name"])
        except (KeyError, TypeError) as error:
            raise ResultsError(f"{self.folder / MANIFEST} does not name the scenario that was run") from error
        try:
            return loads(self.scenario_text, name=name)
        except ScenarioError as error:
            first, *more = error.faults
            told = f"{first}" if not more else f"{first} (and {len(more)} more)"
            raise ResultsError(f"{self.folder / SCENARIO} cannot be read: {told}") from error

    @property
    def summary(self) -> pd.DataFrame:
        """The summary, as `sim.results.summary.summarise` made it: what is not as the manifest tells of it is refused."""
        found = {"rows": len(self.summary_as_found), "sha256": self._hash_of_summary}
        if self.manifest.get("summary", found) != found:  # 1.0.0 did not tell it
            raise ResultsError(
                f"{self.folder / SUMMARY} is not as the run wrote it; `enforcement-sim reproduce {self.folder}` tells what differs"
            )
        return self.summary_as_found

    @cached_property
    def _hash_of_summary(self) -> str:
        return summary_hash(self.summary_as_found)

    @cached_property
    def summary_as_found(self) -> pd.DataFrame:
        """The summary, whatever has become of it since."""
        numbers = ("value", "low", "high")

        def read(path: Path) -> pd.DataFrame:
            table = pd.read_csv(
                path,
                dtype=dict.fromkeys(set(MEASURED) - set(numbers), str),
                keep_default_na=False,
                converters=dict.fromkeys(numbers, _number),
            )
            return _with_columns(table, MEASURED)

        table: pd.DataFrame = self._guard(SUMMARY, read)
        return table

    def table(self, name: str) -> pd.DataFrame:
        """One of the tables of `sim.results.columns.TABLES`, its categories in file order."""
        if name not in self._read:
            read = lambda path: self._typed(name, pq.read_table(path, page_checksum_verification=True))  # noqa: E731
            self._read[name] = self._guard(f"{name}.parquet", read)
        return self._read[name]

    def parts(self, name: str) -> Iterator[pd.DataFrame]:
        """The rows of `table` a part at a time, none of which is kept: histories may be larger than the memory."""
        opened = lambda path: pq.ParquetFile(path, page_checksum_verification=True)  # noqa: E731
        with self._guard(f"{name}.parquet", opened) as file:
            for part in range(file.num_row_groups):
                read = lambda path, part=part: self._typed(name, file.read_row_group(part))  # noqa: E731
                yield self._guard(f"{name}.parquet", read)

    def _typed(self, name: str, arrow: pa.Table) -> pd.DataFrame:
        table = _with_columns(arrow.to_pandas(), [column.name for column in TABLES[name]])
        for column in TABLES[name]:
            if column.type == "category":
                order = pd.Index(self.manifest["categories"][column.name], dtype=str)
                written = table[column.name].astype("category")
                table[column.name] = written.cat.set_categories(order)
                lost = written[table[column.name].isna() & written.notna()]
                if len(lost):
                    raise ValueError(f"{column.name} `{lost.iloc[0]}` is none of those that {MANIFEST} names")
            elif column.type == "nullable int":
                table[column.name] = table[column.name].astype("Int64")
        return table

    def _guard(self, name: str, read: Callable[[Path], Any]) -> Any:
        try:
            return read(regular(self.folder / name))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException) as error:
            told = " ".join(str(error).split())  # Arrow's may have several lines
            raise ResultsError(f"{self.folder / name} cannot be read: {type(error).__name__} {told}") from error
