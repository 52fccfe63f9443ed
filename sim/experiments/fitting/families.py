"""Families of durations fitted to censored stays by likelihood: what `fit` asks lifelines for.

An exit of the law draws its clock on entry, and with a chance below 100 % the clock may never ring. So the survival of a clock is
``1 - chance * F(t)``, the mixture cure model (Boag 1949), and other exits that win are censoring to it.

`rank_families` finds the maximum of likelihood of all candidates, quickly; `estimated` has lifelines fit the one that was chosen, and gives its
estimates and standard errors. This module is the only one that knows lifelines, and it turns its parameters into those of scenario files:

==============  =====================================  ===========================================
`exponential`   ``lambda_`` is the mean                `sim.scenario` has ``mean``
`weibull`       ``lambda_`` scale, ``rho_`` shape      ``shape, scale``
`lognormal`     ``mu_, sigma_`` of the logarithm       ``median = exp(mu_), sigma``
`loglogistic`   ``alpha_`` median, ``beta_`` shape     ``median, shape``
==============  =====================================  ===========================================
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from lifelines import ExponentialFitter, LogLogisticFitter, LogNormalFitter, WeibullFitter
from lifelines.exceptions import ConvergenceError, StatError
from lifelines.fitters.mixture_cure_fitter import MixtureCureFitter
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_ndtr, logit

Floats = NDArray[np.float64]

FITTERS = {
    "exponential": ExponentialFitter,
    "weibull": WeibullFitter,
    "lognormal": LogNormalFitter,
    "loglogistic": LogLogisticFitter,
}
LIMITS = {
    "mean": (0.0, np.inf), "scale": (0.0, np.inf), "median": (0.0, np.inf), "shape": (0.1, 1_000.0), "sigma": (0.0, 20.0),
}  # fmt: skip
"""What scenario files allow; a fit outside of it is no candidate."""

LONGEST_DAYS = 1e6

NAMES = {
    "exponential": ("mean",),
    "weibull": ("shape", "scale"),
    "lognormal": ("median", "sigma"),
    "loglogistic": ("median", "shape"),
}
"""Parameters of scenario files, in their order."""

OWN_PARAMETERS = {family: len(names) for family, names in NAMES.items()}
EVENTS_PER_PARAMETER = 5
"""Fewer events leave the simpler models only, in the end the exponential one."""

GROUPED_FROM, GROUP_WIDTH = 1_000, 5e-3
"""From so many stays on, lengths within 0.5 % of each other count as their geometric mean, events and others apart: a tenth of the work.
Estimates are the same up to the second order, which is some 1e-6 of them: next to nothing beside a standard error, of however many stays."""


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error; NaN where that is not known.

    `unit` is ``days``, ``share``, or empty.
    """

    name: str
    value: float
    standard_error: float
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A family with or without a chance at its maximum of likelihood.

    Attributes
    ----------
    family
        As in scenario files.
    point
        Of the search: logarithms of scale and shape, logit of the chance if that is free.
    log_likelihood
        There, times in days.
    """

    family: str
    point: Floats
    log_likelihood: float

    @property
    def free(self) -> int:
        """Number of parameters."""
        return len(self.point)

    @property
    def is_whole(self) -> bool:
        """Whether every clock rings: the chance is no parameter."""
        return len(self.point) == OWN_PARAMETERS[self.family]

    @property
    def aic(self) -> float:
        """Akaike's criterion: smaller is better."""
        return 2.0 * self.free - 2.0 * self.log_likelihood

    @property
    def values(self) -> tuple[tuple[float, ...], float]:
        """Parameters as in scenario files, durations in days, and the chance."""
        return _values(self.family, self.point)

    def distribution(self, days: Floats) -> Floats:
        """Share of clocks that ring within some days, those that never ring among all."""
        values, chance = self.values
        return chance * distribution(self.family, values, days)


@dataclass(frozen=True)
class FamilyFit:
    """A family fitted to one clock.

    Attributes
    ----------
    family, parameters
        As in scenario files, durations in days.
    chance
        That the clock ever rings; 100 % without standard error where it was not a parameter.
    aic
        Akaike's criterion, times in days.
    """

    family: str
    parameters: tuple[Estimate, ...]
    chance: Estimate
    aic: float


