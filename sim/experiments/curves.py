"""Differences over time of the ban rates and of the share of accounts in each state between two scenarios, with 95 % limits.

Limits of one replication are from the accounts, each compared with itself: of a first ban by its two times, of a state by going through both lives of
an account together and counting, between events, in which states they are that are not the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sim.experiments.flips import Pairs
from sim.experiments.paired import Sample
from sim.experiments.work import BAN_CURVES
from sim.model.jit import NEVER, Array
from sim.results.intervals import paired_shares, student
from sim.results.outcome import Outcome
from sim.results.summary import BAN_MEASURES
from sim.results.tables import Codes

CURVES = ("measure", "segment", "state", "time", "a", "b", "difference", "low", "high")
FIRST_BANS = ("ban_rate", "wrongful_ban_rate")
ACCOUNTS_AT_ONCE = 1 << 18
"""Accounts whose lives are gone through together."""


def common_segments(a: Codes, b: Codes) -> list[str]:
    """Segments that both scenarios have, and ``""`` for all accounts together where a scenario has several."""
    both = [name for name in a.names.segments if name in b.names.segments]
    return ["", *both] if max(len(a.names.segments), len(b.names.segments)) > 1 else both


def _named_curves(a: Codes, b: Codes) -> list[tuple[str, str]]:
    """Measure and state of every curve; states that only one of the scenarios has are left out."""
    both = [state for state in a.names.states if state in b.names.states]
    return [*((measure, "") for measure in BAN_MEASURES), *(("occupancy_share", state) for state in both)]


def _rates(outcomes: Sequence[Outcome], codes: Codes, measure: str, state: str, segment: str) -> Array:
    """Share of joined accounts, (replications, grid times)."""
    chosen = [codes.names.segments.index(segment)] if segment else slice(None)
    bans = np.stack([each.bans[:, chosen].sum(axis=1) for each in outcomes])
    joined = bans[..., BAN_CURVES.index("joined")]
    if state:
        number = codes.names.states.index(state)
        counts = np.stack([each.occupancy[:, chosen, number].sum(axis=1) for each in outcomes])
    else:
        counts = bans[..., BAN_CURVES.index(BAN_MEASURES[measure])]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(counts / joined, dtype=np.float64)


def replication_curves(a: Codes, b: Codes, of_a: Sequence[Outcome], of_b: Sequence[Outcome]) -> pd.DataFrame:
    """Mean differences by grid time, with Student limits over replications; without limits for one replication."""
    parts = []
    for measure, state in _named_curves(a, b):
        for segment in common_segments(a, b):
            mine, theirs = (_rates(of, codes, measure, state, segment) for of, codes in ((of_a, a), (of_b, b)))
            changes = theirs - mine
            limits = (
                np.array([student(row) for row in changes.T]) if len(of_a) > 1 else np.full((len(a.grid), 2), math.nan)
            )
            parts.append(
                pd.DataFrame(
                    {
                        "measure": measure,
                        "segment": segment,
                        "state": state,
                        "time": a.timestamps(a.grid),
                        "a": mine.mean(axis=0),
                        "b": theirs.mean(axis=0),
                        "difference": changes.mean(axis=0),
                        "low": limits[:, 0],
                        "high": limits[:, 1],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _only(times: Array, other: Array, grid: Array) -> Array:
    """Accounts that by each grid time have the event of `times` and not that of `other`."""
    before = times < other
    begins = np.bincount(np.searchsorted(grid, times[before]), minlength=len(grid) + 1)
    ends = np.bincount(np.searchsorted(grid, other[before]), minlength=len(grid) + 1)
    return np.asarray((begins - ends).cumsum()[: len(grid)])


def _last_states(rows: Array, own: Array, states: Array, begins: Array) -> Array:
    """State after the last event of one life at or before each row; -1 before there is one. `begins`: first row of each row's account."""
    last = np.maximum.accumulate(np.where(own, rows, -1))
    return np.where(last >= begins, states[last], -1)


