"""What compiled functions mean where Numba is switched off (``NUMBA_DISABLE_JIT=1``): the same source in Python, with the same numbers.

A debugger, a coverage measurement or a mutation of the law then sees every line. It is some hundred times slower, and meant for small scenarios.

========================  =====================================================================================
compiled code             here
========================  =====================================================================================
a row of a record array   `Row`: fields are attributes, and writing one writes the array
64-bit whole numbers      Python's, which cannot overflow; only unsigned ones of 64 bits stay NumPy's and wrap around
NumPy's error model       `in_python`: dividing by zero gives infinity, and no warning
instructions              `fma`, `bits_of`, `number_of`
========================  =====================================================================================
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])


class Row:
    """One row of a record array, as compiled code sees it: its fields are attributes."""

    __slots__ = ("fields",)
    fields: np.void

    def __init__(self, fields: np.void) -> None:
        object.__setattr__(self, "fields", fields)

    def __getattr__(self, name: str) -> Any:
        return _seen(self.fields[name])

    def __setattr__(self, name: str, value: Any) -> None:
        self.fields[name] = value


class Seen(np.ndarray[Any, np.dtype[Any]]):  # an `NDArray` is no class in NumPy 2.5
    """An array as compiled code sees it: its numbers are Python's, and its records `Row`."""

    def __getitem__(self, place: Any) -> Any:
        return _seen(super().__getitem__(place))

    def __setitem__(self, place: Any, value: Any) -> None:
        super().__setitem__(place, value.fields if isinstance(value, Row) else value)


_AS_THEY_ARE = frozenset({int, float, bool, np.float64, np.uint64, np.bool, Row, Seen})


def _seen(value: Any) -> Any:
    """What compiled code makes of an argument, an element or a field."""
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.void):
        return Row(value)
    if isinstance(value, np.ndarray):
        return value.view(Seen)
    if isinstance(value, tuple) and not _is_seen(value):
        return cast(Any, type(value))._make(map(_seen, value))
    return value


def _is_seen(parts: Any) -> bool:
    """Whether a named tuple of arrays, such as `Tables`, has been through `_seen`: all of it has, or nothing."""
    return _is_seen(parts[0]) if isinstance(parts, tuple) else isinstance(parts, Seen)


def in_python(function: Function) -> Function:
    """A function that runs as Python would, but calculates as compiled code does."""

    @wraps(function)
    def run(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*map(_seen, arguments))

    run.py_func = function  # type: ignore[attr-defined]  # under the name that Numba has for it
    return cast(Function, run)


def fma(a: float, b: float, c: float) -> float:
    """``a * b + c``, rounded once: Python's division of whole numbers is exact up to its one rounding."""
    (top_a, low_a), (top_b, low_b), (top_c, low_c) = (float(each).as_integer_ratio() for each in (a, b, c))
    total = top_a * top_b * low_c + top_c * low_a * low_b
    return total / (low_a * low_b * low_c) if total else a * b + c  # a zero has the sign that it has anyway


def bits_of(number: float) -> int:
    """The 64 bits of a float64, as a signed whole number."""
    return int(struct.unpack("<q", struct.pack("<d", number))[0])


def number_of(bits: int) -> float:
    """The float64 that has these 64 bits."""
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


def use_widest_vectors() -> None:
    """Nothing: Python has no vectors."""


def fetch_row(rows: Any, place: int) -> None:
    """Nothing: Python does not say where rows lie."""
