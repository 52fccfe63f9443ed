"""The verb that goes on with unfinished work: `resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sim.cli.common import (
    ClusterOption,
    WorkersOption,
    app,
    check_where,
    interruptible,
    progress_bar,
    tell_if_compiling,
)
from sim.cli.running import print_draws, print_run, tell_watch
from sim.cli.what_if import print_sweep


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(help="The results folder that was to be made, such as results/x.")],
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Go on with work that was stopped before its results were there: the same numbers as if it had not been."""
    check_where(workers, cluster)
    from sim.experiments.folders import command_of
    from sim.views.resuming import finish

    command = command_of(folder)
    if not quiet:
        tell_if_compiling()
    label = f"Going on with {command.verb} of {command.scenarios[0].name}"
    with interruptible(folder), progress_bar(label, quiet) as progress:
        done = finish(command, folder, workers=workers, cluster=cluster, progress=progress)
    if not quiet:
        _print(command.verb, done.found, folder)
    tell_watch(done.watch, quiet)


def _print(verb: str, found: Any, folder: Path) -> None:
    """What the verb would have printed."""
    if verb == "run":
        print_run(found, folder)
    elif verb == "compare":
        from sim.views.comparison import print_comparison

        print_comparison(found, folder)
    elif verb == "sweep":
        print_sweep(found, folder)
    elif verb == "draws":
        print_draws(found, folder)
    elif verb == "calibrate":
        from sim.views.calibration import print_calibration

        print_calibration(found, folder)
    else:
        from sim.views.ranges import print_sensitivity

        print_sensitivity(found, folder)