def distribution(family: str, values: tuple[float, ...], days: Floats) -> Floats:
    """Distribution function of a family of scenario files at times above 0."""
    return -np.expm1(_log_survival_and_density(family, values, np.asarray(days, np.float64))[0])


def rank_families(days: Floats, rang: NDArray[np.bool_], plateau: float) -> list[Candidate]:
    """Every family that so many events can bear, each with a chance of 100 % and with a free one, at its maximum of likelihood.

    Parameters
    ----------
    days
        Lengths of stays, above 0.
    rang
        Whether the clock ended the stay; the others are censored.
    plateau
        Share of clocks that have rung at the end of Kaplan and Meier's curve: where the search for a chance begins.
    """
    stays = _grouped(days, rang)
    events = int(rang.sum())
    found = []
    for family, own in OWN_PARAMETERS.items():
        if own > 1 and events < EVENTS_PER_PARAMETER * own:
            continue
        exposure = float(days.sum()) / events
        whole = _maximum(family, stays, [np.array([np.log(exposure), 0.0][:own])])
        found.append(whole)
        if events >= EVENTS_PER_PARAMETER * (own + 1):
            chance = min(max(plateau, 0.02), 0.98)
            typical = np.array([np.log(np.median(days[rang])), 0.0][:own])
            starts = [np.append(typical, logit(chance)), np.append(whole.point, logit(0.95))]
            found.append(_maximum(family, stays, starts))
    return [one for one in found if _is_allowed(one)]


@dataclass(frozen=True)
class _Stays:
    """Lengths in days that occur, and how many stays of each ended with the event and without."""

    days: Floats
    rang: Floats
    censored: Floats


def _grouped(days: Floats, rang: NDArray[np.bool_]) -> _Stays:
    if len(days) > GROUPED_FROM:
        logs = np.log(days)
        group = np.unique(2 * np.rint(logs / GROUP_WIDTH) + rang, return_inverse=True)[1]
        days = np.exp((np.bincount(group, logs) / np.bincount(group))[group])
    values, place = np.unique(days, return_inverse=True)
    with_event = np.asarray(np.bincount(place, rang, len(values)), np.float64)
    return _Stays(values, with_event, np.asarray(np.bincount(place, minlength=len(values)) - with_event, np.float64))


def _log_survival_and_density(family: str, values: tuple[float, ...], t: Floats) -> tuple[Floats, Floats]:
    """Logarithms of the survival function and of the density at times above 0."""
    log_t = np.log(np.maximum(t, 1e-300))
    if family == "lognormal":
        z = (log_t - np.log(values[0])) / values[1]
        return log_ndtr(-z), -0.5 * z * z - log_t - np.log(values[1] * np.sqrt(2.0 * np.pi))
    if family == "loglogistic":
        x = values[1] * (log_t - np.log(values[0]))
        tail = -np.logaddexp(0.0, x)
        return tail, x + 2.0 * tail + np.log(values[1]) - log_t
    shape, scale = (1.0, values[0]) if family == "exponential" else values
    x = shape * (log_t - np.log(scale))
    hazard = np.exp(np.minimum(x, 700.0))
    return -hazard, x - log_t + np.log(shape) - hazard


def _values(family: str, point: Floats) -> tuple[tuple[float, ...], float]:
    """Parameters in the order of scenario files, and the chance, of a point of the search: logarithms, and the chance's logit."""
    own = OWN_PARAMETERS[family]
    values = tuple(np.exp(np.clip(point[:own], -40.0, 40.0)).tolist())
    chance = 1.0 if len(point) == own else float(expit(point[own]))
    return (values[::-1] if family == "weibull" else values), chance


def _log_likelihood(family: str, point: Floats, stays: _Stays) -> float:
    """Of a mixture cure model: events have the density times the chance, censored stays the rest."""
    values, chance = _values(family, point)
    survival, density = _log_survival_and_density(family, values, stays.days)
    if chance < 1.0:
        survival, density = np.log1p(chance * np.expm1(survival)), density + np.log(chance)
    return float(stays.rang @ density + np.where(stays.censored > 0.0, survival, 0.0) @ stays.censored)


