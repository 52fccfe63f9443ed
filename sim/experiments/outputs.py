"""One number of a run: what it is called, and how it is read from the outcome of a replication.

On the command line it is ``measure[:segment][:state]@when``: ``ban_rate@end``, ``ban_rate:media@90 days``, ``occupancy_share::warned@end``,
``occupancy_share:media:warned@2023-01-01``. An expectation of a file names its parts one by one (`output_expected`). At the end there is every
measure of the summary; before it those that can be read off the curves. A moment between two grid times is read at the earlier one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sim.errors import Fault, ScenarioError
from sim.experiments.points import whole
from sim.experiments.work import BAN_CURVES
from sim.results.outcome import Outcome
from sim.results.summary import BAN_MEASURES, Value
from sim.scenario import Expectation, Scenario, Spec
from sim.scenario.names import allowed
from sim.scenario.units import RefusedError, moment

OVER_TIME = (*BAN_MEASURES, "occupancy_share")
"""Measures that the curves give at any time; all are shares of the accounts that have joined by then."""
AT_END = (
    *("ever_share", "entries", "account_days", "audience_days"),
    *("restricted_days", "wrongly_restricted_days", "wrongly_banned_days", "violations", "detected_violations"),
)
OF_STATE = ("occupancy_share", "ever_share", "entries", "account_days", "audience_days")
DESK = ("desk_served", "desk_left", "desk_mean_wait", "desk_p95_wait", "desk_utilisation")
KNOWN = (*OVER_TIME, *AT_END, *DESK)
SHARES = (*OVER_TIME, "ever_share", "desk_utilisation")
"""Measures that are told in percent."""


@dataclass(frozen=True)
class Output:
    """One number of a run.

    Attributes
    ----------
    text
        As it was written.
    measure, segment, state
        As in the summary; `segment` is empty for all together, `state` may name a desk.
    at
        Number of the grid time.
    place, state_place
        Numbers of the segment (``None``: all) and of the state (-1: none) among those of the scenario.
    """

    text: str
    measure: str
    segment: str
    state: str
    at: int
    place: int | None
    state_place: int

    def value(self, outcome: Outcome) -> Value:
        """The number in an outcome, of a share of accounts also how many of how many; NaN where nobody has joined."""
        if self.measure not in OVER_TIME:
            for measure, value in outcome.measures.items():
                if measure[:3] == (self.measure, self.segment, self.state):
                    return value
            raise ValueError(f"{self.text}: there is no such number in this scenario")
        chosen = slice(None) if self.place is None else slice(self.place, self.place + 1)
        bans = outcome.bans[self.at, chosen].sum(axis=0)
        joined = int(bans[BAN_CURVES.index("joined")])
        if self.measure in BAN_MEASURES:
            count = int(bans[BAN_CURVES.index(BAN_MEASURES[self.measure])])
        else:
            count = int(outcome.occupancy[self.at, chosen, self.state_place].sum())
        return Value(count / joined if joined else math.nan, count, joined)

    def of(self, outcome: Outcome) -> float:
        """The number alone."""
        return float(self.value(outcome).value)


def grid_time(spec: Spec, at_us: int | None) -> tuple[int, datetime]:
    """Number and date of the last grid time that is not after a moment; ``None`` is the end."""
    last = -(-spec.end_us // spec.observe_us)
    number = last if at_us is None or at_us >= spec.end_us else at_us // spec.observe_us
    return number, spec.start + timedelta(microseconds=min(number * spec.observe_us, spec.end_us))


def output_expected(expectation: Expectation, spec: Spec) -> Output:
    """The number that an expectation is about; the file has been checked when it was loaded."""
    return _placed(
        expectation.measure,
        expectation.measure,
        expectation.segment or "",
        expectation.state or "",
        grid_time(spec, expectation.at_us)[0],
        spec,
    )


def _placed(text: str, measure: str, segment: str, state: str, at: int, spec: Spec) -> Output:
    """An output with the numbers of what it names."""
    place = list(spec.segments).index(segment) if segment else None
    state_place = list(spec.ladder.states).index(state) if measure == "occupancy_share" else -1
    return Output(text, measure, segment or whole(spec, measure), state, at, place, state_place)


def outputs_of(texts: list[str], scenario: Scenario) -> list[Output]:
    """Read outputs.

    Raises
    ------
    ScenarioError
        With every fault of every text.
    """
    found, faults = [], []
    for text in texts:
        try:
            found.append(_output(text.strip(), scenario))
        except RefusedError as refused:
            _, problem, remedy = refused.parts[0]
            faults.append(Fault("--outputs", None, text.strip(), problem, remedy))
    if not texts:
        faults.append(Fault("--outputs", None, "", "names no output", "name one, as in ban_rate@end"))
    if faults:
        raise ScenarioError(faults)
    return found


def _output(text: str, scenario: Scenario) -> Output:
    spec = scenario.spec
    named, _, when = text.partition("@")
    measure, segment, state = (*(part.strip() for part in named.split(":", 2)), "", "")[:3]
    if measure not in KNOWN:
        raise RefusedError(f"`{measure}` is not a measure", allowed(KNOWN, measure, what="measures"))
    if segment and segment not in spec.segments:
        raise RefusedError(f"`{segment}` is not a segment", allowed(spec.segments, segment, what="segments"))
    if segment and measure in DESK:
        raise RefusedError("a desk has no segment", f"as in {measure}::{next(iter(spec.desks), 'desk')}@end")
    states = tuple(spec.ladder.states) if measure in OF_STATE else tuple(spec.desks) if measure in DESK else ("",)
    if state not in states:
        what = "desks" if measure in DESK else "states"
        problem = f"`{state}` is none of the {what}" if state else f"{measure} is of one of the {what}"
        raise RefusedError(problem, allowed(states, state, what=what) if states != ("",) else f"`{measure}` has none")
    at_us = _moment(when.strip() or "end", measure, spec)
    return _placed(text, measure, segment, state, grid_time(spec, at_us)[0], spec)


def _moment(when: str, measure: str, spec: Spec) -> int:
    """Microseconds from `start` to a moment of the run."""
    at_us = spec.end_us if when == "end" else moment(when).after(spec.start)
    if not 0 <= at_us <= spec.end_us:
        raise RefusedError(f"`{when}` is outside of the run", "a date or a duration within it, or `end`")
    if measure not in OVER_TIME and at_us < spec.end_us:
        raise RefusedError(f"{measure} is known at the end only", "write `@end`")
    return at_us
