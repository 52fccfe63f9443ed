"""What came of `validate --exact`, for the terminal: a table of simulated beside exact, what could not be solved, and a verdict."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from sim.experiments.exact import FALSE_ALARM, Compared, Exactness
from sim.model.schedule import DAY_US


def _number(value: float, one: Compared) -> str:
    return f"{100.0 * value:.4g} %" if one.subject.startswith("segment") else f"{value:.5g}"


def exactness_table(found: Exactness) -> Table:
    """One row a comparison."""
    table = Table(show_edge=False, pad_edge=False)
    for column in ("of", "measure", "at", "exact", "simulated", "standard error", "z"):
        left = column in ("of", "measure", "at")
        table.add_column(column, overflow="fold", justify="left" if left else "right", no_wrap=column != "of")
    for one in found.compared:
        at = "whole run" if one.at is None else f"day {one.at / DAY_US:g}"
        numbers = (_number(value, one) for value in (one.exact, one.simulated, one.error))
        style = "bold red" if abs(one.z) > found.limit else ""
        table.add_row(one.subject, one.measure, at, *numbers, Text(f"{one.z:+.2f}", style=style))
    return table


def exactness_lines(found: Exactness) -> list[str]:
    """What could not be solved and why, and the verdict."""
    lines = [f"{subject}: no exact answer: {reason}" for subject, reason in found.unsolved]
    if found.verdict == "unsolved":
        return [*lines, "nothing of this scenario can be solved exactly"]
    worst = max(found.compared, key=lambda one: abs(one.z))
    told = f"{len(found.compared)} comparisons; largest |z| {abs(worst.z):.2f} ({worst.subject}, {worst.measure}), limit {found.limit:.2f}"
    odds = f"a faultless simulator fails one file in {1.0 / FALSE_ALARM:,.0f}"
    return [*lines, f"{found.verdict}: {told}; {odds}"]
