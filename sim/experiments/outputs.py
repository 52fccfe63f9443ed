"""Outputs of a run as they are named on the command line: ``measure[:segment][:state]@when``.

``ban_rate@end``, ``ban_rate:media@90 days``, ``occupancy_share:media:warned@2023-01-01``, ``occupancy_share::warned@end``. At the end there is every
measure of the summary; before it those that can be read off the curves. A moment between two grid times is read at the earlier one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.errors import Fault, ScenarioError
from sim.experiments.points import whole
from sim.experiments.work import BAN_CURVES, Outcome
from sim.results.summary import Measure
from sim.scenario import Scenario
from sim.scenario.names import allowed
from sim.scenario.units import RefusedError, moment

OVER_TIME = {"ban_rate": "ever_banned", "banned_share": "banned", "wrongful_ban_rate": "wrongly_banned"}
"""Measures that the table of bans gives at any time -> its column."""

AT_END = (
    *("ever_share", "entries", "account_days", "audience_days"),
    *("restricted_days", "violations", "detected_violations"),
)
OF_STATE = ("occupancy_share", "ever_share", "entries", "account_days", "audience_days")
DESK = ("desk_served", "desk_left", "desk_mean_wait", "desk_p95_wait", "desk_utilisation")
KNOWN = (*OVER_TIME, "occupancy_share", *AT_END, *DESK)


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
        Number of the grid time, or ``None`` for the end.
    place, state_place
        Numbers of the segment (``None``: all) and of the state among those of the scenario.
    """

    text: str
    measure: str
    segment: str
    state: str
    at: int | None
    place: int | None
    state_place: int

    def of(self, outcome: Outcome) -> float:
        """The number in an outcome; NaN where nobody has joined."""
        if self.at is None:
            for measure, value in outcome.measures.items():
                if isinstance(measure, Measure) and measure[:3] == (self.measure, self.segment, self.state):
                    return float(value.value)
            raise ValueError(f"{self.text}: there is no such number in this scenario")
        chosen = slice(None) if self.place is None else slice(self.place, self.place + 1)
        bans = outcome.bans[self.at, chosen].sum(axis=0)
        joined = int(bans[BAN_CURVES.index("joined")])
        if self.measure in OVER_TIME:
            count = int(bans[BAN_CURVES.index(OVER_TIME[self.measure])])
        else:
            count = int(outcome.occupancy[self.at, chosen, self.state_place].sum())
        return count / joined if joined else math.nan


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
    at = _grid_place(when.strip() or "end", measure, scenario)
    place = list(spec.segments).index(segment) if segment else None
    state_place = list(spec.ladder.states).index(state) if measure == "occupancy_share" else -1
    return Output(text, measure, segment or whole(scenario, measure), state, at, place, state_place)


def _grid_place(when: str, measure: str, scenario: Scenario) -> int | None:
    """Number of the last grid time up to a moment; ``None`` is the end."""
    spec = scenario.spec
    if when == "end":
        return None
    at_us = moment(when).after(spec.start)
    if at_us == spec.end_us:
        return None
    if not 0 <= at_us < spec.end_us:
        raise RefusedError(f"`{when}` is outside of the run", "a date or a duration within it, or `end`")
    if measure not in OVER_TIME and measure != "occupancy_share":
        raise RefusedError(f"{measure} is known at the end only", "write `@end`")
    return int(np.floor_divide(at_us, spec.observe_us))
