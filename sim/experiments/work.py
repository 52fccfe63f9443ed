"""Where work runs: independent tasks on this machine's cores or on a Dask cluster, each saved as it finishes.

A `Task` is one replication of one scenario; it depends on nothing but what it holds, so that any number of workers, in any order, on any machine
gives the same `Outcome`. With a folder, every outcome is written there when it is there (whole or not at all), and a later call with the same
tasks goes on where an earlier one was killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from sim.errors import RunError
from sim.experiments.cluster import joined
from sim.experiments.replications import Engine, Settings, codes_of, replicate
from sim.model.jit import Array
from sim.model.tables import is_coupled
from sim.results.summary import Measure, Value, measures
from sim.results.tables import BAN_COLUMNS, Codes, Counts, counts_of
from sim.scenario import Scenario, loads

BAN_CURVES = BAN_COLUMNS
LOOK_AHEAD = 4
"""Tasks given out for each worker, so that none waits while outcomes are handed on in order; no more are held in memory."""


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
    bans
        (G, S, 4) int64: joined, ever banned, banned, wrongly banned, by grid time and segment.
    occupancy
        (G, S, X) int64: accounts by grid time, segment and state.
    independent
        Whether accounts never meet.
    """

    measures: dict[Measure, Value]
    bans: Array
    occupancy: Array
    independent: bool

    def to_json(self) -> str:
        """Text that `from_json` reads back to the same."""
        told = {
            "measures": [[*measure, *value] for measure, value in self.measures.items()],
            "bans": self.bans.tolist(),
            "occupancy": self.occupancy.tolist(),
            "independent": self.independent,
        }
        return json.dumps(told)

    @staticmethod
    def from_json(text: str) -> Outcome:
        """Read what `to_json` wrote."""
        told = json.loads(text)
        found = {Measure(*row[:4]): Value(*row[4:]) for row in told["measures"]}
        return Outcome(found, np.array(told["bans"]), np.array(told["occupancy"]), told["independent"])


Submit = Callable[[Task], "Future[Outcome]"]


def _told(error: BaseException) -> str:
    """An error in words; one of ours speaks for itself."""
    return str(error) if isinstance(error, RunError) else f"{type(error).__name__}: {error}"


class TasksFailedError(RunError):
    """Some tasks failed; the outcomes of the others are kept."""

    def __init__(self, failures: Sequence[tuple[Task, BaseException]]) -> None:
        self.failures = tuple(failures)
        lines = (f"{task.point}, replication {task.replication}: {_told(error)}" for task, error in failures)
        super().__init__("\n".join((f"{len(failures)} of the tasks failed:", *lines)))


def tasks_of(
    scenario: Scenario, seed: int, replications: Sequence[int], *, point: str = "", engine: Engine = "auto"
) -> list[Task]:
    """Tasks of some replications of one scenario."""
    text = scenario.resolved_yaml()
    return [Task(point or scenario.name, text, seed, replication, engine) for replication in replications]


@lru_cache(maxsize=16)
def _codes(scenario: str) -> Codes:
    """Compile the text of a scenario; the replications of one point share it."""
    return codes_of(loads(scenario))


def outcome_of(counts: Counts, codes: Codes) -> Outcome:
    """What is kept of the numbers of a replication."""
    return Outcome(
        measures=measures(counts, codes),
        bans=counts.bans,
        occupancy=counts.occupancy,
        independent=not is_coupled(codes.law),
    )


def perform(task: Task, threads: int | None = None) -> Outcome:
    """Run a task here, on so many threads."""
    codes = _codes(task.scenario)
    tally, _ = replicate(codes, Settings(task.seed, 1, task.engine, 0), task.replication, threads=threads)
    return outcome_of(counts_of(tally, codes), codes)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _recalled(task: Task, folder: Path) -> Outcome | None:
    """Outcome that an earlier call has kept; one that cannot be read is made again."""
    try:
        return Outcome.from_json((folder / f"{task.key}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(task: Task, outcome: Outcome, folder: Path) -> None:
    """Write an outcome, whole or not at all."""
    partial = folder / f".{task.key}.{os.getpid()}.{threading.get_ident()}.partial"
    partial.write_text(outcome.to_json(), encoding="utf-8")
    partial.replace(folder / f"{task.key}.json")


def _kept(task: Task, submit: Submit, folder: Path | None) -> Future[Outcome]:
    """The outcome of a task, once it is kept."""
    handed: Future[Outcome] = Future()
    known = None if folder is None else _recalled(task, folder)
    if known is not None:
        handed.set_result(known)
        return handed

    def finished(done: Future[Outcome]) -> None:
        try:
            outcome = done.result()
            if folder is not None:
                _keep(task, outcome, folder)
        except BaseException as error:  # whatever it was: who waits must hear of it
            handed.set_exception(error)
        else:
            handed.set_result(outcome)

    submit(task).add_done_callback(finished)
    return handed


@contextmanager
def _threads(workers: int, tasks: int) -> Iterator[tuple[Submit, int, Callable[[], None]]]:
    """Threads of this machine, each with a share of the processors: as `sim.experiments.cluster.joined`."""
    at_once = max(1, min(workers, tasks))
    share = max(1, workers // at_once)
    pool = ThreadPoolExecutor(at_once)
    try:
        yield lambda task: pool.submit(perform, task, share), at_once, lambda: None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _perform_alone(task: Task) -> Outcome:
    """Run a task on one thread: its worker has others for other tasks."""
    return perform(task, 1)


def run_tasks(
    tasks: Sequence[Task],
    *,
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[tuple[Task, Outcome]]:
    """Run tasks; their outcomes come in the order of the tasks, those that fail are left out until the end.

    Parameters
    ----------
    tasks
        What to do.
    workers
        Processors of this machine to use; by default all. Each takes a task; where there are fewer tasks, several work at one.
    cluster
        Address of a Dask scheduler (``tcp://host:8786``) whose workers do it all instead; they need the package, but no files in common.
    folder
        Where finished outcomes are kept and looked for.
    progress
        Told the share of the tasks that are done.

    Raises
    ------
    RunError
        The cluster cannot be had, or is gone for good.
    TasksFailedError
        After all others have been done, naming the points of those that failed.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    failures: list[tuple[Task, BaseException]] = []
    under_way: deque[tuple[Task, Future[Outcome]]] = deque()
    ahead = iter(tasks)
    where = _threads(workers or cores(), len(tasks)) if cluster is None else joined(cluster, _perform_alone)
    with where as (submit, at_once, check):
        for done in range(len(tasks)):
            for task in islice(ahead, LOOK_AHEAD * at_once - len(under_way)):
                under_way.append((task, _kept(task, submit, folder)))
            task, future = under_way.popleft()
            while not wait((future,), timeout=0.2).done:
                check()  # now and then, so that Ctrl-C is heard too
            error = future.exception()
            progress((done + 1) / len(tasks))
            if error is None:
                yield task, future.result()
            else:
                failures.append((task, error))
    if failures:
        raise TasksFailedError(failures)
