"""Estimators from censored histories: Kaplan-Meier, cumulative incidence, and the Aalen-Johansen estimator of state occupancy.

==========================  ============================================================================================
`kaplan_meier`              survival of one duration, with Greenwood's standard errors
`aalen_johansen`            share of accounts in each state over time, with the standard errors of the recursive formula
`first_entry`               cumulative incidence of a first entry, such as the first ban, against competing ones
==========================  ============================================================================================

All take accounts that are observed for unequal times, and accounts that come under observation late (delayed entry). What happens at one time
happens together: those at risk are counted just before it, and who leaves observation at that time still counts (Andersen, Borgan, Gill and Keiding
1993, *Statistical Models Based on Counting Processes*, chapter IV).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from sim.errors import ResultsError
from sim.results.spells import CENSORED, Spells

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
FIRST, OTHER = "not yet", "competing"
"""States of `first_entry` before anything happened, and after something else did."""


@dataclass(frozen=True, eq=False)
class Survival:
    """A survival curve.

    Attributes
    ----------
    times
        Times at which something happened, rising.
    survival, standard_error
        Just after each of them (Greenwood 1926).
    at_risk, events
        Just before, and at each of them.
    """

    times: Floats
    survival: Floats
    standard_error: Floats
    at_risk: Integers
    events: Integers

    def at(self, times: ArrayLike) -> Floats:
        """Survival at any times: 1 before the first."""
        return np.append(1.0, self.survival)[np.searchsorted(self.times, times, side="right")]

    def quantile(self, share: float | Floats) -> Floats:
        """First time by which a share of all has had the event; infinite where the curve does not get so far."""
        place = np.searchsorted(1.0 - self.survival, np.asarray(share) - 1e-12, side="left")
        return np.append(self.times, np.inf)[place]


def kaplan_meier(durations: ArrayLike, observed: ArrayLike, entries: ArrayLike | None = None) -> Survival:
    """Kaplan-Meier estimate of survival.

    Parameters
    ----------
    durations
        Time of the event, or of the end of observation.
    observed
        Whether there was an event.
    entries
        When each came under observation; by default all at 0. Nobody counts at the very time of coming.

    Returns
    -------
    Survival
        The curve, in the unit of `durations`.
    """
    ends, happened = np.asarray(durations, np.float64), np.asarray(observed, bool)
    times, events = np.unique(ends[happened], return_counts=True)
    at_risk = len(ends) - np.searchsorted(np.sort(ends), times, side="left")
    if entries is not None:
        begins = np.sort(np.asarray(entries, np.float64))
        at_risk = at_risk - (len(begins) - np.searchsorted(begins, times, side="left"))
    survival = np.cumprod(1.0 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.cumsum(events / (at_risk * (at_risk - events)))
        error = np.where(survival > 0.0, survival * np.sqrt(relative), 0.0)
    return Survival(
        times, np.asarray(survival), np.asarray(error, np.float64), at_risk.astype(np.int64), events.astype(np.int64)
    )


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Shares of accounts in states over time.

    Attributes
    ----------
    times_us
        Times at which something happened, rising; before the first, `initial` holds.
    shares, standard_errors
        ``(time, state)``, just after each time.
    initial, initial_errors
        ``(state,)``: shares at the beginning.
    at_risk
        Accounts observed just before each time, in whichever state.
    states
        Names.
    """

    times_us: Integers
    shares: Floats
    standard_errors: Floats
    initial: Floats
    initial_errors: Floats
    at_risk: Integers
    states: tuple[str, ...]

    def at(self, times_us: ArrayLike) -> tuple[Floats, Floats]:
        """Shares and their standard errors at any times, ``(time, state)`` each."""
        place = np.searchsorted(self.times_us, times_us, side="right")
        shares = np.concatenate([self.initial[None], self.shares])[place]
        return shares, np.concatenate([self.initial_errors[None], self.standard_errors])[place]

    def limits(self, times_us: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
        """Limits of the shares at any times, each by itself, within 0 and 1."""
        shares, errors = self.at(times_us)
        half_width = float(ndtri(0.5 + level / 2.0)) * errors
        return np.clip(shares - half_width, 0.0, 1.0), np.clip(shares + half_width, 0.0, 1.0)

    def observed_until(self, share: float = 0.05) -> int:
        """Last time at which at least this share of the most accounts ever at risk was still observed, in microseconds."""
        enough = np.flatnonzero(self.at_risk >= share * self.at_risk.max(initial=0))
        return int(self.times_us[enough[-1]]) if len(enough) else 0


def aalen_johansen(spells: Spells, initial: ArrayLike | None = None) -> Occupancy:
    """Aalen-Johansen estimate of the share of accounts in each state.

    Each transition time multiplies the shares by ``I + dA``, with ``dA[h, j] = dN[h, j] / Y[h]``: transitions from h to j over accounts in h just
    before. The covariance follows by the recursion of Andersen et al. (1993), section IV.4, in its Greenwood form (moves out of one state at one time
    are multinomial). The shares hold without a Markov property too, where censoring is independent (Datta and Satten 2001,
    doi:10.1016/S0167-7152(01)00155-9).

    Parameters
    ----------
    spells
        On the time scale of interest: calendar time (late joiners enter late), or `Spells.since_joining`.
    initial
        Shares at the beginning, by state. By default the states of those that are there at the earliest time; how uncertain those are counts in.

    Returns
    -------
    Occupancy
        Shares over time, in microseconds on the scale of `spells`.

    Raises
    ------
    ResultsError
        There are no spells.
    """
    if not len(spells):
        raise ResultsError("no spells: nothing can be estimated")
    seen = spells.settled()
    count = len(seen.states)
    beginning = int(seen.entered_us.min())
    if initial is None:
        started = np.bincount(seen.state[seen.first & (seen.entered_us == beginning)], minlength=count)
        shares = started / started.sum()
        covariance = (np.diag(shares) - np.outer(shares, shares)) / started.sum()
    else:
        shares, covariance = np.asarray(initial, np.float64).copy(), np.zeros((count, count))
    moves = _moves(seen)
    found, errors = np.empty((len(moves.times), count)), np.empty((len(moves.times), count))
    begun = (shares.copy(), np.sqrt(np.maximum(np.diagonal(covariance), 0.0)))
    for k in range(len(moves.times)):
        rows = slice(moves.first[k], moves.first[k + 1])
        shares, covariance = _step(
            shares, covariance, moves.origin[rows], moves.to[rows], moves.rate[rows], moves.at_risk[rows]
        )
        found[k], errors[k] = shares, covariance.diagonal()
    present = len(seen) - np.searchsorted(np.sort(seen.left_us), moves.times, side="left")
    present -= len(seen) - np.searchsorted(np.sort(seen.entered_us), moves.times, side="left")
    return Occupancy(moves.times, found, np.sqrt(np.maximum(errors, 0.0)), *begun, present, seen.states)


@dataclass(frozen=True, eq=False)
class _Moves:
    """Moves between states, put together by time: rows ``first[k]`` up to ``first[k + 1]`` happen at ``times[k]``."""

    times: Integers
    first: Integers
    origin: Integers
    to: Integers
    rate: Floats
    at_risk: Floats


def _moves(seen: Spells) -> _Moves:
    moved = (seen.next != CENSORED) & (seen.next != seen.state)
    keys = np.stack([seen.left_us[moved], seen.state[moved], seen.next[moved]])
    (at, origin, to), events = np.unique(keys, axis=1, return_counts=True)
    at_risk = np.empty(len(at), np.float64)
    for state in np.unique(origin):
        here, rows = seen.state == state, origin == state
        at_risk[rows] = np.searchsorted(np.sort(seen.entered_us[here]), at[rows], side="left")
        at_risk[rows] -= np.searchsorted(np.sort(seen.left_us[here]), at[rows], side="left")
    times, first = np.unique(at, return_index=True)
    return _Moves(times, np.append(first, len(at)), origin, to, events / at_risk, at_risk)


def _step(
    shares: Floats, covariance: Floats, origin: Integers, to: Integers, rate: Floats, at_risk: Floats
) -> tuple[Floats, Floats]:
    """Shares and covariance after the moves of one time."""
    jump = np.eye(len(shares))
    for h, j, a in zip(origin.tolist(), to.tolist(), rate.tolist(), strict=True):
        jump[h, j] += a
        jump[h, h] -= a
    after = jump.T @ covariance @ jump
    for h, y in dict(zip(origin.tolist(), at_risk.tolist(), strict=True)).items():
        if shares[h] > 0.0:
            leaving = jump[h]
            after += (shares[h] ** 2 / y) * (np.diag(leaving) - leaving[:, None] * leaving)
    return shares @ jump, after


def first_entry(spells: Spells, states: Sequence[str], competing: Sequence[str] = ()) -> Occupancy:
    """Cumulative incidence of the first entry into one of some states, such as the first ban.

    Parameters
    ----------
    spells
        On the time scale of interest.
    states
        The states whose first entry counts; each is a state of what is returned.
    competing
        States after which a first entry can no longer come, such as a closed account.

    Returns
    -------
    Occupancy
        Of the states ``not yet``, those of `states`, and ``competing``: Aalen and Johansen's estimate, which without `competing` is one less
        Kaplan and Meier's.

    Raises
    ------
    ResultsError
        There is no such state, or one is named on both sides.
    """
    unknown = [name for name in (*states, *competing) if name not in spells.states]
    if unknown or set(states) & set(competing) or not states:
        raise ResultsError(
            f"states of a first entry: found {list(states)} and {list(competing)}; allowed, once each: {', '.join(spells.states)}"
        )
    codes = np.zeros(len(spells.states), np.int64)
    for k, name in enumerate(states):
        codes[spells.states.index(name)] = 1 + k
    for name in competing:
        codes[spells.states.index(name)] = 1 + len(states)
    state = codes[spells.state]
    after = np.where(state > 0, np.arange(len(spells)), -1)
    starts = np.maximum.accumulate(np.where(spells.first, np.arange(len(spells)), 0))
    earlier = np.maximum.accumulate(after)
    held = (np.roll(earlier, 1) >= starts) & ~spells.first
    kept = spells.where(~held)
    reached = state[~held]
    following = np.where(kept.next == CENSORED, CENSORED, codes[kept.next])
    names = (FIRST, *states, OTHER)
    single = Spells(
        kept.account, kept.segment, reached, kept.entered_us, kept.left_us,
        np.where(reached > 0, CENSORED, following), names, kept.segments, kept.start,
    )  # fmt: skip
    return aalen_johansen(single)
