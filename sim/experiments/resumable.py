"""Runs of several replications, side by side, each saved as it finishes: a run that was killed goes on where it was.

A task makes all tables of a replication, packed into bytes (`sim.results.store.packed`). They are kept in a file beside the place of the results, and
go into it one after the other, in the order of the replications: no more than a few are in memory, however many there are. Small tables that were
made here are handed on as they are; others are unpacked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from sim.experiments.folders import Command, begun, forget_tasks
from sim.experiments.keeping import content_of_sealed
from sim.experiments.replications import (
    Parts,
    Progress,
    Settings,
    Source,
    never,
    one_by_one,
    parts_of,
    run_to_folder,
)
from sim.experiments.until import Watch
from sim.experiments.work import Product, Task, codes_of_text, make_all, tasks_of
from sim.results.outcome import Outcome
from sim.results.placing import ANOTHER_PLACE, KEPT, check_target
from sim.results.store import packed, unpacked
from sim.results.tables import Codes
from sim.scenario import Scenario

AT_HAND = 1 << 17
"""Rows of histories up to which the tables of a replication are handed on in memory."""


class Made:
    """A replication packed into bytes; where it is small and was made in this process, its outcome and tables too."""

    def __init__(self, packed: bytes, whole: tuple[Outcome, list[tuple[str, pd.DataFrame]]] | None = None) -> None:
        self.packed, self.whole = packed, whole

    def __reduce__(self) -> tuple[type[Made], tuple[bytes]]:
        return Made, (self.packed,)


Kept = Made | Path


def packed_replication(task: Task, threads: int | None) -> Made:
    """Run the replication of a task and pack its outcome and its tables."""
    codes = codes_of_text(task.scenario)
    settings = Settings(task.seed, 1, task.engine, task.histories)
    outcome, parts = parts_of(codes, settings, task.replication, threads=threads)
    if task.histories is None or task.histories * len(codes.names.segments) > AT_HAND:
        return Made(packed(outcome.to_json(), parts))
    whole = list(parts)
    return Made(packed(outcome.to_json(), whole), (outcome, whole))


def _bytes(made: Kept) -> bytes:
    return made.packed if isinstance(made, Made) else content_of_sealed(made)


def _whole(kept: Kept) -> tuple[Outcome, Parts]:
    """Outcome and tables of a replication."""
    if isinstance(kept, Made) and kept.whole is not None:
        return kept.whole
    told, parts = unpacked(kept.packed if isinstance(kept, Made) else kept)
    return Outcome.from_json(told), parts


REPLICATIONS: Product[Kept] = Product(
    make=packed_replication,
    pack=_bytes,
    read=lambda file: file,
    kept=lambda made, file: made if isinstance(made, Made) and made.whole is not None else file,
    suffix=".tables",
    ahead=2,
)


def side_by_side(folder: Path, *, workers: int | None, cluster: str | None, patient: bool) -> Source:
    """Replications as tasks, kept in a folder; parameters are those of `sim.experiments.work.make_all`."""

    def made(codes: Codes, settings: Settings, progress: Progress) -> Iterator[tuple[Outcome, Parts]]:
        numbers = range(settings.replications)
        scenario, engine, histories = codes.scenario, settings.engine, settings.histories
        tasks = tasks_of(scenario, settings.seed, numbers, engine=engine, histories=histories)
        number = 0
        for task, kept in make_all(
            tasks, REPLICATIONS, workers=workers, cluster=cluster, folder=folder, patient=patient, progress=progress
        ):
            if (
                task.replication == number
            ):  # or one has failed: the run will not be whole, but the others are to be kept
                yield _whole(kept)
                number += 1

    return made


def run_resumable(
    scenario: Scenario,
    settings: Settings,
    out: Path,
    *,
    watch: Watch | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    force: bool = False,
    csv: bool = False,
    progress: Progress = lambda share: None,
    decorate: Callable[[Path], None] = lambda folder: None,
) -> Path:
    """Run a scenario into a results folder, which appears whole or not at all; several replications go on after a kill.

    Parameters
    ----------
    settings
        With `watch`, its replications are the most that it allows.
    watch
        Ends the run when a number is known well enough.
    workers
        Processors of this machine to use, by default all: for replications side by side, and for the threads of each.
    cluster
        Address of a Dask scheduler whose workers do the replications instead.
    csv, decorate
        As for `sim.experiments.replications.run_to_folder`.

    Raises
    ------
    ResultsError
        The folder is in the way, cannot be written, or is being worked on.
    RunError
        Some replications failed (those that did not are kept for the next time), or the cluster cannot be had.
    """
    check_target(out, force=force)

    def into_place(source: Source, way_on: str = ANOTHER_PLACE) -> Path:
        told = progress if watch is None else watch.share(progress)
        return run_to_folder(
            scenario,
            settings,
            out,
            force=force,
            csv=csv,
            progress=told,
            decorate=decorate,
            enough=watch or never,
            source=source,
            way_on=way_on,
        )

    if settings.replications == 1 and cluster is None:
        return into_place(one_by_one(workers))
    asked = {
        "seed": settings.seed,
        "replications": settings.replications,
        "engine": settings.engine,
        "histories": settings.histories,
        "until": None if watch is None else watch.precision.text,
        "csv": csv,
    }
    with begun(out, Command("run", (scenario,), asked, force)) as folder:
        done = into_place(side_by_side(folder, workers=workers, cluster=cluster, patient=watch is None), KEPT)
        forget_tasks(out)
    return done
