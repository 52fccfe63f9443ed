"""Values of a sweep as an axis: numbers in one unit, or what is none side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.scenario.units import UNITS_US, RefusedError, duration, number, rate, share
from sim.views.curves import Floats


@dataclass(frozen=True)
class Scale:
    """Values of an axis as they are drawn: numbers in one unit, or, where they are not numbers, places 0, 1, 2, ..."""

    label: str
    at: Floats
    texts: tuple[str, ...]
    numeric: bool


def name_of(path: str, most: int) -> str:
    """A path with its first parts left out, as far as they do not fit."""
    if len(path) <= most:
        return path
    parts = path.split(".")
    while len(parts) > 1 and len(".".join(parts)) > most - 2:
        parts.pop(0)
    return "… " + ".".join(parts)


def broken(path: str, most: int) -> str:
    """A path in up to three lines, its first parts left out as far as they do not fit."""
    lines = [""]
    for part in reversed(path.split(".")):
        joined = f"{part}.{lines[0]}" if lines[0] else part
        if len(joined) <= most or not lines[0]:
            lines[0] = joined
        elif len(lines) < 3:
            lines.insert(0, f"{part}.")
        else:
            lines[0] = f"… {lines[0]}"
            break
    return "\n".join(lines)


def scale_of(path: str, values: Sequence[str], *, most: int = 60) -> Scale:
    """Read the values of an axis as durations, rates, percentages or numbers; what is none of these stands side by side."""
    label = name_of(path, most)
    for read in (number, duration, rate, share):
        try:
            found = [read(value) for value in values]
        except RefusedError:
            continue
        unit = found[0].unit
        at = np.array([each.value for each in found])
        if read is duration:
            at, label = at / UNITS_US[unit], f"{label} ({unit}s)"
        elif read is rate:
            at, label = at * UNITS_US[unit], f"{label} (per {unit})"
        elif read is share:
            at, label = at * 100.0, f"{label} (%)"
        return Scale(label, at, tuple(f"{place:.6g}" for place in at), True)
    return Scale(label, np.arange(len(values), dtype=float), tuple(values), False)
