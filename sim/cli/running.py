"""Verbs that run one scenario: `run`, `bench`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.common import (
    MOST_REPLICATIONS,
    UNDECIDED,
    ClusterOption,
    ScenarioArgument,
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
    from sim.experiments.until import Watch
    from sim.scenario import Scenario
    from sim.views.ranges import Draws
    from sim.views.result import Result


@app.command()
def run(
    scenario: ScenarioArgument,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
    replications: Annotated[int, typer.Option(min=1, max=MOST_REPLICATIONS, help="Independent replications.")] = 1,
    until: Annotated[
        str | None, typer.Option(help="As many replications as it takes to know a number: 'ban_rate@365 days ±0.1%'.")
    ] = None,
    max_replications: Annotated[
        int | None, typer.Option(max=MOST_REPLICATIONS, help="Where --until gives up [default: 1000].")
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, compiled, or process (SimPy).")] = "auto",
    scale: Annotated[
        float | None, typer.Option(help="Keep this share of every segment and of limited desks' reviewers, e.g. 0.001.")
    ] = None,
    histories: Annotated[
        str | None,
        typer.Option(help="Keep histories of the first N accounts of each segment: all, none or N [default: 1000]."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processors to use: replications at once, and threads of each [default: all]."),
    ] = None,
    cluster: ClusterOption = None,
    out: Annotated[Path | None, typer.Option(help="Results folder [default: results/<scenario>].")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write the tables as CSV beside the Parquet.")] = False,
    draws: Annotated[
        int | None, typer.Option(min=2, help="Sample all ranges so often: bands from parameters and from chance.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing results folder; run even what may take hours.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Run a scenario: tables, figures, summary and manifest in one folder.

    Several replications are saved as they finish: if it is stopped, the same command or `resume` goes on.
    """
    kept = _histories("1000" if histories is None else histories)
    check_engine(engine)
    check_scale(scale)
    check_where(workers, cluster)
    if until is not None and replications != 1:
        raise typer.BadParameter("one or the other", param_hint="--until and --replications")
    if until is None and max_replications is not None:
        raise typer.BadParameter("goes with --until", param_hint="--max-replications")
    if draws is not None:
        _check_draws(engine=engine, histories=histories, csv=csv, until=until)
        loaded = load(scenario)
        chosen = loaded if scale is None else loaded.scaled(scale)
        _run_draws(
            chosen,
            draws,
            out or Path("results") / f"{chosen.name}_draws",
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            force=force,
            quiet=quiet,
        )
        return

    from sim.views.beside import Artist

    with Artist(workers) as artist:  # first of all: it gets ready while the scenario is read
        loaded = load(scenario)
        chosen = loaded if scale is None else loaded.scaled(scale)
        folder = out or Path("results") / chosen.name

        from sim.results.placing import check_target

        check_target(folder, force=force)

        from sim.experiments.estimate import check_events
        from sim.experiments.replications import Settings
        from sim.experiments.until import CAP, Watch, precision_of
        from sim.views.result import run_with_figures

        check_events([chosen], force=force)
        watch = None if until is None else Watch(precision_of(until, chosen), max_replications or CAP)
        settings = Settings(seed, replications if watch is None else watch.cap, engine, kept)  # type: ignore[arg-type]
        if not quiet and scale is not None:
            say(_scale_text(loaded, chosen, scale))
        if not quiet:
            tell_if_compiling()
        with interruptible(folder), progress_bar(f"Running {chosen.name}", quiet) as progress:
            done = run_with_figures(
                chosen,
                settings,
                folder,
                watch=watch,
                workers=workers,
                cluster=cluster,
                force=force,
                csv=csv,
                progress=progress,
                artist=artist,
            )
    if not quiet:
        print_run(done, folder)
    tell_watch(watch, quiet)


def tell_watch(watch: Watch | None, quiet: bool) -> None:
    """Say whether a number came to be known well enough; the exit code says it too."""
    if watch is None:
        return
    if not quiet:
        say(str(watch))
    if not watch.reached:
        raise typer.Exit(UNDECIDED)


def _check_draws(*, engine: str, histories: str | None, csv: bool, until: str | None) -> None:
    """Refuse options that samples of the ranges have no use for."""
    if engine != "auto":
        raise typer.BadParameter("--draws takes the compiled engine", param_hint="--engine")
    if histories is not None:
        raise typer.BadParameter("--draws keeps no histories", param_hint="--histories")
    if csv:
        raise typer.BadParameter("the tables of --draws are CSV anyway", param_hint="--csv")
    if until is not None:
        raise typer.BadParameter("--draws takes --replications", param_hint="--until")


def _histories(text: str) -> int | None:
    if text == "all":
        return None
    if text == "none":
        return 0
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    raise typer.BadParameter(
        f"found {text!r}; allowed: all, none or a whole number below 10^18", param_hint="--histories"
    )


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


def _run_draws(
    scenario: Scenario,
    draws: int,
    folder: Path,
    *,
    seed: int,
    replications: int,
    workers: int | None,
    cluster: str | None,
    force: bool,
    quiet: bool,
) -> None:
    """Sample all ranges into a results folder."""
    from sim.views import ranges

    if not quiet:
        tell_if_compiling()
    with interruptible(folder), progress_bar(f"{draws} draws of {scenario.name}", quiet) as progress:
        found = ranges.draws(
            scenario,
            draws,
            seed=seed,
            replications=replications,
            workers=workers,
            cluster=cluster,
            out=folder,
            force=force,
            progress=progress,
        )
    if not quiet:
        print_draws(found, folder)


def print_draws(found: Draws, folder: Path) -> None:
    """Both bands in words, and where everything lies."""
    say(f"{found.sentence()}\nTables, figure and manifest are in {folder}")


HEADLINES = ("ban_rate", "banned_share", "wrongful_ban_rate")


def print_run(result: Result, folder: Path) -> None:
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
    table.add_column("wrongly banned", justify="right")
    rows = {(row["measure"], row["segment"]): row for row in result.summary.to_dict("records") if not row["state"]}
    for segment in (segment for measure, segment in rows if measure == HEADLINES[0]):
        rate, banned, wrong = (rows[measure, segment] for measure in HEADLINES)
        limits = "" if rate["low"] != rate["low"] else f"{percent(rate['low'])} to {percent(rate['high'])}"
        values = percent(rate["value"]), limits, percent(banned["value"]), percent(wrong["value"])
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


@app.command()
def bench(
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each; the median counts.")] = 5,
) -> None:
    """Time both engines and the idle scan on this machine, in one run."""
    from sim.experiments.bench import bench as timings

    tell_if_compiling()
    found = []
    for timing in timings(repeats):
        found.append(timing)
        say(f"{timing.name:<36} {timing.per_second / 1e6:10.3f} million {timing.unit} per second")
    simpy, compiled = found[0], max(found[1:-2], key=lambda timing: timing.per_second)
    say(f"{'ratio of the engines on the ladder':<36} {compiled.per_second / simpy.per_second:10.0f}")
