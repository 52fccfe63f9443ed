"""What scenarios expect of themselves: the `expect:` of their files, held to as many replications as it takes to decide.

An expectation is of the mean: what a measure is on average over replications. It is looked at after 1, 3, 6, ... replications, each time twice
as many, up to the cap. Its limits leave 5 % of error to all these looks together: half of it to the first, half of the rest to the next, and so on,
so that looking often does not make it likelier to decide wrongly. An expectation that is decided is not looked at again.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal

import pandas as pd

from sim.errors import Fault, ScenarioError
from sim.experiments.estimate import check_events
from sim.experiments.outputs import grid_time, output_expected
from sim.experiments.replications import Engine
from sim.experiments.work import run_tasks, tasks_of
from sim.results.intervals import student, wilson
from sim.results.outcome import Outcome
from sim.results.summary import Value
from sim.scenario import Expectation, Scenario, load

Verdict = Literal["held", "failed", "undecided"]

ERROR = 0.05
"""Chance to decide an expectation wrongly, all looks together."""
FLOOR = 3
"""Replications that limits over replications need at least."""
COLUMNS = (
    *("scenario", "measure", "segment", "state", "at", "below", "above"),
    *("verdict", "value", "low", "high", "replications"),
)


@dataclass(frozen=True)
class Check:
    """An expectation and what became of it.

    Attributes
    ----------
    expectation
        As the file has it.
    at
        Grid time at which it was looked at: the last one that is not after the expectation's `at`.
    verdict
        ``held``: the limits are within what is expected; ``failed``: they are outside; ``undecided``: neither, with as many replications as allowed.
    value, low, high
        Mean and limits when it was decided, or at the last look; NaN where nothing can be said.
    replications
        How many it took.
    """

    expectation: Expectation
    at: datetime
    verdict: Verdict = "undecided"
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    replications: int = 0


@dataclass(frozen=True)
class Checked:
    """The expectations of one scenario, in file order; `source` is what it was asked for by, `seconds` what it took."""

    scenario: Scenario
    source: str
    seconds: float
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Checks:
    """The expectations of some scenarios.

    Attributes
    ----------
    scenarios
        Each with its checks, in the order in which they were asked for.
    """

    scenarios: tuple[Checked, ...]

    def count(self, verdict: Verdict) -> int:
        """How many came out so.

        Parameters
        ----------
        verdict
            ``"held"``, ``"failed"`` or ``"undecided"``.

        Returns
        -------
        int
            Expectations, over all scenarios.
        """
        return sum(check.verdict == verdict for checked in self.scenarios for check in checked.checks)

    @property
    def verdict(self) -> Verdict:
        """``failed`` if any failed, otherwise ``undecided`` if any is, otherwise ``held``."""
        return next((verdict for verdict in ("failed", "undecided") if self.count(verdict)), "held")

    @property
    def frame(self) -> pd.DataFrame:
        """One row an expectation; empty segment: all accounts; `below`, `above` are NaN where they are not given."""
        rows = [
            {
                **{key: "" if value is None else value for key, value in asdict(check.expectation).items()},
                **{key: value for key, value in vars(check).items() if key != "expectation"},
                "scenario": checked.scenario.name,
                "below": _or_nan(check.expectation.below),
                "above": _or_nan(check.expectation.above),
            }
            for checked in self.scenarios
            for check in checked.checks
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))


def _or_nan(limit: float | None) -> float:
    return math.nan if limit is None else limit


def looks(cap: int) -> tuple[int, ...]:
    """Numbers of replications at which expectations are looked at: 1, then half of the half ... of the cap from `FLOOR` on, up to the cap."""
    found = [cap]
    while found[-1] // 2 >= FLOOR:
        found.append(found[-1] // 2)
    return tuple(sorted({1, *found}))


def error_at(look: int, cap: int, independent: bool) -> float:
    """Chance to decide wrongly that is left to a look: half of what those before it have left, the last look takes all of it."""
    with_limits = [each for each in looks(cap) if independent or each >= FLOOR]
    if look not in with_limits:
        return ERROR
    return float(ERROR * 0.5 ** min(with_limits.index(look) + 1, len(with_limits) - 1))


def check_expectations(
    *scenarios: Scenario | str | os.PathLike[str],
    seed: int = 0,
    max_replications: int = 100,
    engine: Engine = "auto",
    workers: int | None = None,
    cluster: str | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Checks:
    """Hold scenarios to what their files expect.

    Parameters
    ----------
    scenarios
        Scenarios, names of ones that ship, or files.
    seed
        See `sim.experiments.replications.Settings`.
    max_replications
        After so many replications of a scenario, what is not decided is undecided. Where a limited desk lets accounts meet nothing can be
        decided with fewer than three.
    engine
        See `sim.experiments.replications.Settings`.
    workers, cluster
        See `sim.experiments.work.run_tasks`.
    force
        Run even what may make more events than `sim.experiments.estimate.LIMIT`.
    progress
        Told the share of the replications that may still be needed which are done.

    Returns
    -------
    Checks
        Each expectation with what was found, and whether it holds, fails or is undecided.

    Raises
    ------
    ScenarioError
        Scenarios are not valid; all faults of all of them are told, before anything is run.
    RunError
        A run failed.
    """
    if max_replications < 1:
        raise ValueError(f"max_replications must be at least 1, found {max_replications}")
    found: list[Checked] = []
    loaded = _all_loaded(scenarios)
    check_events((scenario for _, scenario in loaded), force=force)
    for source, scenario in loaded:
        began = time.perf_counter()
        checks = _check(
            scenario,
            lambda first, last, scenario=scenario: [  # type: ignore[misc]
                outcome
                for _, outcome in run_tasks(
                    tasks_of(scenario, seed, range(first, last), engine=engine),
                    workers=workers,
                    cluster=cluster,
                    progress=lambda share: progress(
                        (len(found) + (first + share * (last - first)) / max_replications) / len(loaded)
                    ),
                )
            ],
            max_replications,
        )
        found.append(Checked(scenario, source, time.perf_counter() - began, checks))
        progress(len(found) / len(loaded))
    return Checks(tuple(found))


def _all_loaded(sources: Sequence[Scenario | str | os.PathLike[str]]) -> list[tuple[str, Scenario]]:
    """Every scenario with what it was asked for by."""
    found: list[tuple[str, Scenario]] = []
    faults: list[Fault] = []
    for source in sources:
        if isinstance(source, Scenario):
            found.append((source.name, source))
            continue
        try:
            found.append((os.fspath(source), load(source)))
        except ScenarioError as error:
            faults += error.faults
    if faults:
        raise ScenarioError(faults)
    return found


def _check(scenario: Scenario, outcomes_of: Callable[[int, int], list[Outcome]], cap: int) -> tuple[Check, ...]:
    """Add replications until every expectation of a scenario is decided; `outcomes_of` runs those from the first to before the last."""
    spec = scenario.spec
    checks = [Check(expectation, grid_time(spec, expectation.at_us)[1]) for expectation in spec.expect]
    outputs = [output_expected(expectation, spec) for expectation in spec.expect]
    values: list[list[Value]] = [[] for _ in checks]
    done = 0
    for look in looks(cap):
        waiting = [number for number, check in enumerate(checks) if _is_open(check, values[number])]
        if not waiting:
            break
        outcomes = outcomes_of(done, look)
        done = look
        for number in waiting:
            values[number] += [outputs[number].value(outcome) for outcome in outcomes]
            independent = outcomes[0].independent
            checks[number] = decided(checks[number], values[number], independent, error_at(look, cap, independent))
    return tuple(checks)


def _is_open(check: Check, values: Sequence[Value]) -> bool:
    """Whether more replications may help: not where no account has joined by then in any of several."""
    hopeless = len(values) >= FLOOR and not any(value.trials for value in values)
    return check.verdict == "undecided" and not hopeless


def decided(check: Check, values: Sequence[Value], independent: bool, error: float) -> Check:
    """The check after a look at all replications so far, with limits that err with the given chance."""
    low, high = limits(values, independent, 1.0 - error)
    below, above = check.expectation.below, check.expectation.above
    verdict: Verdict = "undecided"
    if (below is not None and low >= below) or (above is not None and high <= above):
        verdict = "failed"
    elif (below is None or high < below) and (above is None or low > above):
        verdict = "held"
    value = math.fsum(value.value for value in values) / len(values)
    return replace(check, verdict=verdict, value=value, low=low, high=high, replications=len(values))


def limits(values: Sequence[Value], independent: bool, level: float) -> tuple[float, float]:
    """Limits of the mean of a share.

    Where accounts never meet, those of all replications are one sample (Wilson). Otherwise limits are over replications (Student), and never
    narrower than if the accounts had not met: a few replications that are equal by chance, such as none banned in each, prove little.
    """
    low, high = wilson(sum(value.successes for value in values), sum(value.trials for value in values), level)
    if independent:
        return low, high
    if len(values) < FLOOR:
        return math.nan, math.nan
    student_low, student_high = student([value.value for value in values], level)
    if math.isnan(student_low):
        return math.nan, math.nan
    return max(0.0, min(low, student_low)), min(1.0, max(high, student_high))
