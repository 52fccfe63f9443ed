"""Verbs that make several runs: `compare`, `sweep`, `sensitivity`, `test`, `reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.common import (
    FAILED,
    MOST_REPLICATIONS,
    UNDECIDED,
    ClusterOption,
    ScenarioArgument,
    WorkersOption,
    app,
    check_engine,
    check_scale,
    check_where,
    interruptible,
    load,
    percent,
    progress_bar,
    say,
    tell_if_compiling,
)

if TYPE_CHECKING:
    from sim.views.sweeps import Sweep


def _check_junit(file: Path | None) -> None:
    """Refuse to replace what is no XML: a scenario, one of those that it extends, a table."""
    if file is not None and file.is_file():
        with file.open("rb") as opened:
            begin = opened.read(1)
        if begin not in (b"", b"<"):
            raise typer.BadParameter(f"{file} is no XML, and is not replaced", param_hint="--junit")


@app.command("test")
def check(
    scenarios: Annotated[list[str], typer.Argument(help="Scenario files, or names of scenarios that ship.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
    max_replications: Annotated[int, typer.Option(min=1, help="What is not decided after so many is undecided.")] = 100,
    engine: Annotated[str, typer.Option(help="auto, compiled, or process (SimPy).")] = "auto",
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    force: Annotated[bool, typer.Option("--force", help="Run it even if it may take hours.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Hold scenarios to the `expect:` of their files, with as many replications as it takes.

    Exit code 0: all held; 1: some failed; 3: none failed, but some are undecided; 2: bad input.
    """
    check_engine(engine)
    check_where(workers, cluster)
    _check_junit(junit)
    from sim.experiments.expect import check_expectations
    from sim.results.placing import write_whole
    from sim.views import verdicts

    if not quiet:
        tell_if_compiling()
    with interruptible(), progress_bar("Testing", quiet) as progress:
        checks = check_expectations(
            *scenarios,
            seed=seed,
            max_replications=max_replications,
            engine=engine,  # type: ignore[arg-type]
            workers=workers,
            cluster=cluster,
            force=force,
            progress=progress,
        )
    if junit is not None:
        write_whole(junit, verdicts.junit(checks), "make room, or give --junit for another place")
    if not quiet:
        verdicts.print_checks(checks)
    raise typer.Exit({"held": 0, "failed": FAILED, "undecided": UNDECIDED}[checks.verdict])


