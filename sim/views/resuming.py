"""Unfinished work taken up again: the command that was begun, made whole by the function that it was of."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sim.experiments.calibration.targets import targets_in
from sim.experiments.estimate import check_events
from sim.experiments.folders import Command, Verb, command_of
from sim.experiments.replications import Settings
from sim.experiments.until import Watch, precision_of
from sim.views.calibration import Calibration, calibrate
from sim.views.comparison import Comparison, compare
from sim.views.ranges import Draws, Sensitivity, draws, sensitivity
from sim.views.result import Result, run_with_figures
from sim.views.sweeps import Sweep, sweep

Found = Result | Comparison | Sweep | Draws | Sensitivity | Calibration
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Resumed:
    """What was unfinished and now is.

    Attributes
    ----------
    verb
        That was begun.
    found
        What its function returns.
    watch
        Of a run until a number is known: whether that was reached.
    """

    verb: Verb
    found: Found
    watch: Watch | None = None


def resume(
    folder: str | os.PathLike[str],
    *,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Progress = lambda share: None,
) -> Found:
    """Go on with a run, sweep, comparison or other experiment that was stopped before its results folder was there.

    Parameters
    ----------
    folder
        The results folder that it was to make.
    workers, cluster, progress
        As for ``sim.run``; where it runs decides no numbers, and may be another place than before.

    Returns
    -------
    Result, Comparison, Sweep, Draws, Sensitivity or Calibration
        What the function that was begun returns.

    Raises
    ------
    ResultsError
        There is nothing to resume, or it is being worked on.
    RunError
        Some tasks failed; the finished ones are kept for the next time.
    """
    return finish(command_of(Path(folder)), Path(folder), workers=workers, cluster=cluster, progress=progress).found


def finish(command: Command, out: Path, *, workers: int | None, cluster: str | None, progress: Progress) -> Resumed:
    """Make a command again; its finished tasks are taken up."""
    first, force, asked = command.scenarios[0], command.force, command.settings
    if command.verb == "run":
        check_events([first], force=force)
        settings = Settings(asked["seed"], asked["replications"], asked["engine"], asked["histories"])
        watch = None
        if asked["until"] is not None:
            watch = Watch(precision_of(asked["until"], first), settings.replications)
        made = run_with_figures(
            first,
            settings,
            out,
            watch=watch,
            workers=workers,
            cluster=cluster,
            force=force,
            csv=asked["csv"],
            progress=progress,
        )
        return Resumed("run", made, watch)
    if command.verb == "calibrate":
        asked = {**asked, "targets": targets_in(asked["targets"], "<targets>", first)}
    verbs: dict[str, Callable[..., Found]] = {
        "compare": compare,
        "sweep": sweep,
        "draws": draws,
        "sensitivity": sensitivity,
        "calibrate": calibrate,
    }
    found = verbs[command.verb](
        *command.scenarios, **asked, workers=workers, cluster=cluster, out=out, force=force, progress=progress
    )
    return Resumed(command.verb, found)
