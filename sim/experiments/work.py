"""Where work runs: independent tasks on this machine's cores, each saved as it finishes.

A `Task` is one replication of one scenario; it depends on nothing but what it holds, so that any number of workers, in any order, on any machine gives the
same `Outcome`. With a folder, every outcome is written there when it is there (whole or not at all) and a later call with the same tasks goes on
where an earlier one was killed.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sim.errors import RunError
from sim.experiments.replications import Engine, Settings, codes_of, replicate
from sim.model.tables import is_coupled
from sim.results.summary import Measure, Value, measures
from sim.results.tables import tables_of
from sim.scenario import Scenario, loads


@dataclass(frozen=True)
class Task:
    """One replication of one scenario.

    Attributes
    ----------
    point
        What it is called where it is one of many: the parameter point, or the name of the scenario.
    scenario
        Resolved text of the scenario.
    seed, replication, engine
        As in `sim.experiments.replications.Settings`.
    """

    point: str
    scenario: str
    seed: int
    replication: int
    engine: Engine = "auto"

    @property
    def key(self) -> str:
        """Name under which the outcome is kept: it depends on what decides the outcome, and not on the engine."""
        told = f"{hashlib.sha256(self.scenario.encode()).hexdigest()} {self.seed} {self.replication}"
        return hashlib.sha256(told.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Outcome:
    """What is kept of a replication.

    Attributes
    ----------
    measures
        Every measure of the summary at the end of the run.
    bans, occupancy
        Curves: the tables of `sim.results.columns`.
    independent
        Whether accounts never meet.
    """

    measures: dict[Measure, Value]
    bans: pd.DataFrame
    occupancy: pd.DataFrame
    independent: bool


class TaskFailed(RunError):
    """Some tasks failed; the outcomes of the others are kept."""

    def __init__(self, failures: Sequence[tuple[Task, BaseException]]) -> None:
        self.failures = tuple(failures)
        lines = (f"{task.point}, replication {task.replication}: {error}" for task, error in failures)
        super().__init__("\n".join((f"{len(failures)} of the tasks failed:", *lines)))


def tasks_of(
    scenario: Scenario, seed: int, replications: Sequence[int], *, point: str = "", engine: Engine = "auto"
) -> list[Task]:
    """Tasks of some replications of one scenario."""
    text = scenario.resolved_yaml()
    return [Task(point or scenario.name, text, seed, replication, engine) for replication in replications]


def perform(task: Task, threads: int | None = None) -> Outcome:
    """Run a task here."""
    codes = codes_of(loads(task.scenario, name=task.point))
    settings = Settings(task.seed, 1, task.engine, 0)
    tally, _ = replicate(codes, settings, task.replication, threads=threads)
    tables = tables_of(tally, codes, task.replication)
    return Outcome(measures(tables), tables["bans"], tables["occupancy"], not is_coupled(codes.law))


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(
    tasks: Sequence[Task],
    *,
    workers: int | None = None,
    folder: Path | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[Outcome]:
    """Run tasks; their outcomes come in the order of the tasks.

    Parameters
    ----------
    tasks
        What to do.
    workers
        How many tasks at once; by default as many as there are processors.
    folder
        Where finished outcomes are kept and looked for.
    progress
        Told the share of the tasks that are done.

    Raises
    ------
    TaskFailed
        After all others have been done, naming the points of those that failed.
    """
    at_once = max(1, min(workers or cores(), len(tasks) or 1))
    threads = max(1, cores() // at_once)
    finished: dict[int, Outcome] = {}
    failures: list[tuple[Task, BaseException]] = []
    pool = ThreadPoolExecutor(at_once)
    waiting: dict[Future[Outcome], int] = {}
    try:
        given = handed = 0
        while handed + len(failures) < len(tasks):
            while given < len(tasks) and len(waiting) < 2 * at_once:
                waiting[pool.submit(_perform_or_recall, tasks[given], threads, folder)] = given
                given += 1
            ended, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in ended:
                number = waiting.pop(future)
                error = future.exception()
                if error is not None:
                    failures.append((tasks[number], error))
                    finished[number] = None  # type: ignore[assignment]
                else:
                    finished[number] = future.result()
            place = handed + len([1 for number in finished if finished[number] is None and number < handed])
            del place
            yield from _in_order(finished)
            handed = len(tasks) - len(waiting) - (len(tasks) - given) - len(finished) - len(failures)
            progress((given - len(waiting)) / len(tasks))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if failures:
        raise TaskFailed(failures)
