"""The hash of a table's content: of its columns, types and values, not of the bytes of a file. No engine, thread or worker count may change it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.results.columns import Column

_NULL = np.int64(-(2**63))


class ContentHash:
    """SHA-256 of a table that comes in parts; how it was parted does not show."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.columns = columns
        self.rows = 0
        self._parts = {column.name: hashlib.sha256() for column in columns}

    def add(self, part: pd.DataFrame) -> None:
        """Add the next rows."""
        self.rows += len(part)
        for column in self.columns:
            self._parts[column.name].update(_canonical(part[column.name].array, column))

    def hexdigest(self) -> str:
        """Hash of everything added so far."""
        whole = hashlib.sha256()
        for column in self.columns:
            whole.update(f"{column.name}\0{column.type}\0{self._parts[column.name].hexdigest()}\n".encode())
        return whole.hexdigest()


def _canonical(values: Any, column: Column) -> bytes:
    """Little-endian bytes of a column; names as 128 bits of their own hash, so that the numbering of categories does not show."""
    numbers: NDArray[Any]
    if column.type == "category":
        numbers = _words(tuple(values.categories))[values.codes]
    elif column.type == "nullable int":
        numbers = values.to_numpy(dtype=np.int64, na_value=_NULL).astype("<i8")
    elif column.type == "time":
        numbers = values.to_numpy().astype("datetime64[us]").astype("<i8")
    elif column.type == "float":
        numbers = values.to_numpy(dtype=np.float64) + 0.0
        numbers = np.where(np.isnan(numbers), np.nan, numbers).astype("<f8")
    else:
        numbers = values.to_numpy().astype("<i8" if column.type == "int" else "u1")
    return numbers.tobytes()


@lru_cache(maxsize=64)
def _words(names: tuple[object, ...]) -> NDArray[np.void]:
    """The words of some names, and last that of an empty one."""
    return np.array([hashlib.sha256(str(name).encode()).digest()[:16] for name in (*names, "")], "V16")


def summary_hash(summary: pd.DataFrame) -> str:
    """SHA-256 of the rows of a summary; numbers to twelve digits, as quantiles may differ in the last ones from one SciPy to another."""
    told = summary.to_csv(index=False, float_format="%.12g", lineterminator="\n")
    return hashlib.sha256(told.encode()).hexdigest()
