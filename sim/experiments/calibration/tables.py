"""Tables and words of a calibration: targets, parameters, profiles, and whether the targets are met."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import gammaincc

from sim.experiments.calibration.objective import Aim, Axis, Fit
from sim.experiments.calibration.profiles import EDGE, Profile
from sim.experiments.calibration.targets import Target
from sim.experiments.points import Floats


def target_table(targets: Sequence[Target], simulated: Floats, spread: Floats) -> pd.DataFrame:
    """How each target is met: `Calibrated.targets`."""
    rows = []
    for target, value, variance in zip(targets, simulated.tolist(), np.diag(spread).tolist(), strict=True):
        output, error = target.output, math.sqrt(target.standard_error**2 + variance)
        rows.append(
            {
                "target": output.text,
                "measure": output.measure,
                "segment": output.segment,
                "state": output.state,
                "at": target.at,
                "value": target.value,
                "standard_error": target.standard_error,
                "simulated": value,
                "monte_carlo_error": math.sqrt(variance),
                "z": (value - target.value) / error,
                "source": target.source,
            }
        )
    return pd.DataFrame(rows)


def parameter_table(
    axes: Sequence[Axis],
    best: Fit,
    steep: Floats,
    aim: Aim,
    spread: Floats,
    targets: Sequence[Target],
    profiles: Sequence[Profile],
) -> pd.DataFrame:
    """Fitted values and how well they are known; chance moves the figures together, so its covariance goes in whole."""
    published = np.diag([target.standard_error**2 for target in targets])
    scaled = (published + spread) / np.outer(aim.errors, aim.errors)
    gain = np.linalg.pinv(steep)
    errors = np.sqrt(np.clip(np.diag(gain @ scaled @ gain.T), 0.0, None))
    rows = []
    for axis, profile, unit, error in zip(axes, profiles, best.units.tolist(), errors.tolist(), strict=True):
        low, high = (axis.number(end) if math.isfinite(end) else math.nan for end in (profile.low, profile.high))
        known = profile.verdict == "identified"
        rows.append(
            {
                "path": axis.path,
                "fitted": axis.rounded(unit) / axis.factor,
                "low": low,
                "high": high,
                "standard_error": error * axis.slope(unit) / axis.factor if known else math.nan,
                "unit": axis.told_unit,
                "verdict": profile.verdict,
                "at_end": "low" if unit < EDGE else "high" if unit > 1.0 - EDGE else "",
                "range_low": axis.number(0.0),
                "range_high": axis.number(1.0),
            }
        )
    return pd.DataFrame(rows)


def profile_table(axes: Sequence[Axis], profiles: Sequence[Profile]) -> pd.DataFrame:
    """The objective along each parameter: `Calibrated.profiles`."""
    rows = []
    for axis, profile in zip(axes, profiles, strict=True):
        for found, above in zip(profile.fits, profile.above.tolist(), strict=True):
            places = found.units.tolist()
            others = {other.path: other.number(unit) for other, unit in zip(axes, places, strict=True)}
            rows.append({"path": axis.path, "value": axis.number(places[profile.place]), "above": above, **others})
    return pd.DataFrame(rows)


def fit_sentences(objective: float, freedom: int, targets: pd.DataFrame) -> list[str]:
    """Whether the targets are met, and whether they could be better."""
    blurred = targets.loc[targets["monte_carlo_error"] > targets["standard_error"], "target"]
    told = []
    if len(blurred):
        which = ", ".join(blurred)
        told = [
            f"Chance of the simulation is greater than the error of {which}: more replications or accounts would tell more."
        ]
    if not freedom:
        return [*told, "There are no more targets than parameters: that they are met tells nothing about the scenario."]
    chance_of_more = float(gammaincc(freedom / 2.0, objective / 2.0))
    return told if chance_of_more >= 0.01 else [*told, _missed(objective, freedom, chance_of_more, targets)]


def _missed(objective: float, freedom: int, chance_of_more: float, targets: pd.DataFrame) -> str:
    worst = targets.iloc[int(targets["z"].abs().to_numpy().argmax())]
    told = f"sum of squares {objective:.3g} at {freedom} degrees of freedom, p = {chance_of_more:.1g}"
    missed = f"{worst['target']} is missed most, by {worst['z']:+.1f} errors"
    return f"The targets are not met together ({told}): {missed}. Limits and errors take it that they could be."
