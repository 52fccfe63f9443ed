"""Where work runs: independent tasks on this machine's cores or on a Dask cluster, each saved as it finishes.

A `Task` is one replication of one scenario; it depends on nothing but what it holds, so that any number of workers, in any order, on any machine
makes the same of it. What is made, and how it is kept, is told by a `Product`: most experiments want an `Outcome` of each task, a run its tables
(`sim.experiments.resumable`). With a folder, all that is made is written there when it is there (whole or not at all), and a later call with the
same tasks goes on where an earlier one was killed.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from sim.errors import RunError
from sim.experiments.cluster import joined
from sim.experiments.keeping import check_seal, content_of_sealed, write_sealed
from sim.experiments.replications import Engine, Settings, codes_of, replicate
from sim.processors import cores
from sim.results.manifest import versions
from sim.results.outcome import Outcome, outcome_of
from sim.results.placing import KEPT, NotWrittenError, writing
from sim.results.tables import BAN_COLUMNS, Codes, counts_of
from sim.scenario import Scenario, loads

BAN_CURVES = BAN_COLUMNS
LOOK_AHEAD = 4
"""Tasks given out for each worker, so that none waits while outcomes are handed on in order; no more are held in memory."""

HAND_OVER = 0.0005
"""Seconds until a thread that is back from machine code may have the interpreter; ten times sooner than by default."""

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)


class Make(Protocol[Made_co]):
    """Does a task on so many threads."""

    def __call__(self, task: Task, threads: int | None) -> Made_co: ...


@dataclass(frozen=True)
class Task:
    """One replication of one scenario.

    Attributes
    ----------
    point
        What it is called where it is one of many: the parameter point, or the name of the scenario.
    scenario
        Resolved text of the scenario.
    seed, replication, engine, histories
        As in `sim.experiments.replications.Settings`; outcomes have no histories.
    """

    point: str
    scenario: str
    seed: int
    replication: int
    engine: Engine = "auto"
    histories: int | None = 0

    @property
    def key(self) -> str:
        """Name under which what it makes is kept: it depends on what decides that, and not on the engine."""
        told = f"{hashlib.sha256(self.scenario.encode()).hexdigest()} {self.seed} {self.replication} {self.histories}"
        return hashlib.sha256(f"{_version()} {told}".encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _version() -> str:
    """That of this package; another one may make something else of the same task."""
    return versions()["enforcement-sim"]


@dataclass(frozen=True)
class Product(Generic[Made]):
    """What is made of tasks, and how it is kept.

    Attributes
    ----------
    make
        Does a task on so many threads, here or on another machine; a function that has a name, as it must travel.
    pack
        What was made, as bytes.
    read
        Gives what is in a sealed file (`sim.experiments.keeping`).
    kept
        What to hand on of what was made and is now in a file.
    suffix
        Of the file.
    ahead
        Tasks given out for each worker.
    """

    make: Make[Made]
    pack: Callable[[Made], bytes]
    read: Callable[[Path], Made]
    kept: Callable[[Made, Path], Made]
    suffix: str
    ahead: int


Submit = Callable[[Task], "Future[Made]"]


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
    scenario: Scenario,
    seed: int,
    replications: Sequence[int],
    *,
    point: str = "",
    engine: Engine = "auto",
    histories: int | None = 0,
) -> list[Task]:
    """Tasks of some replications of one scenario."""
    text = scenario.resolved_yaml()
    return [Task(point or scenario.name, text, seed, replication, engine, histories) for replication in replications]


@lru_cache(maxsize=16)
def codes_of_text(scenario: str) -> Codes:
    """Compile the text of a scenario; the replications of one point share it."""
    return codes_of(loads(scenario))


def perform(task: Task, threads: int | None = None) -> Outcome:
    """Run a task here, on so many threads."""
    codes = codes_of_text(task.scenario)
    tally, _ = replicate(codes, Settings(task.seed, 1, task.engine, 0), task.replication, threads=threads)
    return outcome_of(counts_of(tally, codes), codes)


def _outcome(task: Task, threads: int | None) -> Outcome:
    return perform(task, threads)


OUTCOMES = Product(
    make=_outcome,
    pack=lambda outcome: outcome.to_json().encode(),
    read=lambda file: Outcome.from_json(content_of_sealed(file).decode()),
    kept=lambda outcome, file: outcome,
    suffix=".json",
    ahead=LOOK_AHEAD,
)


def _recalled(task: Task, product: Product[Made], folder: Path) -> Made | None:
    """What an earlier call has kept; what is not as it was written is made again."""
    file = folder / f"{task.key}{product.suffix}"
    try:
        check_seal(file, task.key)
        return product.read(file)
    except (OSError, ValueError):
        return None


def _keep(task: Task, made: Made, product: Product[Made], folder: Path) -> Made:
    """Write what was made, whole or not at all."""
    unfinished = folder / f".{task.key}.{os.getpid()}.{threading.get_ident()}.partial"
    file = folder / f"{task.key}{product.suffix}"
    with writing(folder, KEPT):
        try:
            write_sealed(unfinished, task.key, product.pack(made))
            unfinished.replace(file)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
    return product.kept(made, file)


def _kept(task: Task, product: Product[Made], submit: Submit[Made], folder: Path | None) -> Future[Made]:
    """What a task makes, once it is kept."""
    handed: Future[Made] = Future()
    known = None if folder is None else _recalled(task, product, folder)
    if known is not None:
        handed.set_result(known)
        return handed

    def finished(done: Future[Made]) -> None:
        try:
            made = done.result()
            if folder is not None:
                made = _keep(task, made, product, folder)
        except BaseException as error:  # whatever it was: who waits must hear of it
            handed.set_exception(error)
        else:
            handed.set_result(made)

    submit(task).add_done_callback(finished)
    return handed


def _at_once(make: Make[Made], task: Task, threads: int) -> Future[Made]:
    """Do a task here and now."""
    handed: Future[Made] = Future()
    try:
        handed.set_result(make(task, threads))
    except Exception as error:  # but an interrupt ends it all
        handed.set_exception(error)
    return handed


@contextmanager
def _threads(make: Make[Made], workers: int, tasks: int) -> Iterator[tuple[Submit[Made], int, Callable[[], None]]]:
    """Threads of this machine, each with a share of the processors: as `sim.experiments.cluster.joined`.

    A single one is this thread itself: what is made of a task is then used before the next is done, and no second processor is taken.
    """
    at_once = max(1, min(workers, tasks))
    share = max(1, workers // at_once)
    if at_once == 1:
        yield lambda task: _at_once(make, task, share), at_once, lambda: None
        return
    pool, patience = ThreadPoolExecutor(at_once), sys.getswitchinterval()
    sys.setswitchinterval(HAND_OVER)
    try:
        yield lambda task: pool.submit(make, task, share), at_once, lambda: None
    finally:
        sys.setswitchinterval(patience)
        pool.shutdown(wait=False, cancel_futures=True)


def run_tasks(
    tasks: Sequence[Task],
    *,
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[tuple[Task, Outcome]]:
    """Run tasks for their outcomes: see `make_all`."""
    return make_all(tasks, OUTCOMES, workers=workers, cluster=cluster, folder=folder, progress=progress)


def make_all(
    tasks: Sequence[Task],
    product: Product[Made],
    *,
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    patient: bool = True,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[tuple[Task, Made]]:
    """Do tasks; what they make comes in the order of the tasks, those that fail are left out until the end.

    Parameters
    ----------
    tasks
        What to do.
    product
        What to make of them.
    workers
        Processors of this machine to use; by default all. Each takes a task; where there are fewer tasks, several work at one.
    cluster
        Address of a Dask scheduler (``tcp://host:8786``) whose workers do it all instead; they need the package, but no files in common.
    folder
        Where what is finished is kept and looked for.
    patient
        Do all others before a failure is told; otherwise it ends the work.
    progress
        Told the share of the tasks that are done.

    Raises
    ------
    RunError
        The cluster cannot be had, or is gone for good; or what is made cannot be kept, which ends the work at once.
    TasksFailedError
        After all others have been done, naming the points of those that failed.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    failures: list[tuple[Task, BaseException]] = []
    under_way: deque[tuple[Task, Future[Made]]] = deque()
    ahead = iter(tasks)
    alone = partial(product.make, threads=1)  # a worker of a cluster has other threads for other tasks
    here = workers or cores()
    where = _threads(product.make, here, len(tasks)) if cluster is None else joined(cluster, alone)
    with where as (submit, at_once, check):
        for done in range(len(tasks)):
            for task in islice(ahead, product.ahead * at_once - len(under_way)):
                under_way.append((task, _kept(task, product, submit, folder)))
            task, future = under_way.popleft()
            while not wait((future,), timeout=0.2).done:
                check()  # now and then, so that Ctrl-C is heard too
            error = future.exception()
            progress((done + 1) / len(tasks))
            if error is None:
                yield task, future.result()
                continue
            if isinstance(error, NotWrittenError):  # nor would the others be kept
                raise error
            failures.append((task, error))
            if not patient:
                break
    if failures:
        raise TasksFailedError(failures)
