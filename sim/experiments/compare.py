"""Paired comparison of scenarios: differences of every measure with limits, difference curves, and the accounts that fare differently.

All scenarios are run with the same seed and replication numbers. Draws are keyed to account and decision: each account meets the same chances in all.

=========================  ==================================================================================
limits of differences      from
=========================  ==================================================================================
several replications       Student, over the replications' differences
one replication            the accounts, each compared with itself (`sim.experiments.paired`), unless a limited desk lets them meet
=========================  ==================================================================================

Beside each stand the limits that unpaired runs of the same size would have: from the same outcomes, as if the seeds had been different. Flips are
those of replication 0.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.engines import compiled, process
from sim.engines.tally import BUSY, EVENT, new_tally
from sim.errors import Fault, ScenarioError
from sim.experiments.curves import CURVES, replication_curves, sample_curves
from sim.experiments.flips import EXAMPLES, FLIPS, Logged, Pairs, Words, examples, flips, pair_up, partings
from sim.experiments.folders import manifest_of
from sim.experiments.paired import Limits, Sample, account_limits
from sim.experiments.replications import Engine, Progress, codes_of, engine_taken
from sim.experiments.traffic import moves_of
from sim.experiments.work import run_tasks, tasks_of
from sim.model.jit import Array
from sim.model.tables import keyed
from sim.results.intervals import student, welch
from sim.results.outcome import Outcome, outcome_of
from sim.results.summary import Measure
from sim.results.tables import Codes, counts_of
from sim.scenario import Scenario

MOST_ROWS = 1 << 24
"""Events of a run that are held in memory (half a gigabyte)."""
FIRST = 20_000
"""Accounts of each segment that are compared one by one where the events of all are too many."""
EVERY = 2**32
DIFFERENCES = (
    *("scenario", "measure", "segment", "state", "a", "b", "difference", "low", "high", "unit"),
    *("half_width", "unpaired_half_width", "narrower"),
)
"""Columns of the differences: `difference` is B less A; `narrower` is the unpaired half-width over the paired one."""
FLIPPED = "end_differently"
LIVES = ("scenario", "segment", "compared", "part", FLIPPED)


@dataclass(frozen=True)
class Compared:
    """Scenarios compared with the first one of them, A.

    Attributes
    ----------
    names
        What the scenarios are called in the tables, A first.
    scenarios
        The scenarios, A first.
    differences
        Every measure: its values in A and B, the difference with 95 % limits, and how much narrower they are for the pairing (`DIFFERENCES`).
    curves
        Differences over time of the ban rates and of the share of accounts in each state, with 95 % limits (`sim.experiments.curves.CURVES`).
    flips
        Accounts by how they end in A and B and by the first event at which their lives part (`sim.experiments.flips.FLIPS`).
    examples
        Histories side by side (`sim.experiments.flips.EXAMPLES`).
    lives
        How many accounts were compared one by one, how many lives part, how many end differently (`LIVES`).
    transitions
        Moves over the whole run of each scenario, A among them (`sim.experiments.traffic.MOVES`).
    manifest
        What it takes to make the same comparison again.
    """

    names: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    differences: pd.DataFrame
    curves: pd.DataFrame
    flips: pd.DataFrame
    examples: pd.DataFrame
    lives: pd.DataFrame
    transitions: pd.DataFrame
    manifest: dict[str, Any]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        names = ("differences", "curves", "flips", "examples", "lives", "transitions")
        return {name: getattr(self, name) for name in names}

    def variance_reduction(self, measure: str = "ban_rate", segment: str = "") -> float:
        """How many times narrower the limits of a measure are for the pairing, in the first comparison.

        Parameters
        ----------
        measure
            A measure of `differences`.
        segment
            Its segment; empty: all accounts, or the first segment where a measure has no row for all.

        Returns
        -------
        float
            Half-width without pairing over half-width with it; NaN without limits.
        """
        rows = self.differences[self.differences["measure"] == measure]
        if segment or (rows["segment"] == "").any():
            rows = rows[rows["segment"] == segment]
        return float(rows["narrower"].iloc[0]) if len(rows) else math.nan


class _TooManyError(Exception):
    """The events of a run do not fit the memory set apart for them."""


@dataclass(frozen=True)
class Run:
    """Replication 0 of a scenario with the lives of its accounts."""

    logged: Logged
    outcome: Outcome


def names_of(scenarios: Sequence[Scenario]) -> tuple[str, ...]:
    """Names of scenarios, each its own."""
    names: list[str] = []
    for scenario in scenarios:
        name, number = scenario.name, 2
        while name in names:
            name, number = f"{scenario.name} ({number})", number + 1
        names.append(name)
    return tuple(names)


def check_comparable(scenarios: Sequence[Scenario]) -> None:
    """Refuse scenarios whose curves cannot be laid on each other.

    Raises
    ------
    ScenarioError
        Fewer than two, or some have another start, end or grid than the first, or no segment in common with it.
    """
    faults = []
    if len(scenarios) < 2:
        faults.append(Fault(None, None, "", "one scenario alone", "give two or more to compare"))
    for other in scenarios[1:]:
        base, spec = scenarios[0].spec, other.spec
        place = str(other.file or other.name)
        for path, mine, theirs in (
            ("start", base.start, spec.start),
            ("end", base.end_us, spec.end_us),
            ("observe", base.observe_us, spec.observe_us),
        ):
            if mine != theirs:
                problem = f"not that of {scenarios[0].name}"
                faults.append(Fault(place, None, path, problem, "scenarios are compared over the same grid of time"))
        if not set(base.segments) & set(spec.segments):
            faults.append(Fault(place, None, "segments", f"none in common with {scenarios[0].name}", "name them alike"))
    if faults:
        raise ScenarioError(faults)


def _same_idle(all_codes: Sequence[Codes]) -> bool:
    """Whether accounts that are idle in all scenarios live the same lives: they join alike, into the same state."""
    starts = {codes.scenario.spec.ladder.start for codes in all_codes}
    joins: dict[str, set[tuple[float, float]]] = {}
    for codes in all_codes:
        for name, row in zip(codes.names.segments, codes.law.segments, strict=True):
            joins.setdefault(name, set()).add((float(row["joins_from"]), float(row["joins_to"])))
    return len(starts) == 1 and all(len(times) == 1 for times in joins.values())


def run_with_lives(
    codes: Codes,
    seed: int,
    replication: int,
    keep_below: int,
    most: int,
    engine: Engine = "auto",
    progress: Progress = lambda share: None,
) -> tuple[Outcome, Array]:
    """Run a replication: its outcome, and the events of the accounts that are logged."""
    law = keyed(codes.law, seed, replication)
    tally = new_tally(law, codes.names, codes.scenario.spec.observe_us)
    parts: list[Array] = [np.empty(0, EVENT)]
    held = 0

    def keep(rows: Array) -> None:
        nonlocal held
        held += len(rows)
        if held > most:
            raise _TooManyError
        parts.append(rows)

    (process if engine == "process" else compiled).run(law, tally, keep_below, keep, progress)
    return outcome_of(counts_of(tally, codes), codes), np.concatenate(parts)


def run_logged(
    all_codes: Sequence[Codes],
    seed: int,
    progress: Progress = lambda share: None,
    most: int = MOST_ROWS,
    first: int = FIRST,
    engine: Engine = "auto",
) -> list[Run]:
    """Replication 0 of every scenario with the lives of all accounts, or of the first ones if those of all are too many."""
    keep_below = BUSY if _same_idle(all_codes) else EVERY
    while True:
        runs = []
        try:
            for number, codes in enumerate(all_codes):
                outcome, events = run_with_lives(
                    codes,
                    seed,
                    0,
                    keep_below,
                    most,
                    engine,
                    lambda share, done=number: progress((done + share) / len(all_codes)),  # type: ignore[misc]
                )
                limit = keep_below if keep_below not in (BUSY, EVERY) else None
                runs.append(Run(Logged(codes, events, limit), outcome))
        except _TooManyError:
            if keep_below not in (BUSY, EVERY):
                first = max(1, first // 4)
            keep_below = first
        else:
            return runs


def _both_joined(a: Run, b: Run) -> dict[str, tuple[int, int]]:
    """Accounts joined by the end in each, of the segments that both have."""
    one, other = (
        dict(zip(run.logged.codes.names.segments, run.outcome.bans[-1, :, 0].tolist(), strict=True)) for run in (a, b)
    )
    return {name: (one[name], other[name]) for name in one if name in other}


def _joined(a: Run, b: Run) -> dict[str, int]:
    """Accounts joined by the end, of segments in which they are the same in both."""
    return {name: mine for name, (mine, theirs) in _both_joined(a, b).items() if mine == theirs}


def _in_both(a: Run, b: Run) -> dict[str, int]:
    """Accounts of each segment that both have, where they join alike: the first of the larger segment are those of the smaller."""
    return {name: min(counts) for name, counts in _both_joined(a, b).items()}


def _difference_rows(
    name: str, a: Sequence[Outcome], b: Sequence[Outcome], limits: Mapping[Measure, Limits]
) -> list[tuple[Any, ...]]:
    """One row a measure."""
    rows = []
    for measure in dict.fromkeys((*a[0].measures, *b[0].measures)):
        mine, theirs = (
            [each.measures[measure].value if measure in each.measures else math.nan for each in outcomes]
            for outcomes in (a, b)
        )
        low, high, unpaired = limits.get(measure, Limits())
        changes = [y - x for x, y in zip(mine, theirs, strict=True)]
        if len(changes) > 1:
            low, high = student(changes)
            unpaired = welch(mine, theirs)
        half = (high - low) / 2.0
        narrower = unpaired / half if half > 0.0 else math.nan
        means = [math.fsum(each) / len(each) for each in (mine, theirs, changes)]
        rows.append((name, *measure[:3], *means, low, high, measure.unit, half, unpaired, narrower))
    return rows


def _lives_rows(name: str, pairs: Pairs, found: pd.DataFrame, a: Run, b: Run) -> list[Any]:
    words, joined = pairs.words, _joined(a, b)
    if _same_idle((a.logged.codes, b.logged.codes)):  # who is idle in both has no event in either
        joined = _in_both(a, b)
    parted = np.bincount(found["segment"], minlength=len(words.segments))
    flipped = np.bincount(found["segment"][found["fate_a"] != found["fate_b"]], minlength=len(words.segments))
    logged = np.bincount(pairs.segments, minlength=len(words.segments))
    rows = []
    for number, segment in enumerate(words.segments):
        compared = joined.get(segment, int(logged[number])) if a.logged.first is None else int(logged[number])
        rows.append((name, segment, compared, int(parted[number]), int(flipped[number])))
    return rows


def _named(table: pd.DataFrame, name: str) -> pd.DataFrame:
    table.insert(0, "scenario", name)
    return table


def sample_of(words: Words, a: Run, b: Run) -> tuple[Sample, bool]:
    """Lives of two scenarios, and whether their accounts are a sample from which limits follow."""
    sample = Sample(pair_up(words, a.logged, b.logged), _joined(a, b), a.logged.codes.scenario.spec.end_us)
    honest = a.outcome.independent and b.outcome.independent and a.logged.first is None
    return sample, honest


def compare_scenarios(
    scenarios: Sequence[Scenario],
    *,
    seed: int = 0,
    replications: int = 1,
    engine: Engine = "auto",
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    progress: Progress = lambda share: None,
    most_rows: int = MOST_ROWS,
    first: int = FIRST,
) -> Compared:
    """Compare scenarios with the first of them.

    Parameters
    ----------
    scenarios
        A, B and others; every one is compared with A.
    seed, replications, engine
        As for a run; all scenarios share them.
    workers, cluster, folder
        As for `sim.experiments.work.run_tasks`, for replications after the first.
    most_rows, first
        Where a run has more events than `most_rows`, the lives of the first accounts of each segment alone are compared.

    Raises
    ------
    ScenarioError
        The scenarios cannot be compared (`check_comparable`).
    """
    check_comparable(scenarios)
    if replications < 1:
        raise ValueError(f"replications must be at least 1, found {replications}")
    began, names = time.perf_counter(), names_of(scenarios)
    all_codes = [codes_of(scenario) for scenario in scenarios]
    share = 1.0 / replications
    runs = run_logged(all_codes, seed, lambda done: progress(share * done), most_rows, first, engine)
    outcomes = [[run.outcome] for run in runs]
    rest = range(1, replications)
    tasks = [
        task
        for name, scenario in zip(names, scenarios, strict=True)
        for task in tasks_of(scenario, seed, rest, point=name, engine=engine)
    ]
    told = lambda part: progress(share + (1.0 - share) * part)  # noqa: E731
    done = run_tasks(tasks, workers=workers, cluster=cluster, folder=folder, progress=told)
    for number, (_, outcome) in enumerate(done if tasks else ()):
        outcomes[number // len(rest)].append(outcome)
    tables = _tables(names, runs, outcomes, seed)
    settings: dict[str, Any] = {"seed": seed, "replications": replications, "engine": engine_taken(engine)}
    settings |= {"most_rows": most_rows, "first": first, "accounts_compared": runs[0].logged.first or "all"}
    identities = [_identity(name, scenario) for name, scenario in zip(names, scenarios, strict=True)]
    seconds = time.perf_counter() - began
    manifest = manifest_of("compare", scenarios[0], {**settings, "scenarios": identities}, tables, seconds)
    return Compared(names, tuple(scenarios), manifest=manifest, **tables)


def _identity(name: str, scenario: Scenario) -> dict[str, Any]:
    file = None if scenario.file is None else str(scenario.file)
    told = {"name": name, "title": scenario.spec.title, "file": file, "sha256": scenario.sha256()}
    return told | {"resolved": scenario.resolved_yaml()}


def _tables(
    names: Sequence[str], runs: Sequence[Run], outcomes: Sequence[Sequence[Outcome]], seed: int
) -> dict[str, pd.DataFrame]:
    """All tables of a comparison."""
    a = runs[0]
    codes = a.logged.codes
    differences: list[Any] = []
    lives: list[Any] = []
    frames: dict[str, list[pd.DataFrame]] = {"curves": [], "flips": [], "examples": []}
    for k, b in enumerate(runs[1:], start=1):
        words = Words.of((codes, b.logged.codes))
        sample, honest = sample_of(words, a, b)
        limits: Mapping[Measure, Limits] = {}
        curves = replication_curves(codes, b.logged.codes, outcomes[0], outcomes[k])
        if honest and len(outcomes[0]) == 1:
            law = keyed(codes.law, seed, 0)
            limits = account_limits(sample, a.outcome.measures, b.outcome.measures, law, (codes, b.logged.codes))
            curves = sample_curves(sample, codes, curves, a.outcome.bans[:, :, 0])
        found = partings(sample.pairs)
        differences += _difference_rows(names[k], outcomes[0], outcomes[k], limits)
        lives += _lives_rows(names[k], sample.pairs, found, a, b)
        frames["curves"].append(_named(curves, names[k]))
        frames["flips"].append(_named(flips(sample.pairs, found), names[k]))
        frames["examples"].append(_named(examples(sample.pairs, found, codes), names[k]))
    empty = {"curves": CURVES, "flips": FLIPS, "examples": EXAMPLES}
    tables = {
        name: pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)[
            ["scenario", *empty[name]]
        ]
        for name, parts in frames.items()
    }
    return {
        "differences": pd.DataFrame(differences, columns=list(DIFFERENCES)),
        **tables,
        "lives": pd.DataFrame(lives, columns=list(LIVES)),
        "transitions": pd.concat(map(_named, map(moves_of, outcomes), names), ignore_index=True),
    }