def only_in_state(pairs: Pairs, grid: Array) -> tuple[Array, Array]:
    """Accounts in each state in A and not in B, and in B and not in A.

    Returns
    -------
    tuple
        (segments, states + 1, grid times) each, int64, in the words of the pairs; the last of the states are all that count as bans.
    """
    words, size = pairs.words, len(grid) + 1
    shape = (len(words.segments), len(words.states) + 1, size)
    only = np.zeros((2, *shape), np.int64)
    for begin in range(0, len(pairs.keys), ACCOUNTS_AT_ONCE):
        end = min(begin + ACCOUNTS_AT_ONCE, len(pairs.keys))
        parts = [slice(int(lives.first[begin]), int(lives.first[end])) for lives in (pairs.a, pairs.b)]
        events = np.concatenate([lives.events[part] for lives, part in zip((pairs.a, pairs.b), parts, strict=True)])
        owner = np.concatenate([lives.owner[part] for lives, part in zip((pairs.a, pairs.b), parts, strict=True)])
        of_b = np.arange(len(events)) >= parts[0].stop - parts[0].start
        order = np.lexsort((events["time"], owner))
        events, owner, of_b = events[order], owner[order], of_b[order]
        rows, states = np.arange(len(events)), words.targets[events["move"]]
        first = np.append(True, owner[1:] != owner[:-1])[: len(owner)]
        begins = np.maximum.accumulate(np.where(first, rows, 0))
        now = [_last_states(rows, own, states, begins) for own in (~of_b, of_b)]
        before = [np.where(first, -1, np.append(-1, each[:-1])[: len(each)]) for each in now]
        place = events["segment"].astype(np.int64) * shape[1], np.searchsorted(grid, events["time"])
        for sign, (in_a, in_b) in ((1, now), (-1, before)):
            banned = [(each >= 0) & lives.bans[each] for each, lives in ((in_a, pairs.a), (in_b, pairs.b))]
            for side, (mine, differs) in enumerate(((in_a, in_a != in_b), (in_b, in_a != in_b))):
                for state, counted in (
                    (mine, differs & (mine >= 0)),
                    (np.full(len(mine), shape[1] - 1), banned[side] & ~banned[1 - side]),
                ):
                    flat = (place[0] + state)[counted] * size + place[1][counted]
                    only[side] += sign * np.bincount(flat, minlength=math.prod(shape)).reshape(shape)
    only = only.cumsum(axis=-1)[..., :-1]
    return only[0], only[1]


def sample_curves(sample: Sample, codes: Codes, curves: pd.DataFrame, joined: Array) -> pd.DataFrame:
    """The same curves with limits from the accounts, each compared with itself.

    Parameters
    ----------
    joined
        (G, S): accounts of each segment of A that have joined by each grid time.
    """
    pairs, grid = sample.pairs, codes.grid
    bans = [lives.first_bans(pairs.words) for lives in (pairs.a, pairs.b)]
    in_state = only_in_state(pairs, grid)
    lows, highs = (curves[limit].to_numpy(dtype=np.float64, copy=True) for limit in ("low", "high"))
    blocks: Any = curves.groupby(["measure", "state", "segment"], sort=False).indices
    for (measure, state, segment), rows in blocks.items():
        parts = sample.parts(segment)
        if not parts:
            continue
        numbers = [sample.segment_of(name) for name in parts]
        if measure in FIRST_BANS:
            times = [when if measure == "ban_rate" else np.where(wrong, when, NEVER) for when, wrong in bans]
            mine, theirs = (each[np.isin(pairs.segments, numbers)] for each in times)
            only_a, only_b = _only(mine, theirs, grid), _only(theirs, mine, grid)
        else:
            number = pairs.words.states.index(state) if state else -1
            only_a, only_b = (each[numbers, number].sum(axis=0) for each in in_state)
        trials = joined[:, [codes.names.segments.index(name) for name in parts]].sum(axis=1)
        lows[rows], highs[rows] = paired_shares(only_a, only_b, trials)
    return curves.assign(low=lows, high=highs)
