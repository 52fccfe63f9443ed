"""Numbers in place of ranges: which values of a scenario change when some of its ranges are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from sim.errors import Fault, ScenarioError

from .inheritance import matches
from .names import allowed
from .phases import TABLES
from .quantities import Range
from .writing import Written, plain_at


def drawing(plain: dict[str, Any], ranges: Mapping[str, Range], values: Mapping[str, float]) -> dict[str, object]:
    """Path -> value as a file writes it, of ranges and of what else stands in their tables.

    Parameters
    ----------
    plain
        The scenario as it is written out.
    ranges
        Path -> range: all that it has.
    values
        Path of a range -> value on the range's own scale.

    Returns
    -------
    dict
        What to set; a table of chances (severities, outcomes) in which a range stood is scaled so that it adds up to 1 again.

    Raises
    ------
    ScenarioError
        A path is not one of a range.
    """
    unknown = [path for path in values if path not in ranges]
    if unknown:
        raise ScenarioError(
            [Fault("<set>", None, path, "is not a range", allowed(ranges, path, what="ranges")) for path in unknown]
        )
    changes: dict[str, object] = {path: ranges[path].written(value) for path, value in values.items()}
    tables = dict.fromkeys(path.rpartition(".")[0] for path in values if _of_table(path))
    for table in tables:
        entries: dict[str, Any] = plain_at(plain, table)
        chances = {name: values.get(f"{table}.{name}", _chance(entry)) for name, entry in entries.items()}
        total = math.fsum(chances.values())
        for name, chance in chances.items():
            changes[f"{table}.{name}"] = f"{chance / total * 100!r}%"
    return changes


def _of_table(path: str) -> bool:
    """Whether a path is an entry of a table that adds up to 1."""
    parts = tuple(path.split("."))
    return any(matches(parts[-len(pattern) :], pattern) for pattern in TABLES)


def _chance(written: Written | Range) -> float:
    return written.best if isinstance(written, Range) else float(Fraction(written.removesuffix("%")) / 100)