@app.command()
def reproduce(
    folder: Annotated[
        Path, typer.Argument(help="Results folder of an earlier run, compare, sweep, sensitivity or run --draws.")
    ],
    engine: Annotated[str | None, typer.Option(help="compiled or process [default: the one of the folder].")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processors to use [default: all].")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run it even if it may take hours.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Make a run, or a comparison, sweep or analysis, again from its results folder alone, and compare every table.

    Exit code 0: identical; 1: something differs, the first row that does is named; 2: not a results folder.
    """
    if engine is not None:
        check_engine(engine)
    from sim.experiments.reproduce import reproduce as make_again
    from sim.views import verdicts

    if not quiet:
        tell_if_compiling()
    with interruptible(), progress_bar(f"Running {folder} again", quiet) as progress:
        done = make_again(folder, engine=engine, workers=workers, force=force, progress=progress)  # type: ignore[arg-type]
    if not quiet:
        say("\n".join(verdicts.reproduction_lines(done)))
    raise typer.Exit(0 if done.identical else FAILED)


@app.command()
def compare(
    scenarios: Annotated[list[str], typer.Argument(help="Two or more scenario files or names.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
    replications: Annotated[
        int, typer.Option(min=1, max=MOST_REPLICATIONS, help="Independent replications of each.")
    ] = 1,
    scale: Annotated[float | None, typer.Option(help="Keep this share of every segment, as for `run`.")] = None,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    out: Annotated[Path | None, typer.Option(help="Results folder [default: results/<A>_vs_<B>].")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing results folder; run even what may take hours.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Compare scenarios with the first one, account by account: differences with limits, and the accounts that end differently.

    Replications after the first are tasks, saved as they finish: if it is stopped, the same command or `resume` goes on.
    """
    check_scale(scale)
    check_where(workers, cluster)
    loaded = [load(source) for source in scenarios]
    chosen = loaded if scale is None else [scenario.scaled(scale) for scenario in loaded]
    folder = out or Path("results") / "_vs_".join(scenario.name for scenario in chosen)
    from sim.views import comparison

    if not quiet:
        tell_if_compiling()
    with interruptible(folder), progress_bar(f"Comparing {len(chosen)} scenarios", quiet) as progress:
        done = comparison.compare(
            *chosen,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            out=folder,
            force=force,
            progress=progress,
        )
    if not quiet:
        comparison.print_comparison(done, folder)


@app.command()
def sweep(
    scenario: ScenarioArgument,
    vary: Annotated[
        list[str] | None,
        typer.Option(help="'path=value,value', as in `set:`; several make a grid [default: the `sweep:` of the file]."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Instead: so many points that fill all ranges of the scenario.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every point.")] = 0,
    replications: Annotated[
        int, typer.Option(min=1, max=MOST_REPLICATIONS, help="Independent replications of every point.")
    ] = 1,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    out: Annotated[Path | None, typer.Option(help="Results folder [default: results/<scenario>_sweep].")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing results folder; run even what may take hours.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Run a scenario at many parameter points; if it is stopped, the same command or `resume` goes on."""
    check_where(workers, cluster)
    if vary and samples is not None:
        raise typer.BadParameter("one or the other", param_hint="--vary and --samples")
    loaded = load(scenario)
    folder = out or Path("results") / f"{loaded.name}_sweep"
    from sim.experiments.points import axes_of
    from sim.views import sweeps

    axes = axes_of(vary) if vary else None
    if not quiet:
        tell_if_compiling()
    with interruptible(folder), progress_bar(f"Sweeping {loaded.name}", quiet) as progress:
        found = sweeps.sweep(
            loaded,
            axes,
            samples=samples,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            out=folder,
            force=force,
            progress=progress,
        )
    if not quiet:
        print_sweep(found, folder)


def print_sweep(found: Sweep, folder: Path) -> None:
    """How many points, between what the ban rate lies, and where everything is."""
    rates = found.of("ban_rate")["value"]
    told = f"{len(rates):,} points in {found.manifest['wall_seconds']:.1f} s"
    say(f"{told}: ban rate {percent(rates.min())} to {percent(rates.max())}")
    say(f"Table, figures and manifest are in {folder}")


@app.command()
def sensitivity(
    scenario: ScenarioArgument,
    outputs: Annotated[str, typer.Option(help="measure[:segment][:state]@when, with commas.")] = "ban_rate@end",
    method: Annotated[str, typer.Option(help="morris or sobol.")] = "sobol",
    samples: Annotated[int, typer.Option(min=2, help="Sobol: base points, a power of 2; Morris: trajectories.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every point and of the sample.")] = 0,
    replications: Annotated[
        int, typer.Option(min=1, max=MOST_REPLICATIONS, help="Independent replications of every point.")
    ] = 1,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    scale: Annotated[float | None, typer.Option(help="Keep this share of every segment, as for `run`.")] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder [default: results/<scenario>_sensitivity].")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing results folder; run even what may take hours.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Tell which ranges of a scenario its outputs depend on (Morris or Sobol)."""
    if method not in ("morris", "sobol"):
        raise typer.BadParameter(f"found {method!r}; allowed: morris, sobol", param_hint="--method")
    if method == "sobol" and samples & (samples - 1):
        raise typer.BadParameter(f"found {samples}; Sobol's sequence needs a power of 2", param_hint="--samples")
    check_scale(scale)
    check_where(workers, cluster)
    loaded = load(scenario)
    chosen = loaded if scale is None else loaded.scaled(scale)
    folder = out or Path("results") / f"{loaded.name}_sensitivity"
    from sim.views import ranges

    if not quiet:
        tell_if_compiling()
    with interruptible(folder), progress_bar(f"Varying the ranges of {loaded.name}", quiet) as progress:
        found = ranges.sensitivity(
            chosen,
            outputs.split(","),
            method=method,  # type: ignore[arg-type]
            samples=samples,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            out=folder,
            force=force,
            progress=progress,
        )
    if not quiet:
        ranges.print_sensitivity(found, folder)
