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
FAILED, BAD_INPUT, UNDECIDED, INTERRUPTED = 1, 2, 3, 130

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
    until: Annotated[
        str | None, typer.Option(help="As many replications as it takes to know a number: 'ban_rate@365 days ±0.1%'.")
    ] = None,
    max_replications: Annotated[int, typer.Option(min=2, help="Where --until gives up.")] = 1000,
    engine: Annotated[str, typer.Option(help="auto, compiled, or process (SimPy).")] = "auto",
    scale: Annotated[
        float | None, typer.Option(help="Keep this share of every segment and of limited desks' reviewers, e.g. 0.001.")
    ] = None,
    histories: Annotated[
        str, typer.Option(help="Keep histories of the first N accounts of each segment: all, none or N.")
    ] = "1000",
    out: Annotated[Path | None, typer.Option(help="Results folder [default: results/<scenario>].")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write the tables as CSV beside the Parquet.")] = False,
    draws: Annotated[
        int | None, typer.Option(min=2, help="Sample all ranges so often: bands from parameters and from chance.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing results folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Run a scenario: tables, figures, summary and manifest in one folder."""
    kept = _histories(histories)
    if engine not in ENGINES:
        raise typer.BadParameter(f"found {engine!r}; allowed: {', '.join(ENGINES)}", param_hint="--engine")
    if scale is not None and not 0.0 < scale <= 1.0:
        raise typer.BadParameter(f"found {scale:g}; allowed: above 0, up to 1", param_hint="--scale")
    if until is not None and replications != 1:
        raise typer.BadParameter("one or the other", param_hint="--until and --replications")
    loaded = _load(scenario)
    chosen = loaded if scale is None else loaded.scaled(scale)
    if draws is not None:
        if engine != "auto":
            raise typer.BadParameter("--draws takes the compiled engine", param_hint="--engine")
        _run_draws(chosen, draws, out, seed=seed, replications=replications, force=force, quiet=quiet)
        return
    folder = out or Path("results") / chosen.name

    from sim.results.store import check_target

    check_target(folder, force=force)

    from sim.experiments.replications import Settings, never, run_to_folder
    from sim.experiments.until import Watch, precision_of
    from sim.views.result import add_figures
    from sim.views.result import open as open_results

    watch = None if until is None else Watch(precision_of(until, chosen), max_replications)
    settings = Settings(seed, replications if watch is None else watch.cap, engine, kept)  # type: ignore[arg-type]
    if not quiet and scale is not None:
        _say(_scale_text(loaded, chosen, scale))
    if not quiet:
        _tell_if_compiling()
    with _interruptible(), _progress(f"Running {chosen.name}", quiet) as progress:
        told, enough = (progress, never) if watch is None else (watch.share(progress), watch)
        options: dict[str, Any] = {"force": force, "csv": csv, "progress": told, "decorate": add_figures}
        done = run_to_folder(chosen, settings, folder, enough=enough, **options)
    if not quiet:
        _print_result(open_results(done), folder)
    if watch is not None:
        if not quiet:
            _say(str(watch))
        if not watch.reached:
            raise typer.Exit(UNDECIDED)


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
        print("First run with these sources: compiling, once, for some twenty seconds …", file=sys.stderr, flush=True)


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


@app.command("test")
def check(
    scenarios: Annotated[list[str], typer.Argument(help="Scenario files, or names of scenarios that ship.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
    max_replications: Annotated[int, typer.Option(min=1, help="What is not decided after so many is undecided.")] = 100,
    engine: Annotated[str, typer.Option(help="auto, compiled, or process (SimPy).")] = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help="Replications at once [default: one a core].")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Hold scenarios to the `expect:` of their files, with as many replications as it takes.

    Exit code 0: all held; 1: some failed; 3: none failed, but some are undecided; 2: bad input.
    """
    _check_engine(engine)
    from sim.experiments.expect import check_expectations
    from sim.views import verdicts

    if not quiet:
        _tell_if_compiling()
    with _interruptible(), _progress("Testing", quiet) as progress:
        options: dict[str, Any] = {"seed": seed, "engine": engine, "workers": workers, "progress": progress}
        checks = check_expectations(*scenarios, max_replications=max_replications, **options)
    if junit is not None:
        junit.parent.mkdir(parents=True, exist_ok=True)
        junit.write_text(verdicts.junit(checks), encoding="utf-8")
    if not quiet:
        verdicts.print_checks(checks)
    raise typer.Exit({"held": 0, "failed": FAILED, "undecided": UNDECIDED}[checks.verdict])


@app.command()
def reproduce(
    folder: Annotated[Path, typer.Argument(help="Results folder of an earlier run.")],
    engine: Annotated[str | None, typer.Option(help="compiled or process [default: the one of the run].")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processors to use [default: all].")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Make a run again from its results folder alone, and compare every table.

    Exit code 0: identical; 1: something differs, the first row that does is named; 2: not the results folder of a run.
    """
    if engine is not None:
        _check_engine(engine)
    from sim.experiments.reproduce import reproduce as make_again
    from sim.views import verdicts

    if not quiet:
        _tell_if_compiling()
    with _interruptible(), _progress(f"Running {folder} again", quiet) as progress:
        done = make_again(folder, engine=engine, workers=workers, progress=progress)  # type: ignore[arg-type]
    if not quiet:
        _say("\n".join(verdicts.reproduction_lines(done)))
    raise typer.Exit(0 if done.identical else FAILED)


def _check_engine(engine: str) -> None:
    if engine not in ENGINES:
        raise typer.BadParameter(f"found {engine!r}; allowed: {', '.join(ENGINES)}", param_hint="--engine")


@app.command()
def compare(
    scenarios: Annotated[list[str], typer.Argument(help="Two or more scenario files or names.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
    replications: Annotated[int, typer.Option(min=1, help="Independent replications of each.")] = 1,
    scale: Annotated[float | None, typer.Option(help="Keep this share of every segment, as for `run`.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Replications at once [default: one a core].")] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder [default: results/<A>_vs_<B>].")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing results folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Compare scenarios with the first one, account by account: differences with limits, and the accounts that end differently."""
    if scale is not None and not 0.0 < scale <= 1.0:
        raise typer.BadParameter(f"found {scale:g}; allowed: above 0, up to 1", param_hint="--scale")
    loaded = [_load(source) for source in scenarios]
    chosen = loaded if scale is None else [scenario.scaled(scale) for scenario in loaded]
    folder = out or Path("results") / "_vs_".join(scenario.name for scenario in chosen)
    from sim.views import comparison

    if not quiet:
        _tell_if_compiling()
    with _interruptible(), _progress(f"Comparing {len(chosen)} scenarios", quiet) as progress:
        options: dict[str, Any] = {"seed": seed, "replications": replications, "workers": workers}
        done = comparison.compare(*chosen, out=folder, force=force, progress=progress, **options)
    if not quiet:
        comparison.print_comparison(done, folder)


def _run_draws(scenario: Scenario, draws: int, out: Path | None, *, force: bool, quiet: bool, **settings: Any) -> None:
    """Sample all ranges into a results folder."""
    folder = out or Path("results") / f"{scenario.name}_draws"
    from sim.views import ranges

    if not quiet:
        _tell_if_compiling()
    with _interruptible(), _progress(f"{draws} draws of {scenario.name}", quiet) as progress:
        found = ranges.draws(scenario, draws, out=folder, force=force, progress=progress, **settings)
    if not quiet:
        _say(f"{found.sentence()}\nTables, figure and manifest are in {folder}")


@app.command()
def sweep(
    scenario: ScenarioArgument,
    vary: Annotated[
        list[str] | None, typer.Option(help="'path=value,value', as in `set:`; several make a grid.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Instead: so many points that fill all ranges of the scenario.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every point.")] = 0,
    replications: Annotated[int, typer.Option(min=1, help="Independent replications of every point.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once [default: one a core].")] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder [default: results/<scenario>_sweep].")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing results folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Run a scenario at many parameter points; if it is stopped, the same command goes on."""
    if bool(vary) == (samples is not None):
        raise typer.BadParameter("give --vary (once or more) or --samples", param_hint="--vary")
    loaded = _load(scenario)
    folder = out or Path("results") / f"{loaded.name}_sweep"
    from sim.experiments.points import axes_of
    from sim.views import sweeps

    axes = axes_of(vary) if vary else None
    if not quiet:
        _tell_if_compiling()
    with _interruptible(), _progress(f"Sweeping {loaded.name}", quiet) as progress:
        options: dict[str, Any] = {"seed": seed, "replications": replications, "workers": workers, "force": force}
        found = sweeps.sweep(loaded, axes, samples=samples, out=folder, progress=progress, **options)
    if not quiet:
        rates = found.of("ban_rate")["value"]
        told = f"{len(rates):,} points in {found.manifest['wall_seconds']:.1f} s"
        _say(f"{told}: ban rate {_percent(rates.min())} to {_percent(rates.max())}")
        _say(f"Table, figures and manifest are in {folder}")


@app.command()
def sensitivity(
    scenario: ScenarioArgument,
    outputs: Annotated[str, typer.Option(help="measure[:segment][:state]@when, with commas.")] = "ban_rate@end",
    method: Annotated[str, typer.Option(help="morris or sobol.")] = "sobol",
    samples: Annotated[int, typer.Option(min=2, help="Sobol: base points, a power of 2; Morris: trajectories.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every point and of the sample.")] = 0,
    replications: Annotated[int, typer.Option(min=1, help="Independent replications of every point.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once [default: one a core].")] = None,
    scale: Annotated[float | None, typer.Option(help="Keep this share of every segment, as for `run`.")] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder [default: results/<scenario>_sensitivity].")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing results folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Tell which ranges of a scenario its outputs depend on (Morris or Sobol)."""
    if method not in ("morris", "sobol"):
        raise typer.BadParameter(f"found {method!r}; allowed: morris, sobol", param_hint="--method")
    if method == "sobol" and samples & (samples - 1):
        raise typer.BadParameter(f"found {samples}; Sobol's sequence needs a power of 2", param_hint="--samples")
    if scale is not None and not 0.0 < scale <= 1.0:
        raise typer.BadParameter(f"found {scale:g}; allowed: above 0, up to 1", param_hint="--scale")
    loaded = _load(scenario)
    chosen = loaded if scale is None else loaded.scaled(scale)
    folder = out or Path("results") / f"{loaded.name}_sensitivity"
    from sim.views import ranges

    if not quiet:
        _tell_if_compiling()
    with _interruptible(), _progress(f"Varying the ranges of {loaded.name}", quiet) as progress:
        options: dict[str, Any] = {"seed": seed, "replications": replications, "workers": workers, "force": force}
        options |= {"method": method, "samples": samples, "out": folder, "progress": progress}
        found = ranges.sensitivity(chosen, outputs.split(","), **options)
    if not quiet:
        ranges.print_sensitivity(found, folder)


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
