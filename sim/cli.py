"""The command line: parse, call, print. Heavy modules are imported by the verb that needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim.errors import ResultsError, RunError, ScenarioError

if TYPE_CHECKING:
    from sim.scenario import Scenario
    from sim.views.result import Result

app = typer.Typer(
    name="enforcement-sim",
    help="What a platform's enforcement rules do to its accounts: simulate warnings, deadlines, restrictions, bans and appeals.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ENGINES = ("auto", "compiled", "process")
FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

ScenarioArgument = Annotated[str, typer.Argument(help="A scenario file, or the name of one that ships (see `list`).")]


def _say(text: str) -> None:
    from rich.console import Console

    Console(highlight=False).print(text, markup=False, soft_wrap=True)


def _load(source: str) -> Scenario:
    from sim.scenario import load

    return load(source)


@app.command()
def run(
    scenario: ScenarioArgument,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
    replications: Annotated[int, typer.Option(min=1, help="Independent replications.")] = 1,
    engine: Annotated[str, typer.Option(help="auto, compiled, or process (SimPy).")] = "auto",
    scale: Annotated[
        float | None, typer.Option(help="Keep this share of every segment and of limited desks' reviewers, e.g. 0.001.")
    ] = None,
    histories: Annotated[
        str, typer.Option(help="Keep histories of the first N accounts of each segment: all, none or N.")
    ] = "1000",
    out: Annotated[Path | None, typer.Option(help="Results folder [default: results/<scenario>].")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write the tables as CSV beside the Parquet.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing results folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Run a scenario: tables, figures, summary and manifest in one folder."""
    kept = _histories(histories)
    if engine not in ENGINES:
        raise typer.BadParameter(f"found {engine!r}; allowed: {', '.join(ENGINES)}", param_hint="--engine")
    if scale is not None and not 0.0 < scale <= 1.0:
        raise typer.BadParameter(f"found {scale:g}; allowed: above 0, up to 1", param_hint="--scale")
    loaded = _load(scenario)
    chosen = loaded if scale is None else loaded.scaled(scale)
    folder = out or Path("results") / chosen.name

    from sim.results.store import check_target

    check_target(folder, force=force)

    from sim.experiments.replications import Settings, run_to_folder
    from sim.views.result import add_figures
    from sim.views.result import open as open_results

    settings = Settings(seed, replications, engine, kept)  # type: ignore[arg-type]
    if not quiet and scale is not None:
        _say(_scale_text(loaded, chosen, scale))
    if not quiet:
        _tell_if_compiling()
    with _interruptible(), _progress(f"Running {chosen.name}", quiet) as progress:
        done = run_to_folder(chosen, settings, folder, force=force, csv=csv, progress=progress, decorate=add_figures)
    if not quiet:
        _print_result(open_results(done), folder)


def _histories(text: str) -> int | None:
    if text == "all":
        return None
    if text == "none":
        return 0
    if text.isascii() and text.isdigit():
        return int(text)
    raise typer.BadParameter(f"found {text!r}; allowed: all, none or a whole number", param_hint="--histories")


def _scale_text(full: Scenario, scaled: Scenario, scale: float) -> str:
    before = sum(segment.accounts for segment in full.spec.segments.values())
    after = sum(segment.accounts for segment in scaled.spec.segments.values())
    told = f"Scaled to {100 * scale:g} %: the first {after:,} of {before:,} accounts"
    desks = [
        f"{name} {desk.reviewers} of {full.spec.desks[name].reviewers} reviewers"
        for name, desk in scaled.spec.desks.items()
        if desk.reviewers is not None
    ]
    counts = [
        f"order {name} {wave.count} of {full.spec.waves[name].count} accounts"
        for name, wave in scaled.spec.waves.items()
        if wave.count is not None
    ]
    return "; ".join((told, *desks, *counts)) + "."


