"""What a notebook or a script holds after a comparison: the tables as attributes, the figures as methods of ``plot``, and the words of the verb."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from sim.experiments.compare import FLIPPED, Compared, check_comparable, compare_scenarios
from sim.experiments.estimate import check_events
from sim.experiments.folders import Command, begun, publish
from sim.model.tables import restricted_states
from sim.results.placing import check_target
from sim.results.store import OTHER_SCENARIO
from sim.scenario import Scenario, load
from sim.views import comparison_figures as figures
from sim.views.plots import write_figures
from sim.views.result import events_of
from sim.views.style import figure_of
from sim.views.words import shorten

HEADLINES = {"ban_rate": "ban rate", "banned_share": "banned at the end", "wrongful_ban_rate": "wrongful ban rate"}
MOST_FLIPS = 10
"""Rows of the flip report that the verb prints; all are in ``flips.csv``."""


@dataclass(frozen=True)
class Comparison(Compared):
    """Scenarios compared with the first one of them; the tables are told at `sim.experiments.compare.Compared`."""

    def __repr__(self) -> str:
        return f"<Comparison of {' and '.join(self.names)}, seed {self.manifest['seed']}>"

    @property
    def plot(self) -> Plots:
        """The figures."""
        return Plots(self)

    def save_figures(self, folder: Path) -> list[Path]:
        """Write every figure as PNG (150 dpi) and SVG.

        Parameters
        ----------
        folder
            Where to; made if it is not there.

        Returns
        -------
        list of Path
            The files.
        """
        drawings: dict[str, Callable[[], Axes]] = {
            "ban_rate_difference": self.plot.difference,
            "banned_share_difference": lambda: self.plot.difference("banned_share"),
            "wrongful_ban_rate_difference": lambda: self.plot.difference("wrongful_ban_rate"),
        }
        for name in self.names[1:]:
            mark = f"_{name}" if len(self.names) > 2 else ""
            drawings[f"flips{mark}"] = lambda name=name: self.plot.flips(scenario=name)  # type: ignore[misc]
            drawings[f"examples{mark}"] = lambda name=name: self.plot.examples(scenario=name)  # type: ignore[misc]
        made: dict[str, Callable[[], Figure]] = {
            name: lambda draw=draw: figure_of(draw())  # type: ignore[misc]
            for name, draw in drawings.items()
        }
        return write_figures(made, folder, self.scenarios[0].spec.title)

    def save_report(self, file: str | os.PathLike[str], *, note: str = "") -> Path:
        """Write the report, one page of HTML that needs nothing else.

        Parameters
        ----------
        file
            Where to; what stands there is replaced.
        note
            A sentence under the title.

        Returns
        -------
        Path
            The file.
        """
        from sim.views.report.comparison import comparison_page

        said = {name: list(closing_lines(self, name)) for name in self.names[1:]}
        place = Path(file)
        place.write_text(comparison_page(self, said, events_of(self.scenarios[0]), note), encoding="utf-8")
        return place

    def save(self, folder: Path, *, force: bool = False) -> Path:
        """Write tables, figures, report, resolved scenarios and manifest as a results folder, whole or not at all.

        Parameters
        ----------
        folder
            Where to.
        force
            Replace it if it is a results folder already.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        ResultsError
            The folder is in the way or cannot be written.
        """

        def decorate(partial: Path) -> None:
            self.curves.to_parquet(partial / "curves.parquet", index=False)
            for number, scenario in enumerate(self.scenarios[1:], start=2):
                text = scenario.resolved_yaml()
                (partial / OTHER_SCENARIO.format(number)).write_text(text, encoding="utf-8")
            self.save_figures(partial / "figures")
            self.save_report(partial / "report.html")

        tables = {name: table for name, table in self.tables.items() if name != "curves"}
        return publish(folder, self.manifest, self.scenarios[0], tables, force=force, decorate=decorate)


class Plots:
    """Figures of a comparison; each takes the options of its namesake in `sim.views.comparison_figures` and returns Axes."""

    def __init__(self, comparison: Comparison) -> None:
        self._of = comparison

    def difference(self, measure: figures.Rate = "ban_rate", **options: Any) -> Axes:
        """Difference of the ban rate, or another rate, over time, with 95 % bands; of ``"occupancy_share"`` with `state`."""
        of = self._of
        banded = bool(of.curves["low"].notna().any())
        count = of.manifest["replications"]
        over = f"over {count} replications (Student t)" if count > 1 else "over paired accounts (Agresti and Min)"
        said = f"bands: 95 % {over}" if banded else ""
        told = {"base": of.names[0], "said": said, "events": events_of(of.scenarios[0]), **options}
        return figures.difference_curves(of.curves, measure=measure, **told)

    def flips(self, **options: Any) -> Axes:
        """How many accounts end differently, and the rules behind it."""
        return figures.flip_bars(self._of.flips, **{"base": self._of.names[0], **options})

    def examples(self, **options: Any) -> Axes:
        """Lives of the same accounts side by side."""
        end = self._of.curves["time"].max()
        return figures.example_lives(self._of.examples, end, **{"base": self._of.names[0], **options})


def compare(
    *scenarios: Scenario | str | os.PathLike[str],
    seed: int = 0,
    replications: int = 1,
    workers: int | None = None,
    cluster: str | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Comparison:
    """Compare scenarios with the first of them, account by account.

    Parameters
    ----------
    scenarios
        Two or more: scenarios, names of some that ship, or files.
    seed, replications, workers, cluster
        See `sim.experiments.compare.compare_scenarios`.
    out
        A results folder to write; without it the tables stay in memory.
    force
        Replace `out` if it is a results folder already; run even what may make more events than `sim.experiments.estimate.LIMIT`.
    progress
        Told the share of the runs that are done.

    Returns
    -------
    Comparison
        Paired differences of each scenario from the first, with figures.

    Raises
    ------
    ScenarioError
        A scenario cannot be run, or they cannot be compared.
    ResultsError
        `out` is in the way or cannot be written.
    """
    if out is not None:
        check_target(Path(out), force=force)
    chosen = [scenario if isinstance(scenario, Scenario) else load(scenario) for scenario in scenarios]
    check_events(chosen, force=force)

    def found(tasks: Path | None) -> Comparison:
        compared = compare_scenarios(
            chosen,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            folder=tasks,
            progress=progress,
        )
        return Comparison(**vars(compared))

    if out is None:
        return found(None)
    check_comparable(chosen)
    asked = {"seed": seed, "replications": replications}
    with begun(Path(out), Command("compare", tuple(chosen), asked, force)) as tasks:
        comparison = found(tasks)
        comparison.save(Path(out), force=force)
    return comparison


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100.0 * share:.3g} %"


def _count(number: float) -> str:
    return "" if math.isnan(number) else f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _headline_rows(comparison: Comparison, name: str) -> Iterator[tuple[str, dict[Any, Any], Callable[[float], str]]]:
    """Rows of the differences that the verb prints: the three rates, and account-days in restricted states, together and each, by segment."""
    rows = comparison.differences[comparison.differences["scenario"] == name].to_dict("records")
    for measure, label in HEADLINES.items():
        for row in rows:
            if row["measure"] == measure:
                yield label, row, _percent
    restricted = restricted_states(comparison.scenarios[0].spec.ladder)
    if len(restricted) > 1:
        for row in rows:
            if row["measure"] == "restricted_days":
                yield "restricted days", row, _count  # "days restricted" would be of a state called so
    for state in restricted:
        for row in rows:
            if row["measure"] == "account_days" and row["state"] == state:
                yield f"days {state}", row, _count


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))


def difference_table(comparison: Comparison, name: str) -> Table:
    """Headline differences of a scenario from the first one."""
    title = f"{name} (B) less {comparison.names[0]} (A)"
    table = _table(title)
    table.add_column("", no_wrap=True)
    for column in ("A", "B", "B - A"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("95 % limits", style="dim", no_wrap=True)
    table.add_column("gain", justify="right", no_wrap=True)
    before = ""
    for label, row, told in _headline_rows(comparison, name):
        if label != before:
            table.add_row(shorten(label, 15), style="bold")
        before = label
        limits = "" if math.isnan(row["low"]) else f"{told(row['low']).removesuffix(' %')} to {told(row['high'])}"
        values = (told(row[part]) for part in ("a", "b", "difference"))
        narrower = "" if math.isnan(row["narrower"]) else f"{row['narrower']:.{1 if row['narrower'] < 100 else 0}f}x"
        table.add_row(shorten(row["segment"] or "all", 10.5), *values, limits, narrower)
    return table


def flip_table(comparison: Comparison, name: str) -> Table:
    """The largest groups of accounts that end differently."""
    found = comparison.flips[(comparison.flips["scenario"] == name) & comparison.flips["ends_differently"]]
    table = _table("Accounts that end differently")
    for column, justify in (("accounts", "right"), ("segment", "left"), ("end in A", "left"), ("end in B", "left")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("lives part by", overflow="fold")
    for row in found.head(MOST_FLIPS).to_dict("records"):
        move = f"{row['cause']} of {row['from_state']} ({row['first_in']})" if row["from_state"] else row["cause"]
        table.add_row(f"{row['accounts']:,}", row["segment"], row["fate_a"], row["fate_b"], move)
    return table


def print_comparison(comparison: Comparison, folder: Path) -> None:
    """Tables and closing words of each comparison, and where everything lies."""
    console = Console(highlight=False)
    for name in comparison.names[1:]:
        console.print(difference_table(comparison, name), markup=False)
        console.print()
        console.print(flip_table(comparison, name), markup=False)
        for line in closing_lines(comparison, name):
            console.print(line, markup=False, soft_wrap=True)
    seconds = comparison.manifest["wall_seconds"]
    console.print(f"{seconds:.1f} s. Tables, figures and manifest are in {folder}", markup=False, soft_wrap=True)


def _reason(comparison: Comparison, name: str) -> str:
    """Why no limits follow from the accounts of a single replication."""
    if comparison.manifest["accounts_compared"] != "all":
        return "too many accounts have events"
    one, other = (comparison.scenarios[k].spec.segments for k in (0, comparison.names.index(name)))
    mine, theirs = (
        {segment: (said.accounts, said.joins_from_us, said.joins_to_us) for segment, said in segments.items()}
        for segments in (one, other)
    )
    return "accounts meet at a limited desk" if mine == theirs else "A and B differ in accounts, or in when they join"


def closing_lines(comparison: Comparison, name: str) -> Iterator[str]:
    """How many accounts fare differently, and what the pairing has brought, in words."""
    lives = comparison.lives[comparison.lives["scenario"] == name]
    compared, part, flipped = (int(lives[column].sum()) for column in ("compared", "part", FLIPPED))
    whose = "" if comparison.manifest["accounts_compared"] == "all" else ", the first of each segment"
    yield f"Of {compared:,} accounts{whose}, {part:,} live another life in B and {flipped:,} end differently."
    own = comparison.differences[comparison.differences["scenario"] == name]
    ban = own[(own["measure"] == "ban_rate")].iloc[0]
    known = own["narrower"].dropna()
    if math.isnan(ban["difference"]):
        yield "There is no ban rate: nobody has joined by the end."
    elif math.isnan(ban["low"]):
        yield f"No limits of the ban rate: {_reason(comparison, name)}; take --replications 10 or more."
    if math.isnan(ban["narrower"]):
        return
    yield (
        f"Pairing makes the 95 % limits of the ban rate {ban['narrower']:.1f} times narrower than unpaired runs would have them "
        f"(their variance {ban['narrower'] ** 2:.0f} times smaller); median over {len(known)} measures {known.median():.1f} times."
    )
