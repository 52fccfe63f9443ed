"""One scenario, one or several independent replications: engine, tables, summary."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from sim.engines import compiled, process
from sim.engines.tally import EVENT, Tally, new_tally
from sim.model.jit import Array
from sim.model.tables import compile_tables, is_coupled, keyed
from sim.results.columns import TABLES
from sim.results.manifest import manifest
from sim.results.store import Writer
from sim.results.summary import Measure, Value, measures, summarise
from sim.results.tables import Codes, Counts, counts_of, histories_of, tables_of
from sim.scenario import Scenario

Engine = Literal["auto", "compiled", "process"]
Progress = Callable[[float], None]
Add = Callable[[str, pd.DataFrame], None]
Enough = Callable[[Counts, Codes], bool]
"""Told the numbers of each replication in turn: whether it was the last one."""


def never(counts: Counts, codes: Codes) -> bool:
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


def _told(settings: Settings) -> dict[str, Any]:
    """Settings as the manifest has them, with the engine that was really taken."""
    return asdict(settings) | {"engine": "process" if settings.engine == "process" else "compiled"}


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
) -> tuple[Tally, Array]:
    """Run one replication: its tally, and the events of the accounts whose histories are kept, by segment, account and order of happening."""
    law = keyed(codes.law, settings.seed, replication)
    tally = new_tally(law, codes.names, codes.scenario.spec.observe_us)
    parts: list[Array] = [np.empty(0, EVENT)]
    keep_below = 2**32 if settings.histories is None else settings.histories
    if settings.engine == "process":
        process.run(law, tally, keep_below, parts.append, progress)
    else:
        compiled.run(law, tally, keep_below, parts.append, progress, threads=threads)
    events = np.concatenate(parts)
    return tally, events[np.lexsort((events["account"], events["segment"]))]


def _run_all(
    codes: Codes, settings: Settings, add: Add, progress: Progress, enough: Enough
) -> tuple[pd.DataFrame, Settings]:
    """Run every replication, or until it is enough, and hand the tables on.

    Returns
    -------
    summary
        Over all that were run.
    settings
        With as many replications as were run.
    """
    found: list[dict[Measure, Value]] = []
    for replication in range(settings.replications):
        tally, events = replicate(
            codes,
            settings,
            replication,
            lambda share, done=replication: progress((done + share) / settings.replications),  # type: ignore[misc]
        )
        counts = counts_of(tally, codes)
        for name, table in tables_of(counts, codes, replication).items():
            add(name, table)
        for first in range(0, len(events), HISTORY_ROWS):
            add("histories", histories_of(events[first : first + HISTORY_ROWS], codes, replication))
        found.append(measures(counts, codes))
        if enough(counts, codes):
            break
    return summarise(found, independent=not is_coupled(codes.law)), replace(settings, replications=len(found))


def run_in_memory(
    scenario: Scenario,
    settings: Settings,
    progress: Progress = lambda share: None,
    *,
    enough: Enough = never,
) -> Collected:
    """Run a scenario and keep its tables in memory."""
    began = time.perf_counter()
    codes = codes_of(scenario)
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    summary, done = _run_all(codes, settings, lambda name, table: parts[name].append(table), progress, enough)
    if not parts["histories"]:
        parts["histories"].append(histories_of(np.empty(0, EVENT), codes, 0))
    tables = {
        name: tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True) for name, tables in parts.items()
    }
    return Collected(scenario, manifest(codes, _told(done), time.perf_counter() - began), summary, tables)


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
) -> Path:
    """Run a scenario into a results folder, which appears whole or not at all.

    Parameters
    ----------
    enough
        Ends the run before all of `settings.replications`; the folder is then that of a run of so many.
    decorate
        Called with the folder before it is put in its place, with all tables in it: adds figures.

    Raises
    ------
    ResultsError
        The folder is in the way or cannot be written.
    """
    with Writer(folder, force=force, csv=csv) as writer:
        began = time.perf_counter()
        codes = codes_of(scenario)
        summary, done = _run_all(codes, settings, writer.add, progress, enough)
        told = manifest(codes, _told(done), time.perf_counter() - began)
        decorate(writer.finish(told, scenario.resolved_yaml(), summary))
        return writer.publish()