def _maximum(family: str, stays: _Stays, starts: list[Floats]) -> Candidate:
    """The highest point that a search from any of the starts finds."""
    best = Candidate(family, starts[0], -np.inf)
    total = float(stays.rang.sum() + stays.censored.sum())

    def per_stay(point: Floats) -> float:
        return -_log_likelihood(family, point, stays) / total

    for start in starts:
        with np.errstate(all="ignore"):
            done = minimize(per_stay, start, method="BFGS", options={"gtol": 1e-6})
            found = Candidate(family, done.x, _log_likelihood(family, done.x, stays))
        if np.isfinite(found.log_likelihood) and found.log_likelihood > best.log_likelihood:
            best = found
    return best


def _is_allowed(one: Candidate) -> bool:
    """Whether a scenario file may say so: within its limits, and a chance that is not 100 % after all."""
    values, chance = one.values
    longest = values[1 if one.family == "weibull" else 0]
    within = all(
        LIMITS[name][0] < value < LIMITS[name][1] for name, value in zip(NAMES[one.family], values, strict=True)
    )
    return (
        bool(np.isfinite(one.log_likelihood))
        and within
        and longest < LONGEST_DAYS
        and (one.is_whole or 1e-6 < chance < 0.9999)
    )


def estimated(one: Candidate, days: Floats, rang: NDArray[np.bool_]) -> FamilyFit | None:
    """Fit a candidate with lifelines, for its estimates and standard errors; ``None`` where that finds no maximum inside."""
    unit = float(np.median(days[rang]))
    stays = _grouped(days / unit, rang)
    lengths = np.concatenate([stays.days, stays.days])
    weights = np.concatenate([stays.rang, stays.censored])
    happened = np.repeat([True, False], len(stays.days))
    fitter, begin = FITTERS[one.family](), _as_lifelines(one, unit)
    if not one.is_whole:
        fitter, begin = MixtureCureFitter(base_fitter=fitter), np.append(1.0 - one.values[1], begin)
    kept = np.flatnonzero(weights)
    if len(kept) == 1:  # lifelines takes one row for no rows; in two halves it says the same
        kept, weights = kept.repeat(2), weights / 2.0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a search that leaves the plausible warns; what it ends in is checked below
        try:
            timeline = np.array([1.0])  # lifelines would tabulate its curves at every length
            fitter.fit(lengths[kept], happened[kept], weights=weights[kept], initial_point=begin, timeline=timeline)
        except (ConvergenceError, StatError, ValueError, FloatingPointError, np.linalg.LinAlgError):
            return None
        errors = fitter.summary["se(coef)"].to_numpy(np.float64)
    values = fitter.summary["coef"].to_numpy(np.float64)
    return _told(one, (values, errors), unit) if np.isfinite(values).all() else None


def _as_lifelines(one: Candidate, unit: float) -> Floats:
    """Parameters of a candidate as lifelines has them, in another unit of time."""
    values = one.values[0]
    if one.family == "lognormal":
        return np.array([np.log(values[0] / unit), values[1]])
    if one.family == "weibull":
        return np.array([values[1] / unit, values[0]])
    return np.array([values[0] / unit, *values[1:]])


def _told(one: Candidate, fitted: tuple[Floats, Floats], unit: float) -> FamilyFit:
    """Estimates and errors of lifelines in the words of scenario files, in days."""
    values, errors = fitted
    own = OWN_PARAMETERS[one.family]
    chance = Estimate("chance", 1.0, np.nan, "share")
    if not one.is_whole:
        chance = Estimate("chance", float(1.0 - values[0]), float(errors[0]), "share")
    return FamilyFit(one.family, _PARAMETERS[one.family](values[-own:], errors[-own:], unit), chance, one.aic)


def _days(name: str, value: float, error: float, unit: float) -> Estimate:
    return Estimate(name, float(value * unit), float(error * unit), "days")


def _lognormal(v: Floats, e: Floats, unit: float) -> tuple[Estimate, ...]:
    median = float(np.exp(v[0]))
    return _days("median", median, median * e[0], unit), Estimate("sigma", float(v[1]), float(e[1]))


_PARAMETERS: dict[str, Callable[[Floats, Floats, float], tuple[Estimate, ...]]] = {
    "exponential": lambda v, e, unit: (_days("mean", v[0], e[0], unit),),
    "weibull": lambda v, e, unit: (Estimate("shape", float(v[1]), float(e[1])), _days("scale", v[0], e[0], unit)),
    "lognormal": _lognormal,
    "loglogistic": lambda v, e, unit: (_days("median", v[0], e[0], unit), Estimate("shape", float(v[1]), float(e[1]))),
}
