"""Histories as spells: who was in which state from when to when, and what came next.

A *history* says when an account entered a state; a *spell* is its stay there. The last spell of an account is right-censored at the end of its
observation. Spells are what the estimators of `sim.results.estimators` read, whether the histories come from records or from a run.

==============================  ==================================================================
`spells_of`                     histories with the columns account, time, state[, segment]
`spells_of_run`                 the table `histories` of a run
`Spells.since_joining`          time counted from each account's first entry
`Spells.settled`                stays of no length taken out: what an estimator can see
`Spells.renamed`                states put together, such as `blocked 2` with `blocked`
==============================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.errors import ResultsError

Integers = NDArray[np.int64]
CENSORED = -1
"""`Spells.next` of a spell whose end was not seen."""

DAY_US = 86_400_000_000


@dataclass(frozen=True, eq=False)
class Spells:
    """Stays in states, by account and time.

    Attributes
    ----------
    account
        Number of the account, from 0; spells of one account stand together, in the order of time.
    segment, state
        Numbers among `segments` and `states`.
    entered_us, left_us
        When the stay began and ended, in microseconds from `start`; where `next` is `CENSORED`, when observation of it ended.
    next
        Number of the state entered at `left_us`, or `CENSORED`.
    states, segments
        Names, in the order in which they first appear.
    start
        What time 0 is; ``None`` where times were numbers of days.
    """

    account: Integers
    segment: Integers
    state: Integers
    entered_us: Integers
    left_us: Integers
    next: Integers
    states: tuple[str, ...]
    segments: tuple[str, ...]
    start: pd.Timestamp | None = None

    def __len__(self) -> int:
        return len(self.account)

    @property
    def first(self) -> NDArray[np.bool_]:
        """Which spells are the first of their account."""
        return np.asarray(np.diff(self.account, prepend=-1) != 0, bool)

    @property
    def visit(self) -> Integers:
        """How often the account had entered the spell's state up to and with this spell: 1 is the first time."""
        order = np.lexsort((np.arange(len(self)), self.state, self.account))
        new = (np.diff(self.account[order], prepend=-1) != 0) | (np.diff(self.state[order], prepend=-1) != 0)
        place = np.arange(len(self))
        found = np.empty(len(self), np.int64)
        found[order] = place - np.maximum.accumulate(np.where(new, place, 0)) + 1
        return found

    def of_segment(self, name: str) -> Spells:
        """The spells of one segment."""
        return self.where(self.segment == self.segments.index(name))

    def where(self, kept: NDArray[Any]) -> Spells:
        """Some of the spells."""
        parts = ("account", "segment", "state", "entered_us", "left_us", "next")
        return replace(self, **{name: getattr(self, name)[kept] for name in parts})

    def since_joining(self) -> Spells:
        """The same spells with each account's first entry as its time 0."""
        joined = self.entered_us[self.first][np.cumsum(self.first) - 1]
        return replace(self, entered_us=self.entered_us - joined, left_us=self.left_us - joined, start=None)

    def settled(self) -> Spells:
        """The spells without those of no length, which nobody could be seen in; what came next is the state that the account then stayed in."""
        last = np.append((np.diff(self.account) != 0) | (np.diff(self.entered_us) != 0), True)[: len(self)]
        kept = self.where(last)
        follows = np.append(np.diff(kept.account) == 0, False)[: len(kept)]
        return replace(kept, next=np.where(follows, np.roll(kept.state, -1), CENSORED))


def spells_of(histories: pd.DataFrame, end: pd.Timestamp | float | None = None) -> Spells:
    """Spells from histories.

    Parameters
    ----------
    histories
        Columns `account`, `time` (timestamps, or numbers of days), `state` and, if there are any, `segment`. Rows of one account at one time count in
        the order in which they stand. A row without a state ends the observation of its account.
    end
        End of observation, of the kind of the times; by default the last time. What comes later was not observed.

    Raises
    ------
    ResultsError
        A column is missing, there are no rows up to `end`, `end` is of another kind than the times, or an account goes on after a row that ends its
        observation.
    """
    missing = [name for name in ("account", "time", "state") if name not in histories]
    if missing:
        raise ResultsError(f"histories have no column {', '.join(missing)}; needed: account, time, state")
    times, start = _microseconds(histories["time"])
    if not len(times):
        raise ResultsError("histories have no rows")
    end_us = int(times.max()) if end is None else _end_us(end, start)
    account = pd.factorize(histories["account"])[0].astype(np.int64)
    order = np.lexsort((np.arange(len(times)), times, account))
    order = order[times[order] <= end_us]
    if not len(order):
        raise ResultsError("histories have no rows up to the end of observation")
    account, times = account[order], times[order]
    state, states = pd.factorize(histories["state"].iloc[order])
    segment, segments = _segments(histories, order)
    ends = np.append(account[1:] != account[:-1], True)
    if np.any((state == CENSORED) & ~ends):
        raise ResultsError("an account has rows after the one without a state, which ends its observation")
    following = np.where(ends, CENSORED, np.append(state[1:], CENSORED))
    left = np.where(ends, end_us, np.append(times[1:], end_us))
    known = state != CENSORED
    account, segment, state, times, left, following = (
        array[known].astype(np.int64) for array in (account, segment, state, times, left, following)
    )
    named = (tuple(map(str, states)), tuple(map(str, segments)))
    return Spells(account, segment, state, times, left, following, *named, start)


def spells_of_run(histories: pd.DataFrame, end: pd.Timestamp) -> Spells:
    """Spells from the table `histories` of a run; every replication counts as further accounts.

    Parameters
    ----------
    histories
        The table, as in `sim.results.columns.TABLES`.
    end
        The last instant of the run.
    """
    account = histories.groupby(["replication", "segment", "account"], observed=True, sort=False).ngroup()
    named = {"account": account, "time": histories["time"], "state": histories["to_state"].astype(str)}
    return spells_of(pd.DataFrame(named | {"segment": histories["segment"].astype(str)}), end)


def _microseconds(times: pd.Series[Any]) -> tuple[Integers, pd.Timestamp | None]:
    """Times in microseconds from the first one, and what that is; numbers of days stay as they are."""
    if not isinstance(times.dtype, np.dtype) or times.dtype.kind == "M":
        stamps = pd.DatetimeIndex(times).as_unit("us")
        start = stamps.min()
        return (stamps - start).as_unit("us").asi8, start
    days = times.to_numpy(np.float64)
    return np.rint(days * DAY_US).astype(np.int64), None


def _end_us(end: pd.Timestamp | float, start: pd.Timestamp | None) -> int:
    if isinstance(end, pd.Timestamp) and start is not None:
        return int((end - start).as_unit("us").asm8.astype(np.int64))
    if isinstance(end, pd.Timestamp) or start is not None:
        raise ResultsError("the end of observation is not of the kind of the times: timestamps, or numbers of days")
    return round(float(end) * DAY_US)


def _segments(histories: pd.DataFrame, order: Integers) -> tuple[Integers, Sequence[str]]:
    if "segment" not in histories:
        return np.zeros(len(order), np.int64), ("accounts",)
    number, names = pd.factorize(histories["segment"].iloc[order].astype(str))
    return number.astype(np.int64), list(names)
