"""Verbs about scenario files: `validate`, `show`, `schema`, `list`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim.cli.common import (
    BAD_INPUT,
    FAILED,
    MOST_REPLICATIONS,
    ScenarioArgument,
    app,
    check_engine,
    interruptible,
    load,
    progress_bar,
    say,
    tell_if_compiling,
)
from sim.errors import ScenarioError

if TYPE_CHECKING:
    from sim.scenario import Scenario


@app.command()
def validate(
    scenarios: Annotated[list[str], typer.Argument(help="Scenario files, or names of scenarios that ship.")],
    exact: Annotated[
        bool, typer.Option("--exact", help="Run them, too, and hold what can be solved exactly to its exact answer.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="With --exact: seed of the runs.")] = 0,
    replications: Annotated[
        int, typer.Option(min=1, max=MOST_REPLICATIONS, help="With --exact: independent replications of each.")
    ] = 1,
    engine: Annotated[str, typer.Option(help="With --exact: auto, compiled or process.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="With --exact: run even what may take hours.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="With --exact: no progress.")] = False,
) -> None:
    """Check scenario files; all faults of all files are reported."""
    check_engine(engine)
    faults: list[str] = []
    valid: list[Scenario] = []
    for source in scenarios:
        try:
            loaded = load(source)
        except ScenarioError as error:
            faults.append(str(error))
        else:
            valid.append(loaded)
            accounts = sum(segment.accounts for segment in loaded.spec.segments.values())
            say(f"{source}: valid; {accounts:,} accounts, {len(loaded.spec.ladder.states)} states")
    if faults:
        print("\n".join(faults), file=sys.stderr)
        raise typer.Exit(BAD_INPUT)
    if exact and not _hold_to_exact(valid, quiet, seed=seed, replications=replications, engine=engine, force=force):
        raise typer.Exit(FAILED)


def _hold_to_exact(scenarios: list[Scenario], quiet: bool, **settings: Any) -> bool:
    """Print simulated beside exact; whether none was refuted."""
    from rich.console import Console

    from sim.experiments.exact import hold_to_exact
    from sim.views.exactness import exactness_lines, exactness_table

    tell_if_compiling()
    console, held = Console(highlight=False), True
    for scenario in scenarios:
        with interruptible(), progress_bar(scenario.name, quiet) as progress:
            found = hold_to_exact(scenario, **settings, progress=progress)
        say(f"\n{scenario.spec.title}")
        if found.compared:
            console.print(exactness_table(found))
        say("\n".join(exactness_lines(found)))
        held = held and found.verdict != "refuted"
    return held


@app.command()
def show(
    scenario: ScenarioArgument,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the whole file: defaults and inherited values written out.")
    ] = False,
    stress: Annotated[
        bool, typer.Option("--stress", help="Print the STRESS-DES checklist, filled in, as Markdown.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --stress: exit code 1 where something is left to say.")
    ] = False,
) -> None:
    """Show a scenario: states, exits and parameters as tables, and the ladder as a Mermaid diagram.

    A results folder shows the scenario that was run; its checklist then tells of the run, too.
    """
    if strict and not stress:
        raise typer.BadParameter("goes with --stress", param_hint="--strict")
    loaded, manifest = _loaded(scenario)
    if resolved:
        print(loaded.resolved_yaml(), end="")
        return
    if stress:
        _print_checklist(loaded, manifest, strict=strict)
        return
    from rich.console import Console

    from sim.views.description import mermaid, tables

    console = Console(highlight=False)
    console.print(loaded.spec.title, markup=False, style="bold")
    for table in tables(loaded):
        console.print()
        console.print(table, markup=False)
    print(f"\n```mermaid\n{mermaid(loaded)}\n```")


def _loaded(source: str) -> tuple[Scenario, dict[str, Any] | None]:
    """A scenario by file or name; or the one of a results folder, with its manifest."""
    if Path(source).is_dir():
        from sim.results.placing import MANIFEST
        from sim.results.store import Stored

        if Path(source, MANIFEST).is_file():
            stored = Stored(Path(source))
            return stored.scenario, stored.manifest
    return load(source), None


def _print_checklist(scenario: Scenario, manifest: dict[str, Any] | None, *, strict: bool) -> None:
    from sim.views import stress

    items = stress.checklist(scenario, manifest)
    print(stress.to_markdown(scenario, items), end="")
    missing = stress.missing_lines(items)
    if strict and missing:
        print("\n".join(["left to say:", *missing]), file=sys.stderr)
        raise typer.Exit(FAILED)


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, from which editors complete and check."""
    import json

    from sim.scenario import json_schema

    print(json.dumps(json_schema(), indent=2))


@app.command("list")
def list_scenarios() -> None:
    """List the scenarios that come with the package."""
    from rich.console import Console
    from rich.table import Table

    from sim.scenario import shipped

    table = Table(show_edge=False, pad_edge=False)
    for column in ("name", "title", "accounts", "days"):
        table.add_column(column, overflow="fold", justify="right" if column in ("accounts", "days") else "left")
    for name in sorted(shipped()):
        spec = load(name).spec
        accounts = sum(segment.accounts for segment in spec.segments.values())
        table.add_row(name, spec.title, f"{accounts:,}", f"{spec.end_us / 86_400e6:g}")
    Console(highlight=False).print(table, markup=False)
