"""The verb `calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sim.cli.common import (
    MOST_REPLICATIONS,
    ClusterOption,
    ScenarioArgument,
    WorkersOption,
    app,
    check_scale,
    check_where,
    interruptible,
    load,
    progress_bar,
    tell_if_compiling,
)


@app.command()
def calibrate(
    scenario: ScenarioArgument,
    targets: Annotated[Path, typer.Option(help="CSV: measure, segment, state, at, value, standard error, source.")],
    free: Annotated[
        list[str] | None, typer.Option(help="Path of a range to fit, once or more [default: all ranges].")
    ] = None,
    starts: Annotated[int, typer.Option(min=1, help="Points from which the search begins.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every point.")] = 0,
    replications: Annotated[
        int, typer.Option(min=1, max=MOST_REPLICATIONS, help="Independent replications of every point.")
    ] = 1,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    scale: Annotated[float | None, typer.Option(help="Keep this share of every segment, as for `run`.")] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder [default: results/<scenario>_calibration].")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing results folder; run even what may take hours.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Fit the ranges of a scenario to published figures, and tell which of them these do not identify; if it is stopped, `resume` goes on."""
    check_where(workers, cluster)
    check_scale(scale)
    loaded = load(scenario)
    folder = out or Path("results") / f"{loaded.name}_calibration"
    from sim.experiments.calibration.targets import read_targets
    from sim.views import calibration

    wanted = read_targets(targets, loaded)
    if not quiet:
        tell_if_compiling()
    with interruptible(folder), progress_bar(f"Calibrating {loaded.name}", quiet) as progress:
        options: dict[str, Any] = {
            "seed": seed,
            "replications": replications,
            "workers": workers,
            "cluster": cluster,
            "force": force,
        }
        options |= {"free": free, "starts": starts, "scale": scale, "out": folder, "progress": progress}
        found = calibration.calibrate(loaded, wanted, **options)
    if not quiet:
        calibration.print_calibration(found, folder)