def _tell_if_compiling() -> None:
    """Say so where the first run has to compile; the machine code is then kept on disk."""
    from sim.model.jit import is_compiled_before

    if not is_compiled_before():
        print("First run with these sources: compiling, once, for about half a minute …", file=sys.stderr, flush=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Leave at once on Ctrl-C, when what was half-written is gone: to join a thread that compiles, or to free millions of processes, takes long."""
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(INTERRUPTED)


@contextmanager
def _progress(label: str, quiet: bool) -> Iterator[Callable[[float], None]]:
    """A progress bar with the time left, on stderr; none when quiet."""
    if quiet:
        yield lambda share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda share: bar.update(task, completed=share)


HEADLINES = ("ban_rate", "banned_share", "wrongful_ban_rate")


def _print_result(result: Result, folder: Path) -> None:
    """The headline numbers by segment, the desks, and where everything lies."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(result.scenario.spec.title, style="bold", markup=False)
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("segment", no_wrap=True)
    table.add_column("ever banned", justify="right")
    table.add_column("95 % limits", style="dim", no_wrap=True)
    table.add_column("at the end", justify="right")
    table.add_column("wrongly", justify="right")
    rows = {(row["measure"], row["segment"]): row for row in result.summary.to_dict("records") if not row["state"]}
    for segment in (segment for measure, segment in rows if measure == HEADLINES[0]):
        rate, banned, wrong = (rows[measure, segment] for measure in HEADLINES)
        limits = "" if rate["low"] != rate["low"] else f"{_percent(rate['low'])} to {_percent(rate['high'])}"
        values = _percent(rate["value"]), limits, _percent(banned["value"]), _percent(wrong["value"])
        table.add_row(segment or "all", *values)
    console.print(table)
    for line in _desk_lines(result):
        console.print(line, markup=False)
    console.print(_run_text(result, folder), markup=False, soft_wrap=True)


def _desk_lines(result: Result) -> Iterator[str]:
    """One line for each desk, the mean over replications."""
    rows = {(row["measure"], row["state"]): row["value"] for row in result.summary.to_dict("records")}
    for desk in result.scenario.spec.desks:
        served, waited, most = (rows[f"desk_{measure}", desk] for measure in ("served", "mean_wait", "p95_wait"))
        waits = f", mean wait {waited:.3g} h, 95 % within {most:.3g} h" if waited == waited else ""
        yield f"desk {desk}: served {round(served):,}{waits}"


def _run_text(result: Result, folder: Path) -> str:
    """What was done, how long it took, and where it lies."""
    moves = result.transitions
    made = int(moves.loc[moves["cause"] != "joined", "transitions"].sum())
    joined = int(moves.loc[moves["cause"] == "joined", "transitions"].sum())
    told = f"{joined:,} accounts and {made:,} transitions in {result.manifest['wall_seconds']:.1f} s"
    return f"{told}. Tables, figures and manifest are in {folder}"


def _percent(share: Any) -> str:
    return f"{100.0 * float(share):.3g} %"


@app.command()
def validate(
    scenarios: Annotated[list[str], typer.Argument(help="Scenario files, or names of scenarios that ship.")],
) -> None:
    """Check scenario files; all faults of all files are reported."""
    faults: list[str] = []
    for source in scenarios:
        try:
            loaded = _load(source)
        except ScenarioError as error:
            faults.append(str(error))
        else:
            accounts = sum(segment.accounts for segment in loaded.spec.segments.values())
            _say(f"{source}: valid; {accounts:,} accounts, {len(loaded.spec.ladder.states)} states")
    if faults:
        print("\n".join(faults), file=sys.stderr)
        raise typer.Exit(BAD_INPUT)


@app.command()
def show(
    scenario: ScenarioArgument,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the whole file: defaults and inherited values written out.")
    ] = False,
) -> None:
    """Show a scenario: states, exits and parameters as tables, and the ladder as a Mermaid diagram."""
    loaded = _load(scenario)
    if resolved:
        print(loaded.resolved_yaml(), end="")
        return
    from rich.console import Console

    from sim.views.description import mermaid, tables

    console = Console(highlight=False)
    console.print(loaded.spec.title, markup=False, style="bold")
    for table in tables(loaded):
        console.print()
        console.print(table, markup=False)
    print(f"\n```mermaid\n{mermaid(loaded)}\n```")


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

    from sim.scenario import load, shipped

    table = Table(show_edge=False, pad_edge=False)
    for column in ("name", "title", "accounts", "days"):
        table.add_column(column, overflow="fold", justify="right" if column in ("accounts", "days") else "left")
    for name in sorted(shipped()):
        spec = load(name).spec
        accounts = sum(segment.accounts for segment in spec.segments.values())
        table.add_row(name, spec.title, f"{accounts:,}", f"{spec.end_us / 86_400e6:g}")
    Console(highlight=False).print(table, markup=False)


@app.command()
def bench(
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each; the median counts.")] = 5,
) -> None:
    """Time both engines and the idle scan on this machine, in one run."""
    from sim.experiments.bench import bench as timings

    _tell_if_compiling()
    found = []
    for timing in timings(repeats):
        found.append(timing)
        _say(f"{timing.name:<36} {timing.per_second / 1e6:10.3f} million {timing.unit} per second")
    simpy, compiled = found[0], max(found[1:-2], key=lambda timing: timing.per_second)
    _say(f"{'ratio of the engines on the ladder':<36} {compiled.per_second / simpy.per_second:10.0f}")


def main() -> None:
    """Entry point: errors become one message on stderr and an exit code."""
    try:
        app()
    except ScenarioError as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_INPUT)
    except ResultsError as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_INPUT)
    except (RunError, OSError, MemoryError, OverflowError) as error:
        print(f"failed: {error}", file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr, flush=True)
        sys.exit(INTERRUPTED)
