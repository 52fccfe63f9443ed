"""What came of tests and of reproductions: tables and lines for the terminal, JUnit XML for continuous integration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.experiments.expect import Check, Checked, Checks
from sim.experiments.reproduce import Difference, Reproduction
from sim.views.description import share_text

_STYLES = {"held": "green", "failed": "bold red", "undecided": "bold yellow"}


def _number_text(share: float) -> str:
    return "" if math.isnan(share) else f"{100.0 * share:.3g} %"


def _limits_text(check: Check) -> str:
    return "" if math.isnan(check.low) else f"{_number_text(check.low)} to {_number_text(check.high)}"


def _expected_text(check: Check) -> str:
    """What is expected: ``above 5 %, below 40 %``."""
    ends = (("above", check.expectation.above), ("below", check.expectation.below))
    return ", ".join(f"{name} {share_text(limit)}" for name, limit in ends if limit is not None)


def _subject_text(check: Check) -> str:
    """What it is expected of: ``ban_rate of media``."""
    told = check.expectation.measure
    told += f" {check.expectation.state}" if check.expectation.state else ""
    return told + (f" of {check.expectation.segment}" if check.expectation.segment else "")


def _date_text(check: Check) -> str:
    midnight = check.at.replace(hour=0, minute=0, second=0, microsecond=0)
    return check.at.date().isoformat() if check.at == midnight else check.at.isoformat(" ", timespec="minutes")


def checks_table(checked: Checked) -> Table:
    """The expectations of one scenario."""
    table = Table(title=Text(checked.source), title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for column in ("expected", "at", "found", "limits", "runs", "verdict"):
        numbers, whole = column in ("found", "runs"), column in ("at", "found", "runs", "verdict")
        table.add_column(column, overflow="fold", justify="right" if numbers else "left", no_wrap=whole)
    for check in checked.checks:
        expected = f"{_subject_text(check)} {_expected_text(check)}"
        found = _number_text(check.value), _limits_text(check), str(check.replications)
        table.add_row(Text(expected), _date_text(check), *found, Text(check.verdict, style=_STYLES[check.verdict]))
    return table


def print_checks(checks: Checks) -> None:
    """Every scenario's table, and the sum."""
    console = Console(highlight=False)
    for checked in checks.scenarios:
        if checked.checks:
            console.print(checks_table(checked))
            console.print()
    console.print(checks_text(checks), markup=False, soft_wrap=True)


def checks_text(checks: Checks) -> str:
    """All scenarios in one line."""
    counted = [f"{checks.count(verdict)} {verdict}" for verdict in ("held", "failed", "undecided")]
    without = [checked.source for checked in checks.scenarios if not checked.checks]
    told = f"{', '.join(counted)} in {sum(checked.seconds for checked in checks.scenarios):.1f} s"
    return told + (f"; without expectations: {', '.join(without)}" if without else "")


def junit(checks: Checks) -> str:
    """JUnit XML: a suite for each scenario, a case for each expectation.

    One that is refuted is a ``failure``. One that is undecided is an ``error`` of the type ``undecided``: not wrong, but nothing that should pass
    silently.
    """
    root = ElementTree.Element("testsuites", _totals([check for each in checks.scenarios for check in each.checks]))
    for checked in checks.scenarios:
        told = {"name": checked.source, **_totals(checked.checks), "time": f"{checked.seconds:.3f}"}
        suite = ElementTree.SubElement(root, "testsuite", told)
        for number, check in enumerate(checked.checks):
            name = f"expect.{number}: {_subject_text(check)} at {_date_text(check)} {_expected_text(check)}"
            case = ElementTree.SubElement(suite, "testcase", {"classname": checked.scenario.name, "name": name})
            found = f"{_number_text(check.value) or 'unknown'} ({_limits_text(check) or 'no limits'}), replications: {check.replications}"
            if check.verdict == "failed":
                ElementTree.SubElement(case, "failure", {"type": "failed", "message": f"found {found}"})
            elif check.verdict == "undecided":
                ElementTree.SubElement(case, "error", {"type": "undecided", "message": f"undecided: found {found}"})
            ElementTree.SubElement(case, "system-out").text = found
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _totals(checks: Any) -> dict[str, str]:
    verdicts = [check.verdict for check in checks]
    counts = {
        "tests": len(verdicts),
        "failures": verdicts.count("failed"),
        "errors": verdicts.count("undecided"),
        "skipped": 0,
    }
    return {name: str(count) for name, count in counts.items()}


def reproduction_lines(reproduction: Reproduction) -> Iterator[str]:
    """Whether a run came out the same, where it first differs, and what may be the reason."""
    rows = sum(table.rows_again for table in reproduction.tables)
    if reproduction.identical:
        yield f"identical: {len(reproduction.tables)} tables, {rows:,} rows, by the {reproduction.engine} engine"
    else:
        for table in reproduction.tables:
            if table.verdict != "identical":
                yield f"{table.name}: {table.verdict}"
    if reproduction.difference is not None:
        yield _difference_text(reproduction.difference)
    if reproduction.scenario_changed:
        yield "a resolved scenario is not the one that the manifest tells of: it was changed after the run"
    for package, (then, now) in reproduction.versions.items():
        yield f"{package}: {then} then, {now} now"
    if not reproduction.identical and not reproduction.versions:
        yield "no version differs"


def _difference_text(difference: Difference) -> str:
    """Where it is, and both rows as far as they differ."""
    where = f"first difference: {difference.table}, row {difference.row} (from 0)"
    if difference.then is None or difference.now is None:
        which, row = ("made now", difference.now) if difference.then is None else ("in the folder", difference.then)
        return f"{where} is only {which}: {_row_text(row or {}, ())}"
    unlike = ", ".join(
        f"{name} {_cell_text(difference.then[name])} in the folder, {_cell_text(difference.now[name])} now"
        for name in difference.columns
    )
    return f"{where}: {unlike} ({_row_text(difference.then, difference.columns)})"


def _row_text(row: Mapping[str, Any], without: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {_cell_text(value)}" for name, value in row.items() if name not in without)


def _cell_text(value: Any) -> str:
    """A cell to its last digit."""
    return "empty" if pd.isna(value) else str(value)
