"""Published figures that a scenario is to meet: a CSV table, one figure a line.

==========================================  ==================================================================================
``measure``                                 a measure, or a whole output as in `sim.experiments.outputs` (``ban_rate:media@end``)
``segment``, ``state``, ``at``              of which segment, state or desk, and when; may be left out or empty (all, none, end)
``value``, ``standard error``               a number in the measure's unit; of shares also a percentage
``source``                                  where it was published; kept, not read
==========================================  ==================================================================================
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sim.errors import NOT_UTF8, RENAME, Fault, ScenarioError, is_utf8
from sim.experiments.outputs import SHARES, Output, outputs_of
from sim.scenario import Scenario
from sim.scenario.names import allowed
from sim.scenario.units import RefusedError, level

REQUIRED = ("measure", "value", "standard error")
COLUMNS = ("measure", "segment", "state", "at", "value", "standard error", "source")
MAX_BYTES = 1 << 20
_LIKE = "its first line names the columns, as in `measure,segment,at,value,standard error`"


@dataclass(frozen=True)
class Target:
    """A published figure.

    Attributes
    ----------
    output
        What it is of.
    value, standard_error
        In the unit of the measure, shares of 1 for shares; the error is above 0.
    at
        When, as written.
    source
        Where it was published, as written.
    """

    output: Output
    value: float
    standard_error: float
    at: str = "end"
    source: str = ""


def read_targets(file: str | os.PathLike[str], scenario: Scenario) -> list[Target]:
    """Read the targets of a file.

    Raises
    ------
    ScenarioError
        With every fault of the file, each with its line.
    """
    shown = str(file)
    if not is_utf8(file):
        raise ScenarioError([Fault(shown, None, "", NOT_UTF8, RENAME)])
    if Path(file).exists() and not Path(file).is_file():
        raise ScenarioError([Fault(shown, None, "", "is not a file", "name a CSV file")])
    try:
        raw = Path(file).read_bytes()
    except OSError as error:
        raise ScenarioError([Fault(shown, None, "", f"cannot be read: {error.strerror}", "name a CSV file")]) from None
    if len(raw) > MAX_BYTES:
        raise ScenarioError([Fault(shown, None, "", f"has {len(raw):,} bytes", f"at most {MAX_BYTES:,} (1 MiB)")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ScenarioError([Fault(shown, line, "", "is not UTF-8 text", "save it as UTF-8")]) from None
    return targets_in(text, shown, scenario)


def as_text(targets: Sequence[Target]) -> str:
    """A table that `targets_in` reads back to the same."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow((*REQUIRED, "source"))
    rows.writerows((each.output.text, repr(each.value), repr(each.standard_error), each.source) for each in targets)
    return written.getvalue()


def targets_in(text: str, shown: str, scenario: Scenario) -> list[Target]:
    """Read the targets of a table; `shown` is what faults call it.

    Raises
    ------
    ScenarioError
        With every fault of the table, each with its line.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ScenarioError([Fault(shown, reader.line_num, "", f"is not CSV: {error}", _LIKE)]) from None
    if not rows:
        raise ScenarioError([Fault(shown, None, "", "is empty", _LIKE)])
    header, faults = _header(*rows[0], shown)
    if not faults and len(rows) == 1:
        faults.append(Fault(shown, rows[0][0], "", "holds no target", "write one a line below the names"))
    if faults:
        raise ScenarioError(faults)
    found: list[Target] = []
    first: dict[tuple[object, ...], int] = {}
    for line, row in rows[1:]:
        target = _row(line, row, header, shown, scenario, faults)
        if target is None:
            continue
        output = target.output
        place = (output.measure, output.segment, output.state, output.at)
        if place in first:
            told = f"is the same figure as in line {first[place]}"
            faults.append(Fault(shown, line, output.text, told, "give each figure once: twice would count it double"))
        first.setdefault(place, line)
        found.append(target)
    if faults:
        raise ScenarioError(faults)
    return found


def _header(line: int, row: Sequence[str], shown: str) -> tuple[list[str], list[Fault]]:
    """Names of the columns."""
    names = [cell.strip().replace("_", " ").casefold() for cell in row]
    faults = [
        Fault(shown, line, "", f"has an unknown column `{written.strip()}`", allowed(COLUMNS, name, what="columns"))
        for name, written in zip(names, row, strict=True)
        if name not in COLUMNS
    ]
    for name in COLUMNS:
        if names.count(name) > 1:
            faults.append(Fault(shown, line, name, "is the name of two columns", "name each column once"))
        if name in REQUIRED and name not in names:
            faults.append(Fault(shown, line, "", f"has no column `{name}`", _LIKE))
    return names, faults


def _row(
    line: int, row: Sequence[str], header: Sequence[str], shown: str, scenario: Scenario, faults: list[Fault]
) -> Target | None:
    """The target of a line; none if it has faults, which are added."""
    if len(row) != len(header):
        faults.append(Fault(shown, line, "", f"has {len(row)} cells", f"{len(header)}, one for each column"))
        return None
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
    before = len(faults)
    output = _output(line, cells, shown, scenario, faults)
    numbers: dict[str, float] = {}
    for column in ("value", "standard error"):
        try:
            numbers[column] = _number(cells[column], column, cells["measure"], output)
        except RefusedError as refused:
            _, problem, remedy = refused.parts[0]
            faults.append(Fault(shown, line, column, problem, remedy))
    if len(faults) > before or output is None:
        return None
    at = cells.get("at") or output.text.partition("@")[2] or "end"
    return Target(output, numbers["value"], numbers["standard error"], at, cells.get("source", ""))


def _output(line: int, cells: Mapping[str, str], shown: str, scenario: Scenario, faults: list[Fault]) -> Output | None:
    """What the figure of a line is of."""
    measure = cells["measure"]
    apart = [cells.get(column, "") for column in ("segment", "state", "at")]
    named, _, when = measure.partition("@")
    parts = [*named.split(":", 2), "", ""][:3]
    for column, cell, part in zip(("segment", "state", "at"), apart, (*parts[1:], when), strict=True):
        if cell and part.strip():
            told = f"`{cell}` is given beside `{measure}`, which has one already"
            faults.append(Fault(shown, line, column, told, "write it in one of the two places"))
            return None
    segment, state, at = (cell or part for cell, part in zip(apart, (*parts[1:], when), strict=True))
    text = ":".join((parts[0], segment, state)).rstrip(":") + f"@{at or 'end'}"
    try:
        return outputs_of([text], scenario)[0]
    except ScenarioError as error:
        faults += [replace(fault, file=shown, line=line) for fault in error.faults]
        return None


def _number(text: str, column: str, measure: str, output: Output | None) -> float:
    """A value or a standard error."""
    if not text:
        raise RefusedError("is empty", "write a number in the measure's unit, of shares also a percentage")
    found = level(text)
    share = output is not None and output.measure in SHARES
    if output is not None and not share and found.unit == "%":
        raise RefusedError(f"`{text}` is a percentage, and {output.measure} is not a share", "write a plain number")
    if column == "standard error" and not found.value > 0.0:
        raise RefusedError(
            f"`{text}` is not above 0", "how far the published figure may be off, one standard deviation"
        )
    if share and not 0.0 <= found.value <= 1.0:
        raise RefusedError(f"`{text}` is not a share", "0% to 100%, or 0 to 1")
    return found.value
