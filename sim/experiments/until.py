"""Replications until a number is known well enough: ``ban_rate@365 days ±0.1%``.

The part before ``±`` (or ``+-``) names an output as in `sim.experiments.outputs`; the part behind it is the half-width of the 95 % Student limits
of its mean over replications. For a share, a percentage is in points of the share itself: ±0.1% turns 3 % into 2.9 % to 3.1 %, whatever the share is.
Other measures take a plain number in their unit.

After each replication from the fifth on the limits are looked at, and the first that are narrow enough end the run. The replications are those that
``--replications`` would have made, from 0. Since chance also decides when it ends, the limits cover a little less than 95 % where few replications
were enough; it tends to 95 % as the width tends to 0 (Chow and Robbins 1965, doi:10.1214/aoms/1177700156).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from sim.errors import Fault, ScenarioError
from sim.experiments.outputs import SHARES, Output, outputs_of
from sim.experiments.replications import Progress
from sim.results.intervals import student
from sim.results.outcome import Outcome
from sim.scenario import Scenario
from sim.scenario.units import RefusedError, level

FLOOR = 5
"""Replications before the limits are looked at for the first time."""
CAP = 1000
"""Replications after which it is given up, unless asked otherwise."""
_SPLIT = re.compile(r"(?P<output>[^±]*?)\s*(?:±|\+/?-)\s*(?P<width>.*)")
_REMEDY = "write it as in `ban_rate@365 days ±0.1%`, or with +- for ±"


@dataclass(frozen=True)
class Precision:
    """How well an output is to be known.

    Attributes
    ----------
    text
        As it was written.
    half_width
        Of the 95 % limits, at most: in shares of 1 for shares, else in the unit of the measure.
    """

    text: str
    output: Output
    half_width: float


def precision_of(text: str, scenario: Scenario) -> Precision:
    """Read a precision.

    Raises
    ------
    ScenarioError
        It is not one, or the scenario has no such output.
    """
    match = _SPLIT.fullmatch(text.strip())
    if match is None:
        raise ScenarioError([Fault("--until", None, text, "says no half-width", _REMEDY)])
    try:
        output = outputs_of([match["output"]], scenario)[0]
    except ScenarioError as error:
        raise ScenarioError([replace(fault, file="--until") for fault in error.faults]) from None
    return Precision(text.strip(), output, _half_width(match["width"], output.measure, text))


def _half_width(written: str, measure: str, text: str) -> float:
    try:
        found = level(written) if written.endswith("%") else level(float(written))
    except (RefusedError, ValueError):
        raise ScenarioError([Fault("--until", None, text, f"`{written}` is not a half-width", _REMEDY)]) from None
    if not 0.0 < found.value < math.inf:
        raise ScenarioError([Fault("--until", None, text, f"`{written}` is not above 0", _REMEDY)])
    if found.unit == "%" and measure not in SHARES:
        told = f"{measure} is not a share"
        raise ScenarioError([Fault("--until", None, text, told, "write a plain number in the measure's unit")])
    return found.value


class Watch:
    """Looks at each replication and says when the precision is reached; of one run.

    Attributes
    ----------
    values
        The output in each replication so far.

    Raises
    ------
    ScenarioError
        It is to be given up before the limits are looked at.
    """

    def __init__(self, precision: Precision, cap: int = CAP) -> None:
        if cap < FLOOR:
            remedy = f"allow {FLOOR} or more: before the fifth the limits are not looked at"
            raise ScenarioError([Fault("--max-replications", None, str(cap), "is too few", remedy)])
        self.precision = precision
        self.cap = cap
        self.values: list[float] = []

    def __call__(self, outcome: Outcome) -> bool:
        """Whether this replication is the last that is needed."""
        self.values.append(self.precision.output.of(outcome))
        return self.reached

    @property
    def half_width(self) -> float:
        """Of the limits as they are now; NaN while there are none."""
        low, high = student(self.values)
        return (high - low) / 2.0

    @property
    def reached(self) -> bool:
        """Whether the limits are narrow enough."""
        return len(self.values) >= FLOOR and self.half_width <= self.precision.half_width

    def share(self, progress: Progress) -> Progress:
        """Progress of the replications that will be needed, by what is known, from that of all up to the cap."""

        def told(of_cap: float) -> None:
            width = self.half_width / self.precision.half_width
            needed = len(self.values) * width * width if width >= 0.0 else FLOOR
            progress(min(1.0, of_cap * self.cap / min(self.cap, max(FLOOR, needed))))

        return told

    def __str__(self) -> str:
        """How many replications it took, and what is known now."""
        per_cent = self.precision.output.measure in SHARES
        mean, width = math.fsum(self.values) / len(self.values), self.half_width
        known = f"{100 * mean:.4g} % ± {100 * width:.2g} %" if per_cent else f"{mean:.6g} ± {width:.2g}"
        count = len(self.values)
        if self.reached:
            return f"{self.precision.text} was reached after {count} replications: {known}"
        return f"{self.precision.text} was not reached in {count} replications, the most allowed: {known}"
