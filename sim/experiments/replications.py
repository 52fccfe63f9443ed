"""One scenario, one or several independent replications: engine, tables, summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from sim.engines import compiled, process
from sim.engines.tally import EVENT, Tally, new_tally
from sim.model.tables import compile_tables, is_coupled, keyed
from sim.results import invariants
from sim.results.columns import TABLES
from sim.results.events import EventLog
from sim.results.manifest import manifest
from sim.results.outcome import Outcome, outcome_of
from sim.results.placing import ANOTHER_PLACE, writing
from sim.results.store import Writer
from sim.results.summary import Measure, Value, summarise
from sim.results.tables import Codes, Counts, counts_of, histories_of, tables_of
from sim.scenario import Scenario

Engine = Literal["auto", "compiled", "process"]
Progress = Callable[[float], None]
Add = Callable[[str, pd.DataFrame], None]
Parts = Iterable[tuple[str, pd.DataFrame]]
"""Names of tables and rows of theirs, in order."""
Enough = Callable[[Outcome], bool]
"""Told the outcome of each replication in turn: whether it was the last one."""


def never(outcome: Outcome) -> bool:
    """No replication is the last one before all are done."""
    return False


HISTORY_ROWS = 1 << 18
"""Rows of histories that become one part of their table."""


@dataclass(frozen=True)
class Settings:
    """How a scenario is run.

    Attributes
    ----------
    seed
        Seed of the run; with the number of the replication it makes the key of all draws.
    replications
        Number of independent replications.
    engine
        ``process`` is SimPy, ``compiled`` the machine-code engine; ``auto`` takes the latter.
    histories
        The histories of so many first accounts of each segment are kept; ``None`` keeps all.
    """

    seed: int = 0
    replications: int = 1
    engine: Engine = "auto"
    histories: int | None = 1000

    def __post_init__(self) -> None:
        if self.engine not in get_args(Engine):
            raise ValueError(f"engine must be one of {', '.join(get_args(Engine))}, found {self.engine!r}")
        if self.replications < 1:
            raise ValueError(f"replications must be at least 1, found {self.replications}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, found {self.seed}")
        if self.histories is not None and self.histories < 0:
            raise ValueError(f"histories must not be negative, found {self.histories}")


@dataclass(frozen=True)
class Collected:
    """Results of a run in memory."""

    scenario: Scenario
    manifest: dict[str, Any]
    summary: pd.DataFrame
    tables: dict[str, pd.DataFrame]

    def table(self, name: str) -> pd.DataFrame:
        """One of the tables of `sim.results.columns.TABLES`."""
        return self.tables[name]


def engine_taken(engine: Engine) -> Engine:
    """The engine that is really taken: what a manifest tells."""
    return "process" if engine == "process" else "compiled"


def _told(settings: Settings) -> dict[str, Any]:
    """Settings as the manifest has them."""
    return asdict(settings) | {"engine": engine_taken(settings.engine)}


def codes_of(scenario: Scenario) -> Codes:
    """Compile a scenario."""
    law, names = compile_tables(scenario)
    return Codes(scenario, law, names)


def replicate(
    codes: Codes,
    settings: Settings,
    replication: int,
    progress: Progress = lambda share: None,
    *,
    threads: int | None = None,
) -> tuple[Tally, EventLog]:
    """Run one replication: its tally, and the events of the accounts whose histories are kept."""
    law = keyed(codes.law, settings.seed, replication)
    tally = new_tally(law, codes.names, codes.scenario.spec.observe_us)
    log = EventLog()
    keep_below = 2**32 if settings.histories is None else settings.histories
    if settings.engine == "process":
        process.run(law, tally, keep_below, log.keep, progress)
    else:
        compiled.run(law, tally, keep_below, log.keep, progress, threads=threads)
    return tally, log


def parts_of(
    codes: Codes,
    settings: Settings,
    replication: int,
    progress: Progress = lambda share: None,
    *,
    threads: int | None = None,
) -> tuple[Outcome, Parts]:
    """Run one replication: its outcome, and its tables as they are asked for."""
    tally, log = replicate(codes, settings, replication, progress, threads=threads)
    counts = counts_of(tally, codes)
    return outcome_of(counts, codes), _tables(counts, log, codes, replication)


def _tables(counts: Counts, log: EventLog, codes: Codes, replication: int) -> Iterator[tuple[str, pd.DataFrame]]:
    yield from tables_of(counts, codes, replication).items()
    for events in log.in_order(HISTORY_ROWS):
        yield "histories", histories_of(events, codes, replication)


Source = Callable[[Codes, Settings, Progress], Iterator[tuple[Outcome, Parts]]]
"""Where replications come from, in order; closed when there are enough."""


def one_by_one(threads: int | None = None) -> Source:
    """Replications made here, one after the other, each by all of so many threads (by default as many as there are processors)."""

    def made(codes: Codes, settings: Settings, progress: Progress) -> Iterator[tuple[Outcome, Parts]]:
        count = settings.replications
        for number in range(count):
            told = lambda share, done=number: progress((done + share) / count)  # noqa: E731
            yield parts_of(codes, settings, number, told, threads=threads)

    return made


def _run_all(
    codes: Codes, settings: Settings, add: Add, progress: Progress, enough: Enough, source: Source
) -> tuple[pd.DataFrame, Settings, dict[str, Any]]:
    """Hand on the tables of every replication, or until it is enough.

    Returns
    -------
    summary
        Over all that were run.
    settings
        With as many replications as were run.
    checked
        What the manifest says of their invariants.
    """
    checked: list[dict[str, int]] = []

    def measured() -> Iterator[dict[Measure, Value]]:
        for outcome, parts in source(codes, settings, progress):
            for name, table in parts:
                add(name, table)
            checked.append(outcome.checked)
            yield outcome.measures
            if enough(outcome):
                break

    summary = summarise(measured(), independent=not is_coupled(codes.law))
    return summary, replace(settings, replications=len(checked)), invariants.told(checked)


def run_in_memory(
    scenario: Scenario,
    settings: Settings,
    progress: Progress = lambda share: None,
    *,
    enough: Enough = never,
    threads: int | None = None,
) -> Collected:
    """Run a scenario and keep its tables in memory."""
    began = time.perf_counter()
    codes = codes_of(scenario)
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    add: Add = lambda name, table: parts[name].append(table)  # noqa: E731
    summary, done, checked = _run_all(codes, settings, add, progress, enough, one_by_one(threads))
    if not parts["histories"]:
        parts["histories"].append(histories_of(np.empty(0, EVENT), codes, 0))
    tables = {
        name: tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True) for name, tables in parts.items()
    }
    return Collected(scenario, manifest(codes, _told(done), time.perf_counter() - began, checked), summary, tables)


def run_to_folder(
    scenario: Scenario,
    settings: Settings,
    folder: Path,
    *,
    force: bool = False,
    csv: bool = False,
    progress: Progress = lambda share: None,
    decorate: Callable[[Path], None] = lambda folder: None,
    enough: Enough = never,
    source: Source | None = None,
    way_on: str = ANOTHER_PLACE,
) -> Path:
    """Run a scenario into a results folder, which appears whole or not at all.

    Parameters
    ----------
    enough
        Ends the run before all of `settings.replications`; the folder is then that of a run of so many.
    source
        Where the replications come from; by default they are made here, one by one.
    decorate
        Called with the folder before it is put in its place, with all tables in it: adds figures.
    way_on
        What to do should the system refuse to write it, for the message.

    Raises
    ------
    ResultsError
        The folder is in the way or cannot be written.
    NotWrittenError
        Writing was refused by the system in the midst of it.
    """
    with writing(folder, way_on), Writer(folder, force=force, csv=csv) as writer:
        began = time.perf_counter()
        codes = codes_of(scenario)
        summary, done, checked = _run_all(codes, settings, writer.add, progress, enough, source or one_by_one())
        told = manifest(codes, _told(done), time.perf_counter() - began, checked)
        decorate(writer.finish(told, scenario.resolved_yaml(), summary))
        return writer.publish()
